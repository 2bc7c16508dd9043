//! What the checker hands to the compiler: every node with its type, every name resolved, every literal in the table of constants.

use regex::Regex;

use super::functions::Function;
use crate::attributes::Slot;
use crate::value::{Type, Value};
use osier_cel::Span;

/// A checked node.
#[derive(Debug)]
pub(crate) struct Typed {
    pub(crate) op: Op,
    pub(crate) ty: Type,
    /// The value may be absent at run time.
    pub(crate) maybe: bool,
    pub(crate) span: Span,
}

/// What to do at run time.
#[derive(Debug)]
pub(crate) enum Op {
    Constant(usize),
    Attribute(Slot),
    /// A loop variable, by depth.
    Local(usize),
    /// The value under a key, or absent.
    Entry(Box<Typed>, Box<Typed>),
    /// The element at an index, or absent.
    Element(Box<Typed>, Box<Typed>),
    /// True if the value is there.
    Present(Box<Typed>),
    /// The first, or the second if it is absent.
    OrElse(Box<Typed>, Box<Typed>),
    Not(Box<Typed>),
    And(Box<Typed>, Box<Typed>),
    Or(Box<Typed>, Box<Typed>),
    If(Box<Typed>, Box<Typed>, Box<Typed>),
    /// Equality; true in the flag turns it into inequality.
    Equal(bool, Box<Typed>, Box<Typed>),
    Order(Order, Box<Typed>, Box<Typed>),
    In(Box<Typed>, Box<Typed>),
    Arithmetic(Arithmetic, Box<Typed>, Box<Typed>),
    Concat(Box<Typed>, Box<Typed>),
    Negate(Box<Typed>),
    Matches(Box<Typed>, Box<Regex>),
    Apply(&'static Function, Vec<Typed>),
    Loop(Box<Loop>),
    List(Vec<Typed>),
    Map(Vec<(Typed, Typed)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// One of CEL's macros over a list or the keys of a map.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) kind: LoopKind,
    pub(crate) range: Typed,
    /// Depth of the loop variable.
    pub(crate) local: usize,
    /// The predicate, or what `map` makes of an element.
    pub(crate) body: Typed,
    /// Operations of one turn.
    pub(crate) cost: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopKind {
    Exists,
    All,
    ExistsOne,
    Map,
    Filter,
}

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) root: Typed,
    pub(crate) constants: Vec<Value<'static>>,
    /// Names of the attributes it reads.
    pub(crate) references: Vec<String>,
}
