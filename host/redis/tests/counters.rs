//! The contract of `osier:policy/counters`, kept by the real Redis where this machine has one (`apt-get install redis-server`).
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osier_capabilities::{CounterStore as _, KeyValue, KeyValueError, Taken, Terms};
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use osier_redis::{Settings, SharedCounters};

const LIMIT: Duration = Duration::from_secs(20);

/// A Redis on a socket of the file system.
struct Redis {
    child: Child,
    folder: PathBuf,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// None where there is no Redis.
fn start(name: &str) -> Option<Redis> {
    let folder = std::env::temp_dir().join(format!("osier-redis-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("redis.sock");
    let child = Command::new("redis-server")
        .args(["--save", "", "--appendonly", "no", "--port", "0"])
        .arg("--unixsocket")
        .arg(&socket)
        .arg("--dir")
        .arg(&folder)
        .stdout(Stdio::null())
        .spawn();
    match child {
        Ok(child) => Some(Redis { child, folder }),
        Err(_) => {
            eprintln!("there is no Redis on this machine (apt-get install redis-server): not run");
            None
        }
    }
}

/// One node's counters, connected.
fn node(redis: &Redis, tasks: &Tasks) -> Arc<dyn KeyValue> {
    let url = format!("unix://{}", redis.folder.join("redis.sock").display());
    let settings = Settings::new(&url, None, Duration::from_secs(5)).unwrap();
    let counters = SharedCounters::start(settings, &Metrics::new(), tasks);
    let granted = counters.granted("default/p", vec!["b".into()]);
    let limit = Instant::now() + LIMIT;
    while granted.get("b", "none").is_err() {
        assert!(Instant::now() < limit, "Redis is not reached");
        std::thread::yield_now();
    }
    granted
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_exact_typed_and_die() {
    let Some(redis) = start("contract") else {
        return;
    };
    let tasks = Tasks::new();
    let (one, other) = (node(&redis, &tasks), node(&redis, &tasks));
    assert_eq!(one.get("b", "k"), Ok(None));
    assert_eq!(one.increment("b", "k", 5, None), Ok(5));
    assert_eq!(other.increment("b", "k", -7, None), Ok(-2));
    assert_eq!(one.get("b", "k"), Ok(Some(-2)));
    // Past 53 bits, and at the ends of the range.
    assert_eq!(
        one.increment("b", "big", i64::MAX - 1, None),
        Ok(i64::MAX - 1)
    );
    assert_eq!(other.increment("b", "big", 5, None), Ok(i64::MAX));
    assert_eq!(one.increment("b", "small", i64::MIN, None), Ok(i64::MIN));
    assert_eq!(other.increment("b", "small", -1, None), Ok(i64::MIN));
    assert_eq!(
        one.increment("x", "k", 1, None),
        Err(KeyValueError::NotGranted)
    );
    // Keys with anything in them stay apart.
    assert_eq!(one.increment("b", "a:}{", 1, None), Ok(1));
    assert_eq!(one.increment("b", "a:}", 1, None), Ok(1));
    let short = Some(Duration::from_millis(30));
    let began = Instant::now();
    assert_eq!(one.increment("b", "short", 1, short), Ok(1));
    while other.get("b", "short") != Ok(None) {
        assert!(began.elapsed() < LIMIT, "the counter lives on");
    }
    assert!(began.elapsed() >= Duration::from_millis(29));
    // An increment does not prolong the life that the first one gave.
    assert_eq!(
        one.increment("b", "first", 1, Some(Duration::from_secs(600))),
        Ok(1)
    );
    assert_eq!(other.increment("b", "first", 1, short), Ok(2));
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_count_at_once_lose_nothing_and_take_nothing_twice() {
    let Some(redis) = start("crowd") else { return };
    let tasks = Tasks::new();
    let nodes = [node(&redis, &tasks), node(&redis, &tasks)];
    // So slow that no token comes back meanwhile.
    let terms = Terms {
        capacity: 100,
        refill: 1,
        interval: 3_600_000_000_000,
    };
    let taken: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let counters = &nodes[thread % 2];
                scope.spawn(move || {
                    let mut taken = 0;
                    for _ in 0..100 {
                        counters.increment("b", "sum", 1, None).unwrap();
                        taken += counters
                            .take("b", "tokens", 1, terms, false)
                            .unwrap()
                            .amount;
                    }
                    taken
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(nodes[0].get("b", "sum"), Ok(Some(800)));
    assert_eq!(taken, 100);
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_starts_full_and_says_when_to_come_back() {
    let Some(redis) = start("bucket") else { return };
    let tasks = Tasks::new();
    let counters = node(&redis, &tasks);
    let terms = Terms {
        capacity: 10,
        refill: 1,
        interval: 1_000_000_000_000,
    };
    let take = |amount, best| counters.take("b", "t", amount, terms, best).unwrap();
    let all = |amount| Taken {
        amount,
        remaining: 10 - amount,
        retry_after: 0,
    };
    assert_eq!(take(7, false), all(7));
    let refused = take(5, false);
    assert_eq!((refused.amount, refused.remaining), (0, 3));
    // Two tokens are wanting: two thousand seconds, less what has passed.
    assert!((1_990..=2_000).contains(&(refused.retry_after / 1_000_000_000)));
    assert_eq!(take(5, true).amount, 3);
    // What can never be had, and a bucket that never refills, are numbers too.
    let never = Terms { refill: 0, ..terms };
    let vast = counters.take("b", "v", u64::MAX, never, false).unwrap();
    assert_eq!((vast.amount, vast.remaining), (0, 10));
    assert!(vast.retry_after > 1 << 60);
    let quick = Terms {
        capacity: 10,
        refill: 10,
        interval: 10_000_000,
    };
    assert_eq!(
        counters.take("b", "q", 10, quick, false).unwrap().amount,
        10
    );
    let began = Instant::now();
    while counters.take("b", "q", 10, quick, false).unwrap().amount == 0 {
        assert!(began.elapsed() < LIMIT, "nothing flows back");
    }
    assert!(began.elapsed() >= Duration::from_millis(8));
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_lost_or_hangs_costs_one_wait_and_comes_back() {
    let Some(redis) = start("lost") else { return };
    let tasks = Tasks::new();
    let url = format!("unix://{}", redis.folder.join("redis.sock").display());
    let settings = Settings::new(&url, None, Duration::from_millis(100)).unwrap();
    let counters = SharedCounters::start(settings, &Metrics::new(), &tasks);
    let counters = counters.granted("default/p", vec!["b".into()]);
    let until = |wanted: bool| {
        let limit = Instant::now() + LIMIT;
        while counters.increment("b", "k", 1, None).is_ok() != wanted {
            assert!(Instant::now() < limit, "wanted: {wanted}");
        }
    };
    until(true);
    // It hangs: the first question waits as long as it may, the others do not.
    let process = redis.child.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &process])
            .status()
            .unwrap();
        assert!(sent.success());
    };
    signal("-STOP");
    let began = Instant::now();
    until(false);
    assert!(began.elapsed() < Duration::from_secs(5));
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(counters.get("b", "k"), Err(KeyValueError::Unavailable));
    }
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    signal("-CONT");
    until(true);
    tasks.stop();
}

#[tokio::test]
async fn where_waiting_would_stop_everything_nobody_waits() {
    let Some(redis) = start("alone") else { return };
    let tasks = Tasks::new();
    let url = format!("unix://{}", redis.folder.join("redis.sock").display());
    let settings = Settings::new(&url, None, LIMIT).unwrap();
    let counters = SharedCounters::start(settings, &Metrics::new(), &tasks);
    let counters = counters.granted("default/p", vec!["b".into()]);
    assert_eq!(counters.get("b", "k"), Err(KeyValueError::Unavailable));
    tasks.stop();
}
