//! From a request to an answer: which verb on which target, and how the result is sent.

mod apply;
mod binding;
mod components;
mod documents;
mod metrics;
mod objects;
mod parts;
mod patch;
mod questions;
mod reviews;
mod tokens;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use osier_api::{Resource, Status, Subresource, resources};
use osier_custom::Version;
use osier_process::body::{self, Body, ReadError};

use crate::notes::Notes;
use crate::query::Query;
use crate::server::ApiServer;
use crate::target::{Address, Target};
use osier_access::User;
use osier_answers::respond;

/// Says what an image's bytes hash to, as registries do.
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The largest body that is read.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// A request, taken apart.
pub(crate) struct Incoming {
    head: Parts,
    body: Body,
    query: Query,
    notes: Arc<Notes>,
}

impl Incoming {
    pub(crate) fn new(head: Parts, body: Body, notes: Arc<Notes>) -> Self {
        let query = Query::parse(head.uri.query().unwrap_or_default());
        Self {
            head,
            body,
            query,
            notes,
        }
    }

    fn header(&self, name: HeaderName) -> &str {
        self.head
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Several `Accept` lines are one list.
    fn accept(&self) -> String {
        let lines = self.head.headers.get_all(ACCEPT).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .collect::<Vec<_>>()
            .join(",")
    }

    fn media(&self) -> String {
        self.header(CONTENT_TYPE).to_owned()
    }

    /// Reads the body.
    async fn bytes(&mut self) -> Result<Bytes, Status> {
        let body = std::mem::replace(&mut self.body, body::empty());
        body::read(body, BODY_LIMIT)
            .await
            .map_err(|error| match error {
                ReadError::TooLarge { limit } => Status::too_large(limit as u64),
                ReadError::Broken(_) => Status::bad_request(error.to_string()),
            })
    }
}

/// Answers a request that is allowed.
pub(crate) async fn answer(
    server: &ApiServer,
    user: &User,
    target: Target,
    incoming: Incoming,
) -> Result<Response<Body>, Status> {
    match target {
        Target::Resource(address) => {
            let exchange = Exchange {
                server,
                user,
                address: &address,
                incoming,
            };
            let mut response = exchange.answer().await?;
            let old = deprecation(&address);
            respond::warn(&mut response, old.as_slice());
            Ok(response)
        }
        Target::Decisions { .. } | Target::Images | Target::Backup
            if incoming.head.method != Method::GET =>
        {
            Err(not_allowed())
        }
        Target::Backup => backup(server),
        Target::Decisions { node, request_id } => {
            server
                .ask(&node, &osier_kubelet::decisions(&request_id))
                .await
        }
        Target::Images => {
            let name = incoming.query.get("name").unwrap_or_default();
            let image = server.doors.images.read(name).await?;
            let mut response = respond::bytes(200, "application/wasm", image.bytes);
            if let Ok(digest) = HeaderValue::try_from(image.digest) {
                response.headers_mut().insert(DIGEST, digest);
            }
            Ok(response)
        }
        target => documents::answer(server, &target, &incoming),
    }
}

/// The words of a warning to who speaks a version that is old, or whose definition says so.
fn deprecation(address: &Address) -> Option<String> {
    match &address.custom {
        Some(custom) => custom.deprecation.clone(),
        None => osier_answers::deprecation(address.resource, &address.version),
    }
}

/// All that is stored, in one file that `osier store restore` reads.
fn backup(server: &ApiServer) -> Result<Response<Body>, Status> {
    let backup = server.registry.store.backup().ok_or_else(|| {
        Status::bad_request(
            "objects are in an etcd, which is backed up by its own means: `etcdctl snapshot save FILE`",
        )
    })?;
    let pieces = stream::iter(backup.pieces().map(Ok));
    Ok(respond::streamed(
        200,
        "application/octet-stream",
        body::stream(pieces),
    ))
}

/// One request about a resource.
struct Exchange<'a> {
    server: &'a ApiServer,
    user: &'a User,
    address: &'a Address,
    incoming: Incoming,
}

impl Exchange<'_> {
    async fn answer(self) -> Result<Response<Body>, Status> {
        let address = self.address;
        if *address.resource == resources::CUSTOM_METRICS {
            return self.custom_metrics().await;
        }
        if !address.subresource.is_empty() {
            let part = Subresource::from_segment(&address.subresource);
            let served = part.filter(|part| address.resource.has(*part));
            let served = served.ok_or_else(|| no_such_part(address))?;
            let (server, read) = (self.server, self.incoming.head.method == Method::GET);
            let answer = self.part(served).await;
            if !read && *address.resource == resources::CUSTOM_RESOURCE_DEFINITIONS {
                server.settle().await?;
            }
            return answer;
        }
        let verb = self.verb().ok_or_else(not_allowed)?;
        if !address.resource.verbs.contains(&verb) {
            return Err(Status::method_not_allowed(address.resource, verb));
        }
        if *address.resource == resources::BINDINGS {
            return self.bind().await;
        }
        if address.resource.is_review() {
            return self.review().await;
        }
        if *address.resource == resources::COMPONENT_STATUSES {
            return self.components();
        }
        if !address.resource.is_stored() {
            return self.metrics().await;
        }
        let terminating = |custom: &Arc<Version>| custom.terminating;
        if verb == "create" && address.custom.as_ref().is_some_and(terminating) {
            return Err(going());
        }
        if matches!(verb, "get" | "list" | "watch") {
            return self.act(verb).await;
        }
        let server = self.server;
        let answer = self.act(verb).await;
        server.follow(address.resource).await?;
        answer
    }

    async fn act(self, verb: &str) -> Result<Response<Body>, Status> {
        match verb {
            "get" => self.get().await,
            "list" | "watch" => self.list().await,
            "create" => self.create().await,
            "update" => self.replace().await,
            "patch" => self.patch().await,
            "delete" => self.delete().await,
            _ => self.delete_collection().await,
        }
    }

    fn verb(&self) -> Option<&'static str> {
        let whole = self.address.name.is_empty();
        let watching = self.incoming.query.flag("watch");
        let placed = !self.address.resource.namespaced || !self.address.namespace.is_empty();
        match self.incoming.head.method {
            Method::GET if watching => Some("watch"),
            Method::GET if whole => Some("list"),
            Method::GET => Some("get"),
            Method::POST if whole && placed => Some("create"),
            Method::PUT if !whole => Some("update"),
            Method::PATCH if !whole => Some("patch"),
            Method::DELETE if !whole => Some("delete"),
            Method::DELETE if placed => Some("deletecollection"),
            _ => None,
        }
    }
}

impl ApiServer {
    /// What else changes when an object of some kinds did.
    async fn follow(&self, changed: &Resource) -> Result<(), Status> {
        if *changed == resources::CLUSTER_ROLES {
            self.aggregate().await?;
        }
        if *changed == resources::CUSTOM_RESOURCE_DEFINITIONS {
            self.settle().await?;
        }
        if *changed == resources::VALIDATING_ADMISSION_POLICIES {
            self.check_types().await?;
        }
        Ok(())
    }
}

fn going() -> Status {
    let words = "create not allowed while custom resource definition is terminating";
    Status::new(405, "MethodNotAllowed", words)
}

/// What old and new clients ask for and nothing serves.
fn no_such_part(address: &Address) -> Status {
    let (plural, part) = (address.resource.plural, &address.subresource);
    if (plural, part.as_str()) == ("pods", "ephemeralcontainers") {
        // Not 404: kubectl would hide the words behind its own.
        let name = &address.name;
        return Status::new(
            405,
            "MethodNotAllowed",
            format!(
                "a pod of components takes no ephemeral container: look into the pod with `kubectl exec {name} -- ls /` \
             (also cat, env, stat, tar and others), or run a copy of it with \
             `kubectl debug {name} --copy-to=NAME --container=CONTAINER --image=IMAGE --profile=general`, which has no labels, so that no controller or Service takes it for its own"
            ),
        );
    }
    Status::new(
        404,
        "NotFound",
        format!("{plural}/{part} is not served by this version of Osier"),
    )
}

fn not_allowed() -> Status {
    Status::new(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}
