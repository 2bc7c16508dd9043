//! What policies do.

/// What a policy does with a call that one of its rules matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it pass. Where there is such a policy, what none of them matches is denied.
    Allow,
    /// Denies it, whatever others allow.
    Deny,
    /// Notes it.
    Audit,
    /// Asks somebody else, before all others; what they deny is denied.
    Custom,
}
