//! The node's own objects: the Node, which says what it has and how it is, and the Lease, which
//! says that it lives.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::{LEASES, NODES};
use osier_api::{Object, quantity};
use osier_client::{Client, ClientError, Part, RECONNECT};
use osier_podspec::needs;
use osier_process::clock;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::components::Components;
use crate::settings::Settings;
use osier_images::ImageStore;

/// How often the Lease is renewed, and for how long it holds: as kubelet.
const RENEW: Duration = Duration::from_secs(10);
const HOLDS: u64 = 40;
/// The Node's status is written again after this long, or when it changed.
const STATUS: Duration = Duration::from_secs(300);
/// One part of the disk in so many is not for pods.
const KEPT_FREE: u64 = 10;
/// Images named in the Node's status, as kubelet limits them.
const IMAGES: usize = 50;
/// A node without addresses for its pods looks again after this long.
const BLOCK: Duration = Duration::from_millis(20);
const MESH: [&str; 3] = ["metadata", "annotations", osier_snapshot::MESH_ADDRESS];
const LEASE_NAMESPACE: &str = "kube-node-lease";

pub(crate) struct Registrar {
    pub(crate) client: Client,
    pub(crate) settings: Arc<Settings>,
    pub(crate) components: Arc<Components>,
    /// The node's block of addresses, once it is registered and has one.
    pub(crate) registered: watch::Sender<Option<String>>,
}

impl Registrar {
    /// Registers the node, and keeps it alive for as long as it runs.
    pub(crate) async fn run(self) {
        let mut failures = 0;
        let mut told: Option<(tokio::time::Instant, Value)> = None;
        loop {
            match self.beat(&mut told).await {
                Ok(block) => {
                    failures = 0;
                    let waits = block.is_none();
                    self.registered.send_replace(block);
                    tokio::time::sleep(if waits { BLOCK } else { RENEW }).await;
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, node = self.settings.node_name, "the node could not report; it will try again");
                    tokio::time::sleep(RECONNECT.after(failures)).await;
                }
            }
        }
    }

    async fn beat(
        &self,
        told: &mut Option<(tokio::time::Instant, Value)>,
    ) -> Result<Option<String>, ClientError> {
        let node = self.node().await?;
        let status = status(&self.settings, &node, &self.components.images);
        let fresh = told.as_ref().is_some_and(|(at, said)| {
            at.elapsed() < STATUS && without_times(said) == without_times(&status)
        });
        // Others say of a node that was silent that it is not ready.
        let fresh = fresh && is_ready(&node);
        if !fresh {
            let of = ("", self.settings.node_name.as_str());
            let patch = json!({"status": patch(status.clone())});
            self.client.merge(&NODES, of, patch, Part::Status).await?;
            *told = Some((tokio::time::Instant::now(), status));
        }
        self.advertise(&node).await?;
        self.renew(&node).await?;
        let block = node.text(&["spec", "podCIDR"]);
        Ok(Some(block.to_owned()).filter(|block| !block.is_empty()))
    }

    /// Where other nodes reach the pods of this one, and what its images import beyond what every pod may have.
    async fn advertise(&self, node: &Object) -> Result<(), ClientError> {
        let mesh = self.settings.mesh.map(|address| address.to_string());
        let mesh = mesh.filter(|mesh| node.text(&MESH) != mesh);
        let needs = needs::with(node, &self.components.needs());
        if mesh.is_none() && needs.is_none() {
            return Ok(());
        }
        let told = [
            (osier_snapshot::MESH_ADDRESS, mesh),
            (needs::ANNOTATION, needs),
        ];
        let told: Map<String, Value> = told
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), text?.into())))
            .collect();
        let patch = json!({"metadata": {"annotations": told}});
        let of = ("", self.settings.node_name.as_str());
        self.client.patch(&NODES, of, patch, Part::Whole).await?;
        Ok(())
    }

    /// The Node object, created if it is not there.
    async fn node(&self) -> Result<Object, ClientError> {
        let name = &self.settings.node_name;
        match self.client.get(&NODES, "", name).await {
            Err(error) if error.is_not_found() => {
                let mut node = Object::new(&NODES, "", name);
                node.set(&["metadata", "labels"], labels(&self.settings));
                node.set(&["spec"], json!({}));
                node.set(
                    &["status"],
                    status(&self.settings, &node, &self.components.images),
                );
                match self.client.create(&NODES, &node).await {
                    Err(error) if error.is_conflict() => self.client.get(&NODES, "", name).await,
                    other => other,
                }
            }
            other => other,
        }
    }

    async fn renew(&self, node: &Object) -> Result<(), ClientError> {
        let name = &self.settings.node_name;
        let spec = json!({"holderIdentity": name, "leaseDurationSeconds": HOLDS, "renewTime": clock::micros(clock::now())});
        let renewed = self
            .client
            .patch(
                &LEASES,
                (LEASE_NAMESPACE, name),
                json!({"spec": spec}),
                Part::Whole,
            )
            .await;
        match renewed {
            Err(error) if error.is_not_found() => {
                let mut lease = Object::new(&LEASES, LEASE_NAMESPACE, name);
                let owner =
                    json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.uid()}]);
                lease.set(&["metadata", "ownerReferences"], owner);
                lease.set(&["spec"], spec);
                self.client.create(&LEASES, &lease).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}

fn is_ready(node: &Object) -> bool {
    let conditions = node
        .get(&["status", "conditions"])
        .and_then(Value::as_array);
    let mut all = conditions.into_iter().flatten();
    all.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn labels(settings: &Settings) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": settings.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
        "osier.dev/runtime": "wasmtime",
    });
    // The node that serves the gateways is the one beside the API server.
    if settings.edge {
        labels["node-role.kubernetes.io/control-plane"] = "".into();
    }
    labels
}

/// Go's words for processors, which Kubernetes uses.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(settings: &Settings, node: &Object, images: &ImageStore) -> Value {
    let room = Room::of(&settings.data_dir);
    let mut capacity = json!({
        "cpu": quantity::from_millicores(settings.capacity.cpu_millis),
        "memory": format!("{}Ki", settings.capacity.memory / 1024),
        "pods": settings.capacity.pods.to_string(),
    });
    for (name, amount) in extended(settings, node) {
        capacity[name] = amount.into();
    }
    let mut allocatable = capacity.clone();
    if let Some(room) = room {
        capacity["ephemeral-storage"] = kibibytes(room.whole);
        allocatable["ephemeral-storage"] = kibibytes(room.whole - room.whole / KEPT_FREE);
    }
    let addresses = json!([
        {"type": "InternalIP", "address": settings.host_ip},
        {"type": "Hostname", "address": settings.node_name},
    ]);
    json!({
        "capacity": capacity, "allocatable": allocatable, "addresses": addresses,
        "conditions": conditions(node, room), "nodeInfo": node_info(), "images": image_list(images),
    })
}

fn kibibytes(bytes: u64) -> Value {
    format!("{}Ki", bytes / 1024).into()
}

/// What the node has besides: by its settings, and, as with a kubelet, what somebody wrote into its capacity.
fn extended(settings: &Settings, node: &Object) -> BTreeMap<String, String> {
    let said = node.get(&["status", "capacity"]).and_then(Value::as_object);
    let said = said
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.contains('/'));
    let said = said.filter_map(|(name, amount)| Some((name.clone(), amount.as_str()?.to_owned())));
    let own = settings.extended.iter();
    said.chain(own.map(|(name, amount)| (name.clone(), amount.to_string())))
        .collect()
}

/// The strategic merge patch that makes a status of it: conditions that others say of the node stay, and old addresses go.
fn patch(mut status: Value) -> Value {
    if let Some(addresses) = status["addresses"].as_array_mut() {
        addresses.push(json!({"$patch": "replace"}));
    }
    status
}

/// What is free on the disk of the node's data, in bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    free: u64,
    whole: u64,
}

impl Room {
    /// None where the system does not say.
    fn of(directory: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(directory).ok()?;
        Some(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            whole: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// A twentieth should be free, of a large disk a GiB. Nobody is driven away here, so this is less than kubelet's tenth.
    fn is_scarce(self) -> bool {
        self.free < (self.whole / 20).min(1 << 30)
    }
}

/// Type, status, reason and message of a condition.
type Said = (&'static str, &'static str, &'static str, &'static str);

fn disk_pressure(room: Option<Room>) -> Said {
    if room.is_some_and(Room::is_scarce) {
        let message = "the disk of the node's data directory is nearly full: make room on it, before writes are refused";
        return ("DiskPressure", "True", "KubeletHasDiskPressure", message);
    }
    (
        "DiskPressure",
        "False",
        "KubeletHasNoDiskPressure",
        "the node has room on disk",
    )
}

fn conditions(node: &Object, room: Option<Room>) -> Vec<Value> {
    let now = clock::seconds(clock::now());
    let known = node
        .get(&["status", "conditions"])
        .and_then(Value::as_array);
    let condition = |(kind, status, reason, message): (&str, &str, &str, &str)| {
        let mut known = known.into_iter().flatten();
        let same =
            known.find(|condition| condition["type"] == kind && condition["status"] == status);
        let since = same
            .and_then(|condition| condition["lastTransitionTime"].as_str())
            .unwrap_or(&now);
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": since})
    };
    [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "the node has memory",
        ),
        disk_pressure(room),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "pods are not processes here",
        ),
        ("Ready", "True", "KubeletReady", "the node runs pods"),
    ]
    .map(condition)
    .into()
}

fn node_info() -> Value {
    let text = |path: &str| {
        std::fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let release = text("/etc/os-release");
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "machineID": text("/etc/machine-id"),
        "systemUUID": text("/etc/machine-id"),
        "bootID": text("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": text("/proc/sys/kernel/osrelease"),
        "osImage": name.map_or("Linux", |name| name.trim_matches('"')),
        "containerRuntimeVersion": "wasmtime://48",
        "kubeletVersion": concat!("v1.33.0-osier.", env!("CARGO_PKG_VERSION")),
        "kubeProxyVersion": concat!("v1.33.0-osier.", env!("CARGO_PKG_VERSION")),
        "operatingSystem": "linux",
        "architecture": architecture(),
    })
}

fn image_list(images: &ImageStore) -> Vec<Value> {
    let images = images.list().unwrap_or_default();
    images
        .iter()
        .take(IMAGES)
        .map(|image| json!({"names": [image.name], "sizeBytes": image.size}))
        .collect()
}

/// What is compared to see whether the status changed.
fn without_times(status: &Value) -> Value {
    let mut status = status.clone();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastHeartbeatTime");
            condition.remove("lastTransitionTime");
        }
    }
    status
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_told() {
        let said = |free, whole| disk_pressure(Some(Room { free, whole })).1;
        let (mib, gib) = (1 << 20, 1 << 30);
        assert_eq!(said(2 * mib, 40 * mib), "False");
        assert_eq!(said(mib, 40 * mib), "True");
        assert_eq!(said(2 * gib, 1000 * gib), "False");
        assert_eq!(said(gib - 1, 1000 * gib), "True");
        assert_eq!(disk_pressure(None).1, "False");
    }

    #[test]
    fn a_node_has_what_it_is_configured_with_and_what_was_written_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let images = ImageStore::open(folder.path()).unwrap();
        let mut settings = Settings::new("n1", folder.path());
        settings.extended = [("acme.com/gpu".to_owned(), 4)].into();
        let said = json!({"status": {"capacity": {"acme.com/gpu": "1", "acme.com/disk": "2", "cpu": "64"}}});
        let node = Object::from_value(said).unwrap();
        let status = status(&settings, &node, &images);
        for of in ["capacity", "allocatable"] {
            assert_eq!(
                (&status[of]["acme.com/gpu"], &status[of]["acme.com/disk"]),
                (&json!("4"), &json!("2"))
            );
        }
        assert_ne!(status["capacity"]["cpu"], "64");
    }

    #[test]
    fn the_status_says_what_people_look_for() {
        let folder = tempfile::tempdir().unwrap();
        let images = ImageStore::open(folder.path()).unwrap();
        images.import("web", b"\0asm").unwrap();
        let settings = Settings::new("n1", folder.path());
        let node = Object::new(&NODES, "", "n1");
        let status = status(&settings, &node, &images);
        assert_eq!(
            status["nodeInfo"]["containerRuntimeVersion"],
            "wasmtime://48"
        );
        assert!(
            status["nodeInfo"]["kubeletVersion"]
                .as_str()
                .unwrap()
                .starts_with("v1.33.0-osier.")
        );
        assert_eq!(status["conditions"][3]["type"], "Ready");
        assert_eq!(status["images"][0]["names"][0], "web:latest");
        let storage =
            |of: &str| quantity::bytes(status[of]["ephemeral-storage"].as_str().unwrap()).unwrap();
        assert!(storage("allocatable") < storage("capacity"));
        let memory = status["capacity"]["memory"].as_str().unwrap();
        assert!(quantity::bytes(memory).unwrap() > 1 << 20, "{memory}");
        assert_eq!(
            without_times(&status),
            without_times(&super::status(&settings, &node, &images))
        );
    }
}
