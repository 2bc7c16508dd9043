//! networking.k8s.io, with the columns of upstream's printers.

use serde_json::Value;

use super::{AGE, Layout, NAME, array, or_none, since_creation, text};
use osier_api::Object;

/// Hosts that are named in a row; the rest is counted.
const NAMED: usize = 3;

pub(super) const INGRESSES: Layout = Layout {
    columns: &[
        NAME,
        text(
            "Class",
            "The name of the IngressClass resource that should be used for additional configuration",
        ),
        text(
            "Hosts",
            "Hosts that incoming requests are matched against before the ingress rule",
        ),
        text(
            "Address",
            "Address is a list containing ingress points for the load-balancer",
        ),
        text("Ports", "Ports of TLS configurations that open"),
        AGE,
    ],
    cells: |ingress, now| {
        let tls = !array(ingress, &["spec", "tls"]).is_empty();
        vec![
            ingress.name().into(),
            class(ingress),
            hosts(ingress),
            addresses(ingress),
            if tls { "80, 443".into() } else { "80".into() },
            since_creation(ingress, now),
        ]
    },
};

pub(super) const INGRESS_CLASSES: Layout = Layout {
    columns: &[
        NAME,
        text(
            "Controller",
            "Controller that is responsible for handling this class",
        ),
        text(
            "Parameters",
            "A reference to a resource with additional parameters",
        ),
        AGE,
    ],
    cells: |class, now| {
        let parameters = class.get(&["spec", "parameters"]);
        let parameters = parameters.map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
            match text("apiGroup") {
                group if group.is_empty() => format!("{}/{}", text("kind"), text("name")),
                group => format!("{}.{group}/{}", text("kind"), text("name")),
            }
        });
        vec![
            class.name().into(),
            class.text(&["spec", "controller"]).into(),
            or_none(&parameters.unwrap_or_default()),
            since_creation(class, now),
        ]
    },
};

fn class(ingress: &Object) -> Value {
    let annotated = ingress.annotation("kubernetes.io/ingress.class");
    match ingress.text(&["spec", "ingressClassName"]) {
        "" => or_none(annotated.unwrap_or_default()),
        name => name.into(),
    }
}

fn hosts(ingress: &Object) -> Value {
    let rules = array(ingress, &["spec", "rules"]).iter();
    let hosts: Vec<&str> = rules.filter_map(|rule| rule["host"].as_str()).collect();
    match hosts.len() {
        0 => "*".into(),
        count if count > NAMED => {
            format!("{} + {} more...", hosts[..NAMED].join(","), count - NAMED).into()
        }
        _ => hosts.join(",").into(),
    }
}

fn addresses(ingress: &Object) -> Value {
    let points = array(ingress, &["status", "loadBalancer", "ingress"]).iter();
    let points = points.filter_map(|one| one["ip"].as_str().or_else(|| one["hostname"].as_str()));
    points.collect::<Vec<_>>().join(",").into()
}
