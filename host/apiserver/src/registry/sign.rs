//! Who set which field: every write signs what it changes.

use osier_api::Object;
use osier_api::managed::{self, Author};
use osier_process::clock;
use serde_json::{Map, Value};

use super::Write;

impl Write<'_> {
    /// Everything that the record of fields needs to know about this write.
    pub(crate) fn authored<T>(&self, with: impl FnOnce(Author<'_>) -> T) -> T {
        with(Author {
            manager: &self.manager,
            subresource: &self.address.subresource,
            api_version: &self.address.api_version(),
            now: &clock::seconds(clock::now()),
        })
    }

    /// The `metadata.managedFields` of the complete object `new`, which this write makes out of `old`; `submitted` is
    /// what stood there in the body.
    ///
    /// Fields that admission or a strategy sets afterwards belong to nobody, as upstream has it.
    pub(super) fn signed(
        &self,
        old: Option<&Object>,
        mut new: Object,
        submitted: Option<Value>,
    ) -> Option<Value> {
        if self.applied {
            return submitted;
        }
        let form = self.address.form();
        self.authored(|author| {
            managed::track(form, old, &mut new, submitted.as_ref(), author);
        });
        new.remove(&["metadata", "managedFields"])
    }
}

/// Puts the list into an object, or takes it out.
pub(super) fn put(object: &mut Object, managed: Option<Value>) {
    match managed {
        Some(list) => object.set(&["metadata", "managedFields"], list),
        None => managed::forget(object),
    }
}

/// The same in an object that takes the place of another. A write that changes nothing but times in the list is none: the old
/// times stay.
pub(super) fn put_over(old: &Object, new: &mut Object, managed: Option<Value>) {
    put(new, managed);
    let Some(before) = old.get(&LIST).filter(|_| same_but_times(old, new)) else {
        return;
    };
    new.set(&LIST, before.clone());
}

const LIST: [&str; 2] = ["metadata", "managedFields"];

fn same_but_times(old: &Object, new: &Object) -> bool {
    fn list(object: &Object) -> &[Value] {
        let list = object.get(&LIST).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }
    let entry = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (before, now) = (list(old), list(new));
    let mut pairs = before.iter().zip(now);
    before != now
        && before.len() == now.len()
        && same_beside(old.as_map(), new.as_map(), &["metadata"])
        && same_beside(
            metadata(old),
            metadata(new),
            &["managedFields", "resourceVersion"],
        )
        && pairs.all(|(before, now)| same_beside(&entry(before), &entry(now), &["time"]))
}

fn metadata(object: &Object) -> &Map<String, Value> {
    let metadata = object.get(&["metadata"]).and_then(Value::as_object);
    metadata.unwrap_or_else(|| object.as_map())
}

/// Whether two maps have the same, but for some keys.
fn same_beside(a: &Map<String, Value>, b: &Map<String, Value>, beside: &[&str]) -> bool {
    let covers = |a: &Map<String, Value>, b: &Map<String, Value>| {
        let mut entries = a.iter();
        entries.all(|(key, value)| beside.contains(&key.as_str()) || b.get(key) == Some(value))
    };
    covers(a, b) && covers(b, a)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn at(time: &str, value: &str) -> (Object, Value) {
        let list = json!([{"manager": "kubectl", "operation": "Apply", "time": time}]);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": value}});
        (Object::from_value(object).unwrap(), list)
    }

    #[test]
    fn a_write_that_changes_only_times_keeps_them() {
        let (mut old, list) = at("2026-01-01T00:00:00Z", "1");
        put(&mut old, Some(list));
        for (value, kept) in [("1", true), ("2", false)] {
            let (mut new, list) = at("2026-01-01T00:00:09Z", value);
            put_over(&old, &mut new, Some(list));
            assert_eq!(new.get(&LIST) == old.get(&LIST), kept);
        }
    }
}
