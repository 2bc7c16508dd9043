//! Limits, quotas, priorities and network policies.

use super::at::At;
use super::{metadata, names, pod};
use osier_api::{Fault, Object, quantity};

/// The highest priority that people may give; the rest is the system's.
const HIGHEST: i64 = 1_000_000_000;
/// Classes of the system itself.
const SYSTEM: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

pub(super) fn amounts(map: &At<'_>) -> Vec<Fault> {
    let entries = map.entries().into_iter();
    entries
        .filter(|(_, amount)| quantity::negative(amount.text()) == Ok(true))
        .map(|(_, amount)| amount.invalid("must be greater than or equal to 0"))
        .collect()
}

pub(super) fn above(a: &At<'_>, b: &At<'_>) -> bool {
    quantity::compare(a.text(), b.text()) == Ok(std::cmp::Ordering::Greater)
}

pub(super) fn check_limits(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for item in spec.at("limits").items() {
        let kind = item.at("type");
        if !kind.is_set() {
            faults.push(kind.required(""));
        }
        let [min, max] = ["min", "max"].map(|field| item.at(field));
        let (limit, request) = (item.at("default"), item.at("defaultRequest"));
        if kind.text() == "Pod" {
            for field in [&limit, &request] {
                if field.is_set() {
                    faults.push(field.forbidden("may not be specified when `type` is 'Pod'"));
                }
            }
        }
        if kind.text() == "PersistentVolumeClaim" && !min.is_set() && !max.is_set() {
            faults.push(min.required(
                "either minimum or maximum storage value is required, but neither was provided",
            ));
        }
        for field in [&min, &max, &limit, &request] {
            faults.extend(amounts(field));
        }
        // Each must not be above the next, as far as both are there.
        for (low, high) in [
            (&min, &max),
            (&min, &request),
            (&min, &limit),
            (&request, &limit),
            (&request, &max),
            (&limit, &max),
        ] {
            for (name, amount) in low.entries() {
                let bound = high.at(name);
                if bound.is_set() && above(&amount, &bound) {
                    let field = high.path.rsplit('.').next().unwrap_or("");
                    faults.push(amount.invalid(format!(
                        "value {} is greater than {field} value {}",
                        amount.text(),
                        bound.text()
                    )));
                }
            }
        }
    }
    faults
}

pub(super) fn check_quota(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = amounts(&spec.at("hard"));
    for (name, amount) in spec.at("hard").entries() {
        faults.extend(
            names::qualified(name)
                .into_iter()
                .map(|words| amount.invalid(words)),
        );
    }
    let scopes = spec.at("scopes");
    let known = [
        "BestEffort",
        "NotBestEffort",
        "NotTerminating",
        "PriorityClass",
        "Terminating",
    ];
    for scope in scopes.items() {
        faults.extend(scope.one_of(&known));
    }
    let has = |name: &str| scopes.items().iter().any(|scope| scope.text() == name);
    for (one, other) in [
        ("BestEffort", "NotBestEffort"),
        ("Terminating", "NotTerminating"),
    ] {
        if has(one) && has(other) {
            faults.push(scopes.invalid("conflicting scopes"));
        }
    }
    for expression in spec.at("scopeSelector").at("matchExpressions").items() {
        let (operator, values) = (expression.at("operator"), expression.at("values"));
        faults.extend(expression.at("scopeName").one_of(&known));
        faults.extend(operator.one_of(&["DoesNotExist", "Exists", "In", "NotIn"]));
        match operator.text() {
            "In" | "NotIn" if !values.is_set() => {
                faults.push(values.required("must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
            }
            "Exists" | "DoesNotExist" if values.is_set() => {
                faults.push(values.invalid("must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"));
            }
            _ => {}
        }
    }
    faults
}

pub(super) fn check_priority(class: &Object) -> Vec<Fault> {
    let mut faults = Vec::new();
    let value = At::of(class, "value");
    let name = At::of(class, "metadata").at("name");
    if name.text().starts_with("system-") {
        faults.extend(unlike_systems(class).map(|difference| {
            name.forbidden(&format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {difference}"
            ))
        }));
    } else if value.int().is_some_and(|value| value > HIGHEST) {
        faults.push(value.forbidden(&format!(
            "maximum allowed value of a user defined priority is {HIGHEST}"
        )));
    }
    faults.extend(At::of(class, "preemptionPolicy").one_of(&["Never", "PreemptLowerPriority"]));
    faults
}

/// In what a class with a name of the system's is not one of its classes, in upstream's words.
fn unlike_systems(class: &Object) -> Option<String> {
    let name = class.name();
    let Some((_, value)) = SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if At::of(class, "value").int() != Some(*value) {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    (class.get(&["globalDefault"]) == Some(&true.into()))
        .then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

pub(super) fn check_priority_update(old: &Object, new: &Object) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["value", "preemptionPolicy"] {
        let (before, after) = (At::of(old, field), At::of(new, field));
        if before.value != after.value {
            faults.push(after.invalid("field is immutable"));
        }
    }
    faults
}

pub(super) fn check_template(template: &Object) -> Vec<Fault> {
    let at = At::of(template, "template");
    let mut faults = metadata::labels(&at.at("metadata").at("labels"));
    faults.extend(pod::check(&at.at("spec")));
    faults
}

pub(super) fn check_network_policy(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.at(list).items() {
            faults.extend(rule.at("ports").items().iter().flat_map(policy_port));
            faults.extend(rule.at(peers).items().iter().flat_map(peer));
        }
    }
    let kinds = spec.at("policyTypes");
    for kind in kinds.items() {
        faults.extend(kind.one_of(&["Egress", "Ingress"]));
    }
    if kinds.items().len() > 2 {
        faults.push(kinds.invalid("may not specify more than two policyTypes"));
    }
    faults
}

fn policy_port(port: &At<'_>) -> Vec<Fault> {
    let mut faults: Vec<Fault> = port
        .at("protocol")
        .one_of(&["SCTP", "TCP", "UDP"])
        .into_iter()
        .collect();
    let (first, last) = (port.at("port"), port.at("endPort"));
    match first.int() {
        Some(number) if !(1..=65_535).contains(&number) => faults.push(first.invalid(names::PORT)),
        Some(number) if last.int().is_some_and(|last| last < number) => {
            faults.push(last.invalid("must be greater than or equal to `port`"));
        }
        None if first.is_set() => faults.extend(first.optional_name(names::port)),
        None if last.is_present() => {
            faults.push(last.invalid("may not be specified when `port` is not specified"));
        }
        _ => {}
    }
    faults
}

fn peer(peer: &At<'_>) -> Vec<Fault> {
    let block = peer.at("ipBlock");
    let selects = peer.at("podSelector").is_present() || peer.at("namespaceSelector").is_present();
    if !block.is_present() && !selects {
        return vec![peer.required("must specify a peer")];
    }
    if block.is_present() && selects {
        return vec![peer.forbidden("may not specify both ipBlock and another peer")];
    }
    let mut faults = Vec::new();
    if block.is_present() {
        let blocks = std::iter::once(block.at("cidr")).chain(block.at("except").items());
        for cidr in blocks.filter(|cidr| !is_block(cidr.text())) {
            faults.push(
                cidr.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
            );
        }
    }
    faults
}

fn is_block(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}
