//! The node's own objects: the Node, which says what it has and how it is, and the Lease, which
//! says that it lives.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::{LEASES, NODES};
use osier_api::{Object, quantity};
use osier_client::{Client, ClientError, Part, RECONNECT};
use osier_process::clock;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::settings::Settings;
use osier_images::ImageStore;

/// How often the Lease is renewed, and for how long it holds: as kubelet.
const RENEW: Duration = Duration::from_secs(10);
const HOLDS: u64 = 40;
/// The Node's status is written again after this long, or when it changed.
const STATUS: Duration = Duration::from_secs(300);
/// Images named in the Node's status, as kubelet limits them.
const IMAGES: usize = 50;
/// A node without addresses for its pods looks again after this long.
const BLOCK: Duration = Duration::from_millis(20);
const MESH: [&str; 3] = ["metadata", "annotations", osier_snapshot::MESH_ADDRESS];
const LEASE_NAMESPACE: &str = "kube-node-lease";

pub(crate) struct Registrar {
    pub(crate) client: Client,
    pub(crate) settings: Arc<Settings>,
    pub(crate) images: ImageStore,
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
        let status = status(&self.settings, &node, &self.images);
        let fresh = told.as_ref().is_some_and(|(at, said)| {
            at.elapsed() < STATUS && without_times(said) == without_times(&status)
        });
        // Others say of a node that was silent that it is not ready.
        let fresh = fresh && is_ready(&node);
        if !fresh {
            let patch = json!({"status": status});
            self.client
                .patch(&NODES, ("", &self.settings.node_name), patch, Part::Status)
                .await?;
            *told = Some((tokio::time::Instant::now(), status));
        }
        self.advertise(&node).await?;
        self.renew(&node).await?;
        let block = node.text(&["spec", "podCIDR"]);
        Ok(Some(block.to_owned()).filter(|block| !block.is_empty()))
    }

    /// Where other nodes reach the pods of this one.
    async fn advertise(&self, node: &Object) -> Result<(), ClientError> {
        let mesh = self.settings.mesh.map(|address| address.to_string());
        let Some(mesh) = mesh.filter(|mesh| node.text(&MESH) != mesh) else {
            return Ok(());
        };
        let patch = json!({"metadata": {"annotations": {osier_snapshot::MESH_ADDRESS: mesh}}});
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
                node.set(&["status"], status(&self.settings, &node, &self.images));
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
    let capacity = json!({
        "cpu": quantity::from_millicores(settings.capacity.cpu_millis),
        "memory": format!("{}Ki", settings.capacity.memory / 1024),
        "pods": settings.capacity.pods.to_string(),
    });
    let addresses = json!([
        {"type": "InternalIP", "address": settings.host_ip},
        {"type": "Hostname", "address": settings.node_name},
    ]);
    json!({
        "capacity": capacity, "allocatable": capacity, "addresses": addresses,
        "conditions": conditions(node, Room::of(&settings.data_dir)), "nodeInfo": node_info(), "images": image_list(images),
    })
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
        let memory = status["capacity"]["memory"].as_str().unwrap();
        assert!(quantity::bytes(memory).unwrap() > 1 << 20, "{memory}");
        assert_eq!(
            without_times(&status),
            without_times(&super::status(&settings, &node, &images))
        );
    }
}
