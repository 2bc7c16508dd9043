//! `metrics.k8s.io`: what nodes and pods use, asked for at their nodes when it is read.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::{Method, Response};
use osier_api::resources::{NODE_METRICS, NODES, PODS, REQUESTS_PER_SECOND};
use osier_api::{Object, Status};
use osier_kubelet::{Measured, Summary};
use osier_process::body::{self, Body};
use serde_json::{Value, json};

use super::Exchange;
use crate::query::{ListOptions, Query};
use crate::server::ApiServer;
use crate::target::Address;
use osier_answers::respond;

/// Nodes that are asked at once, and how long each may take: one that is silent is left out.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of one node's answer: some hundred for each of its pods.
const LARGEST: usize = 64 << 20;

/// The name of all pods in the path of a custom metric.
const ALL: &str = "*";

impl Exchange<'_> {
    pub(super) async fn metrics(self) -> Result<Response<Body>, Status> {
        let resource = self.address.resource;
        let of_nodes = *resource == NODE_METRICS;
        let address = Address {
            resource: if of_nodes { &NODES } else { &PODS },
            ..self.address.clone()
        };
        let (about, measured) = gathered(self.server, &self.incoming.query, &address).await?;
        let mut items = about.iter().filter_map(|object| measured.of(object));
        if !address.name.is_empty() {
            let missing = || Status::not_found(resource, &address.name);
            let only = items.next().ok_or_else(missing)?;
            return Ok(respond::json(200, &only));
        }
        Ok(self.listed(items.collect()))
    }

    /// `custom.metrics.k8s.io`: how many requests pods get.
    pub(super) async fn custom_metrics(self) -> Result<Response<Body>, Status> {
        let metric = &self.address.subresource;
        if metric != REQUESTS_PER_SECOND || self.incoming.head.method != Method::GET {
            let words = format!(
                "the server could not find the metric {metric} for pods: there is {REQUESTS_PER_SECOND}"
            );
            return Err(Status::new(404, "NotFound", words));
        }
        let mut address = Address {
            resource: &PODS,
            subresource: String::new(),
            ..self.address.clone()
        };
        if address.name == ALL {
            address.name.clear();
        }
        let (about, measured) = gathered(self.server, &self.incoming.query, &address).await?;
        let items = about.iter().filter_map(|pod| measured.requests(pod));
        Ok(self.listed(items.collect()))
    }

    fn listed(&self, items: Vec<Value>) -> Response<Body> {
        let kind = self.address.resource.kind;
        let kind = match kind.ends_with("List") {
            true => kind.to_owned(),
            false => self.address.resource.list_kind(),
        };
        let version = self.address.api_version();
        let list = json!({"kind": kind, "apiVersion": version, "metadata": {}, "items": items});
        respond::json(200, &list)
    }
}

/// The objects at an address, and what their nodes tell of them.
async fn gathered(
    server: &ApiServer,
    query: &Query,
    address: &Address,
) -> Result<(Vec<Object>, Measured), Status> {
    let (of_nodes, registry) = (*address.resource == NODES, &server.registry);
    let mut about = Vec::new();
    if address.name.is_empty() {
        // Few enough are alive at once to be told whole.
        let options = ListOptions {
            limit: 0,
            ..ListOptions::read(query)?
        };
        let mut visit = |object: Object| {
            about.push(object);
            Ok(())
        };
        let (_, entries) = registry.select(address, &options).await?;
        registry.show(address, &entries, &mut visit).await?;
    } else {
        about.push(registry.get(address).await?);
    }
    let nodes = about.iter().map(|object| match of_nodes {
        true => object.name(),
        false => object.text(&["spec", "nodeName"]),
    });
    let nodes = nodes.filter(|node| !node.is_empty()).map(str::to_owned);
    let measured = measured(server, nodes.collect()).await;
    Ok((about, measured))
}

async fn measured(server: &ApiServer, nodes: BTreeSet<String>) -> Measured {
    let asked = stream::iter(nodes).map(|node| async move {
        let told = tokio::time::timeout(PATIENCE, summary(server, &node)).await;
        if !matches!(told, Ok(Some(_))) {
            tracing::debug!(node, "the node does not tell what it uses");
        }
        told.ok().flatten()
    });
    let mut measured = Measured::default();
    let mut told = asked.buffer_unordered(AT_ONCE);
    while let Some(told) = told.next().await {
        told.into_iter().for_each(|summary| measured.add(summary));
    }
    measured
}

async fn summary(server: &ApiServer, node: &str) -> Option<Summary> {
    let answer = server.ask(node, &osier_kubelet::summary()).await.ok()?;
    let bytes = body::read(answer.into_body(), LARGEST).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}
