//! Subresources: the parts of an object that have a path of their own.

use http::{Method, Response};
use osier_api::resources::POD_DISRUPTION_BUDGETS;
use osier_api::selector::LabelSelector;
use osier_api::{Object, Status, Subresource};
use osier_limits::disruption;
use osier_process::body::Body;
use osier_process::clock;
use osier_protobuf as protobuf;
use osier_table as table;
use serde_json::{Map, Value, json};

use super::patch::{self, Way};
use super::{Exchange, not_allowed};
use crate::admit::Read;
use crate::decode::{self, Format};
use crate::registry::{Change, DeleteOptions, Part, Registry, Write};
use crate::target::Address;
use osier_answers::Representation;
use osier_answers::respond;

impl Exchange<'_> {
    pub(super) async fn part(self, part: Subresource) -> Result<Response<Body>, Status> {
        let method = self.incoming.head.method.clone();
        match (part, method) {
            (Subresource::Status | Subresource::Approval | Subresource::Finalize, Method::GET) => {
                self.get().await
            }
            (Subresource::Status | Subresource::Approval, Method::PUT) => {
                self.put(Part::Status).await
            }
            (Subresource::Finalize, Method::PUT) => self.put(Part::Finalize).await,
            (Subresource::Status | Subresource::Approval, Method::PATCH) => {
                self.patch_status().await
            }
            (Subresource::Scale, Method::GET) => self.show_scale().await,
            (Subresource::Scale, Method::PATCH) if self.applies() => self.apply(Part::Scale).await,
            (Subresource::Scale, Method::PUT | Method::PATCH) => self.write_scale().await,
            (Subresource::Binding, Method::POST) => self.bind().await,
            (Subresource::Eviction, Method::POST) => self.evict().await,
            (Subresource::Log, Method::GET) => self.log().await,
            (Subresource::PortForward, Method::GET | Method::POST) => self.port_forward().await,
            (Subresource::Exec, Method::GET | Method::POST) => {
                self.stream_of(osier_kubelet::exec).await
            }
            (Subresource::Attach, Method::GET | Method::POST) => {
                self.stream_of(osier_kubelet::attach).await
            }
            (Subresource::Token, Method::POST) => self.token().await,
            _ => Err(not_allowed()),
        }
    }

    async fn put(mut self, part: Part) -> Result<Response<Body>, Status> {
        let (object, warnings) = self.replace_part(part).await?;
        self.show(200, object, &warnings)
    }

    async fn patch_status(mut self) -> Result<Response<Body>, Status> {
        if self.applies() {
            return self.apply(Part::Status).await;
        }
        let (object, warnings) = self.patch_part(Part::Status).await?;
        self.show(200, object, &warnings)
    }

    /// A small body without a schema of its own.
    pub(super) async fn plain_body(&mut self) -> Result<Value, Status> {
        let bytes = self.incoming.bytes().await?;
        let media = self.incoming.media();
        if media.starts_with(protobuf::MEDIA) {
            return protobuf::decode(&bytes);
        }
        let format = if media.contains("yaml") {
            Format::Yaml
        } else {
            Format::Json
        };
        let refuse = |error| Status::bad_request(format!("the body cannot be read: {error}"));
        Ok(decode::parse(&bytes, format).map_err(refuse)?.value)
    }

    async fn show_scale(self) -> Result<Response<Body>, Status> {
        let object = self.server.registry.get(self.address).await?;
        let scale = scale(self.address, &object);
        Ok(match Representation::negotiate(&self.incoming.accept())? {
            Representation::Table(version) => {
                respond::json(200, &table::scale(&scale, version, clock::now()))
            }
            _ => respond::json(200, &scale),
        })
    }

    async fn write_scale(mut self) -> Result<Response<Body>, Status> {
        let mut write = self.write()?;
        let way = match self.incoming.head.method {
            Method::PATCH => Some(Way::of(self.address.resource, &self.incoming.media())?),
            _ => None,
        };
        let body = match way {
            Some(_) => patch::read(&self.incoming.bytes().await?)?.value,
            None => self.plain_body().await?,
        };
        let address = self.address;
        let make = |old: &Object, _: &mut Vec<String>| {
            let wanted = match way {
                Some(way) => way.apply(address.resource, &scale(address, old), &body)?,
                None => body.clone(),
            };
            rescale(address, old, &wanted)
        };
        let stored = self
            .server
            .registry
            .update(
                &mut write,
                Change {
                    part: Part::Scale,
                    make: &make,
                },
            )
            .await?;
        Ok(respond::json(200, &scale(address, &stored)))
    }

    async fn evict(mut self) -> Result<Response<Body>, Status> {
        let body = self.plain_body().await?;
        let options = DeleteOptions::read(&body["deleteOptions"], &self.incoming.query)?;
        let registry = &self.server.registry;
        let pod = registry.get(self.address).await?;
        spend_budget(registry, &pod, self.delete_write(&options)).await?;
        let mut write = self.delete_write(&options);
        self.server.registry.delete(&mut write, &options).await?;
        let mut response = respond::json(
            201,
            &Status {
                code: 201,
                ..Status::default()
            }
            .to_object(),
        );
        respond::warn(&mut response, &write.warnings);
        Ok(response)
    }

    async fn log(self) -> Result<Response<Body>, Status> {
        let pod = self.server.registry.get(self.address).await?;
        let query = self.incoming.head.uri.query().unwrap_or_default();
        let question = osier_kubelet::logs(&pod, query, clock::now())?;
        match pod.text(&["spec", "nodeName"]) {
            "" => Ok(respond::bytes(200, "text/plain", "")),
            node => self.server.ask(node, &question).await,
        }
    }

    async fn port_forward(self) -> Result<Response<Body>, Status> {
        self.stream_of(|pod, _| Ok(osier_kubelet::port_forward(pod)))
            .await
    }

    /// Streams to the pod, for what is asked of its node with this query.
    async fn stream_of(
        self,
        asked: impl Fn(&Object, &str) -> Result<String, Status>,
    ) -> Result<Response<Body>, Status> {
        let pod = self.server.registry.get(self.address).await?;
        let head = self.incoming.head;
        let question = asked(&pod, head.uri.query().unwrap_or_default())?;
        match pod.text(&["spec", "nodeName"]) {
            "" => Err(Status::bad_request("the pod does not have a host assigned")),
            node => self.server.stream(node, &question, head).await,
        }
    }
}

/// Takes a pod's eviction from the PodDisruptionBudget that speaks of it.
async fn spend_budget(
    registry: &Registry,
    pod: &Object,
    mut write: Write<'_>,
) -> Result<(), Status> {
    let budgets = Read::list(registry, &POD_DISRUPTION_BUDGETS, pod.namespace());
    let Some(budget) = disruption::budget(pod, &budgets)? else {
        return Ok(());
    };
    let address = Address {
        namespace: pod.namespace().to_owned(),
        name: budget.name().to_owned(),
        subresource: "status".to_owned(),
        ..Address::of(&POD_DISRUPTION_BUDGETS)
    };
    write.address = &address;
    let now = clock::seconds(clock::now());
    let make = |budget: &Object, _: &mut Vec<String>| disruption::spend(budget, pod, &now);
    let change = Change {
        part: Part::Status,
        make: &make,
    };
    registry.update(&mut write, change).await.map(drop)
}

/// The replica count of an object as an `autoscaling/v1` Scale.
pub(super) fn scale(address: &Address, object: &Object) -> Value {
    let mut metadata = Map::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object.get(&["metadata", field]) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |part| {
        object
            .get(&[part, "replicas"])
            .and_then(Value::as_i64)
            .unwrap_or(0)
    };
    let custom = address.custom.as_ref();
    let custom = custom.and_then(|custom| custom.replicas(object));
    let (wanted, found, selector) = custom.unwrap_or_else(|| {
        let selector = LabelSelector::of_controller(object).unwrap_or_default();
        (number("spec"), number("status"), selector.to_string())
    });
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": wanted},
        "status": {"replicas": found, "selector": selector},
    })
}

/// The object with the replica count that a Scale wants; the Scale's resource version is a precondition.
fn rescale(address: &Address, old: &Object, wanted: &Value) -> Result<Object, Status> {
    let replicas = wanted
        .pointer("/spec/replicas")
        .cloned()
        .unwrap_or_else(|| json!(0));
    if replicas
        .as_i64()
        .is_none_or(|count| i32::try_from(count).is_err())
    {
        return Err(Status::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas: Invalid value: {replicas}: must be an integer"
        )));
    }
    let mut new = old.clone();
    match &address.custom {
        Some(custom) => custom.scale(&mut new, replicas),
        None => new.set(&["spec", "replicas"], replicas),
    }
    if let Some(version) = wanted.pointer("/metadata/resourceVersion") {
        new.set(&["metadata", "resourceVersion"], version.clone());
    }
    Ok(new)
}
