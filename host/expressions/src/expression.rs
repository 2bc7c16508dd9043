//! Expressions: CEL over the attribute vocabulary, checked when applied, compiled to closures, bounded when run.
//!
//! text -> `osier_cel::parse` -> its tree -> `check` (types, presence) -> `typed` -> `compile` -> closures over slots.

mod check;
mod compile;
mod functions;
#[cfg(test)]
mod tests;
mod typed;

pub use functions::nanoseconds;
pub use osier_cel::CompileError;
pub(crate) use osier_cel::{Node, parse};

use crate::attributes::{Attributes, Vocabulary};
use crate::value::{EvaluationError, Type, Value};
use compile::{BoolCode, Frame, ValueCode};

/// A compiled condition, such as a policy's `match`.
pub struct Condition {
    code: BoolCode,
    constants: Vec<Value<'static>>,
    references: Vec<String>,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Condition over {:?}", self.references)
    }
}

impl Condition {
    /// Compiles an expression of type bool that cannot be absent.
    pub fn compile(source: &str, vocabulary: &Vocabulary) -> Result<Self, CompileError> {
        let node = parse(source)?;
        let checked = check::check_as(source, &node, vocabulary, &Type::Bool)?;
        Ok(Self {
            code: compile::condition(checked.root),
            constants: checked.constants,
            references: checked.references,
        })
    }

    /// Evaluates it for one call.
    pub fn evaluate<'a>(&'a self, attributes: &'a Attributes<'a>) -> Result<bool, EvaluationError> {
        (self.code)(&mut Frame::new(attributes, &self.constants))
    }

    /// Names of the attributes that it reads.
    pub fn references(&self) -> &[String] {
        &self.references
    }
}

/// A compiled expression of any type.
pub struct Expression {
    code: ValueCode,
    constants: Vec<Value<'static>>,
    ty: Type,
    maybe: bool,
    constant: bool,
    references: Vec<String>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression: {} over {:?}", self.ty, self.references)
    }
}

impl Expression {
    /// Compiles a parsed expression; `source` is the text that it was parsed from.
    pub fn compile(
        source: &str,
        node: &Node,
        vocabulary: &Vocabulary,
    ) -> Result<Self, CompileError> {
        let checked = check::check(source, node, vocabulary)?;
        let (ty, maybe) = (checked.root.ty.clone(), checked.root.maybe);
        let constant = matches!(checked.root.op, typed::Op::Constant(_));
        Ok(Self {
            code: compile::compile(checked.root),
            constants: checked.constants,
            ty,
            maybe,
            constant,
            references: checked.references,
        })
    }

    /// Its type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// The value may be absent from a call.
    pub fn may_be_absent(&self) -> bool {
        self.maybe
    }

    /// The value is the same for every call.
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    /// Names of the attributes that it reads.
    pub fn references(&self) -> &[String] {
        &self.references
    }

    /// Evaluates it for one call.
    #[inline]
    pub fn evaluate<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
    ) -> Result<Value<'a>, EvaluationError> {
        (self.code)(&mut Frame::new(attributes, &self.constants))
    }
}
