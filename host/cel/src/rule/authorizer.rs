//! `authorizer` in rules: who may do what, asked step by step
//! (<https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library>).

use super::evaluate::{Evaluation, Outcome, fault};
use super::value::Value;

/// One whole question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Whom it is about: namespace and name of a service account, if it is not who makes the request.
    pub account: Option<(String, String)>,
    /// `get`, `create`...
    pub verb: String,
    /// A path that is no resource, in place of all below.
    pub path: Option<String>,
    /// The API group.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// Empty for the object itself.
    pub subresource: String,
    /// Empty for all of them.
    pub namespace: String,
    /// Empty for none in particular.
    pub name: String,
}

/// Who answers such questions.
pub trait Authorizer {
    /// Whether it is allowed.
    fn allows(&self, access: &Access) -> bool;
}

/// How far a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Authorizer,
    Path,
    Group,
    Resource,
}

/// A question in the making.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) step: Step,
    pub(super) access: Access,
}

/// The types of the steps, and of the answer.
pub(super) const TYPES: [&str; 5] = [
    "kubernetes.authorization.Authorizer",
    "kubernetes.authorization.PathCheck",
    "kubernetes.authorization.GroupCheck",
    "kubernetes.authorization.ResourceCheck",
    "kubernetes.authorization.Decision",
];

impl Asked {
    fn at(&self, step: Step, change: impl FnOnce(&mut Access)) -> Value<'static> {
        let mut access = self.access.clone();
        change(&mut access);
        Value::Asked(Box::new(Self { step, access }))
    }
}

/// The next step of a question, or its answer.
pub(super) fn method<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    asked: &Asked,
    name: &str,
    given: &[Value<'a>],
) -> Option<Outcome<'a>> {
    let texts: Option<Vec<&str>> = given.iter().map(Value::text).collect();
    let texts = texts?;
    let next = match (asked.step, name, texts.as_slice()) {
        (Step::Authorizer, "serviceAccount", [namespace, name]) => {
            let account = Some(((*namespace).to_owned(), (*name).to_owned()));
            asked.at(Step::Authorizer, |access| access.account = account)
        }
        (Step::Authorizer, "path", [path]) => asked.at(Step::Path, |access| {
            access.path = Some((*path).to_owned());
        }),
        (Step::Authorizer, "group", [group]) => asked.at(Step::Group, |access| {
            access.group = (*group).to_owned();
        }),
        (Step::Group, "resource", [resource]) => asked.at(Step::Resource, |access| {
            access.resource = (*resource).to_owned();
        }),
        (Step::Resource, "subresource", [part]) => asked.at(Step::Resource, |access| {
            access.subresource = (*part).to_owned();
        }),
        (Step::Resource, "namespace", [namespace]) => asked.at(Step::Resource, |access| {
            access.namespace = (*namespace).to_owned();
        }),
        (Step::Resource, "name", [name]) => asked.at(Step::Resource, |access| {
            access.name = (*name).to_owned();
        }),
        // What is selected by makes no difference to roles.
        (Step::Resource, "fieldSelector" | "labelSelector", [_]) => {
            asked.at(Step::Resource, |_| {})
        }
        (Step::Resource | Step::Path, "check", [verb]) => {
            return Some(answer(evaluation, asked, verb));
        }
        _ => return None,
    };
    Some(Ok(next))
}

/// What a question to who knows the rules costs, as upstream.
const COST: usize = 350_000;

fn answer<'a>(evaluation: &mut Evaluation<'_, 'a>, asked: &Asked, verb: &str) -> Outcome<'a> {
    evaluation.spend(COST)?;
    let Some(authorizer) = evaluation.environment.and_then(|all| all.authorizer) else {
        return fault("there is no authorizer here");
    };
    let access = Access {
        verb: verb.to_owned(),
        ..asked.access.clone()
    };
    Ok(Value::Allowed(authorizer.allows(&access)))
}

/// A method of an answer.
pub(super) fn decided<'a>(allowed: bool, name: &str) -> Option<Outcome<'a>> {
    let empty = || Value::Text("".into());
    Some(Ok(match name {
        "allowed" => Value::Bool(allowed),
        "errored" => Value::Bool(false),
        "reason" | "error" => empty(),
        _ => return None,
    }))
}
