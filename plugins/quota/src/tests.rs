//! Reserving and settling over counters in memory, with a clock that the test moves.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};

use osier_plugin::counters::Error;
use osier_plugin::export::make;

use super::*;

#[derive(Default)]
struct Memory {
    counts: RefCell<BTreeMap<String, (i64, Duration)>>,
    now: Cell<Duration>,
    broken: bool,
}

impl Counters for Memory {
    fn add(&self, key: &str, delta: i64, life: Duration) -> Result<i64, Error> {
        if self.broken {
            return Err(Error::Full);
        }
        let (now, mut counts) = (self.now.get(), self.counts.borrow_mut());
        let count = counts.entry(key.into()).or_insert((0, now + life));
        if count.1 <= now {
            *count = (0, now + life);
        }
        count.0 += delta;
        Ok(count.0)
    }

    fn now(&self) -> Duration {
        self.now.get()
    }
}

fn quota() -> Quotas {
    let config = r#"{"limit": 100, "window": "1h", "reservation": "10m", "overrides": [{"dimensions": {"team": "big"}, "limit": 1000}]}"#;
    make(config).unwrap()
}

fn dimensions(team: &str) -> Vec<(String, Value)> {
    vec![("team".into(), Value::Text(team.into()))]
}

/// What is granted, and what is left.
fn reserve(memory: &Memory, id: &str, amount: u64, best_effort: bool) -> (u64, u64) {
    let request = QuotaInstance {
        dimensions: dimensions("a"),
        amount,
        best_effort,
        deduplication_id: id.into(),
    };
    let left = |headers: &[(String, String)]| headers[1].1.parse().unwrap();
    match quota().reserve(&request, memory) {
        Outcome::Granted { amount, headers } => (amount, left(&headers)),
        Outcome::Leased { headers, .. } | Outcome::Refused { headers, .. } => (0, left(&headers)),
    }
}

fn settle(memory: &Memory, id: &str, used: u64) {
    let one = SettlementInstance {
        dimensions: dimensions("a"),
        deduplication_id: id.into(),
        used,
    };
    quota().settle_with(&[one], memory).unwrap();
}

#[test]
fn what_was_not_used_goes_back_and_what_cost_more_is_taken() {
    let memory = Memory::default();
    assert_eq!(reserve(&memory, "1", 60, false), (60, 40));
    assert_eq!(
        reserve(&memory, "2", 60, false),
        (0, 40),
        "reserved is as good as used"
    );
    settle(&memory, "1", 10);
    assert_eq!(reserve(&memory, "3", 60, false), (60, 30));
    settle(&memory, "3", 85);
    assert_eq!(reserve(&memory, "4", 5, false), (5, 0));
    assert_eq!(reserve(&memory, "5", 1, false), (0, 0));
}

#[test]
fn a_call_is_charged_once_and_settled_once() {
    let memory = Memory::default();
    assert_eq!(reserve(&memory, "1", 60, false), (60, 40));
    assert_eq!(
        reserve(&memory, "1", 60, false),
        (60, 40),
        "another try of the same call"
    );
    settle(&memory, "1", 10);
    settle(&memory, "1", 10);
    settle(&memory, "never", 50);
    assert_eq!(reserve(&memory, "2", 90, false), (90, 0));
}

#[test]
fn the_best_effort_is_what_is_left() {
    let memory = Memory::default();
    assert_eq!(reserve(&memory, "1", 70, true), (70, 30));
    assert_eq!(reserve(&memory, "2", 70, true), (30, 0));
    assert_eq!(reserve(&memory, "3", u64::MAX, true), (0, 0));
    settle(&memory, "2", 0);
    assert_eq!(reserve(&memory, "4", u64::MAX, false), (0, 30));
    assert_eq!(reserve(&memory, "5", u64::MAX, true), (30, 0));
}

#[test]
fn what_is_settled_late_counts_where_it_was_reserved() {
    let memory = Memory::default();
    memory.now.set(Duration::from_secs(3_590));
    assert_eq!(reserve(&memory, "1", 60, false), (60, 40));
    memory.now.set(Duration::from_secs(3_610));
    assert_eq!(reserve(&memory, "2", 100, false), (100, 0), "a new window");
    settle(&memory, "1", 0);
    assert_eq!(
        reserve(&memory, "3", 1, false),
        (0, 0),
        "the old window's rest is not the new one's"
    );
    // After its time a reservation counts in full.
    memory.now.set(Duration::from_secs(3_610 + 601));
    settle(&memory, "2", 0);
    assert_eq!(reserve(&memory, "4", 1, false), (0, 0));
}

#[test]
fn dimensions_have_allowances_of_their_own() {
    let memory = Memory::default();
    let request = |team: &str, amount| QuotaInstance {
        dimensions: dimensions(team),
        amount,
        best_effort: false,
        deduplication_id: "1".into(),
    };
    let granted = |team: &str, amount| {
        let outcome = quota().reserve(&request(team, amount), &memory);
        matches!(outcome, Outcome::Granted { .. })
    };
    assert!(granted("a", 100) && granted("b", 100) && granted("big", 1000));
    assert!(!granted("c", 101));
}

#[test]
fn what_cannot_be_counted_is_refused_and_not_settled() {
    let memory = Memory {
        broken: true,
        ..Memory::default()
    };
    let request = QuotaInstance {
        dimensions: Vec::new(),
        amount: 1,
        best_effort: true,
        deduplication_id: String::new(),
    };
    let refused = quota().reserve(&request, &memory);
    assert!(matches!(refused, Outcome::Refused { reason, .. } if reason.contains("cannot count")));
    for (config, field) in [
        (r#"{"limit": 1, "window": "1ms"}"#, "window"),
        (
            r#"{"limit": 1, "window": "1h", "reservation": "0s"}"#,
            "reservation",
        ),
        (r#"{"limit": 9223372036854775808, "window": "1h"}"#, "limit"),
    ] {
        let error = make::<Quotas>(config).err().unwrap();
        assert!(error.contains(field), "{error}");
    }
}
