//! `metrics.k8s.io`: what nodes and pods use, asked for at their nodes when it is read.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::Response;
use osier_api::resources::{NODE_METRICS, NODES, PODS};
use osier_api::{Object, Status};
use osier_kubelet::{Measured, Summary};
use osier_process::body::{self, Body};
use serde_json::{Value, json};

use super::Exchange;
use crate::query::ListOptions;
use crate::respond;
use crate::server::ApiServer;
use crate::target::Address;

/// Nodes that are asked at once, and how long each may take: one that is silent is left out.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of one node's answer: some hundred for each of its pods.
const LARGEST: usize = 64 << 20;

impl Exchange<'_> {
    pub(super) async fn metrics(self) -> Result<Response<Body>, Status> {
        let (resource, registry) = (self.address.resource, &self.server.registry);
        let of_nodes = *resource == NODE_METRICS;
        let address = Address {
            resource: if of_nodes { &NODES } else { &PODS },
            ..self.address.clone()
        };
        let mut about = Vec::new();
        if address.name.is_empty() {
            // Few enough are alive at once to be told whole.
            let options = ListOptions {
                limit: 0,
                ..ListOptions::read(&self.incoming.query)?
            };
            let mut visit = |object: Object| {
                about.push(object);
                Ok(())
            };
            registry.list(&address, &options, &mut visit).await?;
        } else {
            about.push(registry.get(&address)?);
        }
        let nodes = about.iter().map(|object| match of_nodes {
            true => object.name(),
            false => object.text(&["spec", "nodeName"]),
        });
        let nodes = nodes.filter(|node| !node.is_empty()).map(str::to_owned);
        let measured = measured(self.server, nodes.collect()).await;
        let mut items = about.iter().filter_map(|object| measured.of(object));
        if !address.name.is_empty() {
            let missing = || Status::not_found(resource, &address.name);
            let only = items.next().ok_or_else(missing)?;
            return Ok(respond::json(200, &only));
        }
        let items: Vec<Value> = items.collect();
        let (kind, version) = (resource.list_kind(), self.address.api_version());
        let list = json!({"kind": kind, "apiVersion": version, "metadata": {}, "items": items});
        Ok(respond::json(200, &list))
    }
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
