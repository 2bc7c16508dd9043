//! Cases as upstream's documents describe them, and bounds that hold whatever is measured.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use osier_api::Object;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn cpu(percent: u32) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}})
}

fn requests(each: &str) -> Value {
    json!({"type": "Pods", "pods": {"metric": {"name": "istio_requests_per_second"},
        "target": {"type": "AverageValue", "averageValue": each}}})
}

fn of_service(target: &Value) -> Value {
    json!({"type": "Object", "object": {"metric": {"name": "istio_requests_per_second"},
        "describedObject": {"kind": "Service", "name": "web"}, "target": target}})
}

fn hpa((min, max): (u32, u32), metrics: &[Value], behavior: &Value) -> Object {
    let spec =
        json!({"minReplicas": min, "maxReplicas": max, "metrics": metrics, "behavior": behavior});
    Object::from_value(
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "generation": 3}, "spec": spec}),
    )
    .unwrap()
}

/// Pods that each ask for one processor.
fn pods(values: &[f64]) -> Vec<Sample> {
    let pod = |value: &f64| Sample {
        ready: true,
        cpu: Some(*value),
        requests: Some(*value),
        asked_cpu: Some(1.0),
        ..Sample::default()
    };
    values.iter().map(pod).collect()
}

/// Time goes on by ten seconds at each look.
struct World {
    hpa: Object,
    current: u32,
    held: u32,
    services: HashMap<String, f64>,
    history: History,
    now: Timestamp,
}

impl World {
    fn new(hpa: Object, current: u32) -> Self {
        Self {
            hpa,
            current,
            held: 0,
            services: HashMap::new(),
            history: History::default(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn look(&mut self, pods: &[Sample]) -> Plan {
        self.now += SignedDuration::from_secs(10);
        let scene = Scene {
            current: self.current,
            pods,
            services: &self.services,
            held: self.held,
            now: self.now,
        };
        let plan = decide(&self.hpa, &scene, &mut self.history);
        if let Some((to, _)) = &plan.rescale {
            self.current = *to;
        }
        for (field, value) in plan.status.as_object().unwrap() {
            self.hpa.set(&["status", field], value.clone());
        }
        plan
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let all = self.hpa.get(&["status", "conditions"]).unwrap();
        let mut all = all.as_array().unwrap().iter();
        let one = all.find(|one| one["type"] == kind).unwrap();
        let word = |field: &str| one[field].as_str().unwrap().to_owned();
        (word("status"), word("reason"))
    }
}

fn told(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn more_use_brings_more_pods_and_little_more_none() {
    let mut world = World::new(hpa((1, 10), &[cpu(50)], &Value::Null), 2);
    assert_eq!(
        world.look(&pods(&[0.54, 0.54])).rescale,
        None,
        "within a tenth"
    );
    let plan = world.look(&pods(&[0.9, 0.6]));
    let why = "cpu resource utilization (percentage of request) above target";
    assert_eq!(plan.rescale, Some((3, why.to_owned())));
    assert_eq!(
        plan.status["currentMetrics"][0]["resource"]["current"],
        json!({"averageUtilization": 75, "averageValue": "750m"})
    );
    assert_eq!(plan.status["lastScaleTime"], "2026-01-01T00:00:20Z");
    assert_eq!(
        world.condition("AbleToScale"),
        told("True", "SucceededRescale")
    );
    assert_eq!(
        world.condition("ScalingActive"),
        told("True", "ValidMetricFound")
    );
    assert_eq!(
        world.condition("ScalingLimited"),
        told("False", "DesiredWithinRange")
    );
}

#[test]
fn growth_is_bounded_by_rates_and_by_the_most() {
    let mut world = World::new(hpa((1, 30), &[requests("1")], &Value::Null), 2);
    // Four more, or twice as many, within 15 seconds.
    assert_eq!(world.look(&pods(&[100.0, 100.0])).rescale.unwrap().0, 6);
    assert_eq!(
        world.condition("ScalingLimited"),
        told("True", "ScaleUpLimit")
    );
    assert_eq!(
        world.look(&pods(&[100.0; 6])).rescale,
        None,
        "the four came ten seconds ago"
    );
    assert_eq!(world.look(&pods(&[100.0; 6])).rescale.unwrap().0, 12);
    world.look(&pods(&[100.0; 12]));
    assert_eq!(world.look(&pods(&[100.0; 12])).rescale.unwrap().0, 24);
    world.look(&pods(&[100.0; 24]));
    assert_eq!(world.look(&pods(&[100.0; 24])).rescale.unwrap().0, 30);
    assert_eq!(
        world.condition("ScalingLimited"),
        told("True", "TooManyReplicas")
    );
}

#[test]
fn fewer_are_left_only_after_a_window_without_need() {
    let mut world = World::new(hpa((1, 10), &[requests("10")], &Value::Null), 6);
    for _ in 0..29 {
        assert_eq!(world.look(&pods(&[1.0; 6])).rescale, None);
        assert_eq!(
            world.condition("AbleToScale"),
            told("True", "ScaleDownStabilized")
        );
    }
    while world.current == 6 {
        world.look(&pods(&[1.0; 6]));
    }
    assert_eq!(world.current, 1);
    assert_eq!(
        world.now.as_second() % 3600,
        310,
        "five minutes after the first look"
    );
}

#[test]
fn behavior_slows_stops_and_steadies() {
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]},
        "scaleUp": {"selectPolicy": "Disabled"}});
    let mut world = World::new(hpa((1, 10), &[requests("10")], &behavior), 5);
    assert_eq!(world.look(&pods(&[100.0; 5])).rescale, None);
    let counts: Vec<u32> = (0..7)
        .map(|_| {
            world.look(&pods(&[0.0; 5]));
            world.current
        })
        .collect();
    assert_eq!(counts, [4, 4, 4, 3, 3, 3, 2]);
    let steady = json!({"scaleUp": {"stabilizationWindowSeconds": 25}});
    let mut world = World::new(hpa((1, 10), &[requests("10")], &steady), 2);
    world.look(&pods(&[10.0; 2]));
    assert_eq!(
        world.look(&pods(&[20.0; 2])).rescale,
        None,
        "a moment ago two were enough"
    );
    assert_eq!(
        world.condition("AbleToScale"),
        told("True", "ScaleUpStabilized")
    );
    world.look(&pods(&[20.0; 2]));
    assert_eq!(world.look(&pods(&[20.0; 2])).rescale.unwrap().0, 4);
}

#[test]
fn what_is_not_known_tips_no_scale() {
    let mut world = World::new(
        hpa(
            (1, 10),
            &[cpu(50)],
            &json!({"scaleDown": {"stabilizationWindowSeconds": 0}}),
        ),
        4,
    );
    let mut gaps = pods(&[0.1, 0.1, 0.1, 0.1]);
    gaps[0].cpu = None;
    gaps[1].cpu = None;
    assert_eq!(world.look(&gaps).rescale, None, "two might be busy");
    let mut starting = pods(&[1.0, 0.0, 0.0, 0.0]);
    for pod in &mut starting[1..] {
        pod.ready = false;
    }
    assert_eq!(world.look(&starting).rescale, None, "three will help soon");
    let plan = world.look(&[]);
    assert_eq!(plan.warnings[0].0, "FailedGetResourceMetric");
    assert_eq!(
        world.condition("ScalingActive"),
        told("False", "FailedGetResourceMetric")
    );
    let mut silent = pods(&[0.1; 4]);
    silent[2].asked_cpu = None;
    silent[2].name = "web-x".to_owned();
    let words = world.look(&silent).warnings[0].1.clone();
    assert_eq!(
        words,
        "failed to get cpu utilization: missing request for cpu in pod web-x"
    );
    // A second metric that says nothing forbids only fewer.
    let strange = json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"averageValue": "1"}}});
    let mut world = World::new(hpa((1, 10), &[cpu(50), strange], &Value::Null), 2);
    assert_eq!(world.look(&pods(&[0.1; 2])).rescale, None);
    assert_eq!(
        world.condition("ScalingActive"),
        told("False", "FailedGetExternalMetric")
    );
    assert_eq!(world.look(&pods(&[1.0; 2])).rescale.unwrap().0, 4);
}

#[test]
fn one_container_of_each_pod_may_be_what_counts() {
    let of = json!({"type": "ContainerResource", "containerResource":
        {"name": "cpu", "container": "web", "target": {"type": "Utilization", "averageUtilization": 50}}});
    let mut world = World::new(hpa((1, 10), &[of], &Value::Null), 2);
    let mut pods = pods(&[0.1; 2]);
    assert_eq!(
        world.look(&pods).warnings[0].0,
        "FailedGetContainerResourceMetric"
    );
    for pod in &mut pods {
        let web = Part {
            cpu: Some(0.2),
            asked_cpu: Some(0.1),
            ..Part::default()
        };
        pod.containers = [
            ("web".to_owned(), web),
            ("idle".to_owned(), Part::default()),
        ]
        .into();
    }
    let plan = world.look(&pods);
    // Eight are wanted; at once four more may come.
    let why = "cpu container resource utilization (percentage of request) above target";
    assert_eq!(plan.rescale, Some((6, why.to_owned())));
    assert_eq!(
        plan.status["currentMetrics"][0]["containerResource"],
        json!({"name": "cpu", "container": "web", "current": {"averageUtilization": 200, "averageValue": "200m"}})
    );
}

#[test]
fn a_service_is_scaled_by_its_calls_in_all() {
    for target in [
        json!({"type": "AverageValue", "averageValue": "10"}),
        json!({"type": "Value", "value": "20"}),
    ] {
        let mut world = World::new(hpa((1, 10), &[of_service(&target)], &Value::Null), 2);
        assert!(
            world.look(&pods(&[0.0; 2])).warnings[0]
                .1
                .contains("no metrics returned")
        );
        world.services.insert("web".to_owned(), 45.0);
        assert_eq!(
            world.look(&pods(&[0.0; 2])).rescale.unwrap().0,
            5,
            "{target}"
        );
    }
}

#[test]
fn bounds_need_no_metric_and_zero_is_left_alone() {
    let mut world = World::new(hpa((3, 5), &[cpu(50)], &Value::Null), 1);
    let rescale = world.look(&[]).rescale.unwrap();
    assert_eq!(
        rescale,
        (
            3,
            "Current number of replicas below Spec.MinReplicas".to_owned()
        )
    );
    world.current = 9;
    let rescale = world.look(&[]).rescale.unwrap();
    assert_eq!(
        rescale,
        (
            5,
            "Current number of replicas above Spec.MaxReplicas".to_owned()
        )
    );
    world.current = 0;
    assert_eq!(world.look(&[]).rescale, None);
    assert_eq!(
        world.condition("ScalingActive"),
        told("False", "ScalingDisabled")
    );
}

#[test]
fn who_may_sleep_does_so_without_calls_and_wakes_for_one() {
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 30}});
    let mut world = World::new(hpa((0, 5), &[requests("10")], &behavior), 1);
    for _ in 0..3 {
        assert_eq!(world.look(&pods(&[0.0])).rescale, None);
    }
    assert_eq!(
        world.look(&pods(&[0.0])).rescale,
        Some((0, "All metrics below target".to_owned()))
    );
    assert_eq!(world.look(&[]).rescale, None);
    world.held = 3;
    assert_eq!(
        world.look(&[]).rescale,
        Some((1, "calls wait for a pod".to_owned()))
    );
    assert_eq!(
        world.look(&[]).rescale,
        None,
        "nothing is known of the new pod yet"
    );
    world.held = 0;
    let mut looks = 0;
    while world.current == 1 {
        world.look(&pods(&[0.0]));
        looks += 1;
    }
    assert_eq!(looks, 2, "30 seconds after it woke, at the earliest");
    world.current = 1;
    world.held = 1;
    for _ in 0..9 {
        assert_eq!(world.look(&pods(&[0.0])).rescale, None, "somebody waits");
    }
}

#[test]
fn versions_go_there_and_back() {
    let v2 = hpa(
        (1, 5),
        &[requests("5"), cpu(70)],
        &json!({"scaleUp": {"selectPolicy": "Max"}}),
    );
    let v1 = versions::to_v1(v2.clone());
    assert_eq!(v1.api_version(), "autoscaling/v1");
    assert_eq!(
        v1.get(&["spec", "targetCPUUtilizationPercentage"]),
        Some(&json!(70))
    );
    assert!(v1.get(&["spec", "metrics"]).is_none() && v1.get(&["spec", "behavior"]).is_none());
    let mut back = versions::to_v2(v1);
    // The CPU comes first.
    let metrics = back.get(&["spec", "metrics"]).unwrap().clone();
    assert_eq!(metrics, json!([cpu(70), requests("5")]));
    back.set(&["spec", "metrics"], json!([requests("5"), cpu(70)]));
    assert_eq!(back, v2);
    let plain = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 80}});
    let made = versions::to_v2(Object::from_value(plain.clone()).unwrap());
    assert_eq!(made.get(&["spec", "metrics"]), Some(&json!([cpu(80)])));
    assert_eq!(versions::to_v1(made).into_value(), plain);
}

proptest! {
    /// Whatever is measured and however it changes: within the bounds, within the rates, and no fewer while somebody waits.
    #[test]
    fn no_history_leaves_the_bounds(
        (min, more) in (0..4_u32, 1..20_u32),
        looks in prop::collection::vec((prop::collection::vec((prop::option::of(0.0..50.0_f64), any::<bool>()), 0..12), 0..3_u32), 1..60),
        start in 1..12_u32,
    ) {
        let max = min + more;
        let mut world = World::new(hpa((min, max), &[requests("10"), cpu(80)], &json!({"scaleDown": {"stabilizationWindowSeconds": 60}})), start);
        for (values, held) in looks {
            let before = world.current;
            world.held = held;
            let samples: Vec<Sample> = values.iter().map(|(value, ready)| Sample {
                ready: *ready, cpu: *value, requests: *value, asked_cpu: Some(1.0), ..Sample::default()
            }).collect();
            let plan = world.look(&samples);
            let now = world.current;
            prop_assert_eq!(plan.status["desiredReplicas"].as_u64(), Some(u64::from(now)));
            if now == before {
                prop_assert!(before >= min || before == 0);
                continue;
            }
            prop_assert!((min..=max).contains(&now), "{before} to {now}");
            prop_assert!(now <= (before * 2).max(before + 4).max(min), "{before} to {now}");
            prop_assert!(now > 0 || held == 0);
        }
    }
}
