//! Loading: compile, check digest, templates, grants and configuration, make a first instance. Nothing of it touches what already runs.

use std::sync::Arc;
use std::time::SystemTime;

use osier_engine::Engine;
use osier_engine::plugin::{KeyValue, LogStreams, Meters, PluginComponent, PluginGrants};
use osier_process::Tasks;
use serde_json::Value as Json;

use super::pool::{NoInstance, Pool};
use super::spec::{self, Spec};
use super::status::Health;
use super::{Handles, Plugin, schema};
use crate::counters::Counters;
use crate::fault::{Fault, LoadError};
use crate::key::ObjectKey;
use crate::meters::MeterBook;
use crate::metrics::Families;
use crate::streams::Streams;
use crate::template::recognise;

/// Custom section with the JSON Schema of the configuration.
const SCHEMA_SECTION: &str = "osier.config_schema";
/// Exported interface that takes the configuration.
pub(crate) const CONFIGURATION: &str = "osier:policy/configuration@";

/// What loading needs.
pub(crate) struct Loader<'l> {
    pub(crate) engine: &'l Engine,
    pub(crate) counters: &'l Counters,
    pub(crate) meters: &'l MeterBook,
    pub(crate) families: &'l Families,
    pub(crate) tasks: &'l Tasks,
}

/// Equal for specs that load the same plugin; the bytes are compared by digest.
pub(crate) fn fingerprint(spec: &Json) -> String {
    spec.to_string()
}

impl Loader<'_> {
    /// Compiles the bytes.
    pub(crate) fn component(
        &self,
        key: &ObjectKey,
        wasm: &[u8],
    ) -> Result<PluginComponent, LoadError> {
        self.engine
            .plugin(wasm)
            .map_err(|source| LoadError::Component {
                plugin: key.to_string(),
                source,
            })
    }

    /// Loads a plugin and proves that it starts.
    pub(crate) fn load(
        &self,
        key: &ObjectKey,
        spec: &Json,
        component: &PluginComponent,
    ) -> Result<Plugin, LoadError> {
        let name = key.to_string();
        let refuse = |faults| LoadError::Spec {
            plugin: name.clone(),
            faults,
        };
        let spec = spec::read(spec).map_err(refuse)?;
        let digest = component.digest().to_string();
        if let Some(wanted) = spec.digest.as_ref().filter(|wanted| **wanted != digest) {
            return Err(LoadError::Digest {
                plugin: name,
                found: digest,
                wanted: wanted.clone(),
            });
        }
        let hooks = Handles::find(component).map_err(|reason| LoadError::Hook {
            plugin: name.clone(),
            reason,
        })?;
        let templates = templates(&name, component, &hooks)?;
        let schema = read_schema(component);
        if let Some(schema) = &schema {
            let faults = schema::check(schema, &spec.config, "spec.config");
            if !faults.is_empty() {
                return Err(refuse(faults));
            }
        }
        let label = key.label();
        let pool = Arc::new(self.pool(&name, &spec, component)?);
        probe(&name, &pool, &hooks)?;
        Ok(Plugin {
            key: key.clone(),
            digest,
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
            pool,
            tasks: self.tasks.clone(),
            metrics: self.families.plugin(&label),
            label,
            health: Health::default(),
            since: SystemTime::now(),
        })
    }

    /// What the object grants, as the engine takes it.
    fn grants(&self, name: &str, spec: &Spec) -> PluginGrants {
        let some = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
        PluginGrants {
            clock: spec.clock,
            random: spec.random,
            keyvalue: some(&spec.buckets)
                .map(|buckets| Arc::new(self.counters.granted(name, buckets)) as Arc<dyn KeyValue>),
            streams: some(&spec.streams)
                .map(|streams| Arc::new(Streams::granted(name, streams)) as Arc<dyn LogStreams>),
            meters: some(&spec.meters)
                .map(|names| Arc::new(self.meters.granted(name, names)) as Arc<dyn Meters>),
            env: spec.env.clone(),
            ..PluginGrants::default()
        }
    }

    fn pool(
        &self,
        name: &str,
        spec: &Spec,
        component: &PluginComponent,
    ) -> Result<Pool, LoadError> {
        let grants = self.grants(name, spec);
        let prepared =
            component
                .prepare(grants, spec.limits)
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
        Err(NoInstance::Refused(reason)) => Err(LoadError::Refused {
            plugin: name.to_owned(),
            reason,
        }),
        Err(NoInstance::Call(source)) => Err(LoadError::Probe {
            plugin: name.to_owned(),
            source,
        }),
        Err(NoInstance::Busy) => Err(LoadError::Probe {
            plugin: name.to_owned(),
            source: osier_engine::CallError::Overloaded,
        }),
    }
}
