//! Signs in, judgements out.

use super::*;
use proptest::prelude::*;

fn policy(change: impl FnOnce(&mut OutlierPolicy)) -> OutlierPolicy {
    let mut policy = OutlierPolicy {
        consecutive_5xx: 3,
        most: 100,
        base_time: Duration::from_secs(10),
        longest: Duration::from_secs(25),
        ..OutlierPolicy::DEFAULT
    };
    change(&mut policy);
    policy
}

/// Endpoints, and their judge.
struct Court {
    policy: OutlierPolicy,
    all: Vec<Arc<Health>>,
    ejections: Ejections,
}

impl Court {
    fn new(count: usize, policy: OutlierPolicy) -> Self {
        Self {
            policy,
            all: (0..count).map(|_| Arc::default()).collect(),
            ejections: Ejections::default(),
        }
    }

    fn tell(&self, index: usize, sign: Sign, now: u64) -> Judgement {
        self.ejections
            .judge((&self.policy, &self.all), (index, sign), now)
    }

    fn last(&self, index: usize, signs: &[Sign], now: u64) -> Judgement {
        let mut judgements = signs.iter().map(|sign| self.tell(index, *sign, now));
        judgements
            .by_ref()
            .take(signs.len() - 1)
            .for_each(|judgement| assert_eq!(judgement, Judgement::Unchanged));
        judgements.next().unwrap_or(Judgement::Unchanged)
    }
}

const BAD: Sign = Sign::ServerError(500);

fn ejected(by: Detector, seconds: u64) -> Judgement {
    Judgement::Ejected {
        by,
        time: Duration::from_secs(seconds),
    }
}

#[test]
fn failures_in_a_row_eject_and_a_good_answer_starts_anew() {
    let court = Court::new(2, policy(|_| {}));
    assert_eq!(
        court.last(0, &[BAD, BAD, Sign::Good, BAD, BAD], 0),
        Judgement::Unchanged
    );
    assert_eq!(court.tell(0, BAD, 0), ejected(Detector::Consecutive5xx, 10));
    assert!(!court.all[0].is_in(9_999) && court.all[0].is_in(10_000));
    assert!(court.all[1].is_in(0));
    assert!(court.ejections.may_be_some(9_999) && !court.ejections.may_be_some(10_000));
}

#[test]
fn each_ejection_lasts_longer_up_to_a_bound_and_quiet_forgives() {
    let court = Court::new(2, policy(|_| {}));
    let mut now = 0;
    for seconds in [10, 20, 25, 25] {
        let judgement = court.last(0, &[BAD; 3], now);
        assert_eq!(judgement, ejected(Detector::Consecutive5xx, seconds));
        now += seconds * 1_000;
    }
    now += 4 * 10_000;
    let judgement = court.last(0, &[BAD; 3], now);
    assert_eq!(judgement, ejected(Detector::Consecutive5xx, 10));
}

#[test]
fn gateway_errors_and_missing_answers_have_detectors_of_their_own() {
    let gateway = policy(|policy| (policy.consecutive_5xx, policy.consecutive_gateway) = (0, 2));
    let court = Court::new(2, gateway);
    let (bad_gateway, broken) = (Sign::ServerError(502), Sign::NoAnswer);
    assert_eq!(
        court.last(0, &[bad_gateway, BAD, bad_gateway], 0),
        Judgement::Unchanged
    );
    assert_eq!(
        court.tell(0, broken, 0),
        ejected(Detector::ConsecutiveGateway, 10)
    );
    let split = policy(|policy| (policy.split, policy.consecutive_local) = (true, 2));
    let court = Court::new(2, split);
    assert_eq!(
        court.last(0, &[BAD, broken, BAD, broken], 0),
        Judgement::Unchanged
    );
    assert_eq!(
        court.tell(0, broken, 0),
        ejected(Detector::ConsecutiveLocal, 10)
    );
}

#[test]
fn not_too_many_are_out_and_never_the_only_one() {
    let court = Court::new(5, policy(|policy| policy.most = 40));
    for index in 0..2 {
        let judgement = court.last(index, &[BAD; 3], 0);
        assert_eq!(judgement, ejected(Detector::Consecutive5xx, 10));
    }
    assert_eq!(
        court.last(2, &[BAD; 3], 0),
        Judgement::Spared(Detector::Consecutive5xx)
    );
    assert_eq!(court.ejections.overflow.load(Ordering::Relaxed), 1);
    assert_eq!(
        court.tell(2, BAD, 10_000),
        ejected(Detector::Consecutive5xx, 10),
        "the others are back, and it still fails"
    );
    let few = Court::new(3, policy(|policy| policy.most = 10));
    assert_eq!(
        few.last(0, &[BAD; 3], 0),
        ejected(Detector::Consecutive5xx, 10)
    );
    let only = Court::new(1, policy(|policy| policy.most = 50));
    assert_eq!(
        only.last(0, &[BAD; 3], 0),
        Judgement::Spared(Detector::Consecutive5xx)
    );
}

#[test]
fn panic_begins_below_the_least_share() {
    let policy = policy(|policy| policy.least_healthy = 50);
    assert!(is_panic(&policy, (1, 3)) && !is_panic(&policy, (2, 4)));
    assert!(!is_panic(&OutlierPolicy::DEFAULT, (0, 3)));
}

#[test]
fn age_starts_when_first_asked() {
    let health = Health::default();
    assert_eq!(health.age(500), Duration::ZERO);
    assert_eq!(health.age(1_700), Duration::from_millis(1_200));
}

fn sign() -> impl Strategy<Value = Sign> {
    prop_oneof![
        Just(Sign::Good),
        (500u16..=504).prop_map(Sign::ServerError),
        Just(Sign::NoAnswer)
    ]
}

proptest! {
    /// Whatever happens, no more than the share is out (one excepted), and nobody is out for longer than the bound.
    #[test]
    fn the_share_of_the_ejected_is_bounded(
        count in 2usize..10,
        most in 0u32..=100,
        calls in prop::collection::vec((0usize..10, sign(), 0u64..2_000), 0..300),
    ) {
        let court = Court::new(count, policy(|policy| (policy.most, policy.consecutive_5xx, policy.consecutive_gateway) = (most, 2, 2)));
        let mut now = 0;
        for (index, sign, step) in calls {
            now += step;
            court.tell(index, sign, now);
            let out = court.all.iter().filter(|health| !health.is_in(now)).count();
            prop_assert!(out <= 1 || out * 100 <= most as usize * count, "{out} of {count}");
            prop_assert!(court.all.iter().all(|health| health.is_in(now + 25_000)));
        }
    }
}
