//! Plugins, calls and policies for the tests of this folder.

use http::{HeaderMap, HeaderValue};
use osier_engine::{Engine, Settings};
use osier_policy::{
    Approval, Attributes, CompiledPolicy, Context, Denial, Destination, Direction, Fault,
    LoadError, ObjectKey, Peer, Plugin, PolicyHost, PolicySet, Request, Scope, Texts, Verdict,
};
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

pub(crate) const DENIER: &str = "osier_plugin_denier";
pub(crate) const LIST: &str = "osier_plugin_list";
pub(crate) const RATE_LIMIT: &str = "osier_plugin_rate_limit";
pub(crate) const APIKEY: &str = "osier_plugin_apikey";
pub(crate) const INVENTORY: &str = "osier_plugin_inventory";
pub(crate) const QUOTA: &str = "osier_plugin_quota";
pub(crate) const JWT: &str = "osier_plugin_jwt";
pub(crate) const RBAC: &str = "osier_plugin_rbac";
pub(crate) const HEADER_REWRITE: &str = "osier_plugin_header_rewrite";
pub(crate) const WAF_LITE: &str = "osier_plugin_waf_lite";
pub(crate) const REQUIRE_LABELS: &str = "osier_plugin_require_labels";
pub(crate) const ACCESS_LOG: &str = "osier_plugin_access_log";
pub(crate) const METRICS: &str = "osier_plugin_metrics";
pub(crate) const TRACE: &str = "osier_plugin_trace";
pub(crate) const HOSTILE: &str = "fixture_hostile";
pub(crate) const FRAUD: &str = "fixture_plugin_fraud";

/// The bytes of a plugin. Plugins that are not there are built, all at once; `cargo xtask build` does so beforehand.
pub(crate) fn wasm(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<()> = OnceLock::new();
    let path = target()
        .join("wasm32-wasip2/guest")
        .join(format!("{name}.wasm"));
    if !path.exists() {
        BUILT.get_or_init(build);
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The bytes of a module of proxy-wasm that `cargo xtask build` has built.
pub(crate) fn module(name: &str) -> Vec<u8> {
    let path = target()
        .join("wasm32-wasip1/guest")
        .join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask build`", path.display()))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

fn build() {
    let packages = [
        "osier-plugin-denier",
        "osier-plugin-list",
        "osier-plugin-rate-limit",
        "osier-plugin-apikey",
        "osier-plugin-jwt",
        "osier-plugin-quota",
        "osier-plugin-inventory",
        "osier-plugin-rbac",
        "osier-plugin-header-rewrite",
        "osier-plugin-waf-lite",
        "osier-plugin-require-labels",
        "osier-plugin-access-log",
        "osier-plugin-metrics",
        "osier-plugin-trace",
        "fixture-hostile",
        "fixture-plugin-fraud",
    ];
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--target", "wasm32-wasip2", "--profile", "guest"])
        .current_dir(workspace());
    for package in packages {
        cargo.args(["--package", package]);
    }
    assert!(
        cargo.status().unwrap().success(),
        "the plugins do not build; is the target wasm32-wasip2 installed?"
    );
}

fn engine() -> Engine {
    static SHARED: OnceLock<Engine> = OnceLock::new();
    let start = || {
        Engine::start(Settings::new(
            target().join("test-code-cache"),
            Tasks::new(),
        ))
        .unwrap()
    };
    SHARED.get_or_init(start).clone()
}

/// A host of one test, with its metrics.
pub(crate) struct World {
    pub(crate) tasks: Tasks,
    pub(crate) host: PolicyHost,
    pub(crate) metrics: Metrics,
}

impl World {
    pub(crate) fn new() -> Self {
        let metrics = Metrics::new();
        let tasks = Tasks::new();
        let host = PolicyHost::new(engine(), &metrics, tasks.clone());
        Self {
            tasks,
            host,
            metrics,
        }
    }

    pub(crate) fn try_load(
        &self,
        name: &str,
        image: &str,
        mut spec: Value,
    ) -> Result<Arc<Plugin>, LoadError> {
        spec["image"] = json!("file:///x.wasm");
        self.host
            .load(&ObjectKey::new("default", name), &spec, &wasm(image))
    }

    pub(crate) fn load(&self, name: &str, image: &str, spec: Value) -> Arc<Plugin> {
        self.try_load(name, image, spec)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_policy(
        &self,
        plugins: &[&Arc<Plugin>],
        spec: &Value,
    ) -> Result<CompiledPolicy, Vec<Fault>> {
        let find = |name: &str| {
            plugins
                .iter()
                .find(|plugin| plugin.key().name == name)
                .map(|plugin| (*plugin).clone())
        };
        self.host
            .check_policy(&ObjectKey::new("default", "p"), spec, &find)
    }

    pub(crate) fn policy(&self, plugins: &[&Arc<Plugin>], spec: &Value) -> Arc<CompiledPolicy> {
        match self.try_policy(plugins, spec) {
            Ok(policy) => Arc::new(policy),
            Err(faults) => panic!("{faults:?}"),
        }
    }

    /// A set with one policy.
    pub(crate) fn set(&self, plugins: &[&Arc<Plugin>], spec: &Value) -> PolicySet {
        PolicySet::new(vec![self.policy(plugins, spec)], "osier-system")
    }
}

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// A call from shop/web to default/reviews.
pub(crate) fn attributes(headers: &HeaderMap) -> Attributes<'_> {
    Attributes {
        source: Peer {
            name: Some("web-1"),
            namespace: Some("shop"),
            principal: Some("cluster.local/ns/shop/sa/web"),
            workload: Some("web"),
            ip: Some("10.1.2.3".parse().unwrap()),
            ..Peer::default()
        },
        destination: Destination {
            service_name: Some("reviews"),
            service_namespace: Some("default"),
            port: Some(9080),
            ..Destination::default()
        },
        request: Request {
            id: "r-1",
            path: "/reviews/0?x=1",
            host: "reviews",
            method: "POST",
            scheme: "http",
            headers: Texts::Headers(headers),
            ..Request::default()
        },
        context: Context {
            protocol: "http",
            reporter_kind: "inbound",
            ..Context::default()
        },
        ..Attributes::default()
    }
}

pub(crate) fn scope() -> Scope<'static> {
    Scope {
        direction: Direction::Inbound,
        namespace: "default",
        service: Some("reviews"),
        gateway: None,
        gateways: &[],
        labels: Texts::Empty,
        generated: None,
    }
}

pub(crate) fn check(set: &PolicySet, headers: &HeaderMap) -> Verdict {
    set.check(&scope(), &attributes(headers))
}

pub(crate) fn denied(verdict: Verdict) -> Denial {
    match verdict {
        Verdict::Deny(denial) => *denial,
        Verdict::Allow(approval) => panic!("allowed: {approval:?}"),
    }
}

pub(crate) fn allowed(verdict: Verdict) -> Approval {
    match verdict {
        Verdict::Allow(approval) => approval,
        Verdict::Deny(denial) => panic!("denied: {denial:?}"),
    }
}
