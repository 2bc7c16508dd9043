//! Strategic merge: the algorithm of `k8s.io/apimachinery/pkg/util/strategicpatch`, over JSON and a schema.

use serde_json::{Map, Value};

use super::PatchError;
use super::order::{self, Keyed};
use crate::schema;

type Object = Map<String, Value>;
type Schema = Option<&'static Value>;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";

/// How a list is merged, from the schema at its place.
struct ListPlan {
    /// Whether elements are merged; otherwise the patch replaces the list.
    merges: bool,
    /// The field by which elements are matched; `None` for lists of scalars.
    key: Option<&'static str>,
    items: Schema,
}

impl ListPlan {
    fn of(property: Schema) -> Self {
        let text = |name: &str| {
            property
                .and_then(|schema| schema.get(name))
                .and_then(Value::as_str)
        };
        let strategy = text("x-kubernetes-patch-strategy").unwrap_or("");
        Self {
            merges: strategy.split(',').any(|word| word == "merge"),
            key: text("x-kubernetes-patch-merge-key"),
            items: property.and_then(schema::items),
        }
    }
}

/// Merges `patch` into `target`. Without a schema (a free-form part) this is an ordinary merge.
pub(super) fn merge_maps(
    mut target: Object,
    patch: &Object,
    schema: Schema,
) -> Result<Object, PatchError> {
    match patch
        .get(PATCH)
        .map(|directive| directive.as_str().unwrap_or(""))
    {
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Object::new()),
        Some("merge") | None => {}
        Some(other) => return Err(bad_directive(other)),
    }
    retain_keys(&mut target, patch)?;
    for (name, value) in patch {
        if let Some(field) = name.strip_prefix(ELEMENT_ORDER) {
            let property = schema.and_then(|schema| schema::property(schema, field));
            set_element_order(&mut target, patch, field, value, property)?;
        } else if let Some(field) = name.strip_prefix(DELETE_PRIMITIVES) {
            delete_primitives(&mut target, field, value)?;
        }
    }
    for (name, value) in patch {
        let ordered = patch.contains_key(&format!("{ELEMENT_ORDER}{name}"));
        if !ordered && !is_directive(name) {
            let property = schema.and_then(|schema| schema::property(schema, name));
            merge_field(&mut target, name, value, property)?;
        }
    }
    Ok(target)
}

fn merge_field(
    target: &mut Object,
    name: &str,
    value: &Value,
    property: Schema,
) -> Result<(), PatchError> {
    let merged = match (target.remove(name), value) {
        (_, Value::Null) => return Ok(()),
        (Some(Value::Object(old)), Value::Object(new)) if !replaces(property) => {
            Value::Object(merge_maps(old, new, property)?)
        }
        (Some(Value::Array(old)), Value::Array(new)) => {
            Value::Array(merge_lists(old, new, &ListPlan::of(property))?)
        }
        (_, new) => drop_directives(new.clone()),
    };
    target.insert(name.to_owned(), merged);
    Ok(())
}

fn replaces(property: Schema) -> bool {
    let strategy = property.and_then(|schema| schema.get("x-kubernetes-patch-strategy"));
    strategy
        .and_then(Value::as_str)
        .is_some_and(|words| words.split(',').any(|word| word == "replace"))
}

fn merge_lists(old: Vec<Value>, new: &[Value], plan: &ListPlan) -> Result<Vec<Value>, PatchError> {
    if !plan.merges {
        return Ok(new.iter().cloned().map(drop_directives).collect());
    }
    let maps = new.iter().chain(&old).all(Value::is_object);
    match plan.key {
        Some(key) if maps => merge_elements(old, new, key, plan.items),
        _ if maps && !new.is_empty() => Err(PatchError::Unprocessable(
            "a list of objects without a merge key cannot be merged".to_owned(),
        )),
        _ if new
            .iter()
            .chain(&old)
            .any(|item| item.is_object() || item.is_array()) =>
        {
            Err(PatchError::Malformed(
                "elements of a merged list must be all objects or all scalars".to_owned(),
            ))
        }
        _ => Ok(merge_scalars(old, new)),
    }
}

/// Old ones first, new ones appended, none twice; then in the patch's relative order.
fn merge_scalars(old: Vec<Value>, new: &[Value]) -> Vec<Value> {
    let server = old.clone();
    let mut merged: Vec<Value> = Vec::new();
    for item in old.into_iter().chain(new.iter().cloned()) {
        if !merged.contains(&item) {
            merged.push(item);
        }
    }
    order::arrange(merged, new, &server, None)
}

fn merge_elements(
    old: Vec<Value>,
    new: &[Value],
    key: &'static str,
    items: Schema,
) -> Result<Vec<Value>, PatchError> {
    let server = old.clone();
    let mut merged = old;
    let mut ordinary = Vec::new();
    let mut replace = false;
    for item in new {
        match item
            .get(PATCH)
            .map(|directive| directive.as_str().unwrap_or(""))
        {
            Some("replace") => replace = true,
            Some("delete") => {
                let wanted = element_key(item, key)?;
                merged.retain(|candidate| candidate.get(key) != Some(wanted));
            }
            Some("merge") | None => ordinary.push(item.clone()),
            Some(other) => return Err(bad_directive(other)),
        }
    }
    if replace {
        return Ok(ordinary.into_iter().map(drop_directives).collect());
    }
    for item in &ordinary {
        merge_element(&mut merged, item, key, items)?;
    }
    Ok(order::arrange(merged, &ordinary, &server, Some(key)))
}

fn merge_element(
    merged: &mut Vec<Value>,
    item: &Value,
    key: &str,
    items: Schema,
) -> Result<(), PatchError> {
    let wanted = element_key(item, key)?;
    let place = merged
        .iter_mut()
        .find(|candidate| candidate.get(key) == Some(wanted));
    match (place, item) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            *old = merge_maps(std::mem::take(old), new, items)?
        }
        _ => merged.push(drop_directives(item.clone())),
    }
    Ok(())
}

fn element_key<'a>(item: &'a Value, key: &str) -> Result<&'a Value, PatchError> {
    item.get(key).ok_or_else(|| {
        PatchError::Malformed(format!(
            "map: {item} does not contain declared merge key: {key}"
        ))
    })
}

/// `$setElementOrder/F`: merges list F, then puts its elements in the given order, server-only ones between.
fn set_element_order(
    target: &mut Object,
    patch: &Object,
    field: &str,
    wanted: &Value,
    property: Schema,
) -> Result<(), PatchError> {
    let wanted = wanted
        .as_array()
        .ok_or_else(|| malformed_list(ELEMENT_ORDER, field))?;
    let plan = ListPlan::of(property);
    let new = list_of(patch.get(field), field)?;
    if patch.get(field).is_some_and(Value::is_null) {
        target.remove(field);
        return Ok(());
    }
    check_order_holds(new, wanted, plan.key, field)?;
    if new.is_empty() && !target.contains_key(field) {
        return Ok(());
    }
    let old = list_of(target.get(field), field)?.to_vec();
    let merged = merge_lists(old.clone(), new, &plan)?;
    target.insert(
        field.to_owned(),
        Value::Array(order::arrange(merged, wanted, &old, plan.key)),
    );
    Ok(())
}

fn list_of<'a>(value: Option<&'a Value>, field: &str) -> Result<&'a [Value], PatchError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(malformed_list("", field)),
    }
}

/// Every element of the patch must stand in its order list; otherwise its place would be a guess.
fn check_order_holds(
    new: &[Value],
    wanted: &[Value],
    key: Option<&str>,
    field: &str,
) -> Result<(), PatchError> {
    let deleted = |item: &Value| {
        item.get(PATCH)
            .is_some_and(|directive| directive == "delete" || directive == "replace")
    };
    let keyed = Keyed { key };
    if new
        .iter()
        .filter(|item| !deleted(item))
        .all(|item| keyed.position(wanted, item).is_some())
    {
        return Ok(());
    }
    Err(PatchError::Malformed(format!(
        "The order in patch list: {field} doesn't match {ELEMENT_ORDER}{field} list"
    )))
}

fn delete_primitives(target: &mut Object, field: &str, values: &Value) -> Result<(), PatchError> {
    let values = values
        .as_array()
        .ok_or_else(|| malformed_list(DELETE_PRIMITIVES, field))?;
    if let Some(Value::Array(list)) = target.get_mut(field) {
        list.retain(|item| !values.contains(item));
    }
    Ok(())
}

/// `$retainKeys`: every key of the target that is not listed goes; the patch may set only listed ones.
fn retain_keys(target: &mut Object, patch: &Object) -> Result<(), PatchError> {
    let Some(list) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let list = list
        .as_array()
        .ok_or_else(|| malformed_list("", RETAIN_KEYS))?;
    let listed = |name: &str| list.iter().any(|item| item == name);
    let stray = patch
        .iter()
        .find(|(name, value)| !is_directive(name) && !value.is_null() && !listed(name));
    if let Some((name, _)) = stray {
        return Err(PatchError::Malformed(format!(
            "the patch sets {name}, which its $retainKeys does not list"
        )));
    }
    target.retain(|name, _| listed(name));
    Ok(())
}

fn is_directive(name: &str) -> bool {
    name == PATCH
        || name == RETAIN_KEYS
        || name.starts_with(ELEMENT_ORDER)
        || name.starts_with(DELETE_PRIMITIVES)
}

fn without_directives(patch: &Object) -> Object {
    match drop_directives(Value::Object(patch.clone())) {
        Value::Object(map) => map,
        _ => Object::new(),
    }
}

/// A part of the patch that meets nothing in the target: its directives and nulls have no effect and go.
fn drop_directives(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .filter(|(name, value)| !is_directive(name) && !value.is_null());
            Value::Object(
                kept.map(|(name, value)| (name, drop_directives(value)))
                    .collect(),
            )
        }
        Value::Array(list) => {
            let special = |item: &Value| {
                item.get(PATCH)
                    .is_some_and(|word| word == "delete" || word == "replace")
            };
            Value::Array(
                list.into_iter()
                    .filter(|item| !special(item))
                    .map(drop_directives)
                    .collect(),
            )
        }
        other => other,
    }
}

fn bad_directive(name: &str) -> PatchError {
    PatchError::Unprocessable(format!(
        "Unknown patch type found: {name:?}; it must be replace, delete or merge"
    ))
}

fn malformed_list(directive: &str, field: &str) -> PatchError {
    PatchError::Malformed(format!(
        "{directive}{field} must be a list in the patch and in the object"
    ))
}
