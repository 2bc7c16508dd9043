//! Why an expression was refused.

use super::ir::Span;

/// Why an expression does not compile: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    line: usize,
    column: usize,
    excerpt: String,
    message: String,
}

impl CompileError {
    /// A fault at a place of the source.
    pub fn new(source: &str, span: Span, message: impl Into<String>) -> Self {
        let start = floor(source, span.start);
        let end = floor(source, span.end.max(span.start)).max(start);
        let before = &source[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let excerpt = source[start..end].chars().take(60).collect();
        Self {
            line,
            column,
            excerpt,
            message: message.into(),
        }
    }

    /// Line of the fault, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column of the fault in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}", self.column)?;
        if !self.excerpt.is_empty() {
            write!(f, " (`{}`)", self.excerpt)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CompileError {}

fn floor(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}
