//! Loading: compile, check digest, templates, grants and configuration, make a first instance. Nothing of it touches what already runs.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use osier_capabilities::{Caller, Callouts, CounterStore, GrantedCalls};
use osier_engine::plugin::hooks::Handles;
use osier_engine::plugin::{LogStreams, Meters, Outside, PluginComponent, PluginGrants};
use osier_engine::proxy_wasm::{self, Module, Terms};
use osier_engine::{ComponentError, Engine, Workload, is_middleware};
use osier_process::Tasks;
use serde_json::Value as Json;

use super::pool::{NoInstance, Pool};
use super::spec::{self, Spec};
use super::status::Health;
use super::vms::Vms;
use super::{Plugin, Runtime};
use crate::fault::{FailurePolicy, Fault, LoadError};
use crate::key::ObjectKey;
use crate::template::recognise;
use osier_capabilities::Families;
use osier_capabilities::MeterBook;
use osier_capabilities::Spaces;
use osier_capabilities::Streams;

/// Custom section with the JSON Schema of the configuration.
const SCHEMA_SECTION: &str = "osier.config_schema";
/// Exported interface that takes the configuration.
pub(crate) const CONFIGURATION: &str = "osier:policy/configuration@";

/// What a guest may hand over besides for a call outside: a body of a mebibyte, its headers, and the lengths of both.
const CALL_BYTES: usize = (1 << 20) + (64 << 10);

/// What loading needs.
pub(crate) struct Loader<'l> {
    pub(crate) engine: &'l Engine,
    pub(crate) counters: &'l dyn CounterStore,
    pub(crate) meters: &'l MeterBook,
    pub(crate) families: &'l Families,
    pub(crate) tasks: &'l Tasks,
    pub(crate) spaces: &'l Spaces,
    pub(crate) callouts: &'l Arc<Callouts>,
}

/// Compiled code of a plugin.
pub(crate) enum Code {
    /// A component.
    Component(PluginComponent),
    /// A module of proxy-wasm.
    ProxyWasm(Module),
    /// A component of wasi:http that is a link of a chain.
    Middleware(Workload),
}

impl Code {
    /// Digest of the bytes.
    pub(crate) fn digest(&self) -> String {
        match self {
            Self::Component(component) => component.digest().to_string(),
            Self::ProxyWasm(module) => module.digest().to_string(),
            Self::Middleware(workload) => workload.digest().to_string(),
        }
    }
}

/// Equal for specs that load the same plugin; the bytes are compared by digest.
pub(crate) fn fingerprint(spec: &Json) -> String {
    spec.to_string()
}

impl Loader<'_> {
    /// Compiles the bytes, as what they are.
    pub(crate) fn code(&self, key: &ObjectKey, wasm: &[u8]) -> Result<Code, LoadError> {
        let compiled = match (proxy_wasm::is_module(wasm), is_middleware(wasm)) {
            (true, _) => self.engine.proxy_wasm(wasm).map(Code::ProxyWasm),
            (false, true) => self.engine.workload(wasm).map(Code::Middleware),
            (false, false) => self.engine.plugin(wasm).map(Code::Component),
        };
        compiled.map_err(|source| LoadError::Component {
            plugin: key.to_string(),
            source,
        })
    }

    /// Loads a plugin and proves that it starts.
    pub(crate) fn load(
        &self,
        key: &ObjectKey,
        spec: &Json,
        code: &Code,
    ) -> Result<Plugin, LoadError> {
        let name = key.to_string();
        let spec = spec::read(spec).map_err(|faults| LoadError::Spec {
            plugin: name.clone(),
            faults,
        })?;
        let digest = code.digest();
        if let Some(wanted) = spec.digest.as_ref().filter(|wanted| **wanted != digest) {
            return Err(LoadError::Digest {
                plugin: name,
                found: digest,
                wanted: wanted.clone(),
            });
        }
        match code {
            Code::Component(component) => self.load_component(key, &spec, component),
            Code::ProxyWasm(module) => self.load_module(key, spec, module),
            Code::Middleware(workload) => self.load_middleware(key, &spec, workload),
        }
    }

    fn load_component(
        &self,
        key: &ObjectKey,
        spec: &Spec,
        component: &PluginComponent,
    ) -> Result<Plugin, LoadError> {
        let name = key.to_string();
        let refuse = |faults| LoadError::Spec {
            plugin: name.clone(),
            faults,
        };
        let hooks = Handles::find(component).map_err(|reason| LoadError::Hook {
            plugin: name.clone(),
            reason,
        })?;
        let templates = templates(&name, component, &hooks)?;
        let schema = read_schema(component);
        if let Some(schema) = &schema {
            let faults = osier_spec::check_configuration(schema, &spec.config, "spec.config");
            if !faults.is_empty() {
                return Err(refuse(faults));
            }
        }
        let label = key.label();
        let pool = Arc::new(self.pool(key, spec, component)?);
        probe(&name, &pool, &hooks)?;
        Ok(Plugin {
            key: key.clone(),
            digest: component.digest().to_string(),
            interfaces: component
                .interfaces()
                .iter()
                .map(|interface| interface.name.clone())
                .collect(),
            imports: component.imports().to_vec(),
            schema,
            templates,
            hooks,
            failure: spec.failure,
            runtime: Runtime::Component(pool),
            tasks: self.tasks.clone(),
            metrics: self.families.plugin(&label),
            label,
            health: Health::default(),
            since: SystemTime::now(),
        })
    }

    /// A module of proxy-wasm answers one hook; what it wants beyond that is in its imports, which all SDKs write in full.
    fn load_module(
        &self,
        key: &ObjectKey,
        spec: Spec,
        module: &Module,
    ) -> Result<Plugin, LoadError> {
        let name = key.to_string();
        let faults = module_faults(&spec);
        if !faults.is_empty() {
            return Err(LoadError::Spec {
                plugin: name,
                faults,
            });
        }
        let needs = module.initial_memory();
        if needs > spec.limits.memory {
            let source = ComponentError::Limit {
                what: "spec.limits.memory",
                limit: spec.limits.memory,
                needs,
            };
            return Err(LoadError::Component {
                plugin: name,
                source,
            });
        }
        let terms = self.terms(&name, &spec);
        let vms = Vms::new(
            module.clone(),
            terms,
            spec.instances,
            Arc::clone(self.callouts),
        );
        vms.probe().map_err(|reason| unproven(&name, reason))?;
        let what = (module.digest().to_string(), module.abi(), module.imports());
        Ok(self.filtering(key, spec.failure, what, Runtime::ProxyWasm(vms)))
    }

    /// A plugin that is no component of ours and answers the hook `filter` in its own way.
    pub(super) fn filtering(
        &self,
        key: &ObjectKey,
        failure: FailurePolicy,
        (digest, interface, imports): (String, String, Vec<String>),
        runtime: Runtime,
    ) -> Plugin {
        let label = key.label();
        Plugin {
            key: key.clone(),
            digest,
            interfaces: vec![interface],
            imports,
            schema: None,
            templates: Vec::new(),
            hooks: Handles {
                streams: true,
                ..Handles::default()
            },
            failure,
            runtime,
            tasks: self.tasks.clone(),
            metrics: self.families.plugin(&label),
            label,
            health: Health::default(),
            since: SystemTime::now(),
        }
    }

    fn terms(&self, name: &str, spec: &Spec) -> Terms {
        Terms {
            name: name.to_owned(),
            root_id: String::new(),
            configuration: configuration(&spec.config),
            vm_configuration: Bytes::new(),
            env: spec.env.clone(),
            upstreams: spec.http.iter().map(|origin| host_of(origin)).collect(),
            limits: spec.limits,
            space: self.spaces.of(name),
        }
    }

    /// What the object grants, as the engine takes it.
    pub(super) fn grants(&self, name: &str, spec: &Spec) -> PluginGrants {
        let some = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
        PluginGrants {
            clock: spec.clock,
            random: spec.random,
            keyvalue: some(&spec.buckets).map(|buckets| self.counters.granted(name, buckets)),
            streams: some(&spec.streams)
                .map(|streams| Arc::new(Streams::granted(name, streams)) as Arc<dyn LogStreams>),
            meters: some(&spec.meters)
                .map(|names| Arc::new(self.meters.granted(name, names)) as Arc<dyn Meters>),
            env: spec.env.clone(),
            ..PluginGrants::default()
        }
    }

    /// The calls that a component may make.
    fn outside(&self, key: &ObjectKey, spec: &Spec) -> Option<Arc<dyn Outside>> {
        let caller = Caller {
            namespace: &key.namespace,
            name: &key.name,
        };
        let granted = || GrantedCalls::new(caller, &spec.http, self.callouts, self.tasks);
        (!spec.http.is_empty()).then(|| Arc::new(granted()) as _)
    }

    fn pool(
        &self,
        key: &ObjectKey,
        spec: &Spec,
        component: &PluginComponent,
    ) -> Result<Pool, LoadError> {
        let name = &*key.to_string();
        let grants = PluginGrants {
            outside: self.outside(key, spec),
            ..self.grants(name, spec)
        };
        let mut limits = spec.limits;
        if grants.outside.is_some() {
            limits.answer_bytes += CALL_BYTES;
        }
        let prepared =
            component
                .prepare(grants, limits)
                .map_err(|source| LoadError::Component {
                    plugin: name.to_owned(),
                    source,
                })?;
        let configure = component
            .interfaces()
            .iter()
            .find(|interface| interface.name.starts_with(CONFIGURATION))
            .and_then(|interface| component.function(&interface.name, "configure"));
        let given = spec
            .config
            .as_object()
            .is_none_or(|config| !config.is_empty());
        if configure.is_none() && given {
            let detail = "the plugin takes no configuration (it does not export osier:policy/configuration); remove the field";
            let faults = vec![Fault::new("spec.config", detail)];
            return Err(LoadError::Spec {
                plugin: name.to_owned(),
                faults,
            });
        }
        Ok(Pool::new(
            prepared,
            configure,
            spec.config.to_string(),
            spec.instances,
        ))
    }
}

type Templates = Vec<(
    crate::template::Template,
    osier_engine::plugin::FunctionHandle,
)>;

fn templates(
    name: &str,
    component: &PluginComponent,
    hooks: &Handles,
) -> Result<Templates, LoadError> {
    let (found, others) = recognise(component.interfaces());
    let templates: Templates = found
        .into_iter()
        .filter_map(|template| {
            let function = component.function(&template.interface, &template.function)?;
            Some((template, function))
        })
        .collect();
    if templates.is_empty() && hooks.names().is_empty() {
        let found = match others.as_slice() {
            [] => "it exports no interface".to_owned(),
            others => others.join("; "),
        };
        return Err(LoadError::NoTemplate {
            plugin: name.to_owned(),
            found,
        });
    }
    Ok(templates)
}

/// The schema of the configuration; one that is no JSON is as good as none, the plugin checks for itself.
pub(crate) fn read_schema(component: &PluginComponent) -> Option<Json> {
    let section = component.section(SCHEMA_SECTION)?;
    match serde_json::from_slice(section) {
        Ok(schema) => Some(schema),
        Err(error) => {
            tracing::warn!("a plugin's section {SCHEMA_SECTION} is no JSON: {error}");
            None
        }
    }
}

/// Makes a first instance, so that a plugin that cannot start never meets a call.
fn probe(name: &str, pool: &Pool, hooks: &Handles) -> Result<(), LoadError> {
    match pool.take() {
        Ok(mut instance) => {
            let misfit = hooks.misfit(&mut instance.guest);
            pool.give(instance);
            misfit.map_or(Ok(()), |interface| {
                Err(LoadError::Hook {
                    plugin: name.to_owned(),
                    reason: format!("{interface}: its functions have other types than in wit/; build the plugin against this version"),
                })
            })
        }
        Err(reason) => Err(unproven(name, reason)),
    }
}

fn unproven(name: &str, reason: NoInstance) -> LoadError {
    let plugin = name.to_owned();
    match reason {
        NoInstance::Refused(reason) => LoadError::Refused { plugin, reason },
        NoInstance::Call(source) => LoadError::Probe { plugin, source },
        NoInstance::Busy => LoadError::Probe {
            plugin,
            source: osier_engine::CallError::Overloaded,
        },
    }
}

/// What cannot be given to a module of proxy-wasm: its ABI has other ways to the same.
fn module_faults(spec: &Spec) -> Vec<Fault> {
    let mut faults = Vec::new();
    let others = [
        ("keyvalue", &spec.buckets, "it has shared data of its own"),
        ("logs", &spec.streams, "it logs to the node's log"),
        (
            "metrics",
            &spec.meters,
            "it defines its metrics itself; they are shown as wasmcustom_NAME",
        ),
    ];
    for (grant, names, instead) in others {
        if !names.is_empty() {
            let detail =
                format!("does not go with a module of proxy-wasm: {instead}; remove the grant");
            faults.push(Fault::new(format!("spec.grants.{grant}"), detail));
        }
    }
    for (place, origin) in spec.http.iter().enumerate() {
        if !origin.starts_with("http://") {
            let detail = "must begin with http://: the module's calls go through the mesh, which does the TLS";
            faults.push(Fault::new(format!("spec.grants.http[{place}]"), detail));
        }
    }
    faults
}

/// Host and port of an origin.
fn host_of(origin: &str) -> String {
    origin
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned()
}

/// The configuration as the module reads it: JSON, but a text as it is, and nothing if there is none.
fn configuration(config: &Json) -> Bytes {
    match config {
        Json::Null => Bytes::new(),
        Json::String(text) => Bytes::from(text.clone()),
        Json::Object(fields) if fields.is_empty() => Bytes::new(),
        other => Bytes::from(other.to_string()),
    }
}
