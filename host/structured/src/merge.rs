//! A wish merged into a document: maps by field, lists by element, everything else replaced.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::Step;
use super::schema::{Malformed, Schema, Shape};

/// The document `live` with everything that `wish` sets.
///
/// # Errors
/// When elements of a list cannot be told apart, or the wish has one twice.
pub fn merge(schema: Schema<'_>, live: &Value, wish: &Value) -> Result<Value, Malformed> {
    let (old, new) = (schema.shape(live), schema.shape(wish));
    match (old, new) {
        (_, Shape::Fields(new)) => {
            let none = Map::new();
            let old = if let Shape::Fields(old) = old {
                old
            } else {
                &none
            };
            merge_maps(schema, old, new).map(Value::Object)
        }
        (_, Shape::Set(_) | Shape::Keyed(_)) => {
            Lists::read(schema, old, new)?.merged().map(Value::Array)
        }
        // A wish for nothing in a container that is merged leaves what others put there.
        (Shape::Fields(_) | Shape::Set(_) | Shape::Keyed(_), Shape::Leaf)
            if is_empty(wish) || wish.is_null() =>
        {
            Ok(live.clone())
        }
        _ => Ok(wish.clone()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn merge_maps(
    schema: Schema<'_>,
    live: &Map<String, Value>,
    wish: &Map<String, Value>,
) -> Result<Map<String, Value>, Malformed> {
    let mut merged = live.clone();
    for (name, new) in wish {
        let (step, schema) = (Step::field(name), schema.field(name));
        let old = live.get(name).unwrap_or(&Value::Null);
        let value = merge(schema, old, new).map_err(|fault| fault.under(&step))?;
        merged.insert(name.clone(), value);
    }
    Ok(merged)
}

/// The elements of both lists in their orders.
struct Lists<'a> {
    schema: Schema<'a>,
    live: Vec<(Step, &'a Value)>,
    wish: Vec<(Step, &'a Value)>,
    /// Elements of `live` by step; `None` for one that is there several times.
    known: BTreeMap<Step, Option<&'a Value>>,
    wished: BTreeMap<Step, &'a Value>,
}

impl<'a> Lists<'a> {
    fn read(schema: Schema<'a>, old: Shape<'a>, new: Shape<'a>) -> Result<Self, Malformed> {
        let live = elements(schema, old)?;
        let wish = elements(schema, new)?;
        let mut known: BTreeMap<Step, Option<&Value>> = BTreeMap::new();
        for (step, item) in &live {
            known
                .entry(step.clone())
                .and_modify(|twin| *twin = None)
                .or_insert(Some(item));
        }
        let mut wished = BTreeMap::new();
        for (step, item) in &wish {
            if wished.insert(step.clone(), *item).is_some() {
                return Err(Malformed::Twice {
                    path: String::new(),
                    step: step.to_string(),
                });
            }
        }
        Ok(Self {
            schema,
            live,
            wish,
            known,
            wished,
        })
    }

    /// Elements of the wish in its order; the others stay behind the shared element that they stood behind.
    fn merged(&self) -> Result<Vec<Value>, Malformed> {
        let mut merged = Vec::with_capacity(self.live.len().max(self.wish.len()));
        let mut shared = self
            .wish
            .iter()
            .map(|(step, _)| step)
            .filter(|step| self.known.contains_key(step))
            .peekable();
        let mut done: BTreeMap<&Step, ()> = BTreeMap::new();
        let (mut live, mut wish) = (self.live.iter().peekable(), self.wish.iter().peekable());
        loop {
            match (live.peek(), wish.peek()) {
                (None, None) => return Ok(merged),
                (Some((old, _)), Some((new, _))) if old == new => {
                    merged.push(self.element(new)?);
                    done.insert(new, ());
                    live.next();
                    wish.next();
                    shared.next();
                    continue;
                }
                // Shared, but not the one that comes next: it is put where the wish has it.
                (Some((old, _)), Some(_))
                    if self.wished.contains_key(old)
                        && shared.peek().is_some_and(|next| *next != old) =>
                {
                    live.next();
                    continue;
                }
                _ => {}
            }
            if let Some((old, item)) = live.peek() {
                if !self.wished.contains_key(old) {
                    merged.push((*item).clone());
                    live.next();
                    continue;
                }
                if done.contains_key(old) {
                    live.next();
                }
            }
            if let Some((new, _)) = wish.next() {
                merged.push(self.element(new)?);
                done.insert(new, ());
                shared.next_if(|next| *next == new);
            }
        }
    }

    /// One element of the wish, merged with the live one.
    fn element(&self, step: &Step) -> Result<Value, Malformed> {
        let new = self.wished.get(step).copied().unwrap_or(&Value::Null);
        let old = self.known.get(step).copied().flatten();
        merge(self.schema.items(), old.unwrap_or(&Value::Null), new)
            .map_err(|fault| fault.under(step))
    }
}

fn elements<'a>(schema: Schema<'a>, shape: Shape<'a>) -> Result<Vec<(Step, &'a Value)>, Malformed> {
    let (Shape::Set(list) | Shape::Keyed(list)) = shape else {
        return Ok(Vec::new());
    };
    list.iter()
        .map(|item| Ok((schema.element(shape, item)?, item)))
        .collect()
}
