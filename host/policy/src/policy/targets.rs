//! Whom a policy concerns, and at which side of a call it is asked.

use serde_json::{Map, Value as Json};

use super::{Direction, Selector, Target};
use crate::fault::Fault;

/// What a reference names; the field at fault if nothing. Both APIs that have a Gateway may be meant.
fn target((group, kind): (&str, &str), name: String) -> Result<Target, (&'static str, String)> {
    match (group, kind) {
        ("", "Service") => Ok(Target::Service(name)),
        ("", "Namespace") => Ok(Target::Namespace(name)),
        ("" | "networking.istio.io" | "gateway.networking.k8s.io", "Gateway") => {
            Ok(Target::Gateway(name))
        }
        ("security.istio.io", "AuthorizationPolicy") => Ok(Target::Authorization(name)),
        (_, "Service" | "Gateway" | "Namespace") => Err((
            "group",
            format!(
                "`{group}` must be empty, or for a Gateway networking.istio.io or gateway.networking.k8s.io"
            ),
        )),
        (_, kind) => Err((
            "kind",
            format!("`{kind}` must be Service, Gateway, Namespace or AuthorizationPolicy"),
        )),
    }
}

/// Whom the policy concerns.
pub(super) fn targets(root: &Map<String, Json>, faults: &mut Vec<Fault>) -> Vec<Target> {
    let mut targets = Vec::new();
    let references = root.get("targetRefs").and_then(Json::as_array);
    for (place, reference) in references.into_iter().flatten().enumerate() {
        let path = format!("spec.targetRefs[{place}]");
        let text = |name: &str| {
            reference
                .get(name)
                .and_then(Json::as_str)
                .unwrap_or_default()
        };
        let name = text("name").to_owned();
        if name.is_empty() {
            faults.push(Fault::new(format!("{path}.name"), "is required"));
        }
        if !text("sectionName").is_empty() {
            faults.push(Fault::new(
                format!("{path}.sectionName"),
                "is not supported by this version; use match: destination.port == ..",
            ));
        }
        match target((text("group"), text("kind")), name) {
            Ok(target) => targets.push(target),
            Err((field, words)) => faults.push(Fault::new(format!("{path}.{field}"), words)),
        }
    }
    if let Some(selector) = root.get("selector").filter(|selector| !selector.is_null()) {
        if !targets.is_empty() {
            faults.push(Fault::new(
                "spec.selector",
                "does not go with targetRefs; use one of them",
            ));
        }
        targets.push(Target::Workloads(Selector::read(
            selector,
            "spec.selector",
            faults,
        )));
    }
    if targets.is_empty() {
        targets.push(Target::Everything);
    }
    targets
}

/// Inbound unless said otherwise; a gateway is always the caller's side.
pub(super) fn direction(
    given: Option<&Json>,
    targets: &[Target],
    faults: &mut Vec<Fault>,
) -> Direction {
    let direction = match given.map(Json::as_str) {
        None | Some(Some("Inbound")) => Direction::Inbound,
        Some(Some("Outbound")) => Direction::Outbound,
        Some(_) => {
            faults.push(Fault::new("spec.direction", "must be Inbound or Outbound"));
            Direction::Inbound
        }
    };
    let gateway = |target: &Target| matches!(target, Target::Gateway(_));
    let through = targets.iter().filter(|target| gateway(target)).count();
    let asked = |target: &Target| matches!(target, Target::Authorization(_));
    if targets.iter().any(asked) && !targets.iter().all(asked) {
        let detail = "an AuthorizationPolicy and other targets need one policy each";
        faults.push(Fault::new("spec.targetRefs", detail));
    }
    if through > 0 && through < targets.len() {
        faults.push(Fault::new("spec.targetRefs", "a Gateway and other targets need one policy each, because they are checked at different ends of a call"));
    }
    if through > 0 {
        Direction::Outbound
    } else {
        direction
    }
}
