//! `exportTo` of Istio's kinds: which namespaces see an object.

use super::at::{At, unique};
use super::names;
use osier_api::Fault;

/// `.`, `*`, `~` or names of namespaces; what means all or none stands alone.
pub(super) fn check(list: &At<'_>) -> Vec<Fault> {
    let items = list.items();
    let mut faults = unique(items.clone());
    for item in &items {
        let text = item.text();
        let whole = matches!(text, "*" | "~");
        if whole && items.len() > 1 {
            faults.push(item.invalid("means all or no namespaces and must stand alone"));
        }
        if !whole && text != "." && !names::label(text).is_empty() {
            faults.push(item.invalid(
                "must be `.` (its own namespace), `*` (all), `~` (none) or the name of a namespace",
            ));
        }
    }
    faults
}
