//! Macros over lists and maps, and `has`.

use super::{Checker, MAX_LOOPS, Outcome};
use crate::expression::typed::{Loop, LoopKind, Op, Typed};
use crate::value::Type;
use osier_cel::{Kind, Node, Span};

/// The macro that a method name calls.
pub(super) fn kind(function: &str, arguments: usize) -> Option<LoopKind> {
    Some(match (function, arguments) {
        ("exists", 2) => LoopKind::Exists,
        ("all", 2) => LoopKind::All,
        ("exists_one" | "existsOne", 2) => LoopKind::ExistsOne,
        ("map", 2) => LoopKind::Map,
        ("filter", 2) => LoopKind::Filter,
        _ => return None,
    })
}

impl Checker<'_> {
    pub(super) fn looped(
        &mut self,
        span: Span,
        kind: LoopKind,
        range: &Node,
        arguments: &[Node],
    ) -> Outcome<Typed> {
        let range = self.present(range)?;
        let element = match &range.ty {
            Type::List(of) => (**of).clone(),
            Type::Map(_) => Type::Text,
            other => {
                return self.fault(
                    range.span,
                    format!("a loop needs a list or map, not {other}"),
                );
            }
        };
        let [variable, body] = arguments else {
            return self.fault(span, "a loop takes a variable and an expression");
        };
        let Kind::Name(variable) = &variable.kind else {
            return self.fault(variable.span, "the loop variable must be a simple name");
        };
        let local = self.locals.len();
        if local == MAX_LOOPS {
            return self.fault(
                span,
                format!("more than {MAX_LOOPS} loops inside each other"),
            );
        }
        self.locals.push((variable.clone(), element.clone()));
        let body = match kind {
            LoopKind::Map => self.present(body),
            _ => self.condition(body),
        };
        self.locals.pop();
        let body = body?;
        let ty = match kind {
            LoopKind::Map => Type::List(Box::new(body.ty.clone())),
            LoopKind::Filter => Type::List(Box::new(element)),
            _ => Type::Bool,
        };
        let cost = cost(&body);
        Ok(Typed {
            op: Op::Loop(Box::new(Loop {
                kind,
                range,
                local,
                body,
                cost,
            })),
            ty,
            maybe: false,
            span,
        })
    }

    /// `has(a.b)`, also of a whole attribute.
    pub(super) fn has(&mut self, span: Span, arguments: &[Node]) -> Outcome<Typed> {
        let [of] = arguments else {
            return self.fault(span, "has() takes one argument");
        };
        if !matches!(of.kind, Kind::Select { .. } | Kind::Index { .. }) {
            return self.fault(of.span, "has() takes an attribute or a field of a map");
        }
        let of = self.check(of)?;
        Ok(Typed {
            op: Op::Present(Box::new(of)),
            ty: Type::Bool,
            maybe: false,
            span,
        })
    }
}

/// Operations in one evaluation of a node, loops inside it counted once.
fn cost(typed: &Typed) -> u32 {
    let below = match &typed.op {
        Op::Constant(_) | Op::Attribute(_) | Op::Local(_) => 0,
        Op::Present(a) | Op::Not(a) | Op::Negate(a) | Op::Matches(a, _) => cost(a),
        Op::Entry(a, b)
        | Op::Element(a, b)
        | Op::OrElse(a, b)
        | Op::And(a, b)
        | Op::Or(a, b)
        | Op::Equal(_, a, b)
        | Op::Order(_, a, b)
        | Op::In(a, b)
        | Op::Arithmetic(_, a, b)
        | Op::Concat(a, b) => cost(a) + cost(b),
        Op::If(a, b, c) => cost(a) + cost(b) + cost(c),
        Op::Apply(_, items) | Op::List(items) => items.iter().map(cost).sum(),
        Op::Loop(inner) => cost(&inner.range),
        Op::Map(entries) => entries
            .iter()
            .map(|(key, value)| cost(key) + cost(value))
            .sum(),
    };
    below + 1
}
