//! The typed client: one method a verb, over any transport.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use osier_api::{Object, Resource, Status};
use osier_process::body::{self, Body};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ClientError;
use crate::request::{self, DeleteOptions, Part, Query};
use crate::transport::Transport;
use crate::warnings;
use crate::watch::Watch;

/// No answer but a watch may be longer: 64 MiB holds more than a page of the largest objects.
const MAX_ANSWER: usize = 64 << 20;
const STRATEGIC: HeaderValue = HeaderValue::from_static("application/strategic-merge-patch+json");

/// Speaks to one API server; cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    agent: HeaderValue,
    /// Who hears what the server warns of; with it unknown fields are refused.
    heard: Option<Heard>,
}

/// Is told each warning of the server.
pub type Heard = Arc<dyn Fn(&str) + Send + Sync>;

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// One answer to a list request.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// The objects, each with its kind and version filled in.
    pub items: Vec<Object>,
    /// The revision that the list shows.
    pub resource_version: u64,
    /// Where the next page starts, if there is one.
    pub continues: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListBody {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Option<Vec<Object>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    continues: String,
}

impl Client {
    /// A client over `transport`.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            agent: HeaderValue::from_static("osier"),
            heard: None,
        }
    }

    /// A client for objects that people write, as kubectl is: fields that the server does not know are refused, and its
    /// warnings are told.
    #[must_use]
    pub fn for_people(self, heard: Heard) -> Self {
        Self {
            heard: Some(heard),
            ..self
        }
    }

    /// Reads one object.
    pub async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Object, ClientError> {
        let path = request::single(resource, namespace, name, Part::Whole);
        self.object(Method::GET, path, None).await
    }

    /// Lists one page; of all namespaces when `namespace` is empty.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        query: &Query,
    ) -> Result<List, ClientError> {
        let path = query.apply(&request::collection(resource, namespace), &[]);
        let what = format!("GET {path}");
        let answer = self.send(Method::GET, path, None).await?;
        let bytes = read(answer, &what).await?;
        let list: ListBody = decode(&bytes, &what)?;
        Ok(list.into_list())
    }

    /// What is measured of pods by the name of a metric (`custom.metrics.k8s.io`): an item for each of those that the query means.
    pub async fn measured(
        &self,
        metric: &str,
        namespace: &str,
        query: &Query,
    ) -> Result<Vec<Object>, ClientError> {
        let pods = request::collection(&osier_api::resources::CUSTOM_METRICS, namespace);
        let path = query.apply(&format!("{pods}/*/{metric}"), &[]);
        let what = format!("GET {path}");
        let answer = self.send(Method::GET, path, None).await?;
        let bytes = read(answer, &what).await?;
        let list: ListBody = decode(&bytes, &what)?;
        Ok(list.items.unwrap_or_default())
    }

    /// Lists all pages.
    pub async fn list_all(
        &self,
        resource: &Resource,
        namespace: &str,
        query: &Query,
    ) -> Result<List, ClientError> {
        let mut items = Vec::new();
        let listed = self.each_page(resource, namespace, query, |page| items.extend(page));
        let resource_version = listed.await?;
        Ok(List {
            items,
            resource_version,
            continues: None,
        })
    }

    /// Lists all pages and hands over each as it comes; the revision that they show.
    ///
    /// # Errors
    /// Of the first page that could not be read; those before it were handed over.
    pub async fn each_page(
        &self,
        resource: &Resource,
        namespace: &str,
        query: &Query,
        mut take: impl FnMut(Vec<Object>),
    ) -> Result<u64, ClientError> {
        let mut query = Query {
            limit: Some(500),
            ..query.clone()
        };
        loop {
            let page = self.list(resource, namespace, &query).await?;
            take(page.items);
            query.continues = page.continues;
            if query.continues.is_none() {
                return Ok(page.resource_version);
            }
        }
    }

    /// Creates an object in the namespace that it names.
    pub async fn create(
        &self,
        resource: &Resource,
        object: &Object,
    ) -> Result<Object, ClientError> {
        let path = request::collection(resource, object.namespace());
        self.object(Method::POST, path, Some(to_value(object)))
            .await
    }

    /// Replaces an object; its resourceVersion, if set, must be the current one.
    pub async fn replace(
        &self,
        resource: &Resource,
        object: &Object,
    ) -> Result<Object, ClientError> {
        self.replace_part(resource, object, Part::Whole).await
    }

    /// Replaces an object's status.
    pub async fn replace_status(
        &self,
        resource: &Resource,
        object: &Object,
    ) -> Result<Object, ClientError> {
        self.replace_part(resource, object, Part::Status).await
    }

    /// Replaces a part of an object.
    pub async fn replace_part(
        &self,
        resource: &Resource,
        object: &Object,
        part: Part,
    ) -> Result<Object, ClientError> {
        let path = request::single(resource, object.namespace(), object.name(), part);
        self.object(Method::PUT, path, Some(to_value(object))).await
    }

    /// Applies a JSON merge patch (RFC 7386) to `of`, or to a part of it.
    pub async fn patch(
        &self,
        resource: &Resource,
        of: (&str, &str),
        patch: Value,
        part: Part,
    ) -> Result<Object, ClientError> {
        let (namespace, name) = of;
        let path = request::single(resource, namespace, name, part);
        self.object(Method::PATCH, path, Some(patch)).await
    }

    /// The same by a strategic merge patch: elements of lists that have a key (conditions by their type) are merged with those
    /// that are there, and what others put beside them stays.
    pub async fn merge(
        &self,
        resource: &Resource,
        of: (&str, &str),
        patch: Value,
        part: Part,
    ) -> Result<Object, ClientError> {
        let path = request::single(resource, of.0, of.1, part);
        let what = format!("PATCH {path}");
        let mut request = self
            .request(Method::PATCH, path, Some(patch))
            .map_err(|error| malformed(&what, &error))?;
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, STRATEGIC);
        let answer = self.answered(request, what.clone()).await?;
        decode(&read(answer, &what).await?, &what)
    }

    /// Deletes an object. The answer is the object, if it lives on for a while, or a Status.
    pub async fn delete(
        &self,
        resource: &Resource,
        of: (&str, &str),
        options: &DeleteOptions,
    ) -> Result<(), ClientError> {
        let path = request::single(resource, of.0, of.1, Part::Whole);
        let what = format!("DELETE {path}");
        let answer = self
            .send(Method::DELETE, path, Some(options.body()))
            .await?;
        read(answer, &what).await.map(|_| ())
    }

    /// Binds a pod to a node.
    pub async fn bind(&self, namespace: &str, pod: &str, node: &str) -> Result<(), ClientError> {
        let path = request::single(&osier_api::resources::PODS, namespace, pod, Part::Binding);
        let what = format!("POST {path}");
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": pod, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let answer = self.send(Method::POST, path, Some(binding)).await?;
        read(answer, &what).await.map(|_| ())
    }

    /// Asks for a token of a service account; `spec` is a TokenRequest's, and the answer has it with `status.token`.
    pub async fn token(&self, account: (&str, &str), spec: Value) -> Result<Object, ClientError> {
        let accounts = &osier_api::resources::SERVICE_ACCOUNTS;
        let path = request::single(accounts, account.0, account.1, Part::Token);
        let asked = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec,
        });
        self.object(Method::POST, path, Some(asked)).await
    }

    /// Watches a collection for what comes after `revision`, with bookmarks.
    pub async fn watch(
        &self,
        resource: &Resource,
        namespace: &str,
        query: &Query,
        revision: u64,
    ) -> Result<Watch, ClientError> {
        let revision = revision.to_string();
        let extra = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", revision.as_str()),
        ];
        let path = query.apply(&request::collection(resource, namespace), &extra);
        let what = format!("GET {path}");
        let answer = self.send(Method::GET, path, None).await?;
        Ok(Watch::new(answer.into_body(), what))
    }

    /// Whether the server says that it is ready: its store takes writes.
    pub async fn is_ready(&self) -> bool {
        let answer = self.send(Method::GET, "/readyz".to_owned(), None).await;
        answer.is_ok()
    }

    /// Sends any request to the server; its answer is returned whatever its code.
    pub async fn raw(&self, request: Request<Body>) -> Result<Response<Body>, ClientError> {
        Ok(self.transport.send(request).await?)
    }

    async fn object(
        &self,
        method: Method,
        path: String,
        content: Option<Value>,
    ) -> Result<Object, ClientError> {
        let what = format!("{method} {path}");
        let answer = self.send(method, path, content).await?;
        let bytes = read(answer, &what).await?;
        decode(&bytes, &what)
    }

    async fn send(
        &self,
        method: Method,
        path: String,
        content: Option<Value>,
    ) -> Result<Response<Body>, ClientError> {
        let what = format!("{method} {path}");
        let request = self
            .request(method, path, content)
            .map_err(|error| malformed(&what, &error))?;
        self.answered(request, what).await
    }

    /// Sends any request; a failure is an error with the server's Status.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Body>, ClientError> {
        let what = format!("{} {}", request.method(), request.uri());
        self.answered(request, what).await
    }

    async fn answered(
        &self,
        request: Request<Body>,
        what: String,
    ) -> Result<Response<Body>, ClientError> {
        let answer = self.transport.send(request).await?;
        if let Some(heard) = &self.heard {
            warnings::told(answer.headers(), &**heard);
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        let code = answer.status().as_u16();
        let bytes = read(answer, &what).await?;
        let status = status(&bytes, code).map_err(|reason| ClientError::Malformed {
            request: what,
            reason,
        })?;
        Err(ClientError::Status(Box::new(status)))
    }

    fn request(
        &self,
        method: Method,
        path: String,
        content: Option<Value>,
    ) -> Result<Request<Body>, http::Error> {
        let kind = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let path = match (&self.heard, &content) {
            (Some(_), Some(_)) if method != Method::DELETE => {
                format!("{path}?fieldValidation=Strict")
            }
            _ => path,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, &self.agent);
        let body = match content {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, kind);
                body::full(value.to_string())
            }
            None => body::empty(),
        };
        request.body(body)
    }
}

impl ListBody {
    /// The items of a typed list carry neither kind nor version: they get the list's.
    fn into_list(self) -> List {
        let kind = self
            .kind
            .strip_suffix("List")
            .unwrap_or(&self.kind)
            .to_owned();
        let mut items = self.items.unwrap_or_default();
        for item in &mut items {
            if item.kind().is_empty() {
                item.set(&["kind"], kind.as_str().into());
                item.set(&["apiVersion"], self.api_version.as_str().into());
            }
        }
        List {
            items,
            resource_version: self.metadata.resource_version.parse().unwrap_or(0),
            continues: Some(self.metadata.continues).filter(|token| !token.is_empty()),
        }
    }
}

fn malformed(what: &str, error: &http::Error) -> ClientError {
    ClientError::Malformed {
        request: what.to_owned(),
        reason: error.to_string(),
    }
}

fn to_value(object: &Object) -> Value {
    Value::Object(object.as_map().clone())
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Malformed {
        request: what.to_owned(),
        reason: error.to_string(),
    })
}

/// A failure's Status; a server that answers in plain words is quoted.
fn status(bytes: &[u8], code: u16) -> Result<Status, String> {
    if let Ok(status) = serde_json::from_slice::<Status>(bytes)
        && status.code != 0
    {
        return Ok(status);
    }
    let words: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
    Err(format!("code {code} without a Status: {words}"))
}

pub(crate) async fn read(answer: Response<Body>, what: &str) -> Result<Bytes, ClientError> {
    body::read(answer.into_body(), MAX_ANSWER)
        .await
        .map_err(|error| ClientError::Malformed {
            request: what.to_owned(),
            reason: error.to_string(),
        })
}
