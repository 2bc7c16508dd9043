//! The types of a policy's expressions, checked against the kinds that it names: what `status.typeChecking` tells.

use osier_api::schema::definition;
use osier_cel::{CompileError, Type};
use serde_json::{Value, json};

use crate::policy::{Expression, Policy};
use crate::types;

/// A kind whose objects a policy judges, or is given as parameters.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// The type of its objects.
    pub of: Type,
}

impl Subject {
    /// As Go writes a kind: `apps/v1, Kind=Deployment`.
    fn words(&self) -> String {
        let slash = if self.api_version.contains('/') {
            ""
        } else {
            "/"
        };
        format!("{slash}{}, Kind={}", self.api_version, self.kind)
    }
}

/// What is to be told of each expression, as `expressionWarnings`: what is wrong with it for which of the kinds.
pub fn warnings(policy: &Policy, subjects: &[Subject], params: Option<&Type>) -> Vec<Value> {
    let mut found: Vec<(String, String)> = Vec::new();
    for subject in subjects {
        for (field, words) in of_one(policy, subject, params) {
            let words = format!("{}: {words}", subject.words());
            match found.iter_mut().find(|(known, _)| *known == field) {
                Some((_, told)) => told.push_str(&format!("\n{words}")),
                None => found.push((field, words)),
            }
        }
    }
    let told = |(field, warning)| json!({"fieldRef": field, "warning": warning});
    found.into_iter().map(told).collect()
}

fn of_one(policy: &Policy, subject: &Subject, params: Option<&Type>) -> Vec<(String, String)> {
    let namespace = definition("io.k8s.api.core.v1.Namespace").map_or(Type::Dyn, types::of);
    let documents = [
        ("object", subject.of.clone()),
        ("oldObject", subject.of.clone()),
        ("request", types::request()),
        ("params", params.cloned().unwrap_or(Type::Dyn)),
        ("namespaceObject", namespace),
    ];
    let mut variables: Vec<(&str, Type)> = Vec::new();
    let mut found = Vec::new();
    let mut check = |expression: &Expression, variables: &[(&str, Type)]| {
        let inferred = expression
            .rule
            .infer_in(&expression.source, &documents, variables);
        inferred.map_or_else(
            |error| {
                let words = shown(&expression.source, &error);
                found.push((expression.field.clone(), words));
                Type::Dyn
            },
            |(of, _)| of,
        )
    };
    for condition in &policy.conditions {
        check(&condition.expression, &[]);
    }
    for variable in &policy.variables {
        let of = check(&variable.expression, &variables);
        variables.push((&variable.name, of));
    }
    for validation in &policy.validations {
        check(&validation.expression, &variables);
        if let Some(message) = &validation.message_expression {
            check(message, &variables);
        }
    }
    for annotation in &policy.annotations {
        check(&annotation.expression, &variables);
    }
    found
}

/// A fault as `cel-go` shows it: the line, and a mark below.
fn shown(source: &str, error: &CompileError) -> String {
    let (line, column) = (error.line(), error.column());
    let text = source.lines().nth(line - 1).unwrap_or("");
    let dots = ".".repeat(column - 1);
    format!(
        "ERROR: <input>:{line}:{column}: {}\n | {text}\n | {dots}^",
        error.message()
    )
}
