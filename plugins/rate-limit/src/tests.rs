//! The limits over counters in memory with a clock that the test moves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use osier_plugin::counters::{Error, Taken, Terms};
use osier_plugin::export::make;
use std::cell::{Cell, RefCell};

#[derive(Default)]
struct Memory {
    counts: RefCell<BTreeMap<String, i64>>,
    terms: Cell<Option<Terms>>,
    now: Cell<Duration>,
    broken: bool,
}

impl Counters for Memory {
    fn increment(&self, key: &str, delta: i64, _: Duration) -> Result<i64, Error> {
        if self.broken {
            return Err(Error::Full);
        }
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(key.into()).or_default();
        *count += delta;
        Ok(*count)
    }

    fn get(&self, key: &str) -> Result<i64, Error> {
        Ok(self.counts.borrow().get(key).copied().unwrap_or(0))
    }

    fn take(&self, _: &str, amount: u64, terms: Terms, _: bool) -> Result<Taken, Error> {
        self.terms.set(Some(terms));
        Ok(Taken {
            amount,
            remaining: terms.capacity - amount,
            retry_after: Duration::ZERO,
        })
    }

    fn now(&self) -> Duration {
        self.now.get()
    }
}

fn request(user: &str, amount: u64, best_effort: bool) -> QuotaInstance {
    QuotaInstance {
        dimensions: vec![("user".into(), Value::Text(user.into()))],
        amount,
        best_effort,
        deduplication_id: String::new(),
    }
}

fn granted(plugin: &RateLimit, memory: &Memory, user: &str) -> bool {
    matches!(
        plugin.decide(&request(user, 1, false), memory),
        Outcome::Granted { .. }
    )
}

#[test]
fn a_fixed_window_grants_its_limit_and_starts_anew() {
    let plugin: RateLimit =
        make(r#"{"algorithm": "FIXED_WINDOW", "limit": 3, "window": "10s"}"#).unwrap();
    let memory = Memory::default();
    memory.now.set(Duration::from_secs(104));
    let passed = (0..5).filter(|_| granted(&plugin, &memory, "a")).count();
    assert_eq!(passed, 3);
    assert!(
        granted(&plugin, &memory, "b"),
        "each dimension has its own allowance"
    );
    match plugin.decide(&request("a", 1, false), &memory) {
        Outcome::Refused { retry_after, .. } => {
            assert_eq!(retry_after, Some(Duration::from_secs(6)));
        }
        other => panic!("{other:?}"),
    }
    memory.now.set(Duration::from_secs(110));
    assert!(granted(&plugin, &memory, "a"));
}

#[test]
fn a_sliding_window_carries_the_last_one_over() {
    let plugin: RateLimit =
        make(r#"{"algorithm": "SLIDING_WINDOW", "limit": 10, "window": "10s"}"#).unwrap();
    let memory = Memory::default();
    memory.now.set(Duration::from_secs(109));
    assert_eq!(
        (0..20).filter(|_| granted(&plugin, &memory, "a")).count(),
        10
    );
    memory.now.set(Duration::from_secs(111));
    assert_eq!(
        (0..20).filter(|_| granted(&plugin, &memory, "a")).count(),
        1,
        "nine tenths still count"
    );
    memory.now.set(Duration::from_secs(119));
    assert_eq!(
        (0..20).filter(|_| granted(&plugin, &memory, "a")).count(),
        8
    );
}

#[test]
fn best_effort_grants_what_is_left() {
    let plugin: RateLimit =
        make(r#"{"algorithm": "FIXED_WINDOW", "limit": 5, "window": "1s"}"#).unwrap();
    let memory = Memory::default();
    let amount = |outcome| match outcome {
        Outcome::Granted { amount, .. } => amount,
        Outcome::Leased { .. } | Outcome::Refused { .. } => 0,
    };
    assert_eq!(amount(plugin.decide(&request("a", 3, true), &memory)), 3);
    assert_eq!(amount(plugin.decide(&request("a", 3, false), &memory)), 0);
    assert_eq!(amount(plugin.decide(&request("a", 3, true), &memory)), 2);
}

#[test]
fn a_token_bucket_is_asked_for_with_the_limits_terms() {
    let plugin: RateLimit = make(r#"{"limit": 100, "window": "1m", "burst": 20}"#).unwrap();
    let memory = Memory::default();
    assert!(granted(&plugin, &memory, "a"));
    let terms = Terms {
        capacity: 20,
        refill: 100,
        interval: Duration::from_secs(60),
    };
    assert_eq!(memory.terms.get(), Some(terms));
}

#[test]
fn a_lease_is_taken_while_there_is_as_much_and_never_beyond_its_window() {
    let plugin: RateLimit = make(
        r#"{"algorithm": "FIXED_WINDOW", "limit": 10, "window": "10s", "lease": {"amount": 4, "validFor": "5s"}}"#,
    )
    .unwrap();
    let memory = Memory::default();
    let leased = |outcome| match outcome {
        Outcome::Leased {
            amount, valid_for, ..
        } => (amount, valid_for.as_secs()),
        Outcome::Granted { amount, .. } => (amount, 0),
        Outcome::Refused { .. } => (0, 0),
    };
    let ask = |amount| leased(plugin.decide(&request("a", amount, false), &memory));
    memory.now.set(Duration::from_secs(101));
    assert_eq!(ask(1), (4, 5));
    memory.now.set(Duration::from_secs(107));
    assert_eq!(ask(1), (4, 3), "what is left of the window");
    assert_eq!(ask(1), (1, 0), "no lease is left, but one is");
    assert_eq!([ask(1), ask(1)], [(1, 0), (0, 0)]);
    memory.now.set(Duration::from_secs(110));
    assert_eq!(ask(7), (7, 0), "more than a lease is asked for by itself");
}

#[test]
fn overrides_go_by_dimensions() {
    let plugin: RateLimit = make(
        r#"{"algorithm": "FIXED_WINDOW", "limit": 1, "window": "1s", "overrides": [{"dimensions": {"user": "vip"}, "limit": 4}]}"#,
    )
    .unwrap();
    let memory = Memory::default();
    assert_eq!(
        (0..9).filter(|_| granted(&plugin, &memory, "vip")).count(),
        4
    );
    assert_eq!((0..9).filter(|_| granted(&plugin, &memory, "a")).count(), 1);
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let plugin: RateLimit =
        make(r#"{"algorithm": "FIXED_WINDOW", "limit": 1, "window": "1s"}"#).unwrap();
    let memory = Memory {
        broken: true,
        ..Memory::default()
    };
    assert!(!granted(&plugin, &memory, "a"));
}

#[test]
fn keys_of_different_dimensions_differ() {
    let one = BTreeMap::from([("a", "1;b=1:2".to_owned())]);
    let two = BTreeMap::from([("a", "1".to_owned()), ("b", "2".to_owned())]);
    assert_ne!(key(&one), key(&two));
}

#[test]
fn wrong_configurations_are_named() {
    for (config, place) in [
        (r#"{"limit": 0, "window": "1s"}"#, "limit"),
        (r#"{"limit": 1, "window": "1x"}"#, "1x"),
        (
            r#"{"limit": 1, "window": "1s", "overrides": [{"dimensions": {}, "limit": 0}]}"#,
            "overrides[0].limit",
        ),
        (
            r#"{"limit": 5, "window": "1s", "lease": {"amount": 6, "validFor": "1s"}}"#,
            "lease.amount",
        ),
        (
            r#"{"limit": 5, "window": "1s", "lease": {"amount": 2, "validFor": "2s"}}"#,
            "lease.validFor",
        ),
    ] {
        let error = make::<RateLimit>(config).err().unwrap();
        assert!(error.contains(place), "{error}");
    }
}
