//! What the host itself does for a check, without the plugins: for whoever measures it.

use super::PolicySet;
use crate::template::Rehearsal;
use osier_expressions::Attributes;
use osier_expressions::EvaluationError;

impl PolicySet {
    /// Computes `match` of every policy and builds the records that its plugins would be asked with. Nobody is asked.
    ///
    /// # Errors
    /// An expression that cannot be computed.
    pub fn rehearse<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        kept: &mut Rehearsal,
    ) -> Result<(), EvaluationError> {
        let mut policies = self.policies.iter();
        policies.try_for_each(|policy| policy.rehearse(attributes, kept))
    }
}
