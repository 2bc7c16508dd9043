//! The next step of a Deployment. Pure: a function of the Deployment, its replica sets, and which of
//! them still have pods. Each call gives the steps that are safe together; the change that they make
//! brings the next call.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use osier_api::Object;

use super::revision::{self, DESIRED, MOST, Revisions, Set};
use super::status::{self, News, Report};
use super::wanted::{Strategy, Wanted};
use crate::ownership::Claim;

/// What to do, and what to report.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) claim: Claim,
    pub(crate) revisions: Revisions,
    pub(crate) steps: Vec<Step>,
    /// The revision that the Deployment's annotation must name.
    pub(crate) revision: Option<u64>,
}

/// One write.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Create the replica set of the template of now.
    Create(Box<Object>),
    /// Change a replica set.
    Write(Write),
    /// Delete an old replica set.
    Delete(Arc<Object>),
}

/// What a replica set shall be.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) set: Arc<Object>,
    /// Its size until now.
    pub(crate) before: usize,
    pub(crate) replicas: usize,
    pub(crate) min_ready: u64,
    /// Annotations to be added or changed.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Decides from the replica sets of the Deployment's namespace; `populated` are the uids of those
/// that still have pods which have not ended.
pub(crate) fn decide(
    deployment: &Object,
    wanted: &Wanted,
    sets: &[Arc<Object>],
    populated: &HashSet<String>,
) -> Plan {
    let claim = wanted.owner.claim(sets);
    let revisions = Revisions::of(wanted, &claim.mine);
    let decision = Decision {
        deployment,
        wanted,
        revisions: &revisions,
        populated,
    };
    let steps = if wanted.owner.leaving {
        Vec::new()
    } else {
        decision.steps()
    };
    let creates = steps.iter().any(|step| matches!(step, Step::Create(_)));
    let has_new = revisions.new.is_some() || creates;
    let revision = (has_new && !wanted.owner.leaving).then(|| revisions.revision());
    Plan {
        claim,
        revision,
        steps,
        revisions,
    }
}

impl Plan {
    /// What the plan says of the new replica set.
    pub(crate) fn report<'a>(
        &'a self,
        deployment: &'a Object,
        wanted: &'a Wanted,
        now: Timestamp,
    ) -> Report<'a> {
        let created = self.steps.iter().find_map(|step| match step {
            Step::Create(set) => Some(News::Created(set.name().to_owned())),
            _ => None,
        });
        Report {
            deployment,
            wanted,
            revisions: &self.revisions,
            news: created.unwrap_or(News::None),
            now,
        }
    }
}

struct Decision<'a> {
    deployment: &'a Object,
    wanted: &'a Wanted,
    revisions: &'a Revisions,
    populated: &'a HashSet<String>,
}

impl Decision<'_> {
    fn steps(&self) -> Vec<Step> {
        let mut steps = if self.wanted.paused || self.is_rescaled() {
            self.rescale()
        } else {
            match self.wanted.strategy {
                Strategy::Rolling { .. } => self.roll(),
                Strategy::Recreate => self.recreate(),
            }
        };
        // What the new replica set carries is kept true even if its size stays.
        if let Some(new) = &self.revisions.new {
            let is_written = |step: &Step| matches!(step, Step::Write(write) if write.set.uid() == new.object.uid());
            if !steps.iter().any(is_written) {
                let write = self.write(new, new.replicas);
                if !write.is_idle() {
                    steps.push(Step::Write(write));
                }
            }
        }
        if steps.is_empty()
            && (self.wanted.paused || status::is_complete(self.wanted, self.revisions))
        {
            let old = self.revisions.superfluous(self.wanted);
            steps.extend(old.into_iter().map(Step::Delete));
        }
        steps
    }

    /// The Deployment's size changed since its replica sets were sized.
    fn is_rescaled(&self) -> bool {
        let mut populated = self.revisions.all().filter(|set| set.replicas > 0);
        populated.any(|set| {
            set.remembered(DESIRED)
                .is_some_and(|desired| desired != self.wanted.replicas)
        })
    }

    fn roll(&self) -> Vec<Step> {
        let Some(new) = &self.revisions.new else {
            return vec![self.create(self.grown(0))];
        };
        let size = if new.replicas > self.wanted.replicas {
            self.wanted.replicas
        } else {
            self.grown(new.replicas)
        };
        if size != new.replicas {
            return self.sized([(new, size)]);
        }
        self.shrink_old(new)
    }

    /// The size that a new replica set may grow to, from `size`, within the surge.
    fn grown(&self, size: usize) -> usize {
        let pods = self.revisions.sum(|set| set.replicas);
        let room = self.wanted.most().saturating_sub(pods);
        size + room.min(self.wanted.replicas.saturating_sub(size))
    }

    /// Takes from old replica sets what may go: first their pods that are of no use, then as many as
    /// are available beyond the fewest.
    fn shrink_old(&self, new: &Set) -> Vec<Step> {
        let pods = self.revisions.sum(|set| set.replicas);
        let waiting = new.replicas - new.available;
        let mut may_go = pods.saturating_sub(self.wanted.fewest() + waiting);
        let mut sizes: Vec<usize> = self.revisions.old.iter().map(|set| set.replicas).collect();
        for (set, size) in self.revisions.old.iter().zip(&mut sizes) {
            let useless = (set.replicas - set.available).min(may_go);
            *size -= useless;
            may_go -= useless;
        }
        let available = self.revisions.sum(|set| set.available);
        let mut spare = available.saturating_sub(self.wanted.fewest()).min(may_go);
        for size in &mut sizes {
            let taken = (*size).min(spare);
            *size -= taken;
            spare -= taken;
        }
        self.sized(self.revisions.old.iter().zip(sizes))
    }

    fn recreate(&self) -> Vec<Step> {
        let old = self.revisions.old.iter();
        let down = self.sized(old.clone().map(|set| (set, 0)));
        let mut uids = old.map(|set| set.object.uid());
        if !down.is_empty() || uids.any(|uid| self.populated.contains(uid)) {
            return down;
        }
        match &self.revisions.new {
            None => vec![self.create(self.wanted.replicas)],
            Some(new) => self.sized([(new, self.wanted.replicas)]),
        }
    }

    /// Follows a changed size without rolling on: the only replica set with pods takes it all, a
    /// finished rollout clears what is old, and several share the difference in proportion.
    fn rescale(&self) -> Vec<Step> {
        let populated: Vec<&Set> = self
            .revisions
            .all()
            .filter(|set| set.replicas > 0)
            .collect();
        let latest = match populated.as_slice() {
            [] => self.revisions.new.as_ref().or(self.revisions.old.last()),
            [only] => Some(*only),
            _ => None,
        };
        if let Some(set) = latest {
            return self.sized([(set, self.wanted.replicas)]);
        }
        if let Some(new) = self
            .revisions
            .new
            .as_ref()
            .filter(|new| self.is_saturated(new))
        {
            let old = self.revisions.old.iter().map(|set| (set, 0));
            return self.sized(old.chain([(new, new.replicas)]));
        }
        match self.wanted.strategy {
            Strategy::Rolling { .. } => self.sized(self.shares(populated)),
            Strategy::Recreate => self.sized(self.revisions.old.iter().map(|set| (set, 0))),
        }
    }

    /// The replica set has all pods of the Deployment, and they are available.
    fn is_saturated(&self, new: &Set) -> bool {
        let desired = new.remembered(DESIRED);
        [new.replicas, new.available, desired.unwrap_or(0)] == [self.wanted.replicas; 3]
    }

    /// Sizes of several replica sets with pods, in proportion to what they have.
    fn shares<'s>(&self, mut sets: Vec<&'s Set>) -> Vec<(&'s Set, usize)> {
        let pods = signed(sets.iter().map(|set| set.replicas).sum());
        let allowed = if self.wanted.replicas > 0 {
            signed(self.wanted.most())
        } else {
            0
        };
        let change = allowed - pods;
        // The largest first; among equals the newest when growing, the oldest when shrinking.
        sets.sort_by_key(|set| {
            let age = crate::facts::created(&set.object).as_second();
            let age = if change > 0 { -age } else { age };
            (Reverse(set.replicas), age)
        });
        let (mut left, mut sizes) = (change, Vec::new());
        for set in &sets {
            let fraction = self.fraction(set);
            let part = if change > 0 {
                fraction.clamp(0, left)
            } else {
                fraction.clamp(left, 0)
            };
            left -= part;
            sizes.push(signed(set.replicas) + part);
        }
        if let Some(first) = sizes.first_mut() {
            *first += left;
        }
        let sizes = sizes
            .into_iter()
            .map(|size| usize::try_from(size).unwrap_or(0));
        sets.into_iter().zip(sizes).collect()
    }

    /// By how much a replica set changes to keep its share of the whole.
    fn fraction(&self, set: &Set) -> i64 {
        if self.wanted.replicas == 0 {
            return -signed(set.replicas);
        }
        let before = set.remembered(MOST).filter(|most| *most > 0);
        let before = before.unwrap_or_else(|| self.revisions.sum(|set| set.replicas).max(1));
        let (size, most, before) = (
            signed(set.replicas),
            signed(self.wanted.most()),
            signed(before),
        );
        (2 * size * most + before) / (2 * before) - size
    }

    /// The writes that make the sizes true, and only those that change something.
    fn sized<'s>(&self, sizes: impl IntoIterator<Item = (&'s Set, usize)>) -> Vec<Step> {
        let writes = sizes
            .into_iter()
            .filter(|(set, size)| set.replicas > 0 || *size > 0)
            .map(|(set, size)| self.write(set, size));
        let writes = writes.filter(|write| !write.is_idle());
        writes.map(Step::Write).collect()
    }

    fn write(&self, set: &Set, replicas: usize) -> Write {
        let new = self.revisions.new.as_ref();
        let is_new = new.is_some_and(|new| new.object.uid() == set.object.uid());
        let mut annotations = if is_new {
            revision::annotations(self.deployment, Some(set), self.revisions.revision())
        } else {
            BTreeMap::new()
        };
        annotations.extend(self.sizes());
        annotations.retain(|key, value| set.object.annotation(key) != Some(value.as_str()));
        let min_ready = set.object.get(&["spec", "minReadySeconds"]);
        let min_ready = min_ready.and_then(serde_json::Value::as_u64).unwrap_or(0);
        Write {
            set: Arc::clone(&set.object),
            before: set.replicas,
            replicas,
            min_ready: if is_new {
                self.wanted.min_ready
            } else {
                min_ready
            },
            annotations,
        }
    }

    /// The sizes that a replica set remembers, by which a later change of size is noticed.
    fn sizes(&self) -> [(String, String); 2] {
        [
            (DESIRED.to_owned(), self.wanted.replicas.to_string()),
            (MOST.to_owned(), self.wanted.most().to_string()),
        ]
    }

    fn create(&self, replicas: usize) -> Step {
        let mut set = revision::replica_set(self.deployment, self.wanted, replicas);
        let number = self.revisions.revision();
        let mut annotations = revision::annotations(self.deployment, None, number);
        annotations.extend(self.sizes());
        for (key, value) in annotations {
            set.set(&["metadata", "annotations", &key], value.into());
        }
        Step::Create(Box::new(set))
    }
}

impl Write {
    /// It would change nothing.
    fn is_idle(&self) -> bool {
        let min_ready = self.set.get(&["spec", "minReadySeconds"]);
        let same = min_ready.and_then(serde_json::Value::as_u64).unwrap_or(0) == self.min_ready;
        self.before == self.replicas && same && self.annotations.is_empty()
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / 4)
}
