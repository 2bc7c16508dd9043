//! The life of pods over their transitions.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_engine::Exit;
use osier_podspec::RestartPolicy;
use proptest::prelude::*;
use serde_json::json;

use super::status::qos_class;
use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn fresh() -> Record {
    Record::new(&json!({"name": "web", "image": "web"}), "ContainerCreating")
}

fn running() -> Record {
    let mut record = fresh();
    record.start(at(0), "osier://1".to_owned());
    record
}

fn ended(code: i32) -> Record {
    let mut record = running();
    record.end(Ended::of(&Exit::Code(code)), at(1));
    record
}

#[test]
fn a_crash_loop_backs_off_and_a_long_run_forgives() {
    let mut record = fresh();
    let mut waits = Vec::new();
    for round in 0..7 {
        record.start(at(round), String::new());
        record.end(Ended::of(&Exit::Code(1)), at(round));
        match after_end(RestartPolicy::Always, false, &record) {
            After::Restart(delay) => waits.push(delay.as_secs()),
            After::Stay => unreachable!("policy Always restarts"),
        }
        record.wait("CrashLoopBackOff", "");
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300]);
    assert_eq!(record.restarts, 6);
    record.start(at(0), String::new());
    record.end(Ended::of(&Exit::Code(1)), at(600));
    assert_eq!(
        after_end(RestartPolicy::Always, false, &record),
        After::Restart(Duration::ZERO)
    );
}

#[test]
fn policies_decide_who_is_started_again() {
    let again = |policy, init, code| after_end(policy, init, &ended(code)) != After::Stay;
    assert!(again(RestartPolicy::Always, false, 0) && again(RestartPolicy::OnFailure, false, 1));
    assert!(!again(RestartPolicy::OnFailure, false, 0) && !again(RestartPolicy::Never, false, 1));
    assert!(!again(RestartPolicy::Always, true, 0) && again(RestartPolicy::Always, true, 1));
    let sidecar = Record {
        sidecar: true,
        ..ended(0)
    };
    assert_ne!(after_end(RestartPolicy::Never, true, &sidecar), After::Stay);
}

#[test]
fn phases_follow_kubelet() {
    use RestartPolicy::{Always, Never, OnFailure};
    let mut looping = ended(1);
    looping.wait("CrashLoopBackOff", "");
    let sidecar = |started, record| Record {
        started,
        sidecar: true,
        ..record
    };
    let mut fallen = sidecar(true, running());
    fallen.end(Ended::of(&Exit::Code(1)), at(1));
    let cases = [
        (
            Never,
            vec![sidecar(false, running())],
            vec![fresh()],
            Phase::Pending,
        ),
        (
            Never,
            vec![sidecar(true, running())],
            vec![running()],
            Phase::Running,
        ),
        (Never, vec![fallen.clone()], vec![running()], Phase::Running),
        (Never, vec![fallen], vec![ended(0)], Phase::Succeeded),
        (Always, vec![], vec![fresh()], Phase::Pending),
        (Always, vec![], vec![running(), running()], Phase::Running),
        (Always, vec![], vec![looping.clone()], Phase::Running),
        (Always, vec![], vec![ended(0)], Phase::Running),
        (Never, vec![], vec![ended(0), ended(0)], Phase::Succeeded),
        (Never, vec![], vec![ended(0), ended(1)], Phase::Failed),
        (Never, vec![], vec![ended(1), running()], Phase::Running),
        (OnFailure, vec![], vec![ended(0)], Phase::Succeeded),
        (OnFailure, vec![], vec![looping], Phase::Running),
        (Always, vec![running()], vec![fresh()], Phase::Pending),
        (Never, vec![ended(1)], vec![fresh()], Phase::Failed),
        (Always, vec![ended(1)], vec![fresh()], Phase::Pending),
        (Always, vec![ended(0)], vec![running()], Phase::Running),
    ];
    for (policy, init, containers, expected) in cases {
        assert_eq!(
            phase(policy, &init, &containers),
            expected,
            "{policy:?} {init:?} {containers:?}"
        );
    }
}

#[test]
fn exits_have_the_codes_that_people_know() {
    let code = |exit: &Exit| (Ended::of(exit).exit_code, Ended::of(exit).reason);
    assert_eq!(code(&Exit::OutOfMemory), (137, "OOMKilled".to_owned()));
    assert_eq!(
        code(&Exit::Trap {
            reason: "x".to_owned(),
            backtrace: String::new()
        }),
        (134, "Error".to_owned())
    );
    assert_eq!(code(&Exit::Code(0)), (0, "Completed".to_owned()));
}

#[test]
fn a_restart_of_the_node_is_a_restart_of_what_ran() {
    let mut before = running();
    before.restarts = 2;
    let mut after = fresh();
    after.resume(&before.json());
    assert_eq!(after.ended().unwrap().reason, "ContainerStatusUnknown");
    after.start(at(9), "osier://2".to_owned());
    assert_eq!(
        (after.restarts, after.last.as_ref().unwrap().exit_code),
        (3, 137)
    );
    let mut done = fresh();
    done.resume(&ended(0).json());
    assert_eq!(done.ended(), ended(0).ended());
}

fn report<'a>(
    pod: &'a Object,
    known: &'a serde_json::Value,
    containers: &'a [Record],
) -> Report<'a> {
    Report {
        pod,
        known,
        policy: RestartPolicy::Always,
        init: &[],
        containers,
        pod_ip: "10.244.0.2".to_owned(),
        host_ip: "127.0.0.1",
        started: at(0),
        failure: None,
    }
}

#[test]
fn conditions_keep_their_times_while_they_stay() {
    let pod = Object::from_value(
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "web"}]}}),
    )
    .unwrap();
    let mut record = running();
    let status = report(
        &pod,
        &serde_json::Value::Null,
        std::slice::from_ref(&record),
    )
    .json(at(10));
    let ready = |status: &serde_json::Value| status["conditions"][2].clone();
    assert_eq!(
        ready(&status)["message"],
        "containers with unready status: [web]"
    );
    record.ready = true;
    let status = report(&pod, &status, std::slice::from_ref(&record)).json(at(20));
    assert_eq!(
        (
            &ready(&status)["status"],
            &ready(&status)["lastTransitionTime"]
        ),
        (&json!("True"), &json!("1970-01-01T00:00:20Z"))
    );
    assert_eq!(
        status["conditions"][4]["lastTransitionTime"], "1970-01-01T00:00:10Z",
        "PodScheduled stayed"
    );
}

#[test]
fn a_pod_is_ready_when_its_gates_are_open() {
    let mut record = running();
    record.ready = true;
    let of = |said: serde_json::Value| {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"readinessGates": [{"conditionType": "acme.com/open"}]},
            "status": {"conditions": said}});
        let pod = Object::from_value(pod).unwrap();
        let nothing = serde_json::Value::Null;
        report(&pod, &nothing, std::slice::from_ref(&record)).json(at(10))
    };
    let status = of(json!([]));
    let ready = &status["conditions"][2];
    assert_eq!(
        (&ready["status"], &ready["reason"]),
        (&json!("False"), &json!("ReadinessGatesNotReady"))
    );
    assert_eq!(
        ready["message"],
        "corresponding condition of pod readiness gate \"acme.com/open\" does not exist."
    );
    assert_eq!(status["conditions"][3]["status"], "True", "ContainersReady");
    let open = json!({"type": "acme.com/open", "status": "True"});
    let status = of(json!([open, {"type": "Ready", "status": "False"}]));
    assert_eq!(status["conditions"][2]["status"], "True");
    assert_eq!(status["conditions"].as_array().unwrap().len(), 5);
}

#[test]
fn quality_of_service_as_kubernetes_counts_it() {
    let class = |resources: serde_json::Value| {
        let pod = json!({"spec": {"containers": [{"resources": resources}]}});
        qos_class(&Object::from_value(pod).unwrap())
    };
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(
        class(json!({"limits": {"cpu": "1", "memory": "1Mi"}})),
        "Guaranteed"
    );
}

proptest! {
    /// Whatever happens to a container, its restarts never fall, and a finished pod stays finished
    /// when its policy says so.
    #[test]
    fn restarts_only_grow(steps in prop::collection::vec((0_u8..4, 0_i32..3), 0..60)) {
        let mut record = fresh();
        for (now, (step, code)) in (0_u64..).zip(steps) {
            let before = record.restarts;
            match step {
                0 if !record.is_running() => record.start(at(now), String::new()),
                1 if record.is_running() => record.end(Ended::of(&Exit::Code(code)), at(now)),
                2 if !record.is_running() => record.wait("CrashLoopBackOff", ""),
                _ => record.replace_instance(Ended::of(&Exit::OutOfMemory), at(now)),
            }
            prop_assert!(record.restarts >= before && record.restarts <= before + 1);
            prop_assert!(!record.ready || record.is_running());
        }
    }
}
