//! The only module that touches the `cel` crate: text in, our own tree out, within bounds.
//!
//! Macros are switched off in the parser, so `exists`, `has` and the others arrive as plain calls with true positions.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};

use super::error::CompileError;
use super::ir::{Kind, Literal, Node, Span};

/// Longest source, in bytes.
const MAX_SOURCE: usize = 4096;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes.
const MAX_NODES: usize = 1000;
/// The parser recurses; its inputs are capped to what this stack surely holds.
const STACK: usize = 16 << 20;

/// Parses one expression.
///
/// # Errors
/// When it is no CEL, or larger than the bounds.
pub fn parse(source: &str) -> Result<Node, CompileError> {
    let whole = Span {
        start: 0,
        end: source.len(),
    };
    if source.trim().is_empty() {
        return Err(CompileError::new(source, whole, "the expression is empty"));
    }
    if source.len() > MAX_SOURCE {
        let message = format!(
            "the expression has {} bytes; at most {MAX_SOURCE} are allowed",
            source.len()
        );
        return Err(CompileError::new(source, Span::default(), message));
    }
    let failed = || CompileError::new(source, Span::default(), "the parser failed");
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("cel-parse".into())
            .stack_size(STACK)
            .spawn_scoped(scope, || parse_here(source))
            .map_err(|_| failed())?
            .join()
            .map_err(|_| failed())?
    })
}

fn parse_here(source: &str) -> Result<Node, CompileError> {
    let parsed = cel::Env::default().parser().parse_with_source_info(source);
    let (tree, info) = parsed.map_err(|errors| syntax_error(source, &errors))?;
    let mut lowering = Lowering {
        source,
        info,
        nodes: 0,
    };
    lowering.lower(&tree, 0)
}

fn syntax_error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    let Some(first) = errors.errors.first() else {
        return CompileError::new(source, Span::default(), "syntax error");
    };
    let line = usize::try_from(first.pos.0).unwrap_or(1).max(1);
    let column = usize::try_from(first.pos.1).unwrap_or(0);
    let before: usize = source
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let at = (before + column.saturating_sub(1)).min(source.len());
    let message = in_words(first.msg.trim_start_matches("Syntax error: "));
    CompileError::new(source, Span { start: at, end: at }, message)
}

/// The parser's generator lists every token that would have done; what stands there is enough to find the mistake.
fn in_words(message: &str) -> String {
    // The parser's own name for a part that stands alone, as in `a ? b`.
    if message.starts_with("Incomplete `") {
        return "unexpected end of the expression".to_owned();
    }
    let known = [
        "mismatched input ",
        "extraneous input ",
        "no viable alternative at input ",
        "token recognition error at: ",
    ];
    let Some(found) = known.iter().find_map(|start| message.strip_prefix(start)) else {
        return message.to_owned();
    };
    let found = found.split(" expecting ").next().unwrap_or(found);
    let found = found.trim_matches('\'');
    match found.ends_with("<EOF>") {
        true => "unexpected end of the expression".to_owned(),
        false => format!("unexpected `{found}`"),
    }
}

struct Lowering<'s> {
    source: &'s str,
    info: SourceInfo,
    nodes: usize,
}

type Lowered<T> = Result<T, CompileError>;

impl Lowering<'_> {
    fn span(&self, id: u64) -> Span {
        self.info
            .offset_for(id)
            .map_or(Span::default(), |(start, stop)| Span {
                start: start as usize,
                end: stop as usize + 1,
            })
    }

    fn fault<T>(&self, span: Span, message: impl Into<String>) -> Lowered<T> {
        Err(CompileError::new(self.source, span, message))
    }

    fn lower(&mut self, tree: &IdedExpr, depth: usize) -> Lowered<Node> {
        let own = self.span(tree.id);
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return self.fault(own, format!("nested deeper than {MAX_DEPTH}"));
        }
        if self.nodes > MAX_NODES {
            return self.fault(own, format!("more than {MAX_NODES} operations"));
        }
        let kind = self.kind(tree, own, depth + 1)?;
        let span = children(&kind).fold(own, |span, child| span.union(child.span));
        let span = self.closed(&kind, span);
        Ok(Node { kind, span })
    }

    /// The parser gives the place of a token; what follows it (`.field`, `]`, `)`) belongs to the node too.
    fn closed(&self, kind: &Kind, mut span: Span) -> Span {
        let tails: &[&str] = match kind {
            Kind::Select { field, .. } => &[".", "?", field.as_str()],
            Kind::Index { .. } => &["]"],
            Kind::Call { function, .. } if function.starts_with(['_', '@', '!', '-']) => &[],
            Kind::Call {
                function,
                arguments,
                ..
            } if arguments.is_empty() => &[".", function.as_str(), "(", ")"],
            Kind::Call { .. } => &[")"],
            _ => &[],
        };
        if let Kind::Call {
            target: None,
            function,
            ..
        } = kind
        {
            let before = self.source.get(..span.start).unwrap_or_default();
            if before.ends_with(function.as_str()) {
                span.start -= function.len();
            }
        }
        for tail in tails {
            let rest = self.source.get(span.end..).unwrap_or_default();
            let trimmed = rest.trim_start();
            if trimmed.starts_with(tail) {
                span.end += rest.len() - trimmed.len() + tail.len();
            }
        }
        span
    }

    fn kind(&mut self, tree: &IdedExpr, own: Span, depth: usize) -> Lowered<Kind> {
        match &tree.expr {
            Expr::Literal(literal) => self.literal(literal, own),
            Expr::Ident(name) => Ok(Kind::Name(name.clone())),
            Expr::Select(select) => Ok(Kind::Select {
                of: Box::new(self.lower(&select.operand, depth)?),
                field: select.field.clone(),
                optional: false,
            }),
            Expr::Call(call) => {
                let target = match &call.target {
                    Some(target) => Some(Box::new(self.lower(target, depth)?)),
                    None => None,
                };
                let arguments = self.all(&call.args, depth)?;
                self.call(target, &call.func_name, arguments, own)
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                Ok(Kind::List(self.all(&list.elements, depth)?))
            }
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) if !entry.optional => entries.push((
                            self.lower(&entry.key, depth)?,
                            self.lower(&entry.value, depth)?,
                        )),
                        _ => return self.fault(own, "optional entries are not supported"),
                    }
                }
                Ok(Kind::Map(entries))
            }
            Expr::List(_) => self.fault(own, "optional elements are not supported"),
            Expr::Struct(_) => self.fault(own, "message literals are not supported"),
            Expr::Comprehension(_) | Expr::Unspecified => self.fault(own, "not an expression"),
        }
    }

    fn all(&mut self, trees: &[IdedExpr], depth: usize) -> Lowered<Vec<Node>> {
        trees.iter().map(|tree| self.lower(tree, depth)).collect()
    }

    fn literal(&self, literal: &LiteralValue, own: Span) -> Lowered<Kind> {
        Ok(Kind::Literal(match literal {
            LiteralValue::Boolean(value) => Literal::Bool(*value.inner()),
            LiteralValue::Int(value) => Literal::Int(*value.inner()),
            LiteralValue::Double(value) => Literal::Double(*value.inner()),
            LiteralValue::String(value) => Literal::Text(value.inner().to_owned()),
            LiteralValue::UInt(_) => {
                return self.fault(own, "unsigned literals are not supported; drop the `u`");
            }
            LiteralValue::Bytes(_) => return self.fault(own, "bytes are not supported"),
            LiteralValue::Null => Literal::Null,
        }))
    }

    fn call(
        &self,
        target: Option<Box<Node>>,
        function: &str,
        mut arguments: Vec<Node>,
        own: Span,
    ) -> Lowered<Kind> {
        if let "_[_]" | "_[?_]" | "_?._" = function {
            let (Some(key), Some(of), None) = (arguments.pop(), arguments.pop(), arguments.pop())
            else {
                return self.fault(own, "wrong number of operands");
            };
            let (of, optional) = (Box::new(of), function != "_[_]");
            return Ok(match key.kind {
                Kind::Literal(Literal::Text(field)) if function == "_?._" => Kind::Select {
                    of,
                    field,
                    optional,
                },
                _ => Kind::Index {
                    of,
                    key: Box::new(key),
                },
            });
        }
        Ok(Kind::Call {
            target,
            function: function.to_owned(),
            arguments,
        })
    }
}

fn children(kind: &Kind) -> Box<dyn Iterator<Item = &Node> + '_> {
    match kind {
        Kind::Literal(_) | Kind::Name(_) => Box::new(std::iter::empty()),
        Kind::Select { of, .. } => Box::new(std::iter::once(&**of)),
        Kind::Index { of, key, .. } => Box::new([&**of, &**key].into_iter()),
        Kind::Call {
            target, arguments, ..
        } => Box::new(target.as_deref().into_iter().chain(arguments)),
        Kind::List(items) => Box::new(items.iter()),
        Kind::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_in_words() {
        let told = |source: &str| parse(source).unwrap_err().to_string();
        let unfinished = told("request.method ==");
        assert!(
            unfinished.contains("unexpected end of the expression"),
            "{unfinished}"
        );
        for source in ["a == )", "a b", "a ? b", "#"] {
            let told = told(source);
            assert!(
                told.contains("unexpected ") && !told.contains("expecting"),
                "{told}"
            );
        }
    }
}
