//! Comparisons, membership and text tests, with short arms for the commonest operands.

use super::{BoolCode, boolean, compile};
use crate::attributes::Slot;
use crate::expression::functions::{Function, contains};
use crate::expression::typed::{Op, Order, Typed};
use crate::value::EvaluationError;
use crate::value::{Type, Value};

/// `attribute OP literal`, by slot and index of the constant.
fn attribute_and_constant(left: &Typed, right: &Typed) -> Option<(Slot, usize)> {
    match (&left.op, &right.op) {
        (Op::Attribute(slot), Op::Constant(index)) => Some((*slot, *index)),
        _ => None,
    }
}

pub(super) fn equal(negated: bool, left: Typed, right: Typed) -> BoolCode {
    let text = left.ty == Type::Text;
    let flipped = attribute_and_constant(&right, &left);
    if let Some((slot, index)) = attribute_and_constant(&left, &right).or(flipped)
        && text
    {
        return boolean(move |frame| {
            let constant = match frame.constants.get(index) {
                Some(Value::Owned(text)) => text,
                _ => return Err(EvaluationError::Absent),
            };
            let same = match frame.attributes.get(slot) {
                Value::Text(text) => text == &**constant,
                Value::Owned(text) => text == *constant,
                _ => false,
            };
            Ok(same != negated)
        });
    }
    let (left, right) = (compile(left), compile(right));
    boolean(move |frame| {
        let left = left(frame)?;
        Ok(left.same(&right(frame)?) != negated)
    })
}

pub(super) fn order(order: Order, left: Typed, right: Typed) -> BoolCode {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let ty = left.ty.clone();
    let (left, right) = (compile(left), compile(right));
    boolean(move |frame| {
        let (left, right) = (left(frame)?, right(frame)?);
        let found = match ty {
            Type::Text => Some(left.text()?.cmp(right.text()?)),
            Type::Double => left.double()?.partial_cmp(&right.double()?),
            _ => Some(left.whole()?.cmp(&right.whole()?)),
        };
        Ok(match order {
            Order::Less => found == Some(Less),
            Order::LessEqual => matches!(found, Some(Less | Equal)),
            Order::Greater => found == Some(Greater),
            Order::GreaterEqual => matches!(found, Some(Greater | Equal)),
        })
    })
}

pub(super) fn within(left: Typed, right: Typed) -> BoolCode {
    let kind = right.ty.clone();
    let (left, right) = (compile(left), compile(right));
    boolean(move |frame| {
        let needle = left(frame)?;
        if needle.is_absent() {
            return Ok(false);
        }
        let range = right(frame)?;
        Ok(match kind {
            Type::Net => contains(range.net()?, needle.ip()?),
            Type::Map(_) => !range.entry(needle.text()?)?.is_absent(),
            _ => range.items()?.iter().any(|item| item.same(&needle)),
        })
    })
}

/// A function of two operands that answers yes or no.
pub(super) fn test(function: &'static Function, operands: Vec<Typed>) -> BoolCode {
    let mut operands = operands.into_iter().map(compile);
    let (Some(left), Some(right)) = (operands.next(), operands.next()) else {
        return boolean(|_| Err(EvaluationError::Absent));
    };
    let text: Option<fn(&str, &str) -> bool> = match function.name {
        "startsWith" => Some(|text, part| text.starts_with(part)),
        "endsWith" => Some(|text, part| text.ends_with(part)),
        "contains" => Some(|text, part| text.contains(part)),
        _ => None,
    };
    match text {
        Some(test) => boolean(move |frame| {
            let left = left(frame)?;
            Ok(test(left.text()?, right(frame)?.text()?))
        }),
        None => boolean(move |frame| {
            let operands = [left(frame)?, right(frame)?];
            (function.run)(&operands)?.bool()
        }),
    }
}
