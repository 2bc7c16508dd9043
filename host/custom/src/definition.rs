//! A definition compiled: what each version of its kind does with objects.

use std::sync::Arc;

use jiff::Timestamp;
use osier_api::resources::{self, Names};
use osier_api::{Fault, FaultKind, Object, Resource, schema as schemas};
use osier_table::Include;
use serde_json::{Value, json};

use crate::conversion::Conversion;
use crate::path::Path;
use crate::scale::Scale;
use crate::schema::{Node, check, complete, prune, rules};
use crate::table::{self, Column};

/// A kind as its definition has it.
#[derive(Debug, Clone)]
pub struct Definition {
    made_from: Source,
    /// The versions that are served, best first.
    pub versions: Vec<Arc<Version>>,
}

/// Everything that a compiled definition depends on: when it is the same, so is what is compiled.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    uid: String,
    generation: i64,
    names: Option<Value>,
    terminating: bool,
}

impl Source {
    fn of(definition: &Object) -> Self {
        Self {
            uid: definition.uid().to_owned(),
            generation: definition.generation(),
            names: definition.get(&["status", "acceptedNames"]).cloned(),
            terminating: definition.deletion_timestamp().is_some(),
        }
    }
}

/// One version of a kind.
#[derive(Debug)]
pub struct Version {
    /// Its names; the only version in it is this one.
    pub resource: &'static Resource,
    /// `apiVersion` of stored objects.
    pub storage_api_version: String,
    /// Who makes one version of another; where there is nobody they differ in their names only.
    pub conversion: Option<Conversion>,
    /// The definition is being deleted: nothing is created any more.
    pub terminating: bool,
    /// The schema as it is published, with what every object has.
    pub document: Value,
    /// What is said to who speaks a version that shall not be spoken any more.
    pub deprecation: Option<String>,
    /// Fields by which objects can be selected, such as `spec.colour`.
    pub selectable: Vec<String>,
    root: Node,
    columns: Vec<Column>,
    scale: Option<Scale>,
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resource, other.resource)
            && self.document == other.document
            && self.conversion == other.conversion
    }
}

/// Why a definition that is stored is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotServed(pub String);

impl Definition {
    /// Whether it was compiled from this definition as it is.
    pub fn is_of(&self, definition: &Object) -> bool {
        self.made_from == Source::of(definition)
    }
}

const TOO_MANY: &str = "this process has known too many kinds: start it anew";

impl Definition {
    /// Compiles an established definition.
    ///
    /// # Errors
    /// When a schema cannot be compiled, or this process knows too many kinds already.
    pub fn compile(definition: &Object) -> Result<Self, NotServed> {
        let versions = definition.get(&["spec", "versions"]);
        let versions = versions
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let mut stored = versions.iter().filter(|version| version["storage"] == true);
        let stored = stored
            .find_map(|version| version["name"].as_str())
            .unwrap_or("");
        let storage = format!("{}/{stored}", definition.text(&["spec", "group"]));
        let served = versions.iter().filter(|version| version["served"] == true);
        let compiled = served.map(|version| Version::compile(definition, version, &storage));
        let mut versions = compiled.collect::<Result<Vec<_>, _>>()?;
        let name = |version: &Arc<Version>| version.resource.storage_version();
        versions.sort_by(|a, b| resources::by_priority(name(a), name(b)));
        let made_from = Source::of(definition);
        Ok(Self {
            made_from,
            versions,
        })
    }
}

/// The schema with the fields that every object has, which a definition does not describe.
fn document(schema: &Value) -> Value {
    let mut document = schema.clone();
    if !document.is_object() {
        document = json!({"type": "object"});
    }
    if !document["properties"].is_object() {
        document["properties"] = json!({});
    }
    for (name, words) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        document["properties"][name] = json!({"type": "string", "description": words});
    }
    let metadata = format!("{}{}", schemas::REFERENCE, schemas::OBJECT_META);
    document["properties"]["metadata"] =
        json!({"description": METADATA, "allOf": [{"$ref": metadata}]});
    document
}

const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

fn deprecation(definition: &Object, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let said = version["deprecationWarning"].as_str().map(str::to_owned);
    Some(said.unwrap_or_else(|| {
        let (group, kind) = (
            definition.text(&["spec", "group"]),
            definition.text(&["spec", "names", "kind"]),
        );
        let version = version["name"].as_str().unwrap_or_default();
        format!("{group}/{version} {kind} is deprecated")
    }))
}

fn selectable(version: &Value) -> Vec<String> {
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    let paths = fields.filter_map(|field| Path::parse(field["jsonPath"].as_str()?).ok());
    paths
        .filter_map(|path| Some(path.fields()?.join(".")))
        .collect()
}

impl Version {
    fn compile(
        definition: &Object,
        version: &Value,
        storage: &str,
    ) -> Result<Arc<Self>, NotServed> {
        let resource = resources::custom(&Names::of(definition, version));
        let schema = &version["schema"]["openAPIV3Schema"];
        let root = Node::compile(schema).map_err(|error| NotServed(error.to_string()))?;
        Ok(Arc::new(Self {
            resource: resource.ok_or_else(|| NotServed(TOO_MANY.to_owned()))?,
            storage_api_version: storage.to_owned(),
            conversion: Conversion::of(definition),
            terminating: definition.deletion_timestamp().is_some(),
            document: document(schema),
            deprecation: deprecation(definition, version),
            selectable: selectable(version),
            root,
            columns: table::columns(version),
            scale: Scale::of(version),
        }))
    }

    /// Removes what the schema does not know; returns it as faults of kind `Unknown`.
    pub fn prune(&self, object: &mut Object) -> Vec<Fault> {
        let removed = prune::prune(&self.root, object.as_map_mut());
        let fault = |path| Fault::new(FaultKind::Unknown, path, "");
        removed.into_iter().map(fault).collect()
    }

    /// Whether stored objects are shown as they are: nothing is put in when they are read.
    pub fn is_plain(&self) -> bool {
        !self.root.has_defaults()
    }

    /// Puts defaults in. An object that is stored is completed too when it is read: its schema may be newer than it.
    pub fn complete(&self, object: &mut Object) {
        complete::complete(&self.root, object.as_map_mut());
    }

    /// Every fault of an object. What was wrong before a change and is the same in it is let be, so that a schema which
    /// became stricter makes no object unchangeable.
    pub fn validate(&self, old: Option<&Object>, new: &Object) -> Vec<Fault> {
        let mut faults = check::check(&self.root, new.as_map());
        if let Some(old) = old.filter(|_| !faults.is_empty()) {
            let before = check::check(&self.root, old.as_map());
            faults.retain(|fault| fault.kind == FaultKind::Required || !before.contains(fault));
        }
        // Rules may rely on the schema.
        if faults.is_empty() && self.root.ruled {
            let (new, old) = (new.to_value(), old.map(Object::to_value));
            return rules::check(&self.root, &new, old.as_ref());
        }
        faults
    }

    /// The rows and columns of a table.
    pub fn table(&self, objects: &[Object], now: Timestamp, include: Include) -> Value {
        table::render(&self.columns, objects, now, include)
    }

    /// The wanted count, the count that there is, and the selector, of a kind that can be scaled.
    pub fn replicas(&self, object: &Object) -> Option<(i64, i64, String)> {
        Some(self.scale.as_ref()?.read(object))
    }

    /// Puts the wanted count into an object.
    pub fn scale(&self, object: &mut Object, replicas: Value) {
        if let Some(scale) = &self.scale {
            scale.write(object, replicas);
        }
    }

    /// The part of an object that says only the wanted count.
    pub fn scaled(&self, replicas: &Value) -> Value {
        self.scale
            .as_ref()
            .map_or(Value::Null, |scale| scale.only(replicas))
    }
}

#[cfg(test)]
mod tests;
