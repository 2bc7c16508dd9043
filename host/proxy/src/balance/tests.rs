//! Choices over clusters that the compiler made.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use osier_api::Object;
use osier_snapshot::{Inputs, Locality, Sign, Snapshot, compile, hash_of};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The cluster of a host outside with these endpoints, as a DestinationRule with this policy has it.
fn cluster(
    endpoints: &[Value],
    policy: Value,
    previous: Option<&Snapshot>,
) -> (Snapshot, Arc<Cluster>) {
    let object = |kind: &str, spec: Value| {
        let meta = json!({"name": "far", "namespace": "default"});
        Arc::new(Object::from_value(json!({"kind": kind, "metadata": meta, "spec": spec})).unwrap())
    };
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let entry = json!({"hosts": ["far.example"], "resolution": "STATIC", "ports": ports, "endpoints": endpoints});
    let rule = json!({"host": "far.example", "trafficPolicy": policy});
    let inputs = Inputs {
        service_entries: &[object("ServiceEntry", entry)],
        destination_rules: &[object("DestinationRule", rule)],
        domain: "cluster.local",
        ..Inputs::default()
    };
    let (snapshot, findings) = compile(&inputs, previous);
    assert!(findings.is_empty(), "{findings:?}");
    let service = snapshot.service("far.example", Some("default")).unwrap();
    let cluster = Arc::clone(&service.port(80).unwrap().cluster);
    (snapshot, cluster)
}

fn hosts(numbers: impl IntoIterator<Item = u8>) -> Vec<Value> {
    let host = |number| json!({"address": format!("192.0.2.{number}")});
    numbers.into_iter().map(host).collect()
}

fn made(endpoints: &[Value], policy: Value) -> Arc<Cluster> {
    cluster(endpoints, policy, None).1
}

/// How often each endpoint is chosen, in so many calls.
fn counts(cluster: &Cluster, wish: &Wish<'_>, calls: usize) -> Vec<usize> {
    let mut counts = vec![0; cluster.endpoints.len()];
    for _ in 0..calls {
        counts[pick(cluster, wish).unwrap()] += 1;
    }
    counts
}

fn eject(cluster: &Cluster, place: usize) {
    let policy = cluster.balancing.outlier.as_ref().unwrap();
    let all = (policy, cluster.health.as_slice());
    cluster.ejections.judge(all, (place, Sign::NoAnswer), 0);
}

const QUICK: fn() -> Value =
    || json!({"consecutive5xxErrors": 1, "maxEjectionPercent": 100, "baseEjectionTime": "10s"});

#[test]
fn nobody_is_found_in_an_empty_cluster() {
    assert_eq!(pick(&made(&[], json!({})), &Wish::default()), None);
}

#[test]
fn turns_follow_weights() {
    let robin = || json!({"loadBalancer": {"simple": "ROUND_ROBIN"}});
    let even = made(&hosts(1..=3), robin());
    assert_eq!(counts(&even, &Wish::default(), 30), [10, 10, 10]);
    let mut weighted = hosts(1..=3);
    weighted[0]["weight"] = json!(8);
    let weighted = made(&weighted, robin());
    let counts = counts(&weighted, &Wish::default(), 1_000);
    assert!((795..=805).contains(&counts[0]), "{counts:?}");
    assert!((95..=105).contains(&counts[1]), "{counts:?}");
}

#[test]
fn the_less_loaded_by_weight_is_preferred() {
    let mut two = hosts(1..=2);
    two[0]["weight"] = json!(4);
    let cluster = made(&two, json!({}));
    // Two requests on the heavy one are less than one on the light one.
    let _load = (
        cluster.endpoints[0].enter(),
        cluster.endpoints[0].enter(),
        cluster.endpoints[1].enter(),
    );
    assert_eq!(counts(&cluster, &Wish::default(), 50), [50, 0]);
}

#[test]
fn another_try_goes_elsewhere_while_there_is_elsewhere() {
    for simple in ["ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"] {
        let cluster = made(&hosts(1..=3), json!({"loadBalancer": {"simple": simple}}));
        let tried = |tried| Wish {
            tried,
            ..Wish::default()
        };
        assert_eq!(counts(&cluster, &tried(&[0, 2]), 20), [0, 20, 0]);
        let all = counts(&cluster, &tried(&[0, 1, 2]), 30);
        assert_eq!(all.iter().sum::<usize>(), 30);
    }
}

#[test]
fn an_ejected_endpoint_gets_nothing_until_its_time_is_over() {
    let cluster = made(&hosts(1..=3), json!({"outlierDetection": QUICK()}));
    eject(&cluster, 1);
    let at = |now| Wish {
        now,
        ..Wish::default()
    };
    assert_eq!(counts(&cluster, &at(9_999), 100)[1], 0);
    assert!(counts(&cluster, &at(10_000), 100)[1] > 0);
    assert_eq!(usable(&cluster, 5).len(), 2);
    eject(&cluster, 0);
    eject(&cluster, 2);
    assert_eq!(pick(&cluster, &at(5)), None, "nobody is left");
}

#[test]
fn all_are_called_when_too_few_are_left() {
    let mut settings = QUICK();
    settings["minHealthPercent"] = json!(50);
    let cluster = made(&hosts(1..=4), json!({"outlierDetection": settings}));
    for place in 0..2 {
        eject(&cluster, place);
    }
    assert_eq!(counts(&cluster, &Wish::default(), 100)[0], 0);
    eject(&cluster, 2);
    assert!(
        counts(&cluster, &Wish::default(), 100)
            .iter()
            .all(|count| *count > 0)
    );
}

#[test]
fn a_new_endpoint_grows_into_its_part() {
    let policy = || json!({"loadBalancer": {"simple": "RANDOM", "warmup": {"duration": "100s", "minimumPercent": 10}}});
    let (first, before) = cluster(&hosts(1..=1), policy(), None);
    // The old one is known from here on.
    assert_eq!(pick(&before, &Wish::default()), Some(0));
    let (_, after) = cluster(&hosts(1..=2), policy(), Some(&first));
    let part = |now| {
        let wish = Wish {
            now,
            ..Wish::default()
        };
        counts(&after, &wish, 4_000)[1] as f64 / 4_000.0
    };
    let parts = [part(200_000), part(250_000), part(300_000)];
    // A tenth of the other one's, half of it, as much.
    for (part, wanted) in parts.iter().zip([1.0 / 11.0, 1.0 / 3.0, 0.5]) {
        assert!((part - wanted).abs() < 0.04, "{parts:?}");
    }
}

fn placed(places: &[&str]) -> Vec<Value> {
    let mut hosts = hosts(1..=u8::try_from(places.len()).unwrap());
    for (host, place) in hosts.iter_mut().zip(places) {
        host["locality"] = json!(place);
    }
    hosts
}

fn from<'a>(
    locality: &'a Locality,
    labels: &'a std::collections::BTreeMap<String, String>,
) -> Wish<'a> {
    let caller = Some(Stand { locality, labels });
    Wish {
        caller,
        ..Wish::default()
    }
}

#[test]
fn the_nearest_are_called_until_they_fail_and_then_the_next() {
    let places = ["eu/1/a", "eu/2/a", "us/1/a", "asia/1/a"];
    let policy = json!({"outlierDetection": QUICK(),
        "loadBalancer": {"localityLbSetting": {"failover": [{"from": "eu", "to": "asia"}]}}});
    let cluster = made(&placed(&places), policy);
    let (locality, labels) = (Locality::parse("eu/1/a"), Default::default());
    let wish = from(&locality, &labels);
    for order in [0, 1, 3, 2] {
        let mut wanted = [0; 4];
        wanted[order] = 20;
        assert_eq!(counts(&cluster, &wish, 20), wanted);
        if order != 2 {
            let again = Wish {
                tried: &[order],
                ..wish
            };
            assert_ne!(pick(&cluster, &again), Some(order));
        }
        eject(&cluster, order);
    }
    assert_eq!(pick(&cluster, &wish), None);
}

#[test]
fn another_try_may_leave_the_place() {
    let policy = json!({"outlierDetection": QUICK()});
    let cluster = made(&placed(&["eu/1/a", "eu/1/a", "us/1/a"]), policy);
    let (locality, labels) = (Locality::parse("eu/1/a"), Default::default());
    let again = |elsewhere| Wish {
        tried: &[0],
        elsewhere,
        ..from(&locality, &labels)
    };
    assert_eq!(counts(&cluster, &again(false), 20), [0, 20, 0]);
    assert_eq!(counts(&cluster, &again(true), 20), [0, 0, 20]);
}

#[test]
fn shares_of_places_are_kept_as_far_as_they_can_take_them() {
    let to = json!({"eu/*": 80, "us/*": 20});
    let policy = json!({"outlierDetection": QUICK(),
        "loadBalancer": {"localityLbSetting": {"distribute": [{"from": "eu/*", "to": to}]}}});
    let cluster = made(&placed(&["eu/1", "us/1", "asia/1"]), policy);
    let (locality, labels) = (Locality::parse("eu/1"), Default::default());
    let wish = from(&locality, &labels);
    let shares = counts(&cluster, &wish, 2_000);
    assert!(
        (1_500..1_700).contains(&shares[0]) && shares[2] == 0,
        "{shares:?}"
    );
    eject(&cluster, 0);
    assert_eq!(counts(&cluster, &wish, 50), [0, 50, 0]);
    let elsewhere = Locality::parse("africa/1");
    assert!(counts(&cluster, &from(&elsewhere, &labels), 50)[2] > 0);
}

fn method() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"ringHash": {"minimumRingSize": 256}})),
        Just(json!({"maglev": {"tableSize": 2503}})),
    ]
}

const CALLERS: u64 = 2_000;

/// Where each caller goes, by the endpoint's address.
fn homes(cluster: &Cluster) -> Vec<String> {
    let home = |number: u64| {
        let hash = Some(hash_of(&number.to_be_bytes()));
        let place = pick(
            cluster,
            &Wish {
                hash,
                ..Wish::default()
            },
        )
        .unwrap();
        cluster.endpoints[place].workload.address.to_string()
    };
    (0..CALLERS).map(home).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The promise of consistent hashing, from objects to choices.
    #[test]
    fn few_callers_move_when_endpoints_change(
        numbers in prop::collection::btree_set(1u8..250, 3..10),
        method in method(),
        which in any::<prop::sample::Index>(),
    ) {
        let mut settings = method;
        settings["httpHeaderName"] = json!("x-user");
        let policy = || json!({"loadBalancer": {"consistentHash": settings}});
        let mut fewer: Vec<u8> = numbers.iter().copied().collect();
        let gone = fewer.remove(which.index(fewer.len()));
        let (snapshot, before) = cluster(&hosts(numbers.iter().copied()), policy(), None);
        let (_, after) = cluster(&hosts(fewer.iter().copied()), policy(), Some(&snapshot));
        let (was, is) = (homes(&before), homes(&after));
        let moved = was.iter().zip(&is).filter(|(was, is)| was != is).count() as f64;
        let fair = CALLERS as f64 / numbers.len() as f64;
        prop_assert!(moved <= fair * 1.7, "{moved} moved, fair is {fair}");
        let gone = format!("192.0.2.{gone}");
        prop_assert!(is.iter().all(|home| *home != gone));
        let mut spread: HashMap<&String, usize> = HashMap::new();
        for home in &was {
            *spread.entry(home).or_default() += 1;
        }
        prop_assert_eq!(spread.len(), numbers.len());
    }

    /// Whatever is out and tried, what is chosen is in, and somebody is chosen while anybody is in.
    #[test]
    fn only_those_that_are_in_are_chosen(
        out in prop::collection::vec(any::<bool>(), 1..8),
        tried in prop::collection::vec(0usize..8, 0..4),
        simple in prop::sample::select(vec!["ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"]),
        hash in prop::option::of(any::<u64>()),
    ) {
        let count = u8::try_from(out.len()).unwrap();
        let balancer = match hash {
            Some(_) => json!({"consistentHash": {"httpHeaderName": "x"}}),
            None => json!({"simple": simple}),
        };
        let cluster = made(&hosts(1..=count), json!({"outlierDetection": QUICK(), "loadBalancer": balancer}));
        for (place, _) in out.iter().enumerate().filter(|(_, out)| **out) {
            eject(&cluster, place);
        }
        let wish = Wish { tried: &tried, hash, ..Wish::default() };
        match pick(&cluster, &wish) {
            Some(place) => {
                prop_assert!(!out[place]);
                let fresh = out.iter().enumerate().any(|(at, out)| !out && !tried.contains(&at));
                prop_assert!(!fresh || !tried.contains(&place));
            }
            None => prop_assert!(out.iter().all(|out| *out)),
        }
    }
}
