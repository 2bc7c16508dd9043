//! Jobs choose their pods by their own uid, unless they say otherwise.

use osier_api::Object;
use serde_json::{Value, json};

use super::Strategy;

const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
/// The labels of before 1.27, which tools still select by.
const OLD: [(&str, &str); 2] = [("controller-uid", UID), ("job-name", NAME)];

pub(super) struct Jobs;

impl Strategy for Jobs {
    fn prepare_create(&self, object: &mut Object) {
        if object.get(&["spec", "manualSelector"]) == Some(&Value::Bool(true)) {
            return;
        }
        let (uid, name) = (object.uid().to_owned(), object.name().to_owned());
        for (old, new) in OLD {
            let value = if new == UID { &uid } else { &name };
            for key in [old, new] {
                let label = ["spec", "template", "metadata", "labels", key];
                object.set(&label, value.as_str().into());
            }
        }
        let selector = ["spec", "selector"];
        if object.get(&selector).is_none() {
            object.set(&selector, json!({"matchLabels": {UID: uid}}));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_job_selects_its_own_pods() {
        let value = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {"metadata": {"labels": {"app": "x"}}}}});
        let mut job = Object::from_value(value.clone()).unwrap();
        Jobs.prepare_create(&mut job);
        assert_eq!(
            job.get(&["spec", "selector"]),
            Some(&json!({"matchLabels": {UID: "u"}}))
        );
        let labels =
            json!({"app": "x", "job-name": "j", NAME: "j", "controller-uid": "u", UID: "u"});
        assert_eq!(
            job.get(&["spec", "template", "metadata", "labels"]),
            Some(&labels)
        );
        let mut manual = Object::from_value(value).unwrap();
        manual.set(&["spec", "manualSelector"], true.into());
        let before = manual.clone();
        Jobs.prepare_create(&mut manual);
        assert_eq!(manual, before);
    }
}
