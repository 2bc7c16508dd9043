//! What rules see beside `self`: documents by name, variables that are made of them, and who knows what users may do.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::authorizer::{Access, Asked, Authorizer, Step};
use super::evaluate::Evaluation;
use super::value::Value;
use super::{Budget, Failure, LIMIT, Rule};

/// The name under which variables are found.
pub(super) const VARIABLES: &str = "variables";
/// The name under which rules ask who may do what.
pub(super) const AUTHORIZER: &str = "authorizer";

/// Documents by name, and what was made of them.
#[derive(Default)]
pub struct Environment<'a> {
    names: Vec<(&'a str, Value<'a>)>,
    pub(super) variables: BTreeMap<&'a str, Result<Value<'a>, Failure>>,
    pub(super) authorizer: Option<&'a dyn Authorizer>,
    pub(super) request: Access,
}

impl<'a> Environment<'a> {
    /// An environment with these documents.
    pub fn new(documents: impl IntoIterator<Item = (&'a str, &'a Json)>) -> Self {
        let named = documents.into_iter();
        Self {
            names: named.map(|(name, json)| (name, Value::of(json))).collect(),
            ..Self::default()
        }
    }

    /// Lets rules ask who may do what; `request` is what the request itself needs to be allowed.
    #[must_use]
    pub fn asking(mut self, authorizer: &'a dyn Authorizer, request: Access) -> Self {
        let asked = Asked {
            step: Step::Authorizer,
            access: Access::default(),
        };
        self.names.push((AUTHORIZER, Value::Asked(Box::new(asked))));
        self.authorizer = Some(authorizer);
        self.request = request;
        self
    }

    /// Adds `variables.name`, made by a rule that may use those before it. A failure is that of who uses it.
    pub fn define(&mut self, name: &'a str, rule: &'a Rule, budget: &mut Budget) {
        let made = self.run(rule, budget);
        self.variables.insert(name, made);
    }

    fn run(&self, rule: &'a Rule, budget: &mut Budget) -> Result<Value<'a>, Failure> {
        let granted = budget.0.min(LIMIT);
        let mut evaluation = Evaluation {
            scope: self.names.clone(),
            left: granted,
            environment: Some(self),
        };
        let result = evaluation.value(&rule.root);
        let left = evaluation.left;
        budget.0 -= granted - left;
        result
    }

    /// Whether a rule holds.
    ///
    /// # Errors
    /// When it has no result, or one that is no boolean.
    pub fn holds(&self, rule: &'a Rule, budget: &mut Budget) -> Result<bool, Failure> {
        match self.run(rule, budget)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(Failure::Error(format!(
                "the result is {}, not a bool",
                other.kind()
            ))),
        }
    }

    /// The text that a rule makes; none where it makes `null`.
    ///
    /// # Errors
    /// When it has no result, or one that is neither.
    pub fn text(&self, rule: &'a Rule, budget: &mut Budget) -> Result<Option<String>, Failure> {
        match self.run(rule, budget)? {
            Value::Text(text) => Ok(Some(text.into_owned())),
            Value::Null => Ok(None),
            other => Err(Failure::Error(format!(
                "the result is {}, not a string",
                other.kind()
            ))),
        }
    }
}
