//! What is read off pods and off what is measured of them. Pure.

use std::collections::BTreeMap;

use osier_api::{Object, quantity};
use serde_json::Value;

use crate::metrics::{Part, Sample};

/// CPU and memory of the containers of a pod, as `metrics.k8s.io` has them: name, processors, bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Used(Vec<(String, f64, f64)>);

fn amount(value: &Value) -> Option<f64> {
    quantity::ratio(value.as_str()?, "1")
}

fn containers<'a>(object: &'a Object, path: &[&str]) -> impl Iterator<Item = &'a Value> + use<'a> {
    let containers = object.get(path).and_then(Value::as_array);
    containers.into_iter().flatten()
}

impl Used {
    /// Of a pod, with its name.
    #[must_use]
    pub fn of(metrics: &Object) -> (String, Self) {
        let each = containers(metrics, &["containers"]).map(|one| {
            let name = one["name"].as_str().unwrap_or_default().to_owned();
            let amount = |resource: &str| amount(&one["usage"][resource]).unwrap_or_default();
            (name, amount("cpu"), amount("memory"))
        });
        (metrics.name().to_owned(), Self(each.collect()))
    }
}

impl Sample {
    /// Of a pod: what it uses, if that is known, the requests that it gets in a second, likewise, and whether it takes any.
    #[must_use]
    pub fn of(pod: &Object, used: Option<&Used>, (requests, ready): (Option<f64>, bool)) -> Self {
        let sum = |of: fn(&(String, f64, f64)) -> f64| used.map(|used| used.0.iter().map(of).sum());
        Self {
            name: pod.name().to_owned(),
            ready,
            cpu: sum(|(_, cpu, _)| *cpu),
            memory: sum(|(_, _, memory)| *memory),
            requests,
            asked_cpu: asked(pod, "cpu"),
            asked_memory: asked(pod, "memory"),
            containers: parts(pod, used),
        }
    }
}

/// What the containers of a pod ask for together; `None` if one does not say, or there is none.
fn asked(pod: &Object, resource: &str) -> Option<f64> {
    pod.get(&["spec", "containers"])?;
    let each = containers(pod, &["spec", "containers"]);
    each.map(|one| amount(&one["resources"]["requests"][resource]))
        .sum()
}

fn parts(pod: &Object, used: Option<&Used>) -> BTreeMap<String, Part> {
    let each = containers(pod, &["spec", "containers"]).map(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        let own = used.and_then(|used| used.0.iter().find(|(of, ..)| of == name));
        let requests = &one["resources"]["requests"];
        let part = Part {
            cpu: own.map(|(_, cpu, _)| *cpu),
            memory: own.map(|(_, _, memory)| *memory),
            asked_cpu: amount(&requests["cpu"]),
            asked_memory: amount(&requests["memory"]),
        };
        (name.to_owned(), part)
    });
    each.collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sample_is_of_the_pod_and_of_each_container() {
        let object = |value| Object::from_value(value).unwrap();
        let metrics = object(json!({"metadata": {"name": "p"}, "containers": [
            {"name": "web", "usage": {"cpu": "100m", "memory": "1Mi"}}, {"name": "idle", "usage": {"cpu": "0", "memory": "1Mi"}}]}));
        let pod = object(json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "web", "resources": {"requests": {"cpu": "200m"}}}, {"name": "idle"}]}}));
        let (name, used) = Used::of(&metrics);
        let sample = Sample::of(&pod, Some(&used), (None, true));
        assert_eq!((name.as_str(), sample.name.as_str()), ("p", "p"));
        assert_eq!((sample.cpu, sample.memory), (Some(0.1), Some(2_097_152.0)));
        assert_eq!(sample.asked_cpu, None, "one container does not say");
        let web = sample.containers["web"];
        assert_eq!((web.cpu, web.asked_cpu), (Some(0.1), Some(0.2)));
        let unknown = Sample::of(&pod, None, (None, false));
        assert_eq!((unknown.cpu, unknown.containers["web"].cpu), (None, None));
    }
}
