//! The tree that the parser hands out: CEL's syntax with positions, and nothing of the parser's own types.

/// Bytes of the source that a node covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The smallest span over both.
    pub fn union(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// One node of an expression.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A literal.
    Literal(Literal),
    /// A bare identifier.
    Name(String),
    /// `of.field` or, if optional, `of.?field`.
    Select {
        /// The map.
        of: Box<Node>,
        /// The name of the field.
        field: String,
        /// Whether its absence is no error.
        optional: bool,
    },
    /// `of[key]` or `of[?key]`: presence is the checker's business, so both are the same.
    Index {
        /// The list or map.
        of: Box<Node>,
        /// The place or key.
        key: Box<Node>,
    },
    /// `function(arguments)` or `target.function(arguments)`; operators are functions named as CEL names them (`_&&_`).
    Call {
        /// What stands before the point.
        target: Option<Box<Node>>,
        /// Its name.
        function: String,
        /// In their order.
        arguments: Vec<Node>,
    },
    /// `[a, b]`
    List(Vec<Node>),
    /// `{k: v}`
    Map(Vec<(Node, Node)>),
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`
    Bool(bool),
    /// `1`
    Int(i64),
    /// `1.0`
    Double(f64),
    /// `"a"`
    Text(String),
}
