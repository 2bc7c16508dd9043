//! A world with one Deployment, its replica sets and their pods, where news travel late.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::json;

use crate::deployment::decide::{Step, decide};
use crate::deployment::revision::same_template;
use crate::deployment::wanted::Wanted;

/// What may happen.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// The controller looks and acts.
    Decide,
    /// The controller hears the next piece of news.
    Hear,
    /// A replica set makes its number of pods true and says so.
    Replicate(usize),
    /// A pod becomes ready.
    Ready(usize),
    /// A pod stops being ready.
    Crash(usize),
    /// Somebody rolls out this version.
    Template(usize),
    Scale(usize),
    Pause(bool),
}

/// A replica set with its pods: ready or not.
#[derive(Debug, Clone)]
struct Real {
    object: Object,
    pods: Vec<bool>,
}

pub(super) struct World {
    deployment: Object,
    real: Vec<Real>,
    seen: Vec<Arc<Object>>,
    /// States of replica sets, `Err` for one that is gone, in the order of their revisions.
    news: VecDeque<Result<Arc<Object>, String>>,
    revision: u64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let image = |object: &Object| object.get(&["spec", "template", "spec"]).cloned();
        writeln!(f, "wanted {:?}", self.deployment.get(&["spec"]))?;
        for real in &self.real {
            let asked = real.object.get(&["spec", "replicas"]);
            writeln!(
                f,
                "  {:?} asks for {asked:?}, has {:?}",
                image(&real.object),
                real.pods
            )?;
        }
        write!(f, "  {} news", self.news.len())
    }
}

pub(super) fn deployment(replicas: usize, version: &str) -> Object {
    Object::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": version}]}}}}))
    .unwrap()
}

impl World {
    pub(super) fn new(deployment: Object) -> Self {
        Self {
            deployment,
            real: Vec::new(),
            seen: Vec::new(),
            news: VecDeque::new(),
            revision: 0,
        }
    }

    pub(super) fn act(&mut self, act: &Act) {
        let image = ["spec", "template", "spec"];
        match act {
            Act::Decide => self.decide(),
            Act::Hear => self.hear(),
            Act::Replicate(which) => self.replicate(*which),
            Act::Ready(which) => self.turn(*which, true),
            Act::Crash(which) => self.turn(*which, false),
            Act::Template(version) => {
                let containers =
                    json!({"containers": [{"name": "c", "image": format!("v{version}")}]});
                self.deployment.set(&image, containers);
            }
            Act::Scale(replicas) => self
                .deployment
                .set(&["spec", "replicas"], (*replicas).into()),
            Act::Pause(paused) => self.deployment.set(&["spec", "paused"], (*paused).into()),
        }
    }

    /// Lets everything happen until nothing more does.
    pub(super) fn settle(&mut self) {
        for _ in 0..200 {
            while !self.news.is_empty() {
                self.hear();
            }
            let (revision, sets) = (self.revision, self.real.len());
            self.decide();
            for which in 0..self.real.len() {
                self.replicate(which);
            }
            for real in &mut self.real {
                real.pods.fill(true);
            }
            for which in 0..self.real.len() {
                self.replicate(which);
            }
            if (revision, sets) == (self.revision, self.real.len()) {
                return;
            }
        }
    }

    fn decide(&mut self) {
        // As the controller: nothing is decided before its own writes are seen.
        let unseen = |real: &Real| {
            let mut seen = self.seen.iter();
            let seen = seen.find(|seen| seen.name() == real.object.name());
            seen.is_none_or(|seen| written(seen) != written(&real.object))
        };
        if self.real.iter().any(unseen) {
            return;
        }
        let wanted = Wanted::of(&self.deployment);
        let plan = decide(&self.deployment, &wanted, &self.seen, &HashSet::new());
        for step in plan.steps {
            match step {
                Step::Create(set) => {
                    let mut set = *set;
                    set.set(&["metadata", "uid"], set.name().into());
                    let created = format!("2026-01-01T00:00:{:02}Z", self.revision % 60);
                    set.set(&["metadata", "creationTimestamp"], created.into());
                    set.set(&["metadata", "generation"], 1.into());
                    self.real.push(Real {
                        object: set,
                        pods: Vec::new(),
                    });
                    self.tell(self.real.len() - 1);
                }
                Step::Write(write) => {
                    let Some(position) = self.position(write.set.name()) else {
                        return;
                    };
                    let object = &mut self.real[position].object;
                    if object.resource_version() != write.set.resource_version() {
                        return;
                    }
                    object.set(&["spec", "replicas"], write.replicas.into());
                    let generation = object.generation() + 1;
                    object.set(&["metadata", "generation"], generation.into());
                    for (key, value) in write.annotations {
                        object.set(&["metadata", "annotations", &key], value.into());
                    }
                    self.tell(position);
                }
                Step::Delete(set) => {
                    let Some(position) = self.position(set.name()) else {
                        continue;
                    };
                    assert!(self.real[position].pods.is_empty(), "{self:?}");
                    self.real.remove(position);
                    self.news.push_back(Err(set.name().to_owned()));
                }
            }
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        let mut sets = self.real.iter();
        sets.position(|real| real.object.name() == name)
    }

    fn tell(&mut self, which: usize) {
        self.revision += 1;
        let object = &mut self.real[which].object;
        object.set_resource_version(self.revision);
        self.news.push_back(Ok(Arc::new(object.clone())));
    }

    fn hear(&mut self) {
        match self.news.pop_front() {
            Some(Ok(set)) => {
                self.seen.retain(|seen| seen.name() != set.name());
                self.seen.push(set);
            }
            Some(Err(name)) => self.seen.retain(|seen| seen.name() != name),
            None => {}
        }
    }

    /// What the replica set controller does: pods that are not ready go first.
    fn replicate(&mut self, which: usize) {
        let count = self.real.len().max(1);
        let Some(real) = self.real.get_mut(which % count) else {
            return;
        };
        let replicas = real.object.get(&["spec", "replicas"]).unwrap().as_u64();
        let replicas = usize::try_from(replicas.unwrap()).unwrap();
        real.pods.sort_by_key(|ready| !ready);
        real.pods.resize(replicas, false);
        let ready = real.pods.iter().filter(|ready| **ready).count();
        let status = json!({"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready,
            "observedGeneration": real.object.generation()});
        if real.object.get(&["status"]) != Some(&status) {
            real.object.set(&["status"], status);
            self.tell(which % count);
        }
    }

    fn turn(&mut self, which: usize, ready: bool) {
        let mut pods = self.real.iter_mut().flat_map(|real| &mut real.pods);
        if let Some(pod) = pods.nth(which) {
            *pod = ready;
        }
    }

    /// Pods that replica sets are asked for.
    pub(super) fn asked(&self) -> usize {
        let asked = |real: &Real| real.object.get(&["spec", "replicas"])?.as_u64();
        let sum: u64 = self.real.iter().filter_map(asked).sum();
        usize::try_from(sum).unwrap()
    }

    pub(super) fn pods(&self) -> usize {
        self.real.iter().map(|real| real.pods.len()).sum()
    }

    pub(super) fn ready(&self) -> usize {
        let pods = self.real.iter().flat_map(|real| &real.pods);
        pods.filter(|ready| **ready).count()
    }

    pub(super) fn sets(&self) -> usize {
        self.real.len()
    }

    /// All pods are of the template of now, ready, and as many as wanted; the status says so.
    pub(super) fn complete(&self) -> bool {
        let wanted = Wanted::of(&self.deployment);
        let plan = decide(&self.deployment, &wanted, &self.seen, &HashSet::new());
        let status = plan
            .report(&self.deployment, &wanted, Timestamp::UNIX_EPOCH)
            .status();
        let said = ["replicas", "updatedReplicas", "availableReplicas"].map(|field| &status[field]);
        let replicas = json!(wanted.replicas);
        let of_now = |real: &&Real| same_template(&wanted.template, &real.object);
        let new: usize = self
            .real
            .iter()
            .filter(of_now)
            .map(|real| real.pods.len())
            .sum();
        plan.steps.is_empty()
            && said == [&replicas; 3]
            && [new, self.pods(), self.ready()] == [wanted.replicas; 3]
    }
}

/// What the controller itself writes of a replica set.
fn written(set: &Object) -> (Option<&serde_json::Value>, Option<&serde_json::Value>) {
    (set.get(&["spec"]), set.get(&["metadata", "annotations"]))
}
