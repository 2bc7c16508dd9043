//! Walks the tree of a rule.

use std::collections::BTreeMap;

use super::Failure;
use super::environment::{Environment, VARIABLES};
use super::value::Value;
use super::{functions, library, loops, operators};
use crate::ir::{Kind, Literal, Node};

/// The result of a step.
pub(super) type Outcome<'a> = Result<Value<'a>, Failure>;

pub(super) fn fault<T>(words: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Error(words.into()))
}

/// One run of a rule.
pub(super) struct Evaluation<'e, 'a> {
    /// Names and their values, the innermost last.
    pub(super) scope: Vec<(&'a str, Value<'a>)>,
    /// The cost that is left.
    pub(super) left: u64,
    /// What is there beside names.
    pub(super) environment: Option<&'e Environment<'a>>,
}

impl<'a> Evaluation<'_, 'a> {
    /// Takes from what is left.
    pub(super) fn spend(&mut self, cost: usize) -> Result<(), Failure> {
        let left = self.left.checked_sub(cost as u64);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Failure::Budget)
    }

    pub(super) fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        self.spend(1)?;
        match &node.kind {
            Kind::Literal(literal) => Ok(constant(literal)),
            Kind::Name(name) => self.named(name),
            Kind::Select {
                of,
                field,
                optional,
            } => self.select(of, field, *optional),
            Kind::Index { of, key } => self.index(of, key),
            Kind::Call {
                target,
                function,
                arguments,
            } => self.call(target.as_deref(), function, arguments),
            Kind::List(items) => {
                let values: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                Ok(Value::List(values?))
            }
            Kind::Map(entries) => self.map(entries),
        }
    }

    /// Whether a node is a name that has a value here.
    fn is_local(&self, node: &Node) -> bool {
        let has = |name: &str| self.scope.iter().any(|(known, _)| *known == name);
        matches!(&node.kind, Kind::Name(name) if has(name))
    }

    fn named(&mut self, name: &str) -> Outcome<'a> {
        let mut scope = self.scope.iter().rev();
        let Some((_, value)) = scope.find(|(known, _)| *known == name) else {
            return match library::type_named(name) {
                Some(name) => Ok(Value::Type(name)),
                None => fault(format!("no such name: {name}")),
            };
        };
        self.copied(value.clone())
    }

    /// Lists that the rule made itself are copied.
    fn copied(&mut self, value: Value<'a>) -> Outcome<'a> {
        let made = matches!(value, Value::List(_) | Value::Map(_));
        self.spend(if made { value.weight() } else { 0 })?;
        Ok(value)
    }

    /// `variables.name`, where variables are defined.
    fn variable(&mut self, of: &Node, field: &str) -> Option<Outcome<'a>> {
        let is_space = matches!(&of.kind, Kind::Name(name) if name == VARIABLES);
        let defined = self.environment.filter(|_| is_space)?;
        let found = defined.variables.get(field)?.clone();
        Some(found.and_then(|value| self.copied(value)))
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Outcome<'a> {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = self.value(key)?;
            let Some(key) = key.text() else {
                return fault("keys of maps are strings");
            };
            map.insert(key.to_owned(), self.value(value)?);
        }
        Ok(Value::Map(map))
    }

    fn select(&mut self, of: &'a Node, field: &str, optional: bool) -> Outcome<'a> {
        if let Some(found) = self.variable(of, field) {
            return found;
        }
        let of = self.value(of)?;
        if let Some(asked) = library::field(self, &of, field) {
            return Ok(asked);
        }
        let found = of.field(&unescaped(field));
        if optional || matches!(of, Value::Optional(_)) {
            return Ok(Value::Optional(found.map(Box::new)));
        }
        found.map_or_else(|| fault(format!("no such key: {field}")), Ok)
    }

    fn index(&mut self, of: &'a Node, key: &'a Node) -> Outcome<'a> {
        let (of, key) = (self.value(of)?, self.value(key)?);
        if let Some(name) = key.text() {
            return of
                .field(name)
                .map_or_else(|| fault(format!("no such key: {name}")), Ok);
        }
        let (Value::Int(index), Some(list)) = (&key, of.elements()) else {
            return fault(format!(
                "{} cannot be indexed with {}",
                of.kind(),
                key.kind()
            ));
        };
        self.spend(list.len() / 10)?;
        let element = usize::try_from(*index)
            .ok()
            .and_then(|index| list.get(index).cloned());
        element.map_or_else(|| fault(format!("index out of bounds: {index}")), Ok)
    }

    fn call(
        &mut self,
        target: Option<&'a Node>,
        function: &'a str,
        arguments: &'a [Node],
    ) -> Outcome<'a> {
        match (target, function, arguments) {
            (None, "has", [of]) => self.has(of),
            (None, "_&&_", [a, b]) => self.logic(false, a, b),
            (None, "_||_", [a, b]) => self.logic(true, a, b),
            (None, "_?_:_", [condition, yes, no]) => match self.value(condition)? {
                Value::Bool(true) => self.value(yes),
                Value::Bool(false) => self.value(no),
                other => fault(format!("{} is no condition", other.kind())),
            },
            (Some(target), name, arguments) => {
                let whole = library::qualified(target, name);
                if let Some(name) = whole.filter(|_| !self.is_local(target)) {
                    let arguments = self.all(arguments)?;
                    return functions::global(self, &name, &arguments);
                }
                let target = self.value(target)?;
                if let Some((local, bodies)) = loops::parts(name, arguments) {
                    return loops::run(self, (name, local), target, bodies);
                }
                let arguments = self.all(arguments)?;
                functions::method(self, target, name, &arguments)
            }
            (None, name, arguments) => {
                let arguments = self.all(arguments)?;
                match (
                    operators::apply(self, name, &arguments),
                    arguments.as_slice(),
                ) {
                    (Some(result), _) => result,
                    (None, arguments) => functions::global(self, name, arguments),
                }
            }
        }
    }

    fn all(&mut self, nodes: &'a [Node]) -> Result<Vec<Value<'a>>, Failure> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn has(&mut self, of: &'a Node) -> Outcome<'a> {
        let Kind::Select { of, field, .. } = &of.kind else {
            return fault("has() needs a field, such as has(self.a)");
        };
        let of = self.value(of)?;
        Ok(Value::Bool(of.field(&unescaped(field)).is_some()))
    }

    /// `&&` and `||`: one side decides whatever the other does, an error too.
    fn logic(&mut self, decides: bool, a: &'a Node, b: &'a Node) -> Outcome<'a> {
        let first = self.value(a);
        match first {
            Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
            Err(Failure::Budget) => return first,
            _ => {}
        }
        match (first, self.value(b)) {
            (_, Ok(Value::Bool(value))) if value == decides => Ok(Value::Bool(decides)),
            (Ok(Value::Bool(_)), Ok(Value::Bool(value))) => Ok(Value::Bool(value)),
            (_, Err(Failure::Budget)) => Err(Failure::Budget),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(_), Ok(_)) => fault("no such overload: a condition is needed"),
        }
    }
}

fn constant<'a>(literal: &'a Literal) -> Value<'a> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::Text(text.as_str().into()),
    }
}

/// The name of a property, whose letters that are none of CEL's are written in words.
pub(super) fn unescaped(field: &str) -> String {
    if !field.contains("__") {
        return field.to_owned();
    }
    let reserved = field
        .strip_prefix("__")
        .and_then(|rest| rest.strip_suffix("__"));
    if let Some(word) = reserved.filter(|word| !word.contains("__")) {
        return match word {
            "dot" => ".".to_owned(),
            "dash" => "-".to_owned(),
            "slash" => "/".to_owned(),
            "underscores" => "__".to_owned(),
            word => word.to_owned(),
        };
    }
    let pairs = [
        ("__dot__", "."),
        ("__dash__", "-"),
        ("__slash__", "/"),
        ("__underscores__", "__"),
    ];
    pairs
        .iter()
        .fold(field.to_owned(), |name, (from, to)| name.replace(from, to))
}
