//! What can still fail after an expression was checked.

/// What can still go wrong when a checked expression runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Arithmetic left the range of its type.
    #[error("the result does not fit into its type")]
    Overflow,
    /// Division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The expression did more work than one evaluation may.
    #[error("the expression is too expensive for this call")]
    Budget,
    /// A text is not what a conversion expects.
    #[error("a text is not a valid {0}")]
    Conversion(&'static str),
    /// A number does not fit into the template's field.
    #[error("{0} does not fit into the template's field")]
    Range(i64),
    /// A number is negative where the template counts.
    #[error("{0} is negative, which the template's field cannot be")]
    Negative(i64),
    /// A value is absent; only reachable beside another error.
    #[error("an attribute is absent")]
    Absent,
}
