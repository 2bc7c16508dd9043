//! From a checked tree to closures over attribute slots. Conditions and values are compiled apart, so that `&&` and `==` never box a value,
//! and constants are borrowed from the program, so that a comparison with a literal allocates nothing.

mod compare;
mod loops;

use super::typed::{Arithmetic, Op, Typed};
use crate::attributes::Attributes;
use crate::expression::check::MAX_LOOPS;
use crate::value::EvaluationError;
use crate::value::{Type, Value};

/// Work that one evaluation may do: loop turns times their size, and text built.
pub(crate) const FUEL: u32 = 20_000;
/// Bytes of text that cost one unit.
const TEXT_UNIT: usize = 64;

/// One evaluation.
pub(crate) struct Frame<'a> {
    pub(crate) attributes: &'a Attributes<'a>,
    pub(crate) constants: &'a [Value<'static>],
    pub(crate) locals: [Value<'a>; MAX_LOOPS],
    pub(crate) fuel: u32,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(attributes: &'a Attributes<'a>, constants: &'a [Value<'static>]) -> Self {
        Self {
            attributes,
            constants,
            locals: [const { Value::Absent }; MAX_LOOPS],
            fuel: FUEL,
        }
    }

    fn spend(&mut self, units: u32) -> Result<(), EvaluationError> {
        self.fuel = self
            .fuel
            .checked_sub(units)
            .ok_or(EvaluationError::Budget)?;
        Ok(())
    }

    fn spend_text(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.spend(u32::try_from(bytes / TEXT_UNIT).unwrap_or(u32::MAX))
    }
}

type Evaluated<T> = Result<T, EvaluationError>;

/// A compiled value.
pub(crate) type ValueCode =
    Box<dyn for<'a> Fn(&mut Frame<'a>) -> Evaluated<Value<'a>> + Send + Sync>;
/// A compiled condition.
pub(crate) type BoolCode = Box<dyn for<'a> Fn(&mut Frame<'a>) -> Evaluated<bool> + Send + Sync>;

fn value<F>(code: F) -> ValueCode
where
    F: for<'a> Fn(&mut Frame<'a>) -> Evaluated<Value<'a>> + Send + Sync + 'static,
{
    Box::new(code)
}

fn boolean<F>(code: F) -> BoolCode
where
    F: for<'a> Fn(&mut Frame<'a>) -> Evaluated<bool> + Send + Sync + 'static,
{
    Box::new(code)
}

/// Compiles a node of type bool. What is absent counts as an error; the checker lets none through.
pub(crate) fn condition(node: Typed) -> BoolCode {
    match node.op {
        Op::Not(of) => {
            let of = condition(*of);
            boolean(move |frame| Ok(!of(frame)?))
        }
        Op::And(left, right) => both(condition(*left), condition(*right), false),
        Op::Or(left, right) => both(condition(*left), condition(*right), true),
        Op::Equal(negated, left, right) => compare::equal(negated, *left, *right),
        Op::Order(order, left, right) => compare::order(order, *left, *right),
        Op::In(left, right) => compare::within(*left, *right),
        Op::Present(of) => {
            let of = compile(*of);
            boolean(move |frame| Ok(!of(frame)?.is_absent()))
        }
        Op::Matches(of, regex) => {
            let of = compile(*of);
            boolean(move |frame| Ok(regex.is_match(of(frame)?.text()?)))
        }
        Op::Loop(inner) => loops::condition(*inner, node.ty),
        Op::Apply(function, operands) if operands.len() == 2 => compare::test(function, operands),
        op => {
            let code = values(Typed { op, ..node });
            boolean(move |frame| code(frame)?.bool())
        }
    }
}

/// `&&` and `||`: the first side that equals `decisive` decides, even if the other side fails.
fn both(left: BoolCode, right: BoolCode, decisive: bool) -> BoolCode {
    boolean(move |frame| match left(frame) {
        Ok(decided) if decided == decisive => Ok(decisive),
        Ok(_) => right(frame),
        Err(error) => match right(frame) {
            Ok(decided) if decided == decisive => Ok(decisive),
            _ => Err(error),
        },
    })
}

/// Compiles any node.
pub(crate) fn compile(node: Typed) -> ValueCode {
    let is_condition = matches!(
        node.op,
        Op::Not(_)
            | Op::And(..)
            | Op::Or(..)
            | Op::Equal(..)
            | Op::Order(..)
            | Op::In(..)
            | Op::Present(_)
            | Op::Matches(..)
    );
    if is_condition {
        let code = condition(node);
        return value(move |frame| Ok(Value::Bool(code(frame)?)));
    }
    values(node)
}

fn values(node: Typed) -> ValueCode {
    match node.op {
        Op::Constant(index) => value(move |frame| {
            let constants = frame.constants;
            let constant = constants.get(index).ok_or(EvaluationError::Absent)?;
            Ok(Value::of_constant(constant))
        }),
        Op::Attribute(slot) => value(move |frame| Ok(frame.attributes.get(slot))),
        Op::Local(depth) => value(move |frame| Ok(frame.locals[depth].clone())),
        Op::Entry(of, key) => entry(compile(*of), compile(*key)),
        Op::Element(of, index) => element(compile(*of), compile(*index)),
        Op::OrElse(of, other) => {
            let (of, other) = (compile(*of), compile(*other));
            value(move |frame| match of(frame)? {
                Value::Absent => other(frame),
                found => Ok(found),
            })
        }
        Op::If(test, yes, no) => {
            let (test, yes, no) = (condition(*test), compile(*yes), compile(*no));
            value(move |frame| if test(frame)? { yes(frame) } else { no(frame) })
        }
        Op::Arithmetic(operation, left, right) => arithmetic(operation, *left, *right, node.ty),
        Op::Concat(left, right) => concat(compile(*left), compile(*right)),
        Op::Negate(of) => negate(compile(*of), node.ty),
        Op::Apply(function, operands) => {
            let operands: Vec<ValueCode> = operands.into_iter().map(compile).collect();
            value(move |frame| {
                let mut values = [const { Value::Absent }; 3];
                for (place, code) in values.iter_mut().zip(&operands) {
                    *place = code(frame)?;
                }
                frame.spend_text(text_size(&values))?;
                (function.run)(&values[..operands.len().min(3)])
            })
        }
        Op::Loop(inner) => loops::values(*inner, node.ty),
        Op::List(items) => {
            let items: Vec<ValueCode> = items.into_iter().map(compile).collect();
            value(move |frame| {
                let values: Evaluated<Vec<_>> = items.iter().map(|code| code(frame)).collect();
                Ok(Value::Items(values?))
            })
        }
        Op::Map(entries) => map(entries),
        op => {
            let code = condition(Typed { op, ..node });
            value(move |frame| Ok(Value::Bool(code(frame)?)))
        }
    }
}

fn text_size(values: &[Value<'_>]) -> usize {
    values
        .iter()
        .filter_map(|value| value.text().ok())
        .map(str::len)
        .sum()
}

fn entry(of: ValueCode, key: ValueCode) -> ValueCode {
    value(move |frame| match of(frame)? {
        Value::Absent => Ok(Value::Absent),
        map => map.entry(key(frame)?.text()?),
    })
}

fn element(of: ValueCode, index: ValueCode) -> ValueCode {
    value(move |frame| {
        let list = of(frame)?;
        if list.is_absent() {
            return Ok(Value::Absent);
        }
        let index = usize::try_from(index(frame)?.whole()?).unwrap_or(usize::MAX);
        Ok(match list {
            Value::List(items) => items.get(index).map_or(Value::Absent, Value::of_constant),
            other => other.items()?.get(index).cloned().unwrap_or(Value::Absent),
        })
    })
}

fn map(entries: Vec<(Typed, Typed)>) -> ValueCode {
    let entries: Vec<(ValueCode, ValueCode)> = entries
        .into_iter()
        .map(|(key, of)| (compile(key), compile(of)))
        .collect();
    value(move |frame| {
        let mut values = Vec::with_capacity(entries.len());
        for (key, of) in &entries {
            let key = key(frame)?.text()?.into();
            values.push((key, of(frame)?));
        }
        Ok(Value::Entries(values))
    })
}

fn concat(left: ValueCode, right: ValueCode) -> ValueCode {
    value(move |frame| {
        let (left, right) = (left(frame)?, right(frame)?);
        let (left, right) = (left.text()?, right.text()?);
        frame.spend_text(left.len() + right.len())?;
        let mut text = String::with_capacity(left.len() + right.len());
        text.push_str(left);
        text.push_str(right);
        Ok(Value::Owned(text.into()))
    })
}

fn whole<'a>(ty: &Type, number: Option<i64>) -> Evaluated<Value<'a>> {
    let number = number.ok_or(EvaluationError::Overflow)?;
    Ok(match ty {
        Type::Span => Value::Span(number),
        Type::Time => Value::Time(number),
        _ => Value::Int(number),
    })
}

fn negate(of: ValueCode, ty: Type) -> ValueCode {
    value(move |frame| match of(frame)? {
        Value::Double(number) => Ok(Value::Double(-number)),
        other => whole(&ty, other.whole()?.checked_neg()),
    })
}

fn arithmetic(operation: Arithmetic, left: Typed, right: Typed, ty: Type) -> ValueCode {
    let (left, right) = (compile(left), compile(right));
    if ty == Type::Double {
        return value(move |frame| {
            let (a, b) = (left(frame)?.double()?, right(frame)?.double()?);
            Ok(Value::Double(match operation {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide => a / b,
                Arithmetic::Remainder => a % b,
            }))
        });
    }
    value(move |frame| {
        let (a, b) = (left(frame)?.whole()?, right(frame)?.whole()?);
        let divides = matches!(operation, Arithmetic::Divide | Arithmetic::Remainder);
        if divides && b == 0 {
            return Err(EvaluationError::DivisionByZero);
        }
        let number = match operation {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::Divide => a.checked_div(b),
            Arithmetic::Remainder => a.checked_rem(b),
        };
        whole(&ty, number)
    })
}
