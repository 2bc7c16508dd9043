//! One informer a resource, shared by all controllers of the process.

mod custom;

use std::sync::Arc;

use osier_api::resources::{
    CERTIFICATE_SIGNING_REQUESTS, CONTROLLER_REVISIONS, CRON_JOBS, CUSTOM_RESOURCE_DEFINITIONS,
    DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, ENDPOINTS, EVENTS, HORIZONTAL_POD_AUTOSCALERS, JOBS,
    LEASES, NAMESPACES, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PLUGINS,
    POD_DISRUPTION_BUDGETS, PODS, POLICIES, REPLICA_SETS, REPLICATION_CONTROLLERS, SERVICES,
    STATEFUL_SETS, STORAGE_CLASSES, WASM_PLUGINS, WORKLOAD_ENTRIES, stored_as,
};
use osier_api::{Object, Resource, resources};
use osier_client::{Client, Informer, Scope};
use osier_process::Tasks;
use osier_workloads::job;
use serde_json::{Map, Value};

use crate::{endpoints, facts};
use custom::Custom;

/// What controllers read whole. Of everything else they need to know that it is there and whose it
/// is: no secret is held in their memory.
static WHOLE: [&Resource; 22] = [
    &HORIZONTAL_POD_AUTOSCALERS,
    &LEASES,
    &CERTIFICATE_SIGNING_REQUESTS,
    &NODES,
    &NAMESPACES,
    &SERVICES,
    &REPLICATION_CONTROLLERS,
    &REPLICA_SETS,
    &DEPLOYMENTS,
    &STATEFUL_SETS,
    &DAEMON_SETS,
    &CONTROLLER_REVISIONS,
    &POD_DISRUPTION_BUDGETS,
    &JOBS,
    &CRON_JOBS,
    &PLUGINS,
    &POLICIES,
    &WASM_PLUGINS,
    &WORKLOAD_ENTRIES,
    &PERSISTENT_VOLUME_CLAIMS,
    &PERSISTENT_VOLUMES,
    &STORAGE_CLASSES,
];

fn trim(resource: &'static Resource) -> Option<fn(&mut Object)> {
    let is = |other: &'static Resource| std::ptr::eq(resource, other);
    if is(&PODS) {
        return Some(keep_of_pod);
    }
    if is(&ENDPOINTS) || is(&ENDPOINT_SLICES) {
        return Some(endpoints::fold);
    }
    if is(&CUSTOM_RESOURCE_DEFINITIONS) {
        return Some(custom::keep_of_definition);
    }
    let whole = WHOLE.iter().any(|whole| is(whole));
    (!whole).then_some(keep_metadata as fn(&mut Object))
}

/// Of a pod, what some controller reads; pods are by far the most. Pods are only patched from here,
/// never written whole, so that nothing is lost.
fn keep_of_pod(pod: &mut Object) {
    keep_annotations(pod);
    let bound = !facts::node(pod).is_empty();
    let finished = facts::is_finished(pod);
    // What a failed pod means is judged by how it ended and by what is said of it, until its Job has counted it.
    let judged = finished && pod.finalizers().contains(&job::FINALIZER);
    for (part, fields) in [("spec", SPEC.as_slice()), ("status", STATUS.as_slice())] {
        let Some(Value::Object(part)) = pod.as_map_mut().get_mut(part) else {
            continue;
        };
        part.retain(|field, _| {
            fields.contains(&field.as_str()) || (judged && field == "initContainerStatuses")
        });
        keep_of_volumes(part);
        if bound {
            keep_of_bound(part, judged);
        }
        for list in CONTAINER_LISTS {
            let entries = part.get_mut(list).and_then(Value::as_array_mut);
            for entry in entries.into_iter().flatten() {
                keep_of_container(entry, list, (finished, judged));
            }
        }
    }
}

fn keep_annotations(pod: &mut Object) {
    let kept = [DELETION_COST, job::FAILURES, job::IGNORED];
    let kept = kept.map(|name| (name, pod.annotation(name).map(str::to_owned)));
    pod.remove(&["metadata", "annotations"]);
    for (name, text) in kept {
        if let Some(text) = text {
            pod.set(&["metadata", "annotations", name], text.into());
        }
    }
}

/// What placed a pod is of no concern once it is placed.
fn keep_of_bound(part: &mut Map<String, Value>, judged: bool) {
    part.retain(|field, _| !PLACING.contains(&field.as_str()));
    // What it says of its neighbours holds for those who come later.
    if let Some(Value::Object(affinity)) = part.get_mut("affinity") {
        affinity.remove("nodeAffinity");
    }
    if let Some(Value::Array(conditions)) = part.get_mut("conditions") {
        conditions.retain(|condition| judged || condition["type"] == "Ready");
        // A list keeps its room when entries leave it.
        conditions.shrink_to_fit();
    }
}

fn keep_of_container(entry: &mut Value, list: &str, (finished, judged): (bool, bool)) {
    let Some(entry) = entry.as_object_mut() else {
        return;
    };
    entry.retain(|field, _| match field.as_str() {
        // By its name an autoscaler finds what one container asks for.
        "name" => list == "containers" || judged,
        // When it ended is what a Job waits by; of a pod that runs the state is of no concern.
        "state" => finished,
        field => CONTAINER.contains(&field),
    });
}

/// Of volumes, only which claims they are matters.
fn keep_of_volumes(spec: &mut Map<String, Value>) {
    let Some(Value::Array(volumes)) = spec.get_mut("volumes") else {
        return;
    };
    volumes.retain(|volume| volume["persistentVolumeClaim"].is_object());
    volumes.shrink_to_fit();
    if volumes.is_empty() {
        spec.remove("volumes");
    }
}

fn keep_metadata(object: &mut Object) {
    let fields = ["apiVersion", "kind", "metadata"];
    object
        .as_map_mut()
        .retain(|field, _| fields.contains(&field.as_str()));
    object.remove(&["metadata", "annotations"]);
}

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SPEC: [&str; 15] = [
    "volumes",
    "serviceAccountName",
    "nodeName",
    "hostname",
    "subdomain",
    "nodeSelector",
    "affinity",
    "tolerations",
    "schedulerName",
    "schedulingGates",
    "priority",
    "preemptionPolicy",
    "topologySpreadConstraints",
    "containers",
    "initContainers",
];
/// Only the scheduler reads these, of pods without a node.
const PLACING: [&str; 5] = [
    "nodeSelector",
    "schedulerName",
    "schedulingGates",
    "preemptionPolicy",
    "topologySpreadConstraints",
];
const STATUS: [&str; 5] = [
    "phase",
    "podIP",
    "conditions",
    "containerStatuses",
    "nominatedNodeName",
];
const CONTAINER: [&str; 3] = ["ports", "resources", "restartCount"];
const CONTAINER_LISTS: [&str; 4] = [
    "containers",
    "initContainers",
    "containerStatuses",
    "initContainerStatuses",
];

/// The mirrors of everything that the API holds.
#[derive(Clone)]
pub(crate) struct Informers {
    own: Arc<[Arc<Informer>]>,
    /// Those of kinds that users define.
    custom: Arc<Custom>,
}

impl Informers {
    pub(crate) fn start(client: &Client, tasks: &Tasks) -> Self {
        let start = |resource: &&'static Resource| {
            let scope = Scope {
                trim: trim(resource),
                packed: true,
                ..Scope::default()
            };
            Informer::start(client.clone(), resource, scope, tasks)
        };
        let all = resources::all().iter();
        // Events are the most numerous and concern no controller: expiry reads them by pages.
        let mirrored =
            all.filter(|kind| kind.is_stored() && !std::ptr::eq(stored_as(kind), &EVENTS));
        let informers = Self {
            own: mirrored.map(start).collect(),
            custom: Custom::new(client, tasks),
        };
        if let Some(definitions) = informers.of(&CUSTOM_RESOURCE_DEFINITIONS) {
            let custom = Arc::clone(&informers.custom);
            definitions.on_change(move |change| custom.note(change));
        }
        informers
    }

    /// The mirror of `resource`.
    pub(crate) fn of(&self, resource: &'static Resource) -> Option<&Arc<Informer>> {
        self.own
            .iter()
            .find(|informer| std::ptr::eq(informer.resource(), resource))
    }

    /// The mirror of `resource`, whoever defined it.
    pub(crate) fn find(&self, resource: &'static Resource) -> Option<Arc<Informer>> {
        let own = self.of(resource).cloned();
        own.or_else(|| self.custom.of(resource))
    }

    /// The kind that users defined by this name.
    pub(crate) fn custom_kind(&self, group: &str, kind: &str) -> Option<&'static Resource> {
        let mut kinds = self.custom.kinds().into_iter();
        kinds.find(|resource| resource.group == group && resource.kind == kind)
    }

    /// Every kind that is mirrored now.
    pub(crate) fn kinds(&self) -> Vec<&'static Resource> {
        let own = self.own.iter().map(|informer| informer.resource());
        own.chain(self.custom.kinds()).collect()
    }

    /// Calls `follower` with every mirror, those of kinds that are defined later too.
    pub(crate) fn follow(&self, follower: impl Fn(&Arc<Informer>) + Send + Sync + 'static) {
        self.own.iter().for_each(&follower);
        self.custom.follow(follower);
    }

    /// Waits for our own kinds. Those that users define are known from then on, and read as they can be.
    pub(crate) async fn synced(&self) {
        for informer in self.own.iter() {
            informer.synced().await;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_keeps_what_controllers_read() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "annotations": {"a": "b", DELETION_COST: "5"}},
            "spec": {"nodeName": "n", "priority": 5, "nodeSelector": {"a": "b"}, "affinity": {"nodeAffinity": {}, "podAntiAffinity": {"x": []}},
                "volumes": [{"name": "a", "emptyDir": {}}], "containers": [{"name": "c", "image": "web", "ports": [{"containerPort": 80}]}]},
            "status": {"phase": "Running", "hostIP": "h", "containerStatuses": [{"restartCount": 3, "image": "web"}]}});
        let mut pod = Object::from_value(pod).unwrap();
        keep_of_pod(&mut pod);
        let kept = json!({"kind": "Pod", "metadata": {"name": "p", "annotations": {DELETION_COST: "5"}},
            "spec": {"nodeName": "n", "priority": 5, "affinity": {"podAntiAffinity": {"x": []}}, "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
            "status": {"phase": "Running", "containerStatuses": [{"restartCount": 3}]}});
        assert_eq!(pod.into_value(), kept);
    }

    #[test]
    fn a_failed_pod_keeps_what_its_job_judges_it_by() {
        let ended = json!([{"name": "c", "state": {"terminated": {"exitCode": 42}}}]);
        let said = json!([{"type": "DisruptionTarget", "status": "True"}]);
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "finalizers": [job::FINALIZER],
                "annotations": {job::FAILURES: "1", job::IGNORED: "2"}}, "spec": {"nodeName": "n"},
            "status": {"phase": "Failed", "conditions": said, "containerStatuses": ended, "initContainerStatuses": ended}});
        let whole = Object::from_value(pod).unwrap();
        let mut kept = whole.clone();
        keep_of_pod(&mut kept);
        assert_eq!(kept, whole);
        let mut counted = whole;
        counted.remove(&["metadata", "finalizers"]);
        keep_of_pod(&mut counted);
        let ended = json!([{"state": {"terminated": {"exitCode": 42}}}]);
        assert_eq!(
            counted.into_value()["status"],
            json!({"phase": "Failed", "conditions": [], "containerStatuses": ended})
        );
    }

    #[test]
    fn a_pod_without_a_node_keeps_what_the_scheduler_reads() {
        let claim = json!({"name": "c", "persistentVolumeClaim": {"claimName": "d"}});
        let pod = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"schedulerName": "s", "schedulingGates": [{"name": "g"}], "tolerations": [], "volumes": [claim]},
            "status": {"conditions": [{"type": "PodScheduled", "status": "False"}]}});
        let whole = Object::from_value(pod).unwrap();
        let mut waiting = whole.clone();
        keep_of_pod(&mut waiting);
        assert_eq!(waiting, whole);
        let mut bound = whole;
        bound.set(&["spec", "nodeName"], "n".into());
        keep_of_pod(&mut bound);
        assert_eq!(bound.into_value()["status"], json!({"conditions": []}));
    }

    #[test]
    fn secrets_are_not_kept() {
        let secret = json!({"kind": "Secret", "data": {"token": "c2VjcmV0"}, "metadata": {"name": "s",
            "uid": "u", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "secret"}}});
        let mut secret = Object::from_value(secret).unwrap();
        keep_metadata(&mut secret);
        assert!(!secret.into_value().to_string().contains("secret"));
    }
}
