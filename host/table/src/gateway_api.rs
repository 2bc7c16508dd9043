//! The Gateway API's kinds, with the columns of their custom resource definitions.

use serde_json::Value;

use super::{AGE, Layout, NAME, array, condition, since_creation, text, wide};
use osier_api::Object;

pub(super) const GATEWAY_CLASSES: Layout = Layout {
    columns: &[
        NAME,
        text("Controller", "Who serves gateways of the class."),
        text("Accepted", "Whether it does."),
        AGE,
        wide("Description", "For people."),
    ],
    cells: |class, now| {
        vec![
            class.name().into(),
            class.text(&["spec", "controllerName"]).into(),
            status(class, "Accepted"),
            since_creation(class, now),
            class.text(&["spec", "description"]).into(),
        ]
    },
};

pub(super) const GATEWAYS: Layout = Layout {
    columns: &[
        NAME,
        text("Class", "Name of its GatewayClass."),
        text("Address", "Where it is reached."),
        text("Programmed", "Whether it is in force."),
        AGE,
    ],
    cells: |gateway, now| {
        let addresses = array(gateway, &["status", "addresses"]).iter();
        let addresses: Vec<&str> = addresses
            .filter_map(|address| address["value"].as_str())
            .collect();
        vec![
            gateway.name().into(),
            gateway.text(&["spec", "gatewayClassName"]).into(),
            addresses.join(",").into(),
            status(gateway, "Programmed"),
            since_creation(gateway, now),
        ]
    },
};

/// Routes that name hosts.
pub(super) const ROUTES_WITH_HOSTS: Layout = Layout {
    columns: &[NAME, text("Hostnames", "The hosts that it routes."), AGE],
    cells: |route, now| {
        let hosts = route.get(&["spec", "hostnames"]);
        vec![
            route.name().into(),
            hosts.map_or_else(|| "".into(), |hosts| hosts.to_string().into()),
            since_creation(route, now),
        ]
    },
};

fn status(object: &Object, kind: &str) -> Value {
    condition(object, kind).map_or_else(|| "".into(), |found| found["status"].clone())
}
