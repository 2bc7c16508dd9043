//! Quantities of Kubernetes in rules: `quantity('1.5Gi')`, exactly, in billionths
//! (<https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library>).

use std::cmp::Ordering;

use super::evaluate::{Outcome, fault};
use super::value::Value;

const NANO: i128 = 1_000_000_000;
const BINARY: [(&str, u32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];
/// Suffixes and their powers of ten.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// An amount in billionths; what is finer is rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity {
    pub(super) nano: i128,
}

impl Quantity {
    /// Reads `1.5Gi`, `100m`, `2e3`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = !(whole.is_empty() && part.is_empty());
        if !digits || part.contains('.') {
            return None;
        }
        let places = i32::try_from(part.len()).ok()?;
        let value: i128 = format!("{whole}{part}").parse().ok()?;
        let nano = match BINARY.iter().find(|(name, _)| *name == suffix) {
            Some((_, bits)) => shifted(value.checked_mul(1 << bits)?, 9 - places)?,
            None => shifted(value, exponent(suffix)? + 9 - places)?,
        };
        Some(Self {
            nano: if negative { -nano } else { nano },
        })
    }

    fn is_integer(self) -> bool {
        self.integer().is_some()
    }

    fn integer(self) -> Option<i64> {
        let whole = (self.nano % NANO == 0).then_some(self.nano / NANO)?;
        i64::try_from(whole).ok()
    }

    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Quantity(quantity) => Some(*quantity),
            Value::Int(whole) => Some(Self {
                nano: i128::from(*whole) * NANO,
            }),
            _ => None,
        }
    }
}

fn exponent(suffix: &str) -> Option<i32> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some(*power);
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    let power: i32 = power.parse().ok()?;
    (-40..=40).contains(&power).then_some(power)
}

/// A number times a power of ten, rounded up.
fn shifted(value: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 {
        return value.checked_mul(factor);
    }
    Some(value / factor + i128::from(value % factor != 0))
}

/// `quantity(text)`.
pub(super) fn made<'a>(text: &str) -> Outcome<'a> {
    const WORDS: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    Quantity::parse(text).map_or_else(|| fault(WORDS), |found| Ok(Value::Quantity(found)))
}

/// A method of a quantity.
pub(super) fn method<'a>(of: Quantity, name: &str, given: &[Value<'a>]) -> Option<Outcome<'a>> {
    let order = |other: &Value<'a>| Some(of.cmp(&Quantity::of(other)?));
    Some(match (name, given) {
        ("isInteger", []) => Ok(Value::Bool(of.is_integer())),
        ("asInteger", []) => match of.integer() {
            Some(whole) => Ok(Value::Int(whole)),
            None => fault("cannot convert value to integer"),
        },
        ("asApproximateFloat", []) => Ok(Value::Double(of.nano as f64 / NANO as f64)),
        ("sign", []) => Ok(Value::Int(of.nano.signum() as i64)),
        ("isGreaterThan", [other]) => Ok(Value::Bool(order(other)? == Ordering::Greater)),
        ("isLessThan", [other]) => Ok(Value::Bool(order(other)? == Ordering::Less)),
        ("compareTo", [other]) => Ok(Value::Int(order(other)? as i64)),
        ("add" | "sub", [other]) => {
            let other = Quantity::of(other)?.nano;
            let nano = match name {
                "add" => of.nano.saturating_add(other),
                _ => of.nano.saturating_sub(other),
            };
            Ok(Value::Quantity(Quantity { nano }))
        }
        _ => return None,
    })
}
