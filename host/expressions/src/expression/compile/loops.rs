//! Loops: each turn is paid for, and an error of one turn does not hide a decision of another.

use super::{BoolCode, Frame, ValueCode, boolean, compile, condition as compile_condition, value};
use crate::expression::typed::{Loop, LoopKind};
use crate::value::EvaluationError;
use crate::value::{Type, Value};

/// Calls `turn` for each element until it says stop.
fn each<'a>(
    frame: &mut Frame<'a>,
    range: &Value<'a>,
    (local, cost): (usize, u32),
    turn: &mut dyn FnMut(&mut Frame<'a>) -> Result<bool, EvaluationError>,
) -> Result<(), EvaluationError> {
    let mut visit = |frame: &mut Frame<'a>, element: Value<'a>| {
        frame.spend(cost)?;
        frame.locals[local] = element;
        turn(frame)
    };
    match range {
        Value::List(items) => {
            let items: &'a [Value<'static>] = items;
            for item in items {
                if visit(frame, Value::of_constant(item))? {
                    return Ok(());
                }
            }
        }
        Value::Items(items) => {
            for item in items {
                if visit(frame, item.clone())? {
                    return Ok(());
                }
            }
        }
        other => {
            for key in other.keys() {
                if visit(frame, key)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// `exists`, `all`, `exists_one`.
pub(super) fn condition(inner: Loop, ty: Type) -> BoolCode {
    let kind = inner.kind;
    if !matches!(kind, LoopKind::Exists | LoopKind::All | LoopKind::ExistsOne) {
        let code = values(inner, ty);
        return boolean(move |frame| code(frame)?.bool());
    }
    let turn = (inner.local, inner.cost);
    let (range, body) = (compile(inner.range), compile_condition(inner.body));
    boolean(move |frame| {
        let range = range(frame)?;
        let (mut found, mut failed) = (0_usize, None);
        each(frame, &range, turn, &mut |frame| {
            match body(frame) {
                Ok(hit) if hit == (kind != LoopKind::All) => found += 1,
                Ok(_) => {}
                Err(EvaluationError::Budget) => return Err(EvaluationError::Budget),
                Err(error) => failed = Some(error),
            }
            Ok(found > 0 && kind != LoopKind::ExistsOne)
        })?;
        match (kind, failed) {
            (LoopKind::ExistsOne, None) => Ok(found == 1),
            (LoopKind::ExistsOne, Some(error)) => Err(error),
            (kind, _) if found > 0 => Ok(kind == LoopKind::Exists),
            (_, Some(error)) => Err(error),
            (kind, None) => Ok(kind == LoopKind::All),
        }
    })
}

/// `map` and `filter`.
pub(super) fn values(inner: Loop, ty: Type) -> ValueCode {
    let turn = (inner.local, inner.cost);
    match inner.kind {
        LoopKind::Map => {
            let (range, body) = (compile(inner.range), compile(inner.body));
            value(move |frame| {
                let range = range(frame)?;
                let mut items = Vec::new();
                each(frame, &range, turn, &mut |frame| {
                    let item = body(frame)?;
                    items.push(item);
                    Ok(false)
                })?;
                Ok(Value::Items(items))
            })
        }
        LoopKind::Filter => {
            let local = inner.local;
            let (range, body) = (compile(inner.range), compile_condition(inner.body));
            value(move |frame| {
                let range = range(frame)?;
                let mut items = Vec::new();
                each(frame, &range, turn, &mut |frame| {
                    if body(frame)? {
                        items.push(frame.locals[local].clone());
                    }
                    Ok(false)
                })?;
                Ok(Value::Items(items))
            })
        }
        _ => {
            let code = condition(inner, ty);
            value(move |frame| Ok(Value::Bool(code(frame)?)))
        }
    }
}
