//! Programs outside that people register: where they are, and how the server's questions come to them.

use std::time::Duration;

use bytes::Bytes;
use osier_admission::{WebhookPlace, WebhookTarget};
use osier_api::{Object, resources};
use osier_process::Boxed;
use serde_json::Value;

use crate::reading::Read;

/// One question to a program outside.
#[derive(Clone, Debug)]
pub struct WebhookCall {
    /// `host:port`, one of which is asked.
    pub addresses: Vec<String>,
    /// Whose name the certificate must have.
    pub server_name: String,
    /// What stands in `Host`.
    pub host: String,
    /// The path, with its slash.
    pub path: String,
    /// The authorities that are believed, in PEM; those of the machine without them.
    pub authorities: Option<String>,
    /// The question, in JSON.
    pub body: Bytes,
    /// How long it may take, all in all.
    pub timeout: Duration,
}

/// Carries questions to programs outside, over TLS.
pub trait Webhooks: Send + Sync {
    /// The body of the answer, or why there is none. It must bound how many are under way, and the size of the answer.
    fn call(&self, call: WebhookCall) -> Boxed<'_, Result<Bytes, String>>;
}

impl WebhookCall {
    /// A question to a target, whose service is looked up now.
    ///
    /// # Errors
    /// Why the target cannot be reached.
    pub(crate) fn to(
        target: &WebhookTarget,
        objects: &dyn Read,
        (question, timeout): (&Value, Duration),
    ) -> Result<Self, String> {
        let body = serde_json::to_vec(question).map_err(|error| error.to_string())?;
        let authorities = target.authorities.clone();
        let call = |addresses: Vec<String>, server_name: &str, host: &str, path: &str| Self {
            addresses,
            server_name: server_name.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            authorities: authorities.clone(),
            body: body.into(),
            timeout,
        };
        Ok(match &target.place {
            WebhookPlace::Url { authority, path } => {
                let (host, port) = split(authority);
                let address = format!("{host}:{port}");
                call(
                    vec![address],
                    host.trim_matches(['[', ']']),
                    authority,
                    path,
                )
            }
            WebhookPlace::Service {
                namespace,
                name,
                port,
                path,
            } => {
                let addresses = endpoints(objects, (namespace, name), *port)?;
                let host = format!("{name}.{namespace}.svc");
                call(addresses, &host, &format!("{host}:{port}"), path)
            }
        })
    }
}

fn split(authority: &str) -> (&str, u16) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(443)),
        _ => (authority, 443),
    }
}

/// Where a service answers on one of its ports.
fn endpoints(
    objects: &dyn Read,
    (namespace, name): (&str, &str),
    port: u16,
) -> Result<Vec<String>, String> {
    let service = objects.get(&resources::SERVICES, namespace, name);
    let service = service.ok_or_else(|| format!("service {name:?} not found in {namespace:?}"))?;
    if service.text(&["spec", "type"]) == "ExternalName" {
        let host = service.text(&["spec", "externalName"]);
        return Ok(vec![format!("{host}:{port}")]);
    }
    let ports = service.get(&["spec", "ports"]).and_then(Value::as_array);
    let mut ports = ports.into_iter().flatten();
    let found = ports.find(|one| one["port"] == port);
    let found = found.ok_or_else(|| format!("service {namespace}/{name} has no port {port}"))?;
    let named = found["name"].as_str().unwrap_or("");
    let slices = objects.list(&resources::ENDPOINT_SLICES, namespace);
    let own = slices
        .iter()
        .filter(|slice| slice.label("kubernetes.io/service-name") == Some(name));
    let (mut addresses, mut pods) = (Vec::new(), false);
    for slice in own {
        let number = port_of(slice, named);
        for endpoint in array(slice, "endpoints") {
            // What runs in the mesh has addresses of the mesh, which nothing outside reaches.
            if endpoint["targetRef"]["kind"] == "Pod" {
                pods = true;
                continue;
            }
            let ready = endpoint["conditions"]["ready"] != false;
            let first = endpoint["addresses"][0].as_str().filter(|_| ready);
            let at = first
                .zip(number)
                .map(|(address, port)| match address.contains(':') {
                    true => format!("[{address}]:{port}"),
                    false => format!("{address}:{port}"),
                });
            addresses.extend(at);
        }
    }
    match (addresses.is_empty(), pods) {
        (false, _) => Ok(addresses),
        (true, true) => Err(format!(
            "service {namespace}/{name} is served by pods of the mesh, which speak no TLS of their own: give the webhook a url, or write it as a Plugin with the hook admit"
        )),
        (true, false) => Err(format!(
            "no endpoints available for service {namespace}/{name}"
        )),
    }
}

fn array<'a>(object: &'a Object, field: &str) -> impl Iterator<Item = &'a Value> {
    let list = object.get(&[field]).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn port_of(slice: &Object, name: &str) -> Option<u64> {
    let mut ports = array(slice, "ports");
    let found = ports.find(|port| port["name"].as_str().unwrap_or("") == name);
    found.and_then(|port| port["port"].as_u64())
}
