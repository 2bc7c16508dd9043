//! The places of a document, and the document without some of them.

use serde_json::{Map, Value};

use super::path::Step;
use super::schema::{Malformed, Schema, Shape};
use super::set::FieldSet;

/// Every place that a document sets: what its author owns after applying it.
///
/// # Errors
/// When elements of a list cannot be told apart.
pub fn field_set(schema: Schema<'_>, value: &Value) -> Result<FieldSet, Malformed> {
    let mut set = FieldSet::default();
    let shape = schema.shape(value);
    match shape {
        Shape::Leaf => {}
        Shape::Fields(map) => {
            for (name, inner) in map {
                let (step, field) = (Step::field(name), schema.field(name));
                // A field that the schema names is set by what is in it; one of a free map is an element.
                let member = field.shape(inner) == Shape::Leaf && !is_empty_list(field, inner)
                    || !schema.names(name);
                let below = field_set(field, inner).map_err(|fault| fault.under(&step))?;
                set.attach(step, member, below);
            }
        }
        Shape::Set(list) | Shape::Keyed(list) => {
            for item in list {
                let step = schema.element(shape, item)?;
                let below = field_set(schema.items(), item).map_err(|fault| fault.under(&step))?;
                set.attach(step, true, below);
            }
        }
    }
    Ok(set)
}

/// An empty list that is merged by element sets nothing.
fn is_empty_list(schema: Schema<'_>, value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) && !schema.atomic(value)
}

/// The document without the places of a set; a container that is emptied so goes, too.
///
/// # Errors
/// When elements of a list cannot be told apart.
pub fn remove(schema: Schema<'_>, value: &Value, set: &FieldSet) -> Result<Value, Malformed> {
    Ok(without(schema, value, set)?.unwrap_or_else(|| Value::Object(Map::new())))
}

/// `None` if nothing is left.
fn without(schema: Schema<'_>, value: &Value, set: &FieldSet) -> Result<Option<Value>, Malformed> {
    let kept = |step: &Step, inner: &Value| -> Result<Option<Value>, Malformed> {
        if set.has(step) {
            return Ok(None);
        }
        match set.below(step) {
            None => Ok(Some(inner.clone())),
            Some(below) => {
                without(schema.step(step), inner, below).map_err(|fault| fault.under(step))
            }
        }
    };
    let shape = schema.shape(value);
    match shape {
        Shape::Leaf => Ok(Some(value.clone())),
        Shape::Fields(map) => {
            let mut left = Map::new();
            for (name, inner) in map {
                if let Some(inner) = kept(&Step::field(name), inner)? {
                    left.insert(name.clone(), inner);
                }
            }
            Ok((!left.is_empty()).then_some(Value::Object(left)))
        }
        Shape::Set(list) | Shape::Keyed(list) => {
            let mut left = Vec::new();
            for item in list {
                left.extend(kept(&schema.element(shape, item)?, item)?);
            }
            Ok((!left.is_empty()).then_some(Value::Array(left)))
        }
    }
}

/// The set with every named field of which something inside is in it.
///
/// Fields of structs have no life of their own: they are there because something in them is.
pub(super) fn with_named(schema: Schema<'_>, set: &FieldSet) -> FieldSet {
    let mut all = FieldSet::default();
    for (step, member, below) in set.steps() {
        let named = matches!(step, Step::Field(name) if schema.names(name));
        let member = member || (named && !below.is_empty());
        all.attach(step.clone(), member, with_named(schema.step(step), below));
    }
    all
}
