//! Claims, volumes and pods in a small world that does what plans say, as the API would.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::{Object, Resource, local_volume, patch, resources};
use osier_scheduling::node_affinity::{Site, selects};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Change, Plan, Reserved, View, Write, claim, mount, owners, reach, reserve, volume, wanted,
};

#[derive(Default)]
struct World {
    objects: BTreeMap<(&'static str, String), Object>,
    version: u64,
    told: Vec<String>,
}

impl View for World {
    fn claim(&self, _: &str, name: &str) -> Option<Arc<Object>> {
        self.object("persistentvolumeclaims", name)
    }
    fn volume(&self, name: &str) -> Option<Arc<Object>> {
        self.object("persistentvolumes", name)
    }
    fn volumes(&self) -> Vec<Arc<Object>> {
        self.all("persistentvolumes")
    }
    fn class(&self, name: &str) -> Option<Arc<Object>> {
        self.object("storageclasses", name)
    }
    fn pods(&self, _: &str) -> Vec<Arc<Object>> {
        self.all("pods")
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        let class = json!({"provisioner": local_volume::DRIVER, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"});
        world.put(&resources::STORAGE_CLASSES, "local", class);
        world
    }

    fn object(&self, plural: &'static str, name: &str) -> Option<Arc<Object>> {
        self.objects
            .get(&(plural, name.to_owned()))
            .cloned()
            .map(Arc::new)
    }

    fn all(&self, plural: &str) -> Vec<Arc<Object>> {
        let mine = self.objects.iter().filter(|((kind, _), _)| *kind == plural);
        mine.map(|(_, object)| Arc::new(object.clone())).collect()
    }

    fn put(&mut self, resource: &'static Resource, name: &str, body: Value) {
        self.version += 1;
        let namespace = if resource.namespaced { "n" } else { "" };
        let mut object = Object::new(resource, namespace, name);
        for (field, value) in body.as_object().unwrap() {
            if field == "metadata" {
                for (field, value) in value.as_object().unwrap() {
                    object.set(&["metadata", field], value.clone());
                }
            } else {
                object.set(&[field], value.clone());
            }
        }
        let version = self.version;
        object.set(&["metadata", "uid"], format!("uid-{version}").into());
        object.set_resource_version(version);
        self.objects
            .insert((resource.plural, name.to_owned()), object);
    }

    fn claims(&mut self, name: &str, spec: Value) {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "resources": {"requests": {"storage": "1Gi"}}});
        merge(&mut whole, &spec);
        let finalizers = json!({"finalizers": ["kubernetes.io/pvc-protection"]});
        self.put(
            &resources::PERSISTENT_VOLUME_CLAIMS,
            name,
            json!({"metadata": finalizers, "spec": whole}),
        );
    }

    fn volumes_of_people(&mut self, name: &str, spec: Value) {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, "hostPath": {"path": "/x"},
            "persistentVolumeReclaimPolicy": "Retain"});
        merge(&mut whole, &spec);
        let finalizers = json!({"finalizers": ["kubernetes.io/pv-protection"]});
        self.put(
            &resources::PERSISTENT_VOLUMES,
            name,
            json!({"metadata": finalizers, "spec": whole}),
        );
    }

    fn pod(&mut self, name: &str, claims: &[&str]) {
        let volume =
            |claim: &&str| json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}});
        let volumes: Vec<Value> = claims.iter().map(volume).collect();
        self.put(
            &resources::PODS,
            name,
            json!({"spec": {"volumes": volumes}}),
        );
    }

    fn get(&self, resource: &Resource, name: &str) -> &Object {
        &self.objects[&(resource.plural, name.to_owned())]
    }

    fn edit(&mut self, resource: &Resource, name: &str, change: Value) {
        self.version += 1;
        let version = self.version;
        let object = self
            .objects
            .get_mut(&(resource.plural, name.to_owned()))
            .unwrap();
        let mut value = object.to_value();
        merge(&mut value, &change);
        *object = Object::from_value(value).unwrap();
        object.set_resource_version(version);
    }

    /// Marks it as going; it is gone without finalizers.
    fn delete(&mut self, resource: &Resource, name: &str) {
        if self
            .objects
            .contains_key(&(resource.plural, name.to_owned()))
        {
            self.edit(
                resource,
                name,
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            );
            self.bury(resource.plural, name);
        }
    }

    fn bury(&mut self, plural: &'static str, name: &str) {
        let key = (plural, name.to_owned());
        let gone = |one: &Object| one.deletion_timestamp().is_some() && one.finalizers().is_empty();
        if self.objects.get(&key).is_some_and(gone) {
            self.objects.remove(&key);
        }
    }

    fn write(&mut self, write: &Write) {
        let key = (write.resource.plural, write.name.clone());
        let patch = match &write.change {
            Change::Create(object) => {
                if !self.objects.contains_key(&key) {
                    let body = json!({"metadata": object.to_value()["metadata"], "spec": object.to_value()["spec"]});
                    self.put(write.resource, &write.name, body);
                }
                return;
            }
            Change::Patch(patch) | Change::Status(patch) => patch,
        };
        let Some(now) = self.objects.get(&key) else {
            return;
        };
        let asked = patch["metadata"]["resourceVersion"].as_str();
        let stale = asked.is_some_and(|asked| asked != now.resource_version().to_string());
        if !stale && patch["metadata"]["uid"] == now.uid() {
            self.edit(write.resource, &write.name, patch.clone());
            self.bury(write.resource.plural, &write.name);
        }
    }

    fn follow(&mut self, plan: Plan) -> bool {
        let idle = plan.writes.is_empty();
        plan.writes.iter().for_each(|write| self.write(write));
        self.told.extend(
            plan.told
                .map(|told| format!("{}: {}", told.reason, told.message)),
        );
        !idle
    }

    /// What the node does that has the volume.
    fn reclaim(&mut self, name: &str) -> bool {
        let volume = self.object("persistentvolumes", name);
        let released = |one: &Arc<Object>| one.text(&["status", "phase"]) == "Released";
        let Some(volume) = volume.filter(released) else {
            return false;
        };
        let held = volume.finalizers().contains(&local_volume::FINALIZER);
        let ours = local_volume::node(&volume).is_some();
        if ours && held {
            self.delete(VOLUMES, name);
            let kept = json!({"metadata": {"finalizers": ["kubernetes.io/pv-protection"]}});
            self.edit(VOLUMES, name, kept);
        }
        ours && held
    }

    /// Until nothing is left to do; the node takes away what it made.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut busy = false;
            for one in self.all("persistentvolumeclaims") {
                let plan = claim(&one, self);
                busy |= self.follow(plan);
            }
            for one in self.all("persistentvolumes") {
                let plan = volume(&one, self);
                busy |= self.follow(plan);
                busy |= self.reclaim(one.name());
            }
            if !busy {
                return;
            }
        }
        panic!("it never ends: {:#?}", self.objects);
    }

    /// Tries a pod on the nodes until it is there, as the scheduler does.
    fn schedule(&mut self, pod: &str, nodes: &[&str]) -> Result<String, String> {
        for _ in 0..10 {
            let asked = self.object("pods", pod).unwrap();
            let reach = reach(&asked, self, &|_| false)?;
            let labels = nodes.iter().map(|node| {
                BTreeMap::from([("kubernetes.io/hostname".to_owned(), (*node).to_owned())])
            });
            let labels: Vec<_> = labels.collect();
            let mut sites = nodes
                .iter()
                .zip(&labels)
                .map(|(name, labels)| Site { name, labels });
            let fits = |site: &Site<'_>| {
                let all = reach.bound.iter().all(|one| selects(one, *site));
                all && reach
                    .open
                    .iter()
                    .all(|could| could.iter().any(|one| selects(one, *site)))
            };
            let site = sites.find(fits).ok_or("no node")?;
            match reserve(&asked, site, self) {
                Reserved::Ready => {
                    let node = site.name.to_owned();
                    self.edit(&resources::PODS, pod, json!({"spec": {"nodeName": node}}));
                    return Ok(node);
                }
                Reserved::Waits(writes) => writes.iter().for_each(|write| self.write(write)),
            }
            self.settle();
        }
        Err("waits".to_owned())
    }

    fn phase(&self, resource: &Resource, name: &str) -> &str {
        self.get(resource, name).text(&["status", "phase"])
    }
}

fn merge(into: &mut Value, change: &Value) {
    *into = patch::merge(into, change).unwrap();
}

const CLAIMS: &Resource = &resources::PERSISTENT_VOLUME_CLAIMS;
const VOLUMES: &Resource = &resources::PERSISTENT_VOLUMES;

#[test]
fn a_claim_waits_for_its_first_pod_and_gets_a_volume_where_that_runs() {
    let mut world = World::new();
    world.claims("data", json!({}));
    world.settle();
    assert!(world.told[0].starts_with("WaitForFirstConsumer: waiting for first consumer"));
    world.pod("one", &["data"]);
    assert_eq!(world.schedule("one", &["b", "a"]).unwrap(), "b");
    assert_eq!(world.phase(CLAIMS, "data"), "Bound");
    let name = world
        .get(CLAIMS, "data")
        .text(&["spec", "volumeName"])
        .to_owned();
    let made = world.get(VOLUMES, &name);
    assert_eq!(
        (world.phase(VOLUMES, &name), local_volume::node(made)),
        ("Bound", Some("b"))
    );
    // The next pod follows the volume, and waits where its node is not there.
    world.pod("two", &["data"]);
    assert_eq!(world.schedule("two", &["a", "b"]).unwrap(), "b");
    world.pod("three", &["data"]);
    assert_eq!(world.schedule("three", &["a"]).unwrap_err(), "no node");
}

#[test]
fn a_claim_that_is_used_stays_and_its_volume_goes_after_it() {
    let mut world = World::new();
    world.claims("data", json!({}));
    world.pod("one", &["data"]);
    world.schedule("one", &["a"]).unwrap();
    world.delete(CLAIMS, "data");
    world.settle();
    assert_eq!(world.phase(CLAIMS, "data"), "Bound", "a pod uses it");
    world.pod("late", &["data"]);
    assert!(
        world
            .schedule("late", &["a"])
            .unwrap_err()
            .contains("is being deleted")
    );
    world.edit(
        &resources::PODS,
        "one",
        json!({"status": {"phase": "Succeeded"}}),
    );
    world.settle();
    assert!(world.all("persistentvolumeclaims").is_empty() && world.volumes().is_empty());
}

#[test]
fn a_retained_volume_is_released_and_free_again_when_people_say_so() {
    let mut world = World::new();
    world.volumes_of_people("disk", json!({}));
    world.claims("data", json!({"storageClassName": ""}));
    world.settle();
    assert_eq!(world.phase(CLAIMS, "data"), "Bound");
    assert_eq!(
        world
            .get(CLAIMS, "data")
            .text(&["status", "capacity", "storage"]),
        "2Gi"
    );
    // A volume that a claim has is not taken away.
    world.delete(VOLUMES, "disk");
    world.settle();
    assert_eq!(world.phase(VOLUMES, "disk"), "Bound");
    world.edit(
        VOLUMES,
        "disk",
        json!({"metadata": {"deletionTimestamp": null}}),
    );
    world.delete(CLAIMS, "data");
    world.settle();
    assert_eq!(world.phase(VOLUMES, "disk"), "Released");
    world.claims("next", json!({"storageClassName": ""}));
    world.settle();
    assert!(
        world
            .told
            .iter()
            .any(|told| told.starts_with("FailedBinding: no persistent volumes available"))
    );
    world.edit(VOLUMES, "disk", json!({"spec": {"claimRef": null}}));
    world.settle();
    assert_eq!(
        (world.phase(VOLUMES, "disk"), world.phase(CLAIMS, "next")),
        ("Bound", "Bound")
    );
}

#[test]
fn the_smallest_volume_that_is_right_is_taken() {
    let mut world = World::new();
    for (name, size, tier) in [
        ("big", "9Gi", "fast"),
        ("small", "1Gi", "fast"),
        ("tiny", "1Mi", "fast"),
        ("slow", "1Gi", "slow"),
    ] {
        world.volumes_of_people(name, json!({"capacity": {"storage": size}}));
        world.edit(
            VOLUMES,
            name,
            json!({"metadata": {"labels": {"tier": tier}}}),
        );
    }
    let fast = json!({"matchLabels": {"tier": "fast"}});
    world.claims("a", json!({"storageClassName": "", "selector": fast}));
    world.settle();
    assert_eq!(
        world.get(CLAIMS, "a").text(&["spec", "volumeName"]),
        "small"
    );
    world.claims("b", json!({"storageClassName": "", "volumeName": "tiny"}));
    world.claims("c", json!({"storageClassName": "", "volumeName": "small"}));
    world.claims(
        "d",
        json!({"storageClassName": "", "accessModes": ["ReadOnlyMany"]}),
    );
    world.settle();
    let told = |words: &str| world.told.iter().any(|told| told == words);
    assert!(told(
        "VolumeMismatch: Cannot bind to requested volume \"tiny\": requested PV is too small"
    ));
    assert!(told(
        "FailedBinding: volume \"small\" already bound to a different claim."
    ));
    for waits in ["b", "c", "d"] {
        assert_ne!(world.phase(CLAIMS, waits), "Bound");
    }
}

#[test]
fn what_cannot_be_made_is_refused_with_the_reason() {
    let refused = [
        (
            json!({"accessModes": ["ReadWriteMany"]}),
            "does not serve ReadWriteMany",
        ),
        (json!({"volumeMode": "Block"}), "makes no block devices"),
        (
            json!({"selector": {"matchLabels": {"a": "b"}}}),
            "claim.Spec.Selector is not supported",
        ),
        (
            json!({"dataSource": {"kind": "VolumeSnapshot", "name": "s"}}),
            "makes empty volumes",
        ),
        (
            json!({"storageClassName": "at-once"}),
            "WaitForFirstConsumer",
        ),
        (json!({"storageClassName": "tuned"}), "knows no parameters"),
        (
            json!({"storageClassName": "none"}),
            "storageclass.storage.k8s.io \"none\" not found",
        ),
    ];
    for (spec, words) in refused {
        let mut world = World::new();
        let class = |more: Value| {
            let mut class = json!({"provisioner": local_volume::DRIVER, "volumeBindingMode": "WaitForFirstConsumer"});
            merge(&mut class, &more);
            class
        };
        world.put(
            &resources::STORAGE_CLASSES,
            "at-once",
            class(json!({"volumeBindingMode": "Immediate"})),
        );
        world.put(
            &resources::STORAGE_CLASSES,
            "tuned",
            class(json!({"parameters": {"iops": "9"}})),
        );
        world.claims("data", spec);
        world.settle();
        let told = world.told.join("\n");
        assert!(
            told.starts_with("ProvisioningFailed: ") && told.contains(words),
            "{told}"
        );
        world.pod("p", &["data"]);
        world.schedule("p", &["a"]).unwrap_err();
    }
}

#[test]
fn a_class_says_where_and_one_pod_alone_may_write() {
    let mut world = World::new();
    let here =
        json!([{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["c"]}]}]);
    let class = json!({"provisioner": local_volume::DRIVER, "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": here});
    world.put(&resources::STORAGE_CLASSES, "there", class);
    world.claims(
        "data",
        json!({"storageClassName": "there", "accessModes": ["ReadWriteOncePod"]}),
    );
    world.pod("one", &["data"]);
    assert_eq!(world.schedule("one", &["a", "b", "c"]).unwrap(), "c");
    world.pod("two", &["data"]);
    let told = world.schedule("two", &["c"]).unwrap_err();
    assert!(told.contains("ReadWriteOncePod"), "{told}");
    // The first one was given its node a moment ago, and does not say so yet.
    let nowhere = json!({"spec": {"nodeName": null}});
    world.edit(&resources::PODS, "one", nowhere);
    let first = world.get(&resources::PODS, "one").uid().to_owned();
    let second = world.object("pods", "two").unwrap();
    assert!(reach(&second, &world, &|uid| uid == first).is_err());
    assert!(reach(&second, &world, &|_| false).is_ok());
    world.pod("three", &["missing"]);
    let told = world.schedule("three", &["c"]).unwrap_err();
    assert_eq!(told, "persistentvolumeclaim \"missing\" not found");
}

#[test]
fn a_claim_grows_and_a_lost_volume_is_told() {
    let mut world = World::new();
    world.claims("data", json!({}));
    world.pod("one", &["data"]);
    world.schedule("one", &["a"]).unwrap();
    world.edit(
        CLAIMS,
        "data",
        json!({"spec": {"resources": {"requests": {"storage": "5Gi"}}}}),
    );
    world.settle();
    assert_eq!(
        world
            .get(CLAIMS, "data")
            .text(&["status", "capacity", "storage"]),
        "5Gi"
    );
    let name = world
        .get(CLAIMS, "data")
        .text(&["spec", "volumeName"])
        .to_owned();
    world.objects.remove(&("persistentvolumes", name));
    world.settle();
    assert_eq!(world.phase(CLAIMS, "data"), "Lost");
    assert!(
        world
            .told
            .last()
            .unwrap()
            .starts_with("ClaimLost: Bound claim has lost")
    );
}

#[test]
fn a_volume_whose_claim_is_gone_is_only_released_when_the_api_says_so_too() {
    let mut world = World::new();
    let of = json!({"namespace": "n", "name": "data", "uid": "u"});
    world.volumes_of_people("disk", json!({"claimRef": of}));
    let plan = volume(world.get(VOLUMES, "disk"), &world);
    let without = ["n", "data", "u"].map(str::to_owned);
    assert_eq!(plan.without, Some(without.into()));
}

#[test]
fn pods_of_a_stateful_set_have_claims_of_their_own() {
    let mut world = World::new();
    let template = json!({"metadata": {"name": "data", "labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    let keeps = json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    world.put(
        &resources::STATEFUL_SETS,
        "web",
        json!({"spec": {"selector": {"matchLabels": {"app": "web"}},
        "volumeClaimTemplates": [template], "persistentVolumeClaimRetentionPolicy": keeps}}),
    );
    let set = world.get(&resources::STATEFUL_SETS, "web").clone();
    let mut pod = Object::new(&resources::PODS, "n", "web-1");
    pod.set(&["metadata", "uid"], "p".into());
    pod.set(
        &["spec", "volumes"],
        json!([{"name": "data", "emptyDir": {}}, {"name": "other", "emptyDir": {}}]),
    );
    mount(&mut pod, &set, 1);
    let names = crate::claims(&pod).collect::<Vec<_>>();
    assert_eq!(names, ["data-web-1"]);
    assert_eq!(
        pod.get(&["spec", "volumes"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for write in wanted(&set, 1, &world) {
        world.write(&write);
    }
    assert!(wanted(&set, 1, &world).is_empty());
    let made = world.get(CLAIMS, "data-web-1");
    assert_eq!(
        (made.label("app"), made.label("a")),
        (Some("web"), Some("b"))
    );
    let mut owned = |condemned: bool| {
        for write in owners(&set, (1, &pod), condemned, &world) {
            world.write(&write);
        }
        let owners = world.get(CLAIMS, "data-web-1").owner_references();
        owners
            .into_iter()
            .map(|owner| owner.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(owned(false), ["StatefulSet"]);
    assert_eq!(owned(true), ["Pod"]);
    assert_eq!(
        owned(false),
        ["StatefulSet"],
        "scaled up again before it was gone"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is made and deleted in whatever order: no volume has two claims, no claim two volumes, a pod runs only where its
    /// volumes are, and nothing that is used goes.
    #[test]
    fn random_histories_keep_the_rules(history in proptest::collection::vec((0u8..7, 0usize..4), 1..40)) {
        let mut world = World::new();
        let nodes = ["a", "b"];
        for (action, number) in history {
            let (name, pod) = (format!("c{number}"), format!("p{number}"));
            let there = |kind: &'static str, name: &str| world.object(kind, name).is_some();
            match action {
                0 if !there("persistentvolumeclaims", &name) => world.claims(&name, json!({})),
                1 if !there("persistentvolumes", &format!("v{number}")) => {
                    let affinity = local_volume::affinity(nodes[number % 2]);
                    world.volumes_of_people(&format!("v{number}"), json!({"storageClassName": "local", "nodeAffinity": affinity}));
                }
                2 if !there("pods", &pod) => world.pod(&pod, &[&name, &format!("c{}", (number + 1) % 4)]),
                3 if world.object("pods", &pod).is_some_and(|pod| pod.text(&["spec", "nodeName"]).is_empty()) => drop(world.schedule(&pod, &nodes)),
                4 => world.delete(CLAIMS, &name),
                5 => world.delete(&resources::PODS, &pod),
                6 => world.delete(VOLUMES, &format!("v{number}")),
                _ => {}
            }
            world.settle();
            let mut owners = BTreeMap::new();
            for claim in world.all("persistentvolumeclaims") {
                let has = claim.text(&["spec", "volumeName"]).to_owned();
                if !has.is_empty() {
                    prop_assert!(world.volume(&has).is_some(), "{} lost {has}", claim.name());
                    prop_assert_eq!(owners.insert(has, claim.name().to_owned()), None);
                }
            }
            for pod in world.all("pods") {
                let node = pod.text(&["spec", "nodeName"]);
                for name in crate::claims(&pod).filter(|_| !node.is_empty()) {
                    let claim = world.claim("n", name);
                    prop_assert!(claim.is_some(), "{name} is used and gone");
                    let volume = world.volume(claim.unwrap().text(&["spec", "volumeName"])).unwrap();
                    let labels = BTreeMap::from([("kubernetes.io/hostname".to_owned(), node.to_owned())]);
                    let asked = volume.get(&["spec", "nodeAffinity", "required"]).cloned().unwrap_or_default();
                    prop_assert!(selects(&asked, Site { name: node, labels: &labels }), "{node} has no {}", volume.name());
                }
            }
        }
    }
}
