//! The queue's promises, in paused time.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use proptest::prelude::*;

use super::*;

fn queue() -> WorkQueue<u8> {
    WorkQueue::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(4)))
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_once() {
    let queue = queue();
    queue.add(1);
    queue.add(1);
    queue.add(2);
    assert_eq!(*queue.take().await.unwrap().key(), 1);
    assert_eq!(*queue.take().await.unwrap().key(), 2);
    assert!(queue.take().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_lower_rank_are_taken_first() {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
    let queue = WorkQueue::ranked(backoff, |key: &u8| i64::from(key / 10));
    for key in [21, 11, 1, 12, 2] {
        queue.add(key);
    }
    for key in [1, 2, 11, 12, 21] {
        assert_eq!(*queue.take().await.unwrap().key(), key);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_at_work_is_not_given_twice_but_comes_again() {
    let queue = queue();
    queue.add(1);
    let first = queue.take().await.unwrap();
    queue.add(1);
    assert!(queue.take().now_or_never().is_none());
    first.succeed();
    assert_eq!(*queue.take().await.unwrap().key(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_success_forgets() {
    let queue = queue();
    queue.add(1);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let taken = queue.take().await.unwrap();
        waits.push(taken.retry().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 4]);
    queue.take().await.unwrap().succeed();
    queue.add(1);
    assert_eq!(queue.take().await.unwrap().retry().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_sooner_delay_wins_and_fires_once() {
    let queue = queue();
    let start = Instant::now();
    queue.add_after(1, Duration::from_secs(9));
    queue.add_after(1, Duration::from_secs(3));
    queue.take().await.unwrap().succeed();
    assert_eq!(start.elapsed().as_secs(), 3);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(queue.take().now_or_never().is_none());
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn closing_wakes_all() {
    let queue = queue();
    let (one, two) = (queue.clone(), queue.clone());
    let (a, b, ()) = tokio::join!(one.take(), two.take(), async { queue.close() });
    assert!(a.is_none() && b.is_none());
}

proptest! {
    /// Whatever the order of additions, takes and ends: no key is at work twice, and every key
    /// that was added is worked on after its last addition.
    #[test]
    fn nothing_is_lost_and_nothing_doubled(steps in prop::collection::vec((0_u8..3, 0_u8..4), 1..200)) {
        let queue = queue();
        let mut held: Vec<Taken<u8>> = Vec::new();
        let mut owed: BTreeSet<u8> = BTreeSet::new();
        for (step, key) in steps {
            match step {
                0 => { queue.add(key); owed.insert(key); }
                1 => if let Some(taken) = queue.take().now_or_never().flatten() {
                    prop_assert!(held.iter().all(|other| other.key() != taken.key()));
                    owed.remove(taken.key());
                    held.push(taken);
                },
                _ => if !held.is_empty() { held.remove(0).succeed(); },
            }
        }
        held.clear();
        while let Some(taken) = queue.take().now_or_never().flatten() {
            owed.remove(taken.key());
            taken.succeed();
        }
        prop_assert!(owed.is_empty());
    }
}
