//! Objects, lists and watch events in the form that the caller asked for.

use std::sync::Arc;

use osier_api::resources::stored_as;
use osier_api::{Object, Resource, Status};
use osier_custom::Version;
use osier_process::clock;
use osier_table::{self as table, Include};
use serde_json::{Map, Value, json};

use crate::representation::Representation;
use crate::stored::{Stored, with_revision};
use crate::versions::in_version;

/// How much of each object goes with its row of a table.
///
/// # Errors
/// 400 for a word that is none of the three.
pub fn include(text: Option<&str>) -> Result<Include, Status> {
    match text {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::None),
        Some("Object") => Ok(Include::Object),
        Some(other) => Err(Status::bad_request(format!(
            "unrecognized includeObject value: {other:?}; use None, Metadata or Object"
        ))),
    }
}

/// Everything that decides the form of an answer.
#[derive(Clone, Debug)]
pub struct Renderer {
    /// The kind.
    pub resource: &'static Resource,
    /// What its definition says of the kind, if a user defined it.
    pub custom: Option<Arc<Version>>,
    /// The version that the caller speaks, with its group.
    pub api_version: String,
    /// The form.
    pub representation: Representation,
    /// What rows of a table carry.
    pub include: Include,
}

/// What a list says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListMeta {
    /// The state that the list shows.
    pub revision: u64,
    /// Where the next page begins, if there is one.
    pub token: Option<String>,
    /// How many objects are on later pages, where that is known.
    pub remaining: Option<usize>,
}

impl ListMeta {
    fn value(&self) -> Value {
        let mut map = Map::new();
        map.insert(
            "resourceVersion".to_owned(),
            json!(self.revision.to_string()),
        );
        if let Some(token) = &self.token {
            map.insert("continue".to_owned(), json!(token));
        }
        if let Some(remaining) = self.remaining {
            map.insert("remainingItemCount".to_owned(), json!(remaining));
        }
        Value::Object(map)
    }
}

impl Renderer {
    /// A stored object as the caller sees it. Rows of a table are made of what is stored.
    fn shown(&self, object: Object) -> Object {
        let shaped = stored_as(self.resource) == self.resource;
        let mut object = match self.representation {
            Representation::Table(_) if !shaped => object,
            _ => in_version(object, &self.api_version),
        };
        if let Some(custom) = &self.custom {
            custom.complete(&mut object);
        }
        object
    }

    /// The version in which stored bytes are shown as they are; none where objects have to be read for what is asked.
    #[must_use]
    pub fn as_stored(&self) -> Option<&str> {
        let shaped = stored_as(self.resource) == self.resource;
        let custom = self.custom.as_ref();
        let plain = custom.is_none_or(|custom| custom.is_plain() && custom.conversion.is_none());
        let whole = self.representation == Representation::Json;
        (shaped && plain && whole).then_some(self.api_version.as_str())
    }

    /// Appends a stored object as it is shown, in JSON.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn write(&self, stored: Stored<'_>, into: &mut Vec<u8>) -> Result<(), Status> {
        let version = self
            .as_stored()
            .filter(|_| self.custom.is_none() || !has_nulls(stored.bytes));
        let shown = version
            .and_then(|version| with_revision(stored.bytes, (version, stored.revision), into));
        if shown.is_some() {
            return Ok(());
        }
        let value = self.object(stored.read()?);
        serde_json::to_writer(into, &value).map_err(Status::internal)
    }

    /// How a list of whole objects begins.
    #[must_use]
    pub fn list_head(&self, meta: &ListMeta) -> String {
        let kind = format!("{}List", self.resource.kind);
        list_head((&kind, &self.api_version), meta) + "\"items\":["
    }

    /// One object.
    #[must_use]
    pub fn object(&self, object: Object) -> Value {
        let object = self.shown(object);
        match &self.representation {
            Representation::Json | Representation::Yaml => object.into_value(),
            Representation::Metadata(version) => partial(object, version),
            Representation::Table(version) => {
                let meta = json!({"resourceVersion": object.resource_version().to_string()});
                let rows = self.rows(&[object], version);
                document("Table", version, meta, rows)
            }
        }
    }

    /// The start of a watch event's table has no rows to show, only how far the watch is.
    #[must_use]
    pub fn bookmark(&self, revision: u64, initial_events_end: bool) -> Value {
        let mut meta = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_events_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        match &self.representation {
            Representation::Json | Representation::Yaml => {
                json!({"kind": self.resource.kind, "apiVersion": self.api_version, "metadata": meta})
            }
            Representation::Metadata(version) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": meta})
            }
            Representation::Table(version) => {
                json!({"kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": meta,
                    "columnDefinitions": [], "rows": []})
            }
        }
    }

    /// The columns and rows of a table, in this version of `meta.k8s.io`.
    fn rows(&self, objects: &[Object], version: &str) -> Value {
        let (now, include) = (clock::now(), self.include);
        let mut table = match &self.custom {
            Some(custom) => custom.table(objects, now, include),
            None => table::render_with(stored_as(self.resource), objects, now, include),
        };
        if version != "v1" && self.include == Include::Metadata {
            let rows = table.get_mut("rows").and_then(Value::as_array_mut);
            for row in rows.into_iter().flatten() {
                row["object"]["apiVersion"] = json!(format!("meta.k8s.io/{version}"));
            }
        }
        table
    }
}

/// The schema of a kind that users define may have become such that nulls are no values any more.
fn has_nulls(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.contains("null"))
}

fn list_head((kind, api_version): (&str, &str), meta: &ListMeta) -> String {
    format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{},",
        json!(kind),
        json!(api_version),
        meta.value()
    )
}

fn document(kind: &str, version: &str, meta: Value, mut table: Value) -> Value {
    table["kind"] = json!(kind);
    table["apiVersion"] = json!(format!("meta.k8s.io/{version}"));
    table["metadata"] = meta;
    table
}

fn partial(object: Object, version: &str) -> Value {
    let metadata = object.get(&["metadata"]).cloned().unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata})
}

/// Objects of a table are rendered this many at a time.
const ROWS: usize = 500;

/// A list in the making: objects go in one by one and are written at once, so that only text piles up.
pub struct ListWriter {
    renderer: Renderer,
    items: Vec<u8>,
    waiting: Vec<Object>,
    columns: Value,
}

impl ListWriter {
    /// An empty list.
    #[must_use]
    pub fn new(renderer: Renderer) -> Self {
        Self {
            renderer,
            items: Vec::new(),
            waiting: Vec::new(),
            columns: Value::Null,
        }
    }

    /// Adds an object.
    ///
    /// # Errors
    /// None that is known: an object can always be written.
    pub fn push(&mut self, object: Object) -> Result<(), Status> {
        let object = self.renderer.shown(object);
        match self.renderer.representation {
            Representation::Json | Representation::Yaml => self.write(&object),
            Representation::Metadata(version) => self.write(&partial(object, version)),
            Representation::Table(_) => {
                self.waiting.push(object);
                if self.waiting.len() >= ROWS {
                    self.flush()
                } else {
                    Ok(())
                }
            }
        }
    }

    fn write(&mut self, value: &impl serde::Serialize) -> Result<(), Status> {
        if !self.items.is_empty() {
            self.items.push(b',');
        }
        let written = serde_json::to_writer(&mut self.items, value);
        written.map_err(|error| Status::internal(format!("the list could not be written: {error}")))
    }

    fn flush(&mut self) -> Result<(), Status> {
        let Representation::Table(version) = self.renderer.representation else {
            return Ok(());
        };
        let waiting = std::mem::take(&mut self.waiting);
        let mut table = self.renderer.rows(&waiting, version);
        self.columns = table["columnDefinitions"].take();
        if let Value::Array(rows) = table["rows"].take() {
            for row in rows {
                self.write(&row)?;
            }
        }
        Ok(())
    }

    /// The document: its head, the items, and its tail.
    ///
    /// # Errors
    /// None that is known: an object can always be written.
    pub fn finish(mut self, meta: &ListMeta) -> Result<[Vec<u8>; 3], Status> {
        self.flush()?;
        let resource = self.renderer.resource;
        let (kind, api_version, field) = match self.renderer.representation {
            Representation::Json | Representation::Yaml => (
                format!("{}List", resource.kind),
                self.renderer.api_version.clone(),
                "items",
            ),
            Representation::Metadata(version) => (
                "PartialObjectMetadataList".to_owned(),
                format!("meta.k8s.io/{version}"),
                "items",
            ),
            Representation::Table(version) => {
                ("Table".to_owned(), format!("meta.k8s.io/{version}"), "rows")
            }
        };
        let mut head = list_head((&kind, &api_version), meta);
        if field == "rows" {
            head.push_str(&format!("\"columnDefinitions\":{},", self.columns));
        }
        head.push_str(&format!("\"{field}\":["));
        Ok([head.into_bytes(), self.items, b"]}\n".to_vec()])
    }
}
