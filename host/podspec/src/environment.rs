//! The environment and arguments of a container, from its spec and what it refers to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::{Object, quantity};
use serde_json::Value;

/// The kinds of objects that variables and volumes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
    /// A PersistentVolumeClaim; what comes from it is in the volume that it has, which stands for it.
    Claim,
}

/// What the containers of a pod refer to; an object that does not exist is missing here.
pub type Sources = BTreeMap<(SourceKind, String), Object>;

/// What a container can learn about where it runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// The pod's address.
    pub pod_ip: Ipv4Addr,
    /// The node's address.
    pub host_ip: String,
    /// Used where a container has no limit of its own; thousandths of a processor.
    pub allocatable_cpu: u64,
    /// Likewise; bytes.
    pub allocatable_memory: u64,
}

/// A container cannot be configured; kubelet's words, as CreateContainerConfigError shows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An object that is referred to is not there.
    #[error("{kind} {name:?} not found")]
    NoObject {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there without the key.
    #[error("couldn't find key {key} in {kind} {of}")]
    NoKey {
        /// The key.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// `NAMESPACE/NAME`.
        of: String,
    },
    /// A field of the pod that nobody is told.
    #[error(
        "{name:?}: {path:?} is not a field that a container can be given; see `kubectl explain pod.spec.containers.env.valueFrom`"
    )]
    NoField {
        /// The variable.
        name: String,
        /// The field.
        path: String,
    },
    /// A value that cannot be used.
    #[error("{name:?}: {detail}")]
    Value {
        /// The variable or key.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// The objects that a container's variables come from.
#[must_use]
pub fn references(container: &Value) -> BTreeSet<(SourceKind, String)> {
    let mut found = BTreeSet::new();
    let mut add = |kind, reference: &Value| {
        if let Some(name) = reference["name"].as_str() {
            found.insert((kind, name.to_owned()));
        }
    };
    for from in list(&container["envFrom"]) {
        add(SourceKind::ConfigMap, &from["configMapRef"]);
        add(SourceKind::Secret, &from["secretRef"]);
    }
    for variable in list(&container["env"]) {
        add(
            SourceKind::ConfigMap,
            &variable["valueFrom"]["configMapKeyRef"],
        );
        add(SourceKind::Secret, &variable["valueFrom"]["secretKeyRef"]);
    }
    found
}

/// The variables of a container, `env` over `envFrom`, in order of first appearance.
///
/// # Errors
/// What keeps the container from being configured.
pub fn variables(
    pod: &Object,
    container: &Value,
    sources: &Sources,
    place: &Place,
) -> Result<Vec<(String, String)>, ConfigError> {
    let scope = Scope {
        pod,
        container,
        sources,
        place,
    };
    let mut variables = Variables::default();
    for from in list(&container["envFrom"]) {
        scope.all_of(from, &mut variables)?;
    }
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        let value = match variable.get("valueFrom").filter(|from| !from.is_null()) {
            Some(from) => scope.value(name, from)?,
            None => Some(expand(
                variable["value"].as_str().unwrap_or_default(),
                &variables.by_name,
            )),
        };
        if let Some(value) = value {
            variables.set(name, value);
        }
    }
    // As container runtimes do: not for others to refer to, and a value of the container's own stays.
    if !variables.by_name.contains_key("HOSTNAME") {
        variables.set("HOSTNAME", host_name(pod).to_owned());
    }
    Ok(variables.in_order())
}

/// What the pod calls itself.
fn host_name(pod: &Object) -> &str {
    match pod.text(&["spec", "hostname"]) {
        "" => pod.name(),
        host => host,
    }
}

/// The arguments of a container: its command, or its own name, and its args, with variables expanded.
pub fn arguments(container: &Value, variables: &[(String, String)]) -> Vec<String> {
    let by_name: BTreeMap<String, String> = variables.iter().cloned().collect();
    let words = |field: &str| {
        list(&container[field])
            .filter_map(Value::as_str)
            .map(|word| expand(word, &by_name))
            .collect::<Vec<_>>()
    };
    let mut arguments = words("command");
    if arguments.is_empty() {
        arguments.push(container["name"].as_str().unwrap_or_default().to_owned());
    }
    arguments.extend(words("args"));
    arguments
}

/// What an item of a downward API volume holds; all labels or annotations are lines of `key="value"`.
pub(crate) fn downward(pod: &Object, item: &Value, place: &Place) -> Result<String, ConfigError> {
    let scope = Scope {
        pod,
        container: &Value::Null,
        sources: &Sources::new(),
        place,
    };
    let path = item["path"].as_str().unwrap_or_default();
    match item["fieldRef"]["fieldPath"].as_str() {
        Some(all @ ("metadata.labels" | "metadata.annotations")) => {
            let field = all.trim_start_matches("metadata.");
            let pairs = pod.get(&["metadata", field]).and_then(Value::as_object);
            let line = |(key, value): (&String, &Value)| format!("{key}={value}");
            Ok(pairs
                .into_iter()
                .flatten()
                .map(line)
                .collect::<Vec<_>>()
                .join("\n"))
        }
        Some(field) => scope.field(path, field),
        None => {
            let reference = &item["resourceFieldRef"];
            let resource = reference["resource"].as_str().unwrap_or_default();
            scope.resource(path, resource, reference)
        }
    }
}

/// `$(NAME)` becomes the variable's value if there is one, `$$` becomes `$`.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    expand_noting(text, variables, &mut None)
}

/// The same; the last name that no variable has is noted.
pub(crate) fn expand_noting(
    text: &str,
    variables: &BTreeMap<String, String>,
    missing: &mut Option<String>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            match variables.get(name) {
                Some(value) => out.push_str(value),
                None => {
                    *missing = Some(name.to_owned());
                    out.extend(["$(", name, ")"]);
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[derive(Default)]
struct Variables {
    order: Vec<String>,
    by_name: BTreeMap<String, String>,
}

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        if self.by_name.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }

    fn in_order(mut self) -> Vec<(String, String)> {
        let take = |name: String| self.by_name.remove(&name).map(|value| (name, value));
        self.order.into_iter().filter_map(take).collect()
    }
}

struct Scope<'a> {
    pod: &'a Object,
    container: &'a Value,
    sources: &'a Sources,
    place: &'a Place,
}

impl Scope<'_> {
    fn all_of(&self, from: &Value, variables: &mut Variables) -> Result<(), ConfigError> {
        let prefix = from["prefix"].as_str().unwrap_or_default();
        for (kind, field) in [
            (SourceKind::ConfigMap, "configMapRef"),
            (SourceKind::Secret, "secretRef"),
        ] {
            let Some(reference) = from.get(field).filter(|reference| !reference.is_null()) else {
                continue;
            };
            let Some(source) = self.source(kind, reference)? else {
                continue;
            };
            let data = source.get(&["data"]).and_then(Value::as_object);
            for (key, value) in data.into_iter().flatten() {
                variables.set(&format!("{prefix}{key}"), decode(kind, key, value)?);
            }
        }
        Ok(())
    }

    fn value(&self, name: &str, from: &Value) -> Result<Option<String>, ConfigError> {
        if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            return self.field(name, path).map(Some);
        }
        if let Some(resource) = from["resourceFieldRef"]["resource"].as_str() {
            return self
                .resource(name, resource, &from["resourceFieldRef"])
                .map(Some);
        }
        for (kind, field) in [
            (SourceKind::ConfigMap, "configMapKeyRef"),
            (SourceKind::Secret, "secretKeyRef"),
        ] {
            if let Some(reference) = from.get(field).filter(|reference| !reference.is_null()) {
                return self.key(kind, reference);
            }
        }
        Err(ConfigError::Value {
            name: name.to_owned(),
            detail: "valueFrom names no source".to_owned(),
        })
    }

    fn source(&self, kind: SourceKind, reference: &Value) -> Result<Option<&Object>, ConfigError> {
        let name = reference["name"].as_str().unwrap_or_default();
        match self.sources.get(&(kind, name.to_owned())) {
            Some(source) => Ok(Some(source)),
            None if reference["optional"] == true => Ok(None),
            None => Err(ConfigError::NoObject {
                kind: kind.lower(),
                name: name.to_owned(),
            }),
        }
    }

    fn key(&self, kind: SourceKind, reference: &Value) -> Result<Option<String>, ConfigError> {
        let Some(source) = self.source(kind, reference)? else {
            return Ok(None);
        };
        let key = reference["key"].as_str().unwrap_or_default();
        match source.get(&["data", key]) {
            Some(value) => decode(kind, key, value).map(Some),
            None if reference["optional"] == true => Ok(None),
            None => Err(ConfigError::NoKey {
                key: key.to_owned(),
                kind: kind.title(),
                of: format!("{}/{}", self.pod.namespace(), source.name()),
            }),
        }
    }

    fn field(&self, name: &str, path: &str) -> Result<String, ConfigError> {
        let pod = self.pod;
        let quoted = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
        if let Some(key) = quoted("metadata.labels['") {
            return Ok(pod.label(key).unwrap_or_default().to_owned());
        }
        if let Some(key) = quoted("metadata.annotations['") {
            return Ok(pod.annotation(key).unwrap_or_default().to_owned());
        }
        Ok(match path {
            "metadata.name" => pod.name().to_owned(),
            "metadata.namespace" => pod.namespace().to_owned(),
            "metadata.uid" => pod.uid().to_owned(),
            "spec.nodeName" => pod.text(&["spec", "nodeName"]).to_owned(),
            "spec.serviceAccountName" => pod.text(&["spec", "serviceAccountName"]).to_owned(),
            "status.podIP" | "status.podIPs" => self.place.pod_ip.to_string(),
            "status.hostIP" | "status.hostIPs" => self.place.host_ip.clone(),
            _ => {
                return Err(ConfigError::NoField {
                    name: name.to_owned(),
                    path: path.to_owned(),
                });
            }
        })
    }

    fn resource(
        &self,
        name: &str,
        resource: &str,
        reference: &Value,
    ) -> Result<String, ConfigError> {
        let container = self.named(reference["containerName"].as_str());
        let (kind, which) = resource.split_once('.').unwrap_or((resource, ""));
        let declared = container["resources"][kind][which].as_str();
        let wrong = |detail: String| ConfigError::Value {
            name: name.to_owned(),
            detail,
        };
        let divisor = reference["divisor"]
            .as_str()
            .filter(|divisor| *divisor != "0")
            .unwrap_or("1");
        let parse: fn(&str) -> Result<u64, quantity::InvalidQuantity> = match which {
            "cpu" => quantity::millicores,
            "memory" => quantity::bytes,
            _ => {
                return Err(wrong(format!(
                    "{resource:?} is not a resource that a container can be given"
                )));
            }
        };
        let fallback = match (kind, which) {
            ("limits", "cpu") => self.place.allocatable_cpu,
            ("limits", "memory") => self.place.allocatable_memory,
            _ => 0,
        };
        let value = declared
            .map_or(Ok(fallback), parse)
            .map_err(|error| wrong(error.to_string()))?;
        let divisor = parse(divisor).map_err(|error| wrong(error.to_string()))?;
        Ok(value.div_ceil(divisor.max(1)).to_string())
    }

    fn named(&self, name: Option<&str>) -> &Value {
        let Some(name) = name else {
            return self.container;
        };
        let containers = self
            .pod
            .get(&["spec", "containers"])
            .map_or(&Value::Null, |list| list);
        list(containers)
            .find(|container| container["name"] == name)
            .unwrap_or(self.container)
    }
}

impl SourceKind {
    fn lower(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
            Self::Claim => "persistentvolumeclaim",
        }
    }

    /// `ConfigMap`, `Secret` or `PersistentVolumeClaim`.
    pub fn title(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Claim => "PersistentVolumeClaim",
        }
    }
}

fn decode(kind: SourceKind, key: &str, value: &Value) -> Result<String, ConfigError> {
    let text = value.as_str().unwrap_or_default();
    if kind == SourceKind::ConfigMap {
        return Ok(text.to_owned());
    }
    let wrong = |detail: String| ConfigError::Value {
        name: key.to_owned(),
        detail,
    };
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| wrong(format!("the secret is not base64: {error}")))?;
    String::from_utf8(bytes).map_err(|_| wrong("the secret is not text".to_owned()))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests;
