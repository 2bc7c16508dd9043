//! The server's own place among the services: `default/kubernetes`, as people and programs look for it.

use std::net::{IpAddr, SocketAddr};

use osier_access::User;
use osier_api::resources::{ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use osier_api::{Object, Resource, Status};
use serde_json::{Value, json};

use crate::query::{FieldValidation, WriteOptions};
use crate::registry::{Change, Part, Write};
use crate::server::ApiServer;
use crate::target::Address;

const NAME: &str = "kubernetes";
const NAMESPACE: &str = "default";
/// The port of the service; the endpoints have the server's own.
const PORT: u16 = 443;
/// Which namespaces' pods may call the service: none, unless an administrator says otherwise. A pod of the mesh reaches no address
/// that was not granted to it, and this one is granted to nobody.
const EXPORT: &str = "networking.istio.io/exportTo";
const NOBODY: &str = "~";
const OPTIONS: WriteOptions = WriteOptions {
    dry_run: false,
    validation: FieldValidation::Strict,
};

/// What an object should be that stands already.
type Renew = fn(&Object, &Object) -> Object;

impl ApiServer {
    /// Makes the service `default/kubernetes` lead to this server, which clients reach at `address`. Where several servers have
    /// one store it leads to all that ever did so.
    ///
    /// # Errors
    /// When one of its objects cannot be written.
    pub async fn answer_at(&self, address: SocketAddr) -> Result<(), Status> {
        let shared = self.shares_its_store();
        let service = service(self.registry.strategies.own_address(), address.port());
        self.stand(&SERVICES, service, with_ports).await?;
        let renew = |joined: Renew| if shared { joined } else { replaced };
        self.stand(&ENDPOINTS, endpoints(address), renew(joined_endpoints))
            .await?;
        self.stand(&ENDPOINT_SLICES, slice(address), renew(joined_slice))
            .await
    }

    /// Creates an object, or changes the one that is there.
    async fn stand(
        &self,
        resource: &'static Resource,
        object: Object,
        renew: Renew,
    ) -> Result<(), Status> {
        let user = User::new("system:apiserver", ["system:masters"]);
        let collection = Address {
            namespace: NAMESPACE.to_owned(),
            ..Address::of(resource)
        };
        let mut write = Write::new(&user, &collection, OPTIONS);
        match self.registry.create(&mut write, object.clone(), &[]).await {
            Err(there) if there.is("AlreadyExists") => {}
            created => return created.map(drop),
        }
        let at = Address {
            name: NAME.to_owned(),
            ..collection.clone()
        };
        let make = |old: &Object, _: &mut Vec<String>| {
            let mut new = renew(old, &object);
            new.set(
                &["metadata"],
                old.get(&["metadata"]).cloned().unwrap_or_default(),
            );
            Ok(new)
        };
        let change = Change {
            part: Part::Main,
            make: &make,
        };
        let mut write = Write::new(&user, &at, OPTIONS);
        self.registry.update(&mut write, change).await.map(drop)
    }
}

fn service(address: IpAddr, target: u16) -> Object {
    let mut service = Object::new(&SERVICES, NAMESPACE, NAME);
    let labels = json!({"component": "apiserver", "provider": NAME});
    service.set(&["metadata", "labels"], labels);
    service.set(&["metadata", "annotations", EXPORT], NOBODY.into());
    let port = json!({"name": "https", "port": PORT, "protocol": "TCP", "targetPort": target});
    service.set(&["spec", "clusterIP"], address.to_string().into());
    service.set(&["spec", "ports"], json!([port]));
    service
}

/// Nobody but this server has the store.
fn replaced(_: &Object, new: &Object) -> Object {
    new.clone()
}

/// Who changed the service otherwise keeps that.
fn with_ports(old: &Object, new: &Object) -> Object {
    let mut service = old.clone();
    let ports = new.get(&["spec", "ports"]).cloned().unwrap_or_default();
    service.set(&["spec", "ports"], ports);
    service
}

fn ports(address: SocketAddr) -> Value {
    json!([{"name": "https", "port": address.port(), "protocol": "TCP"}])
}

fn endpoints(address: SocketAddr) -> Object {
    let mut endpoints = Object::new(&ENDPOINTS, NAMESPACE, NAME);
    // The slice is written here too, not made of these.
    let labels = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
    endpoints.set(&["metadata", "labels"], labels);
    let subset = json!({"addresses": [{"ip": address.ip()}], "ports": ports(address)});
    endpoints.set(&["subsets"], json!([subset]));
    endpoints
}

fn slice(address: SocketAddr) -> Object {
    let mut slice = Object::new(&ENDPOINT_SLICES, NAMESPACE, NAME);
    slice.set(
        &["metadata", "labels"],
        json!({"kubernetes.io/service-name": NAME}),
    );
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    slice.set(&["addressType"], family.into());
    let endpoint = json!({"addresses": [address.ip()], "conditions": {"ready": true}});
    slice.set(&["endpoints"], json!([endpoint]));
    slice.set(&["ports"], ports(address));
    slice
}

/// Both addresses, if the servers have one port: then either can be called.
fn joined_endpoints(old: &Object, new: &Object) -> Object {
    let (before, now) = (at(old, "/subsets/0"), at(new, "/subsets/0"));
    let mut joined = new.clone();
    if before["ports"] == now["ports"] {
        let all = union(&before["addresses"], &now["addresses"]);
        joined.set(
            &["subsets"],
            json!([{"addresses": all, "ports": now["ports"]}]),
        );
    }
    joined
}

fn joined_slice(old: &Object, new: &Object) -> Object {
    let mut joined = new.clone();
    if ["ports", "addressType"]
        .iter()
        .all(|field| old.get(&[field]) == new.get(&[field]))
    {
        let all = union(&at(old, "/endpoints"), &at(new, "/endpoints"));
        joined.set(&["endpoints"], all);
    }
    joined
}

/// What is at a JSON pointer; null where nothing is.
fn at(object: &Object, pointer: &str) -> Value {
    object
        .to_value()
        .pointer(pointer)
        .cloned()
        .unwrap_or_default()
}

fn union(old: &Value, new: &Value) -> Value {
    let new = new.as_array().cloned().unwrap_or_default();
    let mut all = old.as_array().cloned().unwrap_or_default();
    all.retain(|one| !new.contains(one));
    all.extend(new);
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_store_stand_beside_each_other() {
        let server = |last| SocketAddr::from(([10, 0, 0, last], 6443));
        let (one, two) = (server(1), server(2));
        let joined = joined_endpoints(&endpoints(one), &endpoints(two));
        assert_eq!(
            at(&joined, "/subsets/0/addresses"),
            json!([{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}])
        );
        assert_eq!(joined_endpoints(&joined, &endpoints(two)), joined);
        let joined = joined_slice(&slice(one), &slice(two));
        assert_eq!(at(&joined, "/endpoints/1/addresses"), json!(["10.0.0.2"]));
    }
}
