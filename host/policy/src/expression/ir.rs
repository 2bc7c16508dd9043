//! The tree that the parser hands to the checker: CEL's syntax with positions, and nothing of the parser's own types.

/// Bytes of the source that a node covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

impl Span {
    /// The smallest span over both.
    pub(crate) fn union(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// One node of an expression.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A literal.
    Literal(Literal),
    /// A bare identifier.
    Name(String),
    /// `of.field` or, if optional, `of.?field`.
    Select {
        of: Box<Node>,
        field: String,
        optional: bool,
    },
    /// `of[key]` or `of[?key]`: presence is the checker's business, so both are the same.
    Index { of: Box<Node>, key: Box<Node> },
    /// `function(arguments)` or `target.function(arguments)`; operators are functions named as CEL names them (`_&&_`).
    Call {
        target: Option<Box<Node>>,
        function: String,
        arguments: Vec<Node>,
    },
    /// `[a, b]`
    List(Vec<Node>),
    /// `{k: v}`
    Map(Vec<(Node, Node)>),
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}
