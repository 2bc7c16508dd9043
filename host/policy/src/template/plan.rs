//! From the fields of a policy and the record of a template to a plan; every fault carries the dotted path of its field.

use osier_engine::plugin::{Type as Wit, Val};
use serde_json::Value as Json;

use super::default_expression;
use super::leaf::{Leaf, leaf, pair};
use super::shape::{Template, show};
use crate::fault::Fault;
use osier_cel::{Kind, Literal, Node, parse};
use osier_expressions::Expression;
use osier_expressions::Vocabulary;
use osier_spec::nearest;

/// How to build one value of the record.
#[derive(Debug)]
pub(crate) enum Plan {
    /// The same for every call.
    Constant(Val),
    /// One expression.
    Leaf(Expression, Leaf),
    /// One expression for an `option<T>`: absent becomes none.
    Optional(Expression, Leaf),
    /// One expression for a variant: absent becomes that case.
    OrCase(Expression, Leaf, String),
    /// A case of a variant, by name.
    Case(String, Box<Plan>),
    /// A record, fields in order.
    Record(Vec<(String, Plan)>),
    /// `option<T>` that is always there.
    Some(Box<Plan>),
    /// `list<tuple<string, T>>` with known keys.
    Entries(Vec<(String, Plan)>),
}

type Fields = serde_json::Map<String, Json>;

/// Compiles the fields of one action. `prefix` is the path of the fields, for faults.
pub(crate) fn compile(
    template: &Template,
    fields: &Json,
    prefix: &str,
    vocabulary: &Vocabulary,
) -> Result<Option<Plan>, Vec<Fault>> {
    let mut compiler = Compiler {
        template,
        prefix,
        vocabulary,
        faults: Vec::new(),
    };
    let given = fields.as_object().is_some_and(|fields| !fields.is_empty());
    let plan = match &template.record {
        None if given => {
            let detail = format!(
                "template {} has no fields; leave them out",
                template.short()
            );
            return Err(vec![Fault::new(prefix, detail)]);
        }
        None => return Ok(None),
        Some(record) => compiler.value("", record, Some(fields)),
    };
    match plan {
        Some(plan) if compiler.faults.is_empty() => Ok(Some(plan)),
        _ => Err(compiler.faults),
    }
}

struct Compiler<'c> {
    template: &'c Template,
    prefix: &'c str,
    vocabulary: &'c Vocabulary,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn fault<T>(&mut self, path: &str, detail: impl Into<String>) -> Option<T> {
        let dot = if path.is_empty() { "" } else { "." };
        self.faults
            .push(Fault::new(format!("{}{dot}{path}", self.prefix), detail));
        None
    }

    fn value(&mut self, path: &str, wit: &Wit, given: Option<&Json>) -> Option<Plan> {
        match given {
            None | Some(Json::Null) => self.missing(path, wit),
            Some(Json::String(source)) => self.expression(path, wit, source),
            Some(Json::Object(fields)) => self.nested(path, wit, fields),
            Some(scalar @ (Json::Number(_) | Json::Bool(_))) => {
                self.expression(path, wit, &scalar.to_string())
            }
            Some(Json::Array(_)) => self.fault(
                path,
                "is an array; write a list as an expression: '[\"a\", \"b\"]'",
            ),
        }
    }

    fn missing(&mut self, path: &str, wit: &Wit) -> Option<Plan> {
        let standard = self.template.is_standard();
        let known = default_expression(self.template.short(), path).filter(|_| standard);
        match (known, wit) {
            (Some(source), _) => self.expression(path, wit, source),
            (None, Wit::Option(_)) => Some(Plan::Constant(Val::Option(None))),
            (None, Wit::List(_)) => Some(Plan::Constant(Val::List(Vec::new()))),
            (None, Wit::Record(record)) if record.fields().len() > 0 && !is_moment(wit) => {
                self.nested(path, wit, &serde_json::Map::new())
            }
            _ => self.fault(path, format!("is missing; it needs {}", show(wit))),
        }
    }

    fn nested(&mut self, path: &str, wit: &Wit, fields: &Fields) -> Option<Plan> {
        match wit {
            Wit::Record(record) => {
                let places: Vec<(&str, Wit)> = record
                    .fields()
                    .map(|field| (field.name, field.ty))
                    .collect();
                self.record(path, &places, fields)
            }
            Wit::Option(inner) => {
                let plan = self.nested(path, &inner.ty(), fields)?;
                Some(Plan::Some(Box::new(plan)))
            }
            Wit::Variant(_) => self.case(path, wit, fields),
            Wit::List(list) => match pair(&list.ty()) {
                Some(ty) => {
                    let places = fields.keys().map(|name| (name.as_str(), ty.clone()));
                    self.each(path, places, fields).map(Plan::Entries)
                }
                None => self.fault(path, format!("needs {}, not fields", show(wit))),
            },
            _ => self.fault(path, format!("needs {}, not fields", show(wit))),
        }
    }

    fn record(&mut self, path: &str, places: &[(&str, Wit)], fields: &Fields) -> Option<Plan> {
        let names: Vec<&str> = places.iter().map(|(name, _)| *name).collect();
        for unknown in fields.keys().filter(|name| !names.contains(&name.as_str())) {
            let hint = nearest(unknown, names.iter().copied())
                .map(|known| format!("; did you mean `{known}`?"))
                .unwrap_or_else(|| format!("; it has {}", names.join(", ")));
            let template = self.template.short();
            let detail = format!("template {template} has no such field{hint}");
            self.fault::<()>(&joined(path, unknown), detail);
        }
        self.each(path, places.iter().cloned(), fields)
            .map(Plan::Record)
    }

    /// Plans of several values; every one is compiled, so that all faults are reported.
    fn each<'n>(
        &mut self,
        path: &str,
        places: impl Iterator<Item = (&'n str, Wit)>,
        fields: &Fields,
    ) -> Option<Vec<(String, Plan)>> {
        let plans: Vec<Option<(String, Plan)>> = places
            .map(|(name, ty)| {
                let plan = self.value(&joined(path, name), &ty, fields.get(name))?;
                Some((name.to_owned(), plan))
            })
            .collect();
        plans.into_iter().collect()
    }

    /// `{case: value}`
    fn case(&mut self, path: &str, wit: &Wit, fields: &Fields) -> Option<Plan> {
        let mut given = fields.iter();
        let (Wit::Variant(variant), Some((name, value)), None) = (wit, given.next(), given.next())
        else {
            return self.fault(path, "name exactly one case");
        };
        let case = variant.cases().find(|case| case.name == name);
        match case.map(|case| case.ty) {
            Some(Some(ty)) => {
                let plan = self.value(&joined(path, name), &ty, Some(value))?;
                Some(Plan::Case(name.clone(), Box::new(plan)))
            }
            Some(None) => Some(Plan::Constant(Val::Variant(name.clone(), None))),
            None => self.fault(path, format!("`{name}` is no case of {}", show(wit))),
        }
    }

    fn expression(&mut self, path: &str, wit: &Wit, source: &str) -> Option<Plan> {
        match parse(source) {
            Ok(node) => self.node(path, wit, source, &node),
            Err(error) => self.fault(path, error.to_string()),
        }
    }

    fn node(&mut self, path: &str, wit: &Wit, source: &str, node: &Node) -> Option<Plan> {
        if let (Kind::Map(entries), Wit::List(list)) = (&node.kind, wit)
            && let Some(ty) = pair(&list.ty())
        {
            return self.entries(path, &ty, source, entries);
        }
        if let (Wit::Enum(cases), Kind::Literal(Literal::Text(text))) = (wit, &node.kind) {
            if cases.names().any(|name| name == text) {
                return Some(Plan::Constant(Val::Enum(text.clone())));
            }
            return self.fault(path, format!("`{text}` is not {}", show(wit)));
        }
        let expression = match Expression::compile(source, node, self.vocabulary) {
            Ok(expression) => expression,
            Err(error) => return self.fault(path, error.to_string()),
        };
        self.fit(path, wit, expression)
    }

    fn fit(&mut self, path: &str, wit: &Wit, expression: Expression) -> Option<Plan> {
        if let Wit::Option(inner) = wit {
            return match leaf(&inner.ty(), expression.ty()) {
                Ok(leaf) => Some(Plan::Optional(expression, leaf)),
                Err(detail) => self.fault(path, detail),
            };
        }
        let leaf = match leaf(wit, expression.ty()) {
            Ok(leaf) => leaf,
            Err(detail) => return self.fault(path, detail),
        };
        if !expression.may_be_absent() {
            return Some(Plan::Leaf(expression, leaf));
        }
        let absent = match wit {
            Wit::Variant(variant) => variant
                .cases()
                .find(|case| case.ty.is_none() && matches!(case.name, "absent" | "none"))
                .map(|case| case.name.to_owned()),
            _ => None,
        };
        match absent {
            Some(case) => Some(Plan::OrCase(expression, leaf, case)),
            None => {
                let names = expression.references().join(", ");
                self.fault(path, format!("{names} may be absent, but the template needs {}; give a default with orValue(..)", show(wit)))
            }
        }
    }

    /// A map literal for `list<tuple<string, T>>`: each value has its own type.
    fn entries(
        &mut self,
        path: &str,
        ty: &Wit,
        source: &str,
        entries: &[(Node, Node)],
    ) -> Option<Plan> {
        let mut plans = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Kind::Literal(Literal::Text(key)) = &key.kind else {
                return self.fault(path, "keys must be literal strings");
            };
            if plans.iter().any(|(known, _)| known == key) {
                return self.fault(path, format!("key `{key}` occurs twice"));
            }
            let plan = self.node(&joined(path, key), ty, source, value)?;
            plans.push((key.clone(), plan));
        }
        Some(Plan::Entries(plans))
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// True for the records that one time or duration fills.
fn is_moment(wit: &Wit) -> bool {
    use osier_expressions::Type;
    leaf(wit, &Type::Time).is_ok() || leaf(wit, &Type::Span).is_ok()
}
