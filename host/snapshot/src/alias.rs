//! Services that are nothing but another name for a host (type ExternalName): DNS tells them, nothing is called through them.

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;
use osier_routing::export::Export;

use crate::kubernetes;

/// Another name for a host.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) host: Box<str>,
    pub(crate) export: Export,
}

/// Aliases by namespace and name.
pub(crate) type Aliases = HashMap<Box<str>, HashMap<Box<str>, Alias>>;

/// Reads them among all services.
pub(crate) fn aliases(services: &[Arc<Object>]) -> Aliases {
    let mut all = Aliases::new();
    for object in services {
        let host = object.text(&["spec", "externalName"]);
        if object.text(&["spec", "type"]) != "ExternalName" || host.is_empty() {
            continue;
        }
        let alias = Alias {
            host: host.trim_end_matches('.').to_ascii_lowercase().into(),
            export: kubernetes::export(object),
        };
        let of_namespace = all.entry(object.namespace().into()).or_default();
        of_namespace.insert(object.name().into(), alias);
    }
    all
}
