//! [`Policy`]: a ValidatingAdmissionPolicy, compiled.

use osier_api::{Fault, Object};
use osier_cel::{Rule, Type};
use serde_json::Value;

use crate::matching::Matcher;
use crate::validation;

/// What expressions see, but for `variables`.
const DOCUMENTS: [&str; 6] = [
    "object",
    "oldObject",
    "request",
    "params",
    "namespaceObject",
    "authorizer",
];

/// The kind of a policy's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamKind {
    /// `v1`, `group/version`.
    pub api_version: String,
    /// `ConfigMap`.
    pub kind: String,
}

/// One expression with its place.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) source: String,
    pub(crate) rule: Rule,
    /// `spec.validations[0].expression`.
    pub(crate) field: String,
}

/// An expression with a name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) expression: Expression,
}

/// What must hold, and what is said where it does not.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    pub(crate) expression: Expression,
    pub(crate) message: String,
    pub(crate) message_expression: Option<Expression>,
    pub(crate) reason: String,
}

/// A policy whose expressions are compiled.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Which writes it is about.
    pub matcher: Matcher,
    /// The kind of its parameters, if it has some.
    pub param_kind: Option<ParamKind>,
    /// Whether what goes wrong in it refuses the write.
    pub fails: bool,
    pub(crate) conditions: Vec<Named>,
    pub(crate) variables: Vec<Named>,
    pub(crate) validations: Vec<Validation>,
    pub(crate) annotations: Vec<Named>,
}

/// Every fault of an object of these kinds, those of expressions last; objects of other kinds have none.
pub fn faults(plural: &str, object: &Object) -> Vec<Fault> {
    let mut compiler = Compiler {
        faults: validation::check(plural, object),
        ..Compiler::default()
    };
    match object.kind() {
        "ValidatingAdmissionPolicy" => {
            compiler.policy(object);
        }
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            let webhooks = object.get(&["webhooks"]).and_then(Value::as_array);
            for (index, webhook) in webhooks.into_iter().flatten().enumerate() {
                let path = format!("webhooks[{index}].matchConditions");
                compiler.named(
                    &webhook["matchConditions"],
                    (&path, "name", "expression"),
                    Made::Bool,
                );
            }
        }
        _ => {}
    }
    compiler.faults
}

impl Policy {
    /// Compiles a policy.
    ///
    /// # Errors
    /// Every fault of its expressions.
    pub fn compile(object: &Object) -> Result<Self, Vec<Fault>> {
        let mut compiler = Compiler::default();
        let policy = compiler.policy(object);
        match compiler.faults.is_empty() {
            true => Ok(policy),
            false => Err(compiler.faults),
        }
    }
}

/// The conditions of a webhook, of one that was found valid.
pub(crate) fn conditions(webhook: &Value) -> Vec<Named> {
    let mut compiler = Compiler::default();
    let said = &webhook["matchConditions"];
    compiler.named(said, ("matchConditions", "name", "expression"), Made::Bool)
}

/// What an expression must make.
#[derive(Clone, Copy, PartialEq)]
enum Made {
    Anything,
    Bool,
    Text,
    /// A text or null.
    TextOrNull,
}

/// Compiles expressions, and keeps what is wrong with them.
#[derive(Default)]
struct Compiler {
    variables: Vec<String>,
    faults: Vec<Fault>,
}

impl Compiler {
    fn policy(&mut self, object: &Object) -> Policy {
        let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or("").to_owned();
        let kind = spec.get("paramKind").filter(|kind| kind.is_object());
        // Conditions are judged before there are variables.
        let path = ("spec.matchConditions", "name", "expression");
        let conditions = self.named(&spec["matchConditions"], path, Made::Bool);
        let path = ("spec.variables", "name", "expression");
        let variables = self.named(&spec["variables"], path, Made::Anything);
        let path = ("spec.auditAnnotations", "key", "valueExpression");
        Policy {
            name: object.name().to_owned(),
            matcher: Matcher::read(&spec["matchConstraints"]),
            param_kind: kind.map(|kind| ParamKind {
                api_version: text(kind, "apiVersion"),
                kind: text(kind, "kind"),
            }),
            fails: spec["failurePolicy"] != "Ignore",
            conditions,
            variables,
            validations: self.validations(&spec["validations"]),
            annotations: self.named(&spec["auditAnnotations"], path, Made::TextOrNull),
        }
    }

    /// A list of expressions with names; variables are known to those after them.
    fn named(
        &mut self,
        list: &Value,
        (path, name, field): (&str, &str, &str),
        made: Made,
    ) -> Vec<Named> {
        let mut found = Vec::new();
        for (index, said) in list.as_array().into_iter().flatten().enumerate() {
            let place = format!("{path}[{index}].{field}");
            let name = said[name].as_str().unwrap_or("").to_owned();
            let expression = self.expression(&said[field], &place, made);
            if made == Made::Anything {
                self.variables.push(name.clone());
            }
            found.extend(expression.map(|expression| Named { name, expression }));
        }
        found
    }

    fn validations(&mut self, list: &Value) -> Vec<Validation> {
        let mut found = Vec::new();
        for (index, said) in list.as_array().into_iter().flatten().enumerate() {
            let path = format!("spec.validations[{index}]");
            let place = format!("{path}.expression");
            let expression = self.expression(&said["expression"], &place, Made::Bool);
            let place = format!("{path}.messageExpression");
            let message = self.expression(&said["messageExpression"], &place, Made::Text);
            let text = |field: &str| said[field].as_str().unwrap_or("").trim().to_owned();
            found.extend(expression.map(|expression| Validation {
                expression,
                message: text("message"),
                message_expression: message,
                reason: text("reason"),
            }));
        }
        found
    }

    fn expression(&mut self, said: &Value, field: &str, made: Made) -> Option<Expression> {
        let source = said.as_str().filter(|text| !text.trim().is_empty())?;
        let variables: Vec<&str> = self.variables.iter().map(String::as_str).collect();
        let rule = match Rule::over(source, &DOCUMENTS, &variables) {
            Ok(rule) => rule,
            Err(error) => {
                self.refuse(field, source, &format!("compilation failed: {error}"));
                return None;
            }
        };
        if let Some(function) = rule.unknown() {
            let words = format!(
                "compilation failed: undeclared reference to '{function}': this function is not known to Osier"
            );
            self.refuse(field, source, &words);
            return None;
        }
        let known: Vec<(&str, Type)> = variables.iter().map(|name| (*name, Type::Dyn)).collect();
        let words = match rule.infer_in(source, &[], &known) {
            Err(error) => Some(format!("compilation failed: {error}")),
            Ok((of, _)) => misfit(&of, made).map(str::to_owned),
        };
        if let Some(words) = words {
            self.refuse(field, source, &words);
            return None;
        }
        Some(Expression {
            source: source.to_owned(),
            rule,
            field: field.to_owned(),
        })
    }

    fn refuse(&mut self, field: &str, source: &str, words: &str) {
        self.faults.push(Fault::invalid(field, source, words));
    }
}

/// What is wrong with what an expression makes.
fn misfit(of: &Type, made: Made) -> Option<&'static str> {
    match (made, of) {
        (Made::Anything, _)
        | (_, Type::Dyn)
        | (Made::Bool, Type::Bool)
        | (Made::Text | Made::TextOrNull, Type::Text(_))
        | (Made::TextOrNull, Type::Null) => None,
        (Made::Bool, _) => Some("must evaluate to bool"),
        (Made::Text, _) => Some("must evaluate to string"),
        (Made::TextOrNull, _) => Some("must evaluate to string or null"),
    }
}
