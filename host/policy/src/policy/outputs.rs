//! Names for what actions tell: `ACTION.output.FIELD`, for the actions and header operations that follow.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Action, Told};
use crate::fault::Unavailable;
use osier_expressions::Type;
use osier_expressions::Vocabulary;

/// The vocabulary of what follows in a policy.
pub(super) struct Names<'v> {
    vocabulary: Cow<'v, Vocabulary>,
    /// Actions whose plugin is not there: nobody knows what they would have told.
    missing: Vec<(String, Arc<str>, Unavailable)>,
}

impl<'v> Names<'v> {
    pub(super) fn new(vocabulary: &'v Vocabulary) -> Self {
        Self {
            vocabulary: Cow::Borrowed(vocabulary),
            missing: Vec::new(),
        }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// If an expression among these needs what a missing plugin would have told, the action that cannot be asked either: the policy stays
    /// in force, and each call goes by the failure policy.
    pub(super) fn lacks(&self, expressions: &Json) -> Option<Action> {
        let mut lacking = (self.missing.iter()).filter(|(name, ..)| names(expressions, name));
        lacking
            .next()
            .map(|(_, plugin, missing)| Action::Unavailable {
                plugin: plugin.clone(),
                missing: missing.clone(),
            })
    }

    /// Names an action.
    pub(super) fn add(&mut self, name: &Json, action: Option<&mut Action>) -> Result<(), String> {
        let name = self.own(name)?;
        match action {
            Some(Action::Ask(binding, told)) => *told = self.output(name, binding.output())?,
            Some(Action::Unavailable { plugin, missing }) => {
                let lost = (format!("{name}.output."), plugin.clone(), missing.clone());
                self.missing.push(lost);
            }
            Some(Action::Tell(_)) | None => {}
        }
        Ok(())
    }

    /// The name of an action, which must be its own.
    fn own<'j>(&self, given: &'j Json) -> Result<&'j str, String> {
        let name = given.as_str().unwrap_or_default();
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !(begins && name.bytes().all(letter)) {
            return Err("must be a word of lower-case letters, digits and _, such as token".into());
        }
        if self.vocabulary.has_root(name) {
            return Err(format!(
                "`{name}` is the name of attributes or of another action; choose another"
            ));
        }
        Ok(name)
    }

    fn output(&mut self, name: &str, output: &[(String, Type)]) -> Result<Option<Told>, String> {
        if output.is_empty() {
            return Ok(None);
        }
        let vocabulary = self.vocabulary.to_mut();
        let told = Told {
            first: vocabulary.next(),
            fields: output.iter().map(|(field, _)| field.clone()).collect(),
        };
        for (field, ty) in output {
            let attribute = format!("{name}.output.{}", field.replace('-', "_"));
            if !vocabulary.extend(&attribute, ty.clone(), "told by an action of the policy") {
                return Err(format!("`{attribute}` would stand for two fields"));
            }
        }
        Ok(Some(told))
    }
}

/// True if an expression somewhere inside names `what`.
fn names(expressions: &Json, what: &str) -> bool {
    match expressions {
        Json::String(source) => source.contains(what),
        Json::Array(items) => items.iter().any(|item| names(item, what)),
        Json::Object(fields) => fields.values().any(|field| names(field, what)),
        _ => false,
    }
}
