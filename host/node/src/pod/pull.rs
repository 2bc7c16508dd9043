//! Has the image of a container brought, as its pull policy says, with the credentials of its pod's pull secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::Object;
use osier_api::resources::SECRETS;
use osier_distribution::Credentials;
use serde_json::Value;

use super::Shared;
use super::create::{Order, Refusal};
use osier_images::{PullPolicy, Pulled};

/// The key of a secret of the type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// Pulls if it must; nothing when the image is here.
pub(super) async fn pull(
    shared: &Shared,
    order: &Order,
    container: &Value,
) -> Result<Option<Pulled>, Refusal> {
    let image = container["image"].as_str().unwrap_or_default();
    let policy = policy(container);
    let puller = &shared.components.puller;
    if !puller.asks(image, policy) {
        return Ok(None);
    }
    let recorder = &shared.recorder;
    let (credentials, faults) = credentials(shared, &order.pod).await;
    for fault in &faults {
        recorder.warning(
            &order.about,
            "FailedToRetrieveImagePullSecret",
            fault.as_str(),
        );
    }
    recorder.normal(
        &order.about,
        "Pulling",
        format!("Pulling image \"{image}\""),
    );
    let pulled = puller.pull(image, policy, credentials).await;
    pulled.map_err(|error| Refusal::pull(&error))
}

fn policy(container: &Value) -> PullPolicy {
    match container["imagePullPolicy"].as_str() {
        Some("Always") => PullPolicy::Always,
        Some("Never") => PullPolicy::Never,
        _ => PullPolicy::IfNotPresent,
    }
}

/// What the pod's secrets hold, and what is wrong with them: as with kubelet, a pull without them may still succeed.
async fn credentials(shared: &Shared, pod: &Object) -> (Credentials, Vec<String>) {
    let (mut all, mut faults) = (Credentials::default(), Vec::new());
    let named = pod.get(&["spec", "imagePullSecrets"]);
    let named = named.and_then(Value::as_array).into_iter().flatten();
    for name in named.filter_map(|secret| secret["name"].as_str()) {
        let place = format!("imagePullSecrets: Secret {}/{name}", pod.namespace());
        match shared.client.get(&SECRETS, pod.namespace(), name).await {
            Ok(secret) => match of_secret(&secret) {
                Ok(credentials) => all.extend(credentials),
                Err(fault) => faults.push(format!("{place}: {fault}")),
            },
            Err(error) => faults.push(format!("{place}: {error}")),
        }
    }
    (all, faults)
}

fn of_secret(secret: &Object) -> Result<Credentials, String> {
    let encoded = secret.text(&["data", DOCKER_CONFIG]);
    if encoded.is_empty() {
        return Err(format!(
            "it has no {DOCKER_CONFIG}; make one with `kubectl create secret docker-registry`"
        ));
    }
    let text = STANDARD
        .decode(encoded)
        .map_err(|error| format!("data[{DOCKER_CONFIG:?}]: {error}"))?;
    Credentials::docker_config(&text).map_err(|error| error.to_string())
}
