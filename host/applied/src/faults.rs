//! Faults that were found by readers of objects, as the API server tells them.

use osier_api::{Fault, FaultKind, Object};
use serde_json::Value;

/// Faults as Kubernetes words them: with the value that stands in the object, or as a missing one.
#[must_use]
pub fn shown(mut faults: Vec<Fault>, object: &Object) -> Vec<Fault> {
    for fault in &mut faults {
        fault.value = at(object, &fault.field).cloned();
        if fault.value.is_none() {
            fault.kind = FaultKind::Required;
        }
    }
    faults
}

/// What stands at a dotted path with list indices, and names that have dots, in brackets.
fn at<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    let mut steps = path.split_inclusive(']').flat_map(|part| {
        let (dotted, key) = match part.split_once('[') {
            Some((dotted, key)) => (dotted, key.strip_suffix(']')),
            None => (part, None),
        };
        let dotted = dotted.split('.').filter(|step| !step.is_empty());
        dotted.chain(key)
    });
    let first = object.get(&[steps.next()?])?;
    steps.try_fold(first, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}
