//! What became of the ports that gateways ask for, in the terms of the gateways: findings, and addresses for their status.

use std::collections::BTreeMap;

use osier_proxy::Opened;
use osier_snapshot::{Finding, FindingKind, Kind, ListenerKey, ServerOrigin, Snapshot};
use serde_json::{Value, json};

/// An object by kind, namespace and name.
pub(super) type ObjectKey = (Kind, String, String);

/// What is told about objects.
pub(super) struct Told {
    pub(super) findings: Vec<Finding>,
    /// The `status.listeners` of Istio's gateways.
    pub(super) listeners: BTreeMap<ObjectKey, Vec<Value>>,
}

/// Joins what the compiler found with what the system said about the ports.
pub(super) fn told(mut findings: Vec<Finding>, snapshot: &Snapshot, opened: &Opened) -> Told {
    let mut listeners: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for listener in snapshot.listeners() {
        let ListenerKey::Port(port) = listener.key else {
            continue;
        };
        let wanted_by = listener.servers.iter().flat_map(|server| &server.wanted_by);
        match opened.get(&port) {
            Some(Ok(address)) => {
                let entry = json!({"port": port, "address": address.to_string()});
                for origin in wanted_by {
                    let of_gateway = listeners.entry(key(origin)).or_default();
                    if !of_gateway.contains(&entry) {
                        of_gateway.push(entry.clone());
                    }
                }
            }
            Some(Err(reason)) => findings.extend(wanted_by.map(|origin| refused(origin, reason))),
            // It is being opened.
            None => {}
        }
    }
    Told {
        findings,
        listeners,
    }
}

fn key(origin: &ServerOrigin) -> ObjectKey {
    let (namespace, name) = (origin.namespace.to_string(), origin.name.to_string());
    (origin.resource, namespace, name)
}

fn refused(origin: &ServerOrigin, reason: &str) -> Finding {
    Finding {
        resource: origin.resource,
        namespace: origin.namespace.to_string(),
        name: origin.name.to_string(),
        field: format!("{}.port", origin.field),
        kind: FindingKind::Invalid,
        detail: reason.to_owned(),
    }
}
