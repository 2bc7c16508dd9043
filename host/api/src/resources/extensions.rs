//! Istio's kinds that extend the data plane.

use super::{BASE, Resource, Status};

/// Istio's Wasm plugins.
pub static WASM_PLUGINS: Resource = Resource {
    group: "extensions.istio.io",
    versions: &["v1alpha1"],
    kind: "WasmPlugin",
    plural: "wasmplugins",
    singular: "wasmplugin",
    categories: &["istio-io", "extensions-istio-io"],
    subresources: &[Status],
    schema: "io.istio.extensions.v1alpha1.WasmPlugin",
    ..BASE
};
