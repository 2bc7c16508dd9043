//! Rules: conditions and texts over JSON values, as definitions of kinds have them in `x-kubernetes-validations`
//! (<https://kubernetes.io/docs/reference/using-api/cel/>).
//!
//! Values are known only when the rule runs, so types are checked then; names and functions are checked before. Every step
//! costs a unit, loops cost as many as they make, texts by their length: a rule that costs too much is stopped.

mod authorizer;
mod environment;
mod evaluate;
mod formats;
mod functions;
mod library;
mod loops;
mod network;
mod operators;
mod quantity;
mod semver;
mod sets;
mod signatures;
mod times;
mod typing;
mod value;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::CompileError;
use crate::ir::{Kind, Node};
use crate::parse::parse;
use crate::types::Type;
pub use authorizer::{Access, Authorizer};
pub use environment::Environment;
use environment::{AUTHORIZER, VARIABLES};
use evaluate::Evaluation;
use value::Value;

/// A rule may cost this much in one run.
const LIMIT: u64 = 1_000_000;
/// The value before, in rules about changes.
const OLD: &str = "oldSelf";

/// A compiled rule.
#[derive(Debug, Clone)]
pub struct Rule {
    root: Node,
    unknown: Option<String>,
    old: bool,
}

/// What all rules about one object may cost together.
#[derive(Debug)]
pub struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(10 * LIMIT)
    }
}

/// Why a rule has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It costs too much.
    Budget,
    /// It went wrong, such as by a field that is not there.
    Error(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Budget => {
                f.write_str("validation failed due to running out of cost budget, no further validation rules will be run")
            }
            Self::Error(words) => f.write_str(words),
        }
    }
}

impl Rule {
    /// Compiles a rule over `self` and `oldSelf`.
    ///
    /// # Errors
    /// When it is no CEL, or names something else.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Self::over(source, &["self", OLD], &[])
    }

    /// Compiles a rule over documents of these names, for an [`Environment`]; `variables` are those that are defined before it.
    ///
    /// # Errors
    /// When it is no CEL, or names something else.
    pub fn over(source: &str, known: &[&str], variables: &[&str]) -> Result<Self, CompileError> {
        let root = parse(source)?;
        let mut names = Names {
            source,
            known,
            variables,
            locals: Vec::new(),
            unknown: None,
            old: false,
        };
        names.check(&root)?;
        let Names { unknown, old, .. } = names;
        Ok(Self { root, unknown, old })
    }

    /// What the rule makes of documents of these types; `variables` are the types of those that are defined before it.
    ///
    /// # Errors
    /// When it uses values as their types do not allow.
    pub fn infer_in(
        &self,
        source: &str,
        documents: &[(&str, Type)],
        variables: &[(&str, Type)],
    ) -> Result<(Type, u64), CompileError> {
        let named = documents.iter().map(|(name, of)| (*name, of.clone()));
        let mut scope: Vec<(&str, Type)> = named.collect();
        scope.push((AUTHORIZER, library::authorizer_type()));
        if !variables.is_empty() {
            let fields = variables.iter();
            let fields = fields.map(|(name, of)| ((*name).to_owned(), of.clone()));
            scope.push((VARIABLES, Type::Object(Arc::new(fields.collect()))));
        }
        let found = typing::Typing { source, scope }.node(&self.root)?;
        Ok((found.of, found.cost))
    }

    /// What the rule makes of values of these types, and what it costs at most; `source` is what it was compiled from.
    ///
    /// # Errors
    /// When it uses values as their types do not allow.
    pub fn infer(
        &self,
        source: &str,
        (own, old): (Type, Type),
    ) -> Result<(Type, u64), CompileError> {
        let scope = vec![("self", own), (OLD, old)];
        let found = typing::Typing { source, scope }.node(&self.root)?;
        Ok((found.of, found.cost))
    }

    /// The first function in it that is not known here: the rule cannot be run.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Whether it compares with the value before: then it is only for changes.
    pub fn compares(&self) -> bool {
        self.old
    }

    /// Whether the rule holds; `old` is the value before, if there was one, and an optional value for the rule if
    /// `optional` says so.
    ///
    /// # Errors
    /// When it has no result, or one that is no boolean.
    pub fn holds(
        &self,
        (new, old, optional): (&Json, Option<&Json>, bool),
        budget: &mut Budget,
    ) -> Result<bool, Failure> {
        match self.run((new, old, optional), budget)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(Failure::Error(format!(
                "the result is {}, not a bool",
                other.kind()
            ))),
        }
    }

    /// The text that the rule makes, of a rule that makes one.
    ///
    /// # Errors
    /// When it has no result, or one that is no text.
    pub fn text(
        &self,
        (new, old, optional): (&Json, Option<&Json>, bool),
        budget: &mut Budget,
    ) -> Result<String, Failure> {
        match self.run((new, old, optional), budget)? {
            Value::Text(text) => Ok(text.into_owned()),
            other => Err(Failure::Error(format!(
                "the result is {}, not a string",
                other.kind()
            ))),
        }
    }

    fn run<'a>(
        &'a self,
        (new, old, optional): (&'a Json, Option<&'a Json>, bool),
        budget: &mut Budget,
    ) -> Result<Value<'a>, Failure> {
        let old = match optional {
            true => Value::Optional(old.map(|old| Box::new(Value::of(old)))),
            false => old.map_or(Value::Null, Value::of),
        };
        let granted = budget.0.min(LIMIT);
        let mut evaluation = Evaluation {
            scope: vec![("self", Value::of(new)), (OLD, old)],
            left: granted,
            environment: None,
        };
        let result = evaluation.value(&self.root);
        budget.0 -= granted - evaluation.left;
        result
    }
}

/// What a rule names.
struct Names<'s> {
    source: &'s str,
    known: &'s [&'s str],
    variables: &'s [&'s str],
    locals: Vec<String>,
    unknown: Option<String>,
    old: bool,
}

impl Names<'_> {
    fn check(&mut self, node: &Node) -> Result<(), CompileError> {
        match &node.kind {
            Kind::Literal(_) => Ok(()),
            Kind::Name(name) => self.name(node, name),
            Kind::Select { of, field, .. } => match &of.kind {
                Kind::Name(name) if name == VARIABLES && !self.is_local(name) => {
                    self.variable(node, field)
                }
                _ => self.check(of),
            },
            Kind::Index { of, key } => {
                self.check(of)?;
                self.check(key)
            }
            Kind::Call {
                target,
                function,
                arguments,
            } => self.call(target.as_deref(), function, arguments),
            Kind::List(items) => items.iter().try_for_each(|item| self.check(item)),
            Kind::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                self.check(key)?;
                self.check(value)
            }),
        }
    }

    fn name(&mut self, node: &Node, name: &str) -> Result<(), CompileError> {
        let known = self.known.contains(&name);
        if known && name == OLD {
            self.old = true;
        }
        if known || self.is_local(name) || library::type_named(name).is_some() {
            return Ok(());
        }
        let words = format!("undeclared reference to '{name}'");
        Err(CompileError::new(self.source, node.span, words))
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local == name)
    }

    fn variable(&self, node: &Node, name: &str) -> Result<(), CompileError> {
        if self.variables.contains(&name) {
            return Ok(());
        }
        let words = format!("undefined field '{name}'");
        Err(CompileError::new(self.source, node.span, words))
    }

    fn call(
        &mut self,
        target: Option<&Node>,
        function: &str,
        arguments: &[Node],
    ) -> Result<(), CompileError> {
        let space = |node: &&Node| match &node.kind {
            Kind::Name(name) => library::is_space(name) && !self.is_local(name),
            _ => false,
        };
        if let Some(target) = target.filter(space) {
            let whole = library::qualified(target, function).unwrap_or_default();
            if !functions::is_known(false, &whole, arguments.len()) {
                self.unknown.get_or_insert(whole);
            }
            return arguments.iter().try_for_each(|one| self.check(one));
        }
        if let Some(target) = target {
            self.check(target)?;
            if let Some((local, bodies)) = loops::parts(function, arguments) {
                self.locals.push(local.to_owned());
                let checked = bodies.iter().try_for_each(|body| self.check(body));
                self.locals.pop();
                return checked;
            }
        }
        if !functions::is_known(target.is_some(), function, arguments.len()) {
            self.unknown.get_or_insert_with(|| function.to_owned());
        }
        arguments
            .iter()
            .try_for_each(|argument| self.check(argument))
    }
}

#[cfg(test)]
mod tests;
