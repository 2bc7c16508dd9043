//! Running a plan: into a kept tree of arguments, whose strings and vectors are reused, or into the bytes of a cache key.

use osier_engine::plugin::Val;

use super::leaf::{Leaf, Whole};
use super::plan::Plan;
use osier_expressions::Attributes;
use osier_expressions::{EvaluationError, Value};

type Done = Result<(), EvaluationError>;

impl Plan {
    /// Overwrites `place` with the value for one call.
    pub(crate) fn fill<'a>(&'a self, attributes: &'a Attributes<'a>, place: &mut Val) -> Done {
        match self {
            Plan::Constant(value) => {
                if matches!(place, Val::Bool(_)) {
                    place.clone_from(value);
                }
            }
            Plan::Leaf(expression, leaf) => set(leaf, &expression.evaluate(attributes)?, place)?,
            Plan::Optional(expression, leaf) => {
                let value = expression.evaluate(attributes)?;
                match place {
                    _ if value.is_absent() => *place = Val::Option(None),
                    Val::Option(Some(inner)) => set(leaf, &value, inner)?,
                    other => *other = Val::Option(Some(Box::new(made(leaf, &value)?))),
                }
            }
            Plan::OrCase(expression, leaf, absent) => {
                let value = expression.evaluate(attributes)?;
                if value.is_absent() {
                    *place = Val::Variant(absent.clone(), None);
                } else {
                    set(leaf, &value, place)?;
                }
            }
            Plan::Case(name, plan) => match place {
                Val::Variant(_, Some(inner)) => plan.fill(attributes, inner)?,
                other => {
                    let mut inner = EMPTY;
                    plan.fill(attributes, &mut inner)?;
                    *other = Val::Variant(name.clone(), Some(Box::new(inner)));
                }
            },
            Plan::Some(plan) => match place {
                Val::Option(Some(inner)) => plan.fill(attributes, inner)?,
                other => {
                    let mut inner = EMPTY;
                    plan.fill(attributes, &mut inner)?;
                    *other = Val::Option(Some(Box::new(inner)));
                }
            },
            Plan::Record(fields) => {
                if !matches!(place, Val::Record(_)) {
                    let empty = fields.iter().map(|(name, _)| (name.clone(), EMPTY));
                    *place = Val::Record(empty.collect());
                }
                if let Val::Record(places) = place {
                    for ((_, plan), (_, place)) in fields.iter().zip(places) {
                        plan.fill(attributes, place)?;
                    }
                }
            }
            Plan::Entries(entries) => fill_entries(entries, attributes, place)?,
        }
        Ok(())
    }

    /// The dotted path of the first field that cannot be computed for a call; empty if there is none.
    pub(crate) fn culprit<'a>(&'a self, attributes: &'a Attributes<'a>) -> String {
        let (Plan::Record(fields) | Plan::Entries(fields)) = self else {
            return String::new();
        };
        let fails =
            |(_, plan): &&(String, Plan)| plan.fill(attributes, &mut EMPTY.clone()).is_err();
        fields
            .iter()
            .find(fails)
            .map_or_else(String::new, |(name, plan)| {
                match plan.culprit(attributes).as_str() {
                    "" => name.clone(),
                    below => format!("{name}.{below}"),
                }
            })
    }

    /// How much a record of template `quota` wants; what its allowance is kept by is appended to a key.
    pub(crate) fn wanted<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        key: &mut Vec<u8>,
    ) -> Result<u64, EvaluationError> {
        let Plan::Record(fields) = self else {
            return Ok(0);
        };
        let mut amount = EMPTY;
        for (name, plan) in fields {
            match name.as_str() {
                "dimensions" => plan.encode(attributes, key)?,
                "amount" => plan.fill(attributes, &mut amount)?,
                _ => {}
            }
        }
        match amount {
            Val::U64(amount) => Ok(amount),
            _ => Ok(0),
        }
    }

    /// Appends everything that the plugin would see to a cache key; constants are the same for every call of this plan.
    pub(crate) fn encode<'a>(&'a self, attributes: &'a Attributes<'a>, key: &mut Vec<u8>) -> Done {
        match self {
            Plan::Constant(_) => {}
            Plan::Leaf(expression, _)
            | Plan::Optional(expression, _)
            | Plan::OrCase(expression, ..) => {
                if !expression.is_constant() {
                    encode(&expression.evaluate(attributes)?, key);
                }
            }
            Plan::Case(_, plan) | Plan::Some(plan) => plan.encode(attributes, key)?,
            Plan::Record(fields) | Plan::Entries(fields) => {
                for (_, plan) in fields {
                    plan.encode(attributes, key)?;
                }
            }
        }
        Ok(())
    }
}

/// The records of a check that is only rehearsed. Their memory is kept from turn to turn, as a plugin's instance keeps its own.
#[derive(Debug, Default)]
pub struct Rehearsal(pub(crate) Vec<Val>);

/// What stands in a tree before its first filling; no template field is left so.
pub(crate) const EMPTY: Val = Val::Bool(false);

fn fill_entries<'a>(
    entries: &'a [(String, Plan)],
    attributes: &'a Attributes<'a>,
    place: &mut Val,
) -> Done {
    if !matches!(place, Val::List(_)) {
        let empty = entries
            .iter()
            .map(|(name, _)| Val::Tuple(vec![Val::String(name.clone()), EMPTY]));
        *place = Val::List(empty.collect());
    }
    if let Val::List(places) = place {
        for ((_, plan), place) in entries.iter().zip(places) {
            if let Val::Tuple(pair) = place
                && let Some(value) = pair.get_mut(1)
            {
                plan.fill(attributes, value)?;
            }
        }
    }
    Ok(())
}

fn set_text(text: &str, place: &mut Val) {
    if let Val::String(own) = place {
        own.clear();
        own.push_str(text);
    } else {
        *place = Val::String(text.to_owned());
    }
}

fn made(leaf: &Leaf, value: &Value<'_>) -> Result<Val, EvaluationError> {
    let mut place = EMPTY;
    set(leaf, value, &mut place)?;
    Ok(place)
}

fn set(leaf: &Leaf, value: &Value<'_>, place: &mut Val) -> Done {
    match leaf {
        Leaf::Text => set_text(value.text()?, place),
        Leaf::Address => match value {
            Value::Net(net) => set_text(&net.to_string(), place),
            other => set_text(&other.ip()?.to_string(), place),
        },
        Leaf::Bool => *place = Val::Bool(value.bool()?),
        Leaf::Double => *place = Val::Float64(value.double()?),
        Leaf::Single => *place = Val::Float32(value.double()? as f32),
        Leaf::Whole(width) => *place = whole(*width, value.whole()?)?,
        Leaf::Time(unsigned) => {
            let [seconds, rest] = time(value.whole()?, *unsigned)?;
            set_record(["seconds", "nanoseconds"], [seconds, rest], place);
        }
        Leaf::Span => set_record(["nanoseconds"], [Val::S64(value.whole()?)], place),
        Leaf::Case(name, inner) => match place {
            Val::Variant(own, Some(payload)) if own == name => set(inner, value, payload)?,
            other => *other = Val::Variant(name.clone(), Some(Box::new(made(inner, value)?))),
        },
        Leaf::List(of) => {
            let items: Result<Vec<Val>, _> =
                value.items()?.iter().map(|item| made(of, item)).collect();
            *place = Val::List(items?);
        }
        Leaf::Pairs(of) => pairs(of, value, place)?,
    }
    Ok(())
}

/// Texts go straight into the kept tuples; other values are made anew.
fn pairs(of: &Leaf, value: &Value<'_>, place: &mut Val) -> Done {
    if !matches!(place, Val::List(_)) {
        *place = Val::List(Vec::new());
    }
    let Val::List(places) = place else {
        return Ok(());
    };
    let (mut count, mut failed) = (0, None);
    let mut put = |name: &str, value: &Value<'_>| {
        if places.len() == count {
            places.push(Val::Tuple(vec![EMPTY, EMPTY]));
        }
        if let Some(Val::Tuple(pair)) = places.get_mut(count)
            && let [key, own] = pair.as_mut_slice()
        {
            set_text(name, key);
            failed = failed.or(set(of, value, own).err());
        }
        count += 1;
    };
    match value {
        Value::Map(texts) => texts.each(&mut |name, text| put(name, &Value::Text(text))),
        Value::Entries(entries) => entries.iter().for_each(|(name, value)| put(name, value)),
        _ => return Err(EvaluationError::Absent),
    }
    places.truncate(count);
    failed.map_or(Ok(()), Err)
}

fn whole(width: Whole, number: i64) -> Result<Val, EvaluationError> {
    let range = |_| match (width, number) {
        (Whole::U8 | Whole::U16 | Whole::U32 | Whole::U64, ..0) => {
            EvaluationError::Negative(number)
        }
        _ => EvaluationError::Range(number),
    };
    Ok(match width {
        Whole::S8 => Val::S8(number.try_into().map_err(range)?),
        Whole::U8 => Val::U8(number.try_into().map_err(range)?),
        Whole::S16 => Val::S16(number.try_into().map_err(range)?),
        Whole::U16 => Val::U16(number.try_into().map_err(range)?),
        Whole::S32 => Val::S32(number.try_into().map_err(range)?),
        Whole::U32 => Val::U32(number.try_into().map_err(range)?),
        Whole::S64 => Val::S64(number),
        Whole::U64 => Val::U64(number.try_into().map_err(range)?),
    })
}

/// Numbers in a record; its names are written once.
fn set_record<const N: usize>(names: [&str; N], values: [Val; N], place: &mut Val) {
    match place {
        Val::Record(fields) if fields.len() == N => {
            for ((_, own), value) in fields.iter_mut().zip(values) {
                *own = value;
            }
        }
        other => *other = Val::Record(names.map(str::to_owned).into_iter().zip(values).collect()),
    }
}

fn time(nanos: i64, unsigned: bool) -> Result<[Val; 2], EvaluationError> {
    let (seconds, rest) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    let seconds = match unsigned {
        true => Val::U64(u64::try_from(seconds).map_err(|_| EvaluationError::Negative(seconds))?),
        false => Val::S64(seconds),
    };
    let rest = u32::try_from(rest).map_err(|_| EvaluationError::Range(rest))?;
    Ok([seconds, Val::U32(rest)])
}

/// A value as bytes: tagged and counted, so that no two different records give the same key.
fn encode(value: &Value<'_>, key: &mut Vec<u8>) {
    let mut text = |tag: u8, text: &str| {
        key.push(tag);
        key.extend_from_slice(&(text.len() as u64).to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    };
    match value {
        Value::Absent => key.push(0),
        Value::Text(own) => text(1, own),
        Value::Owned(own) => text(1, own),
        Value::Ip(ip) => text(2, &ip.to_string()),
        Value::Net(net) => text(3, &net.to_string()),
        Value::Map(texts) => {
            texts.each(&mut |name, value| {
                text(4, name);
                text(1, value);
            });
            key.push(5);
        }
        Value::Bool(own) => key.extend_from_slice(&[6, u8::from(*own)]),
        Value::Int(own) | Value::Span(own) | Value::Time(own) => {
            key.push(7);
            key.extend_from_slice(&own.to_le_bytes());
        }
        Value::Double(own) => {
            key.push(8);
            key.extend_from_slice(&own.to_bits().to_le_bytes());
        }
        Value::List(items) => items.iter().for_each(|item| encode(item, key)),
        Value::Items(items) => items.iter().for_each(|item| encode(item, key)),
        Value::Entries(entries) => {
            for (name, value) in entries {
                encode(&Value::Text(name), key);
                encode(value, key);
            }
        }
    }
    if matches!(value, Value::List(_) | Value::Items(_) | Value::Entries(_)) {
        key.push(9);
    }
}
