//! OpenAPI: one v3 document a group version with schemas and paths, and their index.
//!
//! Clients learn three things from it: how `explain` describes a kind, how lists merge in a patch, and that the server
//! checks fields itself, which they see by the `fieldValidation` parameter of a PATCH.

use std::collections::BTreeMap;

use bytes::Bytes;
use osier_api::{Resource, Subresource, schema};
use serde_json::{Map, Value, json};

use crate::Entry;
use crate::document::Document;
use crate::groups::{self, Versions};
use crate::openapi_v2;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// All OpenAPI documents of one state of the kinds.
pub struct Documents {
    index: Document,
    documents: BTreeMap<String, Document>,
    v2: Document,
    /// The part of `v2` that is about our own kinds.
    own_v2: Bytes,
}

impl Documents {
    /// The documents of these kinds. What is known of our own, which never changes, is taken from `before`.
    pub fn new(entries: &[Entry<'_>], before: Option<&Self>) -> Self {
        let groups = groups::groups(entries);
        let documents = documents(&groups, before);
        let paths: Map<String, Value> = documents
            .iter()
            .map(|(path, document)| {
                let url = format!("/openapi/v3/{path}?hash={}", document.tag);
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        let (own, custom): (Vec<Entry<'_>>, Vec<Entry<'_>>) =
            entries.iter().partition(|entry| entry.document.is_none());
        let own_v2 = before.map_or_else(|| openapi_v2::own(&own), |before| before.own_v2.clone());
        Self {
            index: Document::new(&json!({"paths": paths})),
            documents,
            v2: openapi_v2::document(&own_v2, &custom),
            own_v2,
        }
    }

    /// The index of documents.
    pub fn index(&self) -> &Document {
        &self.index
    }

    /// The document of `api/v1` or `apis/GROUP/VERSION`.
    pub fn document(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)
    }

    /// Everything in one protobuf document of the version before.
    pub fn v2(&self) -> &Document {
        &self.v2
    }
}

fn documents(
    groups: &[(&'static str, Versions<'_>)],
    before: Option<&Documents>,
) -> BTreeMap<String, Document> {
    let mut documents = BTreeMap::new();
    for (group, versions) in groups {
        for (version, entries) in versions {
            let path = match *group {
                "" => format!("api/{version}"),
                group => format!("apis/{group}/{version}"),
            };
            let own = entries.iter().all(|entry| entry.document.is_none());
            let made = before
                .filter(|_| own)
                .and_then(|before| before.document(&path));
            let made = made.cloned();
            let document =
                made.unwrap_or_else(|| Document::new(&document(&path, version, entries)));
            documents.insert(path, document);
        }
    }
    documents
}

fn document(path: &str, version: &str, entries: &[Entry<'_>]) -> Value {
    let mut paths = Map::new();
    for Entry { resource, .. } in entries {
        paths.extend(
            Paths {
                root: path,
                version,
                resource,
            }
            .all(),
        );
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Osier", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas(version, entries)},
    })
}

/// The schemas of a group version, with all that they refer to.
pub(crate) fn schemas(version: &str, entries: &[Entry<'_>]) -> Map<String, Value> {
    let shared = [
        format!("{META}.ListMeta"),
        format!("{META}.Status"),
        format!("{META}.DeleteOptions"),
    ];
    let named = |entry: &Entry<'_>| entry.resource.schema_of(version);
    let mut roots: Vec<&str> = entries.iter().map(named).collect();
    roots.push(schema::OBJECT_META);
    roots.extend(
        shared
            .iter()
            .map(String::as_str)
            .filter(|name| schema::definition(name).is_some()),
    );
    let mut schemas: Map<String, Value> = schema::closure(&roots)
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), schema::definition(name)?.clone())))
        .collect();
    for Entry { resource, document } in entries {
        let kind =
            |kind: String| json!([{"group": resource.group, "version": version, "kind": kind}]);
        let name = resource.schema_of(version);
        if let Some(document) = document {
            schemas.insert(name.to_owned(), (*document).clone());
        }
        if let Some(Value::Object(own)) = schemas.get_mut(name) {
            own.insert(GVK.to_owned(), kind(resource.kind.to_owned()));
        }
        let list = json!({
            "type": "object",
            "description": format!("{} is a list of {}.", resource.list_kind(), resource.plural),
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": reference(&format!("{META}.ListMeta")),
                "items": {"type": "array", "items": reference_to(name)},
            },
            GVK: kind(resource.list_kind()),
        });
        schemas.insert(format!("{name}List"), list);
    }
    schemas
}

pub(crate) const GVK: &str = "x-kubernetes-group-version-kind";

/// A reference to a schema; to any object where there is no such schema.
fn reference(name: &str) -> Value {
    if schema::definition(name).is_some() || name.ends_with("List") {
        reference_to(name)
    } else {
        json!({"type": "object"})
    }
}

fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("{}{name}", schema::REFERENCE)})
}

/// The paths of one resource in one version.
pub(crate) struct Paths<'a> {
    pub(crate) root: &'a str,
    pub(crate) version: &'a str,
    pub(crate) resource: &'static Resource,
}

impl Paths<'_> {
    pub(crate) fn all(&self) -> Map<String, Value> {
        let (root, resource) = (self.root, self.resource);
        let mut paths = Map::new();
        if resource.is_review() {
            let place = if resource.namespaced {
                "namespaces/{namespace}/"
            } else {
                ""
            };
            let path = format!("/{root}/{place}{}", resource.plural);
            let post = self.write("post", &self.own());
            paths.insert(
                path,
                json!({"post": post, "parameters": self.places(false)}),
            );
            return paths;
        }
        let collection = if resource.namespaced {
            let everywhere = format!("/{root}/{}", resource.plural);
            paths.insert(
                everywhere,
                json!({"get": self.operation("list", &self.list())}),
            );
            format!("/{root}/namespaces/{{namespace}}/{}", resource.plural)
        } else {
            format!("/{root}/{}", resource.plural)
        };
        let item = format!("{collection}/{{name}}");
        if !resource.is_stored() {
            let one = self.operation("get", &self.own());
            let all = self.operation("list", &self.list());
            for (path, get, item) in [(item, one, true), (collection, all, false)] {
                paths.insert(path, json!({"get": get, "parameters": self.places(item)}));
            }
            return paths;
        }
        for part in resource.subresources {
            paths.insert(format!("{item}/{}", part.as_str()), self.part(*part));
        }
        paths.insert(item, self.item());
        paths.insert(collection, self.collection());
        paths
    }

    fn collection(&self) -> Value {
        let resource = self.resource;
        let mut operations = json!({
            "get": self.operation("list", &self.list()),
            "post": self.write("post", &self.own()),
            "parameters": self.places(false),
        });
        if resource.verbs.contains(&"deletecollection") {
            operations["delete"] =
                self.operation("deletecollection", &reference(&format!("{META}.Status")));
        }
        operations
    }

    fn item(&self) -> Value {
        let own = self.own();
        json!({
            "get": self.operation("get", &own),
            "put": self.write("put", &own),
            "patch": self.write("patch", &own),
            "delete": self.operation("delete", &self.deleted()),
            "parameters": self.places(true),
        })
    }

    fn part(&self, part: Subresource) -> Value {
        let described = groups::part(self.resource, part);
        let body = if described.kind == self.resource.kind {
            self.own()
        } else {
            json!({"type": "object"})
        };
        let mut operations = json!({"parameters": self.places(true)});
        for verb in described.verbs {
            let (method, action) = match *verb {
                "create" => ("post", "post"),
                "update" => ("put", "put"),
                other => (other, other),
            };
            let mut operation = if action == "get" {
                self.operation(action, &body)
            } else {
                self.write(action, &body)
            };
            if !described.group.is_empty() {
                operation[GVK] = json!({"group": described.group, "version": described.version, "kind": described.kind});
            }
            operation["operationId"] = json!(format!(
                "{action}{}{}{}",
                self.id(),
                part.as_str(),
                self.version
            ));
            operations[method] = operation;
        }
        operations
    }

    /// A reference to the schema of the kind, which is in the document whoever defines it.
    fn own(&self) -> Value {
        reference_to(self.resource.schema_of(self.version))
    }

    /// What a delete answers with.
    fn deleted(&self) -> Value {
        match self.resource.is_shown_deleted() {
            true => self.own(),
            false => reference(&format!("{META}.Status")),
        }
    }

    fn list(&self) -> Value {
        reference(&format!("{}List", self.resource.schema_of(self.version)))
    }

    fn id(&self) -> String {
        let group = self.resource.group.replace('.', "");
        format!("{group}{}", self.resource.kind)
    }

    fn operation(&self, action: &str, answer: &Value) -> Value {
        json!({
            "tags": [self.root.replace('/', "_")],
            "description": format!("{action} {}", self.resource.plural),
            "operationId": format!("{action}{}{}", self.id(), self.version),
            "parameters": parameters(action),
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}},
            "x-kubernetes-action": action,
            GVK: {"group": self.resource.group, "version": self.version, "kind": self.resource.kind},
        })
    }

    fn write(&self, action: &str, body: &Value) -> Value {
        let mut operation = self.operation(action, body);
        let media: &[&str] = match action {
            "patch" if self.resource.strategic() => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ],
            "patch" => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/apply-patch+yaml",
            ],
            _ => &["application/json", "application/yaml"],
        };
        let schema = if action == "patch" {
            json!({"type": "object"})
        } else {
            body.clone()
        };
        let content: Map<String, Value> = media
            .iter()
            .map(|media| ((*media).to_owned(), json!({"schema": schema})))
            .collect();
        operation["requestBody"] = json!({"required": true, "content": content});
        operation
    }

    fn places(&self, item: bool) -> Value {
        let place = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        let mut places = Vec::new();
        if item {
            places.push(place("name"));
        }
        if self.resource.namespaced {
            places.push(place("namespace"));
        }
        json!(places)
    }
}

fn parameters(action: &str) -> Value {
    let named: &[(&str, &str)] = match action {
        "list" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "post" | "put" | "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
        ],
        "delete" | "deletecollection" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("propagationPolicy", "string"),
        ],
        _ => &[],
    };
    let parameters: Vec<Value> = named
        .iter()
        .map(|(name, kind)| json!({"name": name, "in": "query", "schema": {"type": kind}}))
        .collect();
    json!(parameters)
}
