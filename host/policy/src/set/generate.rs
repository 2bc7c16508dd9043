//! Attribute generators of all policies in force: asked once for each side of a call, before anything else is asked there.

use std::sync::Arc;

use super::{PolicySet, Scope};
use crate::verdict::{Approval, Decision, Denial};
use osier_expressions::{Attributes, Generated};

impl PolicySet {
    /// What generators add to what is known of the call; none if nobody generates anything. What they told earlier in the same call stands in
    /// the scope, and then nobody is asked again.
    ///
    /// # Errors
    /// A generator gave no answer, and the failure policy is Fail.
    pub fn generated<'a>(
        &'a self,
        scope: &Scope<'a>,
        attributes: &'a Attributes<'a>,
        trail: &mut Vec<Decision>,
    ) -> Result<Option<Arc<Generated>>, Box<Denial>> {
        if let Some(known) = scope.generated {
            return Ok(Some(Arc::clone(known)));
        }
        let side = &self.generators[scope.direction as usize];
        if side.is_empty() {
            return Ok(None);
        }
        let (mut own, mut asked) = (Generated::default(), Approval::default());
        let done = side.each(scope, &mut |place| {
            self.policies[place].generate(attributes, &mut own, &mut asked)
        });
        let own = Arc::new(own);
        if let Some(last) = asked.decisions.last_mut() {
            last.generated = Some(Arc::clone(&own));
        }
        trail.append(&mut asked.decisions);
        done.map(|()| Some(own))
    }
}

/// Asks with what generators added, if they added anything.
pub(super) fn with<R>(
    generated: Option<&Generated>,
    attributes: &Attributes<'_>,
    ask: impl FnOnce(&Attributes<'_>) -> R,
) -> R {
    match generated {
        Some(generated) => generated.with(attributes, ask),
        None => ask(attributes),
    }
}
