//! Decides whether an event is told anew, counted, or held back. Pure: time is passed in.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_process::clock;
use serde_json::{Map, Value, json};

use super::{Fact, Reference};

/// Facts remembered for counting, and objects for their budgets; the oldest are forgotten first.
const REMEMBERED: usize = 4096;
/// An object may tell this many at once, and one more every `REFILL`, as kubelet allows.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// A new Event.
    Create(Box<Object>),
    /// One more of an Event that was told before.
    Count(Count),
}

/// How an Event that was told before is counted up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Count {
    pub(super) namespace: String,
    pub(super) name: String,
    /// As a merge patch.
    pub(super) patch: Value,
}

/// Which fact, or which object. Thousands are remembered for a long time, and their words would take kilobytes each; that two of them
/// have one key by chance is not to be expected, and would count one event for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Known(u64);

#[derive(Debug)]
struct Told {
    /// What its Event's name ends with.
    stamp: u128,
    count: u64,
}

#[derive(Debug)]
struct Budget {
    left: f64,
    at: Timestamp,
}

/// What is known of the newest. However many there are, one more costs the same.
#[derive(Debug)]
struct Newest<T> {
    known: HashMap<Known, T>,
    order: VecDeque<Known>,
}

impl<T> Newest<T> {
    fn new() -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// What is known of one, which is `new` if nothing is; the oldest makes room for it.
    fn of(&mut self, which: Known, new: impl FnOnce() -> T) -> &mut T {
        if !self.known.contains_key(&which) {
            if self.order.len() >= REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(which);
        }
        self.known.entry(which).or_insert_with(new)
    }

    fn forget(&mut self, gone: Known) {
        self.known.remove(&gone);
        self.order.retain(|known| *known != gone);
    }
}

/// Remembers what was told.
#[derive(Debug)]
pub(super) struct Correlator {
    component: &'static str,
    host: String,
    keys: RandomState,
    told: Newest<Told>,
    budgets: Newest<Budget>,
    sequence: u64,
}

impl Correlator {
    pub(super) fn new(component: &'static str, host: &str) -> Self {
        Self {
            component,
            host: host.to_owned(),
            keys: RandomState::new(),
            told: Newest::new(),
            budgets: Newest::new(),
            sequence: 0,
        }
    }

    /// What to write for `fact`, or nothing when its object has told too much lately.
    pub(super) fn observe(&mut self, fact: &Fact, at: Timestamp) -> Option<Write> {
        if !self.spend(&fact.about, at) {
            return None;
        }
        let known = self.known(fact);
        if let Some(told) = self.told.known.get_mut(&known) {
            told.count += 1;
            return Some(Write::Count(Count {
                namespace: namespace(&fact.about).to_owned(),
                name: named(fact, told.stamp),
                patch: json!({"count": told.count, "lastTimestamp": clock::seconds(at)}),
            }));
        }
        self.sequence += 1;
        let stamp = u128::try_from(at.as_nanosecond()).unwrap_or(0) + u128::from(self.sequence);
        self.told.of(known, || Told { stamp, count: 1 });
        let name = named(fact, stamp);
        Some(Write::Create(Box::new(self.event(fact, &name, at))))
    }

    /// The event of `fact` is gone.
    pub(super) fn forget(&mut self, fact: &Fact) {
        let gone = self.known(fact);
        self.told.forget(gone);
    }

    fn known(&self, what: &impl Hash) -> Known {
        Known(self.keys.hash_one(what))
    }

    fn spend(&mut self, about: &Reference, at: Timestamp) -> bool {
        let key = self.known(&(&about.kind, &about.namespace, &about.name, &about.uid));
        let budget = self.budgets.of(key, || Budget { left: BURST, at });
        budget.left = refilled(budget, at);
        budget.at = at;
        if budget.left < 1.0 {
            return false;
        }
        budget.left -= 1.0;
        true
    }

    fn event(&self, fact: &Fact, name: &str, at: Timestamp) -> Object {
        let about = &fact.about;
        let mut involved = Map::new();
        let fields = [
            ("apiVersion", &about.api_version),
            ("kind", &about.kind),
            ("namespace", &about.namespace),
            ("name", &about.name),
            ("uid", &about.uid),
            ("fieldPath", &about.field_path),
        ];
        for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            involved.insert(key.to_owned(), value.as_str().into());
        }
        let mut source = json!({"component": self.component});
        if !self.host.is_empty() {
            source["host"] = self.host.as_str().into();
        }
        let mut event = Object::default();
        event.set(&["apiVersion"], "v1".into());
        event.set(&["kind"], "Event".into());
        event.set(
            &["metadata"],
            json!({"name": name, "namespace": namespace(about)}),
        );
        event.set(&["involvedObject"], Value::Object(involved));
        event.set(&["reason"], fact.reason.as_str().into());
        event.set(&["message"], fact.message.as_str().into());
        event.set(&["source"], source);
        event.set(&["firstTimestamp"], clock::seconds(at).into());
        event.set(&["lastTimestamp"], clock::seconds(at).into());
        event.set(&["count"], 1.into());
        event.set(&["type"], format!("{:?}", fact.kind).into());
        event.set(&["reportingComponent"], self.component.into());
        event.set(&["reportingInstance"], self.host.as_str().into());
        event
    }
}

/// The name of the Event that tells of `fact`.
fn named(fact: &Fact, stamp: u128) -> String {
    format!("{}.{stamp:x}", fact.about.name)
}

/// Events about objects of the cluster live in the default namespace, as in Kubernetes.
fn namespace(about: &Reference) -> &str {
    match about.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    }
}

fn refilled(budget: &Budget, at: Timestamp) -> f64 {
    let passed = at.duration_since(budget.at).as_secs_f64().max(0.0);
    (budget.left + passed / REFILL.as_secs_f64()).min(BURST)
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use super::super::EventType;
    use super::*;

    fn fact(message: &str) -> Fact {
        Fact {
            about: Reference {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                uid: "u".to_owned(),
                field_path: String::new(),
            },
            kind: EventType::Normal,
            reason: "Started".to_owned(),
            message: message.to_owned(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    #[test]
    fn repetitions_are_counted() {
        let mut correlator = Correlator::new("kubelet", "n1");
        let Some(Write::Create(event)) = correlator.observe(&fact("a"), at(0)) else {
            panic!("the first is told");
        };
        assert_eq!(event.get(&["source", "host"]), Some(&json!("n1")));
        assert_eq!(event.get(&["involvedObject", "name"]), Some(&json!("web")));
        let again = correlator.observe(&fact("a"), at(60));
        let patch = json!({"count": 2, "lastTimestamp": "1970-01-01T00:01:00Z"});
        let (namespace, name) = ("shop".to_owned(), event.name().to_owned());
        assert_eq!(
            again,
            Some(Write::Count(Count {
                namespace,
                name,
                patch
            }))
        );
        assert!(matches!(
            correlator.observe(&fact("b"), at(60)),
            Some(Write::Create(_))
        ));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let mut correlator = Correlator::new("kubelet", "n1");
        let of = |number: usize| {
            let mut fact = fact("a");
            fact.about.name = number.to_string();
            fact
        };
        for number in 0..=REMEMBERED {
            correlator.observe(&of(number), at(0));
        }
        for kept in [&correlator.told.order, &correlator.budgets.order] {
            assert_eq!(kept.len(), REMEMBERED);
        }
        let sizes = (correlator.told.known.len(), correlator.budgets.known.len());
        assert_eq!(sizes, (REMEMBERED, REMEMBERED));
        let newest = correlator.observe(&of(REMEMBERED), at(1));
        assert!(matches!(newest, Some(Write::Count(_))));
        let oldest = correlator.observe(&of(0), at(1));
        assert!(matches!(oldest, Some(Write::Create(_))));
    }

    #[test]
    fn a_chattering_object_is_held_back_and_let_in_again() {
        let mut correlator = Correlator::new("kubelet", "n1");
        let told = (0..100).filter(|n| correlator.observe(&fact(&n.to_string()), at(0)).is_some());
        assert_eq!(told.count(), 25);
        assert!(correlator.observe(&fact("late"), at(299)).is_none());
        assert!(correlator.observe(&fact("later"), at(601)).is_some());
    }
}
