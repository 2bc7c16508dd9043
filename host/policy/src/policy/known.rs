//! What earlier actions of a policy told, laid over the attributes of the call for the actions and headers that follow.

use std::sync::Arc;

use super::Told;
use crate::output::Output;
use osier_expressions::{Attributes, Extra};

/// Outputs, and who was found to be behind the call. Empty for nearly all policies, and then it costs nothing.
#[derive(Default)]
pub(super) struct Known<'p> {
    outputs: Vec<(&'p Told, Arc<Output>)>,
    identity: Option<Arc<Output>>,
}

impl<'p> Known<'p> {
    /// An action told something.
    pub(super) fn learn(
        &mut self,
        output: Arc<Output>,
        told: Option<&'p Told>,
        authenticates: bool,
    ) {
        if authenticates {
            self.identity = Some(output.clone());
        }
        if let Some(told) = told {
            self.outputs.push((told, output));
        }
    }

    /// Asks with everything that is known by now.
    pub(super) fn with<R>(
        &self,
        attributes: &Attributes<'_>,
        ask: impl FnOnce(&Attributes<'_>) -> R,
    ) -> R {
        if self.outputs.is_empty() && self.identity.is_none() {
            return ask(attributes);
        }
        let mut extra = attributes.extra.to_vec();
        for (told, output) in &self.outputs {
            let first = usize::from(told.first);
            extra.resize(extra.len().max(first + told.fields.len()), Extra::Absent);
            for (place, name) in extra[first..].iter_mut().zip(&told.fields) {
                *place = output.extra(name);
            }
        }
        let mut own = Attributes {
            extra: &extra,
            ..*attributes
        };
        if let Some(identity) = &self.identity {
            own.request.auth = identity.authentication();
        }
        ask(&own)
    }
}
