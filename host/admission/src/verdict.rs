//! [`Verdict`]: what a policy says of a write.

use osier_cel::{Access, Authorizer, Budget, Environment, Failure};
use serde_json::Value;

use crate::policy::{Named, Policy, Validation};

/// An annotation is cut at so many bytes.
const LONGEST: usize = 10 * 1024;

/// What a policy judges by.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The object as it would be; null for a delete.
    pub object: &'a Value,
    /// The object as it is; null for a create.
    pub old: &'a Value,
    /// The request without its objects.
    pub request: &'a Value,
    /// The parameters; null without.
    pub params: &'a Value,
    /// The namespace that the object is in; null for what lives in none.
    pub namespace: &'a Value,
    /// Knows who may do what.
    pub authorizer: &'a dyn Authorizer,
}

/// One reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The words for the caller.
    pub message: String,
    /// `Invalid`, `Forbidden`...
    pub reason: String,
    /// Which of the validations it was; none where something went wrong before.
    pub index: Option<usize>,
}

/// What a policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the write is to be refused; it is let through without.
    pub denials: Vec<Denial>,
    /// What the audit log is told, by key.
    pub annotations: Vec<(String, String)>,
}

impl Verdict {
    /// A refusal of what could not be judged.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            denials: vec![Denial {
                message: message.into(),
                reason: String::new(),
                index: None,
            }],
            ..Self::default()
        }
    }
}

impl<'a> Facts<'a> {
    fn environment(&self) -> Environment<'a> {
        let text = |path: &str| {
            let value = self.request.pointer(path).and_then(Value::as_str);
            value.unwrap_or("").to_owned()
        };
        let access = Access {
            account: None,
            verb: String::new(),
            path: None,
            group: text("/resource/group"),
            resource: text("/resource/resource"),
            subresource: text("/subResource"),
            namespace: text("/namespace"),
            name: text("/name"),
        };
        let documents = [
            ("object", self.object),
            ("oldObject", self.old),
            ("request", self.request),
            ("params", self.params),
            ("namespaceObject", self.namespace),
        ];
        Environment::new(documents).asking(self.authorizer, access)
    }
}

/// Whether all conditions hold: none of them false counts more than one that went wrong.
pub(crate) fn hold(conditions: &[Named], facts: Facts<'_>) -> Result<bool, String> {
    let environment = facts.environment();
    let mut budget = Budget::default();
    let mut wrong = None;
    for condition in conditions {
        match environment.holds(&condition.expression.rule, &mut budget) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(failure) => {
                wrong.get_or_insert_with(|| resulted(&condition.expression.source, &failure));
            }
        }
    }
    wrong.map_or(Ok(true), Err)
}

fn resulted(source: &str, failure: &Failure) -> String {
    format!(
        "expression '{}' resulted in error: {failure}",
        source.trim()
    )
}

impl Policy {
    /// Judges a write that matches.
    pub fn judge(&self, facts: Facts<'_>) -> Verdict {
        match hold(&self.conditions, facts) {
            Ok(true) => {}
            Ok(false) => return Verdict::default(),
            Err(_) if !self.fails => return Verdict::default(),
            Err(words) => return Verdict::failed(words),
        }
        let mut environment = facts.environment();
        let mut budget = Budget::default();
        for variable in &self.variables {
            let rule = &variable.expression.rule;
            environment.define(&variable.name, rule, &mut budget);
        }
        let mut verdict = Verdict::default();
        for (index, validation) in self.validations.iter().enumerate() {
            let rule = &validation.expression.rule;
            let message = match environment.holds(rule, &mut budget) {
                Ok(true) => continue,
                Ok(false) => said(validation, &environment, &mut budget),
                Err(_) if !self.fails => continue,
                Err(failure) => resulted(&validation.expression.source, &failure),
            };
            verdict.denials.push(Denial {
                message,
                reason: validation.reason.clone(),
                index: Some(index),
            });
        }
        for annotation in &self.annotations {
            let made = environment.text(&annotation.expression.rule, &mut budget);
            let key = format!("{}/{}", self.name, annotation.name);
            match made {
                Ok(Some(text)) if !text.trim().is_empty() => {
                    verdict.annotations.push((key, shortened(text.trim())));
                }
                Ok(_) => {}
                Err(_) if !self.fails => {}
                Err(failure) => {
                    let words = resulted(&annotation.expression.source, &failure);
                    verdict.denials.extend(Verdict::failed(words).denials);
                }
            }
        }
        verdict
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The words of a validation that failed.
fn said<'a>(
    validation: &'a Validation,
    environment: &Environment<'a>,
    budget: &mut Budget,
) -> String {
    let made = validation.message_expression.as_ref();
    let made = made.and_then(|one| environment.text(&one.rule, budget).ok().flatten());
    let fits =
        |text: &String| !text.trim().is_empty() && text.len() <= 5 * 1024 && !text.contains('\n');
    match (made.filter(fits), validation.message.as_str()) {
        (Some(made), _) => made.trim().to_owned(),
        (None, "") => format!("failed expression: {}", validation.expression.source.trim()),
        (None, message) => message.to_owned(),
    }
}
