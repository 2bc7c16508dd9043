//! Which container of a pod is meant.

use osier_api::{Object, Status};
use serde_json::Value;

/// The container that is meant, which needs no name where there is only one.
pub(crate) fn container(pod: &Object, asked: Option<&str>) -> Result<String, Status> {
    let names = |list: &str| -> Vec<String> {
        let containers = pod.get(&["spec", list]).and_then(Value::as_array);
        let named = containers
            .into_iter()
            .flatten()
            .filter_map(|container| container["name"].as_str());
        named.map(str::to_owned).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    match (asked, main.as_slice()) {
        (Some(asked), _) if main.iter().chain(&init).any(|name| name == asked) => {
            Ok(asked.to_owned())
        }
        (Some(asked), _) => Err(Status::bad_request(format!(
            "container {asked} is not valid for pod {}",
            pod.name()
        ))),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Status::bad_request(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            pod.name(),
            main.join(" ")
        ))),
    }
}
