//! Makes one container: its component, its configuration, its sandbox. Says why not in the words
//! that people know from kubelet.

use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::{CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, SECRETS};
use osier_capabilities::Grants;
use osier_client::{ClientError, Reference};
use osier_engine::{self as engine, Container, Mount, Stdin};
use osier_podspec::{self as podspec, Limits, Place, Slot, SourceKind, Sources, Tokens, volumes};
use osier_snapshot::Workload;
use osier_sockets::{Network, Way};
use osier_volumes::{DiskError, Giver};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Shared, pull};
use crate::components::LoadError;
use crate::live::{Input, Running};
use crate::outgoing::Egress;
use osier_images::{ImageError, InUse, PullFailure, Pulled};

/// Bytes that wait for a container that reads its standard input slowly.
const INPUT: usize = 64 * 1024;

/// Why a container waits whose image is not here and must not be pulled.
pub(super) const NEVER_PULLED: &str = "ErrImageNeverPull";

/// A container that can be started.
pub(super) struct Created {
    pub(super) body: Running,
    /// What it is made of.
    pub(super) workload: engine::Workload,
    /// Its standard input, if it wants one.
    pub(super) input: Option<Arc<Input>>,
    /// What was done to have its image; nothing if it was there.
    pub(super) pulled: Option<Pulled>,
    /// Keeps its image in the store.
    pub(super) image: InUse,
    pub(super) image_id: String,
    pub(super) container_id: String,
}

/// Why a container cannot be made (now).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `ErrImagePull`, `CreateContainerConfigError` and so on.
    pub(super) reason: &'static str,
    /// Shown instead when it is refused again.
    pub(super) again: &'static str,
    pub(super) message: String,
}

/// What a container is made for.
pub(super) struct Order {
    pub(super) pod: Arc<Object>,
    pub(super) slot: Slot,
    pub(super) life: u32,
    pub(super) place: Place,
    /// What events are about.
    pub(super) about: Reference,
}

impl Refusal {
    fn new(reason: &'static str, again: &'static str, error: impl std::fmt::Display) -> Self {
        Self {
            reason,
            again,
            message: error.to_string(),
        }
    }

    /// The image could not be brought from its registry.
    pub(super) fn pull(error: &PullFailure) -> Self {
        let (reason, again) = match error {
            PullFailure::Store(ImageError::InvalidName(_) | ImageError::Reference(_)) => {
                ("InvalidImageName", "InvalidImageName")
            }
            _ => ("ErrImagePull", "ImagePullBackOff"),
        };
        Self::new(reason, again, error)
    }

    /// The image is not here and must not be brought, in kubelet's words and with what can be done.
    fn never(image: &str, error: &LoadError) -> Self {
        let words = format!(
            "Container image \"{image}\" is not present with pull policy of Never: {error}"
        );
        Self::new(NEVER_PULLED, NEVER_PULLED, words)
    }

    fn config(error: impl std::fmt::Display) -> Self {
        Self::new(
            "CreateContainerConfigError",
            "CreateContainerConfigError",
            error,
        )
    }
}

/// Makes the container.
pub(super) async fn create(shared: &Arc<Shared>, order: &Order) -> Result<Created, Refusal> {
    let Some(container) = podspec::container(&order.pod, order.slot) else {
        return Err(Refusal::config("the container is not in the pod's spec"));
    };
    let pulled = pull::pull(shared, order, container).await?;
    let workload = load(shared, container).await?;
    let sources = sources(shared, &order.pod, container).await?;
    let (mounts, grants) = write((shared, &sources), &order.pod, container, &order.place).await?;
    let variables = podspec::variables(&order.pod, container, &sources, &order.place)
        .map_err(Refusal::config)?;
    let arguments = podspec::arguments(container, &variables);
    let image_id = workload.digest().as_str().to_owned();
    let (stdin, input) = input(container);
    let sandbox = Container {
        stdin,
        grants,
        ..sandbox(shared, order, container, (arguments, variables, mounts))
    };
    let image = container["image"].as_str().unwrap_or_default();
    let body = build(&workload, image, sandbox)?;
    Ok(Created {
        body,
        workload,
        input,
        pulled,
        image: shared.components.puller.hold(image),
        image_id,
        container_id: container_id(order, container),
    })
}

async fn load(shared: &Shared, container: &Value) -> Result<engine::Workload, Refusal> {
    let image = container["image"].as_str().unwrap_or_default();
    let never = container["imagePullPolicy"] == "Never";
    shared
        .components
        .workload(image)
        .await
        .map_err(|error| match &error {
            LoadError::Image(ImageError::InvalidName(_)) => {
                Refusal::new("InvalidImageName", "InvalidImageName", error)
            }
            absence if never && absence.is_absence() => Refusal::never(image, absence),
            LoadError::Image(_) | LoadError::Remote(_) | LoadError::Unsigned { .. } => {
                Refusal::new("ErrImagePull", "ImagePullBackOff", error)
            }
            LoadError::Component { .. } | LoadError::Stopping => {
                Refusal::new("CreateContainerError", "CreateContainerError", error)
            }
        })
}

async fn sources(shared: &Shared, pod: &Object, container: &Value) -> Result<Sources, Refusal> {
    let mut found = Sources::new();
    let mut referenced = podspec::references(container);
    referenced.extend(volumes::references(pod, container));
    for (kind, name) in referenced {
        let get = |resource| shared.client.get(resource, pod.namespace(), &name);
        let object = match kind {
            SourceKind::ConfigMap => get(&CONFIG_MAPS).await,
            SourceKind::Secret => get(&SECRETS).await,
            SourceKind::Claim => match get(&PERSISTENT_VOLUME_CLAIMS).await {
                Ok(claim) => volume_of(shared, &claim).await?,
                Err(error) => Err(error),
            },
        };
        match object {
            Ok(object) => drop(found.insert((kind, name), object)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(Refusal::config(error)),
        }
    }
    Ok(found)
}

/// The volume that a claim has. Both must say so: a volume may be another's by now.
async fn volume_of(
    shared: &Shared,
    claim: &Object,
) -> Result<Result<Object, ClientError>, Refusal> {
    let volume = claim.text(&["spec", "volumeName"]);
    let unbound = || {
        let name = claim.full_name();
        Refusal::config(format!("error processing PVC {name}: PVC is not bound"))
    };
    if volume.is_empty() {
        return Err(unbound());
    }
    match shared.client.get(&PERSISTENT_VOLUMES, "", volume).await {
        Ok(found) if found.text(&["spec", "claimRef", "uid"]) != claim.uid() => Err(unbound()),
        other => Ok(other),
    }
}

/// The tokens that a container's volumes hold.
async fn tokens(shared: &Shared, pod: &Object, container: &Value) -> Result<Tokens, Refusal> {
    let mut found = Tokens::new();
    for wish in volumes::tokens(pod, container) {
        let token = shared.tokens.token(pod, &wish).await;
        let token = token.map_err(|error| {
            Refusal::config(format!("no token of its service account: {error}"))
        })?;
        found.insert(wish, token);
    }
    Ok(found)
}

/// The directories of a container, with what their objects say now.
pub(super) async fn mounts(
    shared: &Arc<Shared>,
    pod: &Object,
    container: &Value,
    place: &Place,
) -> Result<Vec<Mount>, Refusal> {
    let sources = sources(shared, pod, container).await?;
    let written = write((shared, &sources), pod, container, place).await;
    written.map(|(mounts, _)| mounts)
}

async fn write(
    (shared, sources): (&Arc<Shared>, &Sources),
    pod: &Object,
    container: &Value,
    place: &Place,
) -> Result<(Vec<Mount>, Arc<Grants>), Refusal> {
    let wanted = podspec::Grants::of(pod).map_err(Refusal::config)?;
    let tokens = tokens(shared, pod, container).await?;
    let mounted = volumes::mounts(pod, container, (sources, &tokens), place);
    let mounted = mounted.map_err(Refusal::config)?;
    let granted = volumes::granted(pod, &wanted, (sources, &tokens), place);
    let granted = granted.map_err(Refusal::config)?;
    if mounted.is_empty() && wanted == podspec::Grants::default() {
        return Ok((Vec::new(), Arc::default()));
    }
    let uid = pod.uid().to_owned();
    let giver = Giver {
        volumes: Arc::clone(&shared.volumes),
        buckets: shared.buckets.clone(),
        tasks: shared.tasks.clone(),
    };
    let prepare = move || {
        let mounts = giver.volumes.prepare(&uid, &mounted);
        let grants = giver.give(&uid, &wanted, &granted)?;
        Ok::<_, DiskError>((mounts?, grants))
    };
    let written = shared.tasks.spawn_blocking("volumes", prepare).await;
    written.map_err(Refusal::config)?.map_err(Refusal::config)
}

fn sandbox(
    shared: &Arc<Shared>,
    order: &Order,
    container: &Value,
    given: (Vec<String>, Vec<(String, String)>, Vec<Mount>),
) -> Container {
    let (pod, limits) = (&order.pod, Limits::of(&order.pod, container));
    let name = container["name"].as_str().unwrap_or_default();
    let log = shared.logs.open_container(pod.uid(), name, order.life);
    let egress = egress(shared, order);
    let network = || {
        let way = Arc::clone(&egress) as Arc<dyn Way>;
        Network::new(order.place.pod_ip, way, shared.tasks.clone())
    };
    let network = shared.served.network(pod.uid(), network);
    Container {
        name: format!("{}/{}/{name}", pod.namespace(), pod.name()),
        args: given.0,
        env: given.1,
        mounts: given.2,
        memory_limit: limits.memory,
        cpu_share: limits.cpu_share,
        cpu_limit: limits.cpu_limit,
        stdin: None,
        terminal: container["tty"] == true,
        stdout: log.stream("stdout"),
        stderr: log.stream("stderr"),
        outgoing: egress,
        network: Some(network),
        grants: Arc::default(),
        max_instances: limits.instances,
        max_requests_per_instance: limits.requests_per_instance,
        max_queued: limits.queued,
        request_deadline: limits.deadline,
    }
}

/// The pod's way out. Its address may be new, and not in its status yet.
fn egress(shared: &Arc<Shared>, order: &Order) -> Arc<Egress> {
    let workload = osier_snapshot::workload(&order.pod, &shared.settings.domain);
    let workload = Workload {
        address: order.place.pod_ip.into(),
        ..Arc::unwrap_or_clone(workload)
    };
    Arc::new(Egress {
        proxy: Arc::clone(&shared.proxy),
        served: Arc::clone(&shared.served),
        workload: Arc::new(workload),
        tasks: shared.tasks.clone(),
    })
}

/// Standard input, if the container wants one: its end in the guest and the one for who is attached.
fn input(container: &Value) -> (Option<Stdin>, Option<Arc<Input>>) {
    if container["stdin"] != true {
        return (None, None);
    }
    let (near, far) = tokio::io::duplex(INPUT);
    let stdin = Stdin::new(far, container["tty"] == true);
    let once = container["stdinOnce"] == true;
    (Some(stdin), Some(Input::new(near, once)))
}

fn build(workload: &engine::Workload, image: &str, sandbox: Container) -> Result<Running, Refusal> {
    let refusal = |error: &dyn std::fmt::Display| {
        let message = format!("image `{image}`: {error}");
        Refusal::new("CreateContainerError", "CreateContainerError", message)
    };
    if workload.serves_http() {
        let made = workload.http(sandbox).map(Running::Serves);
        return made.map_err(|error| refusal(&error));
    }
    if !workload.is_command() {
        return Err(refusal(
            &"exports neither wasi:http/incoming-handler (a service) nor wasi:cli/run (a program); \
              a policy plugin is loaded by a Plugin object, not by a pod",
        ));
    }
    let made = workload.command(sandbox).map(Running::Runs);
    made.map_err(|error| refusal(&error))
}

/// Unique for one life of one container, as container runtimes' ids are.
fn container_id(order: &Order, container: &Value) -> String {
    let mut hash = Sha256::new();
    for part in [
        order.pod.uid(),
        container["name"].as_str().unwrap_or_default(),
        &order.life.to_string(),
    ] {
        hash.update(part);
        hash.update([0]);
    }
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("wasmtime://{hex}")
}
