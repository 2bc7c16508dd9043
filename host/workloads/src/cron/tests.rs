//! When Jobs are started, and when they are not.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::Timestamp;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A CronJob of every hour, created at noon, with more in its spec.
fn cron(spec: &Value) -> Object {
    let mut cron = Object::from_value(json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "shop", "uid": "c", "creationTimestamp": "2026-01-01T12:00:00Z"},
        "spec": {"schedule": "0 * * * *", "concurrencyPolicy": "Allow", "successfulJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {"labels": {"app": "x"}}, "spec": {"template": {}}}}}))
    .unwrap();
    for (field, value) in spec.as_object().unwrap() {
        cron.set(&["spec", field], value.clone());
    }
    cron
}

fn job(name: &str, created: &str, end: Option<&str>) -> Arc<Object> {
    let conditions: Vec<Value> = end
        .map(|end| json!({"type": end, "status": "True"}))
        .into_iter()
        .collect();
    Arc::new(
        Object::from_value(json!({"metadata": {"name": name, "namespace": "shop", "uid": name,
            "creationTimestamp": created}, "status": {"conditions": conditions, "completionTime": created}}))
        .unwrap(),
    )
}

fn names(jobs: &[Arc<Object>]) -> Vec<&str> {
    jobs.iter().map(|job| job.name()).collect()
}

#[test]
fn a_job_is_started_when_it_is_due_and_named_after_the_minute() {
    let cron = cron(&json!({"timeZone": "Asia/Kolkata", "schedule": "30 18 * * *"}));
    let early = decide(&cron, &[], at("2026-01-01T12:59:00Z"));
    assert!(early.create.is_none());
    assert_eq!(early.look_again.unwrap().as_secs(), 60);
    let plan = decide(&cron, &[], at("2026-01-01T13:00:05Z"));
    let job = plan.create.unwrap();
    let minute = at("2026-01-01T13:00:00Z").as_second() / 60;
    assert_eq!(job.name(), format!("tick-{minute}"));
    assert_eq!(
        job.annotation("batch.kubernetes.io/cronjob-scheduled-timestamp"),
        Some("2026-01-01T18:30:00+05:30")
    );
    assert_eq!(job.label("app"), Some("x"));
    assert_eq!(job.controller_of().unwrap().uid, "c");
    assert_eq!(plan.status["lastScheduleTime"], "2026-01-01T13:00:00Z");
}

#[test]
fn after_a_long_time_only_the_last_one_is_made_up_for_unless_it_is_too_late() {
    let plan = decide(&cron(&json!({})), &[], at("2026-03-01T10:20:00Z"));
    assert_eq!(plan.status["lastScheduleTime"], "2026-03-01T10:00:00Z");
    let strict = cron(&json!({"startingDeadlineSeconds": 600}));
    assert!(
        decide(&strict, &[], at("2026-03-01T10:20:00Z"))
            .create
            .is_none()
    );
    assert!(
        decide(&strict, &[], at("2026-03-01T10:09:00Z"))
            .create
            .is_some()
    );
    let suspended = cron(&json!({"suspend": true}));
    let plan = decide(&suspended, &[], at("2026-03-01T10:20:00Z"));
    assert!(plan.create.is_none() && plan.look_again.is_none());
}

#[test]
fn the_policy_says_what_becomes_of_two_at_once() {
    let now = at("2026-01-01T13:00:05Z");
    let running = [job("old", "2026-01-01T12:30:00Z", None)];
    let allowed = decide(&cron(&json!({})), &running, now);
    assert!(allowed.create.is_some());
    assert_eq!(allowed.status["active"].as_array().unwrap().len(), 2);
    let forbidden = decide(
        &cron(&json!({"concurrencyPolicy": "Forbid"})),
        &running,
        now,
    );
    assert!(forbidden.create.is_none());
    assert_eq!(forbidden.warning.unwrap().0, "JobAlreadyActive");
    assert_eq!(
        forbidden.status["lastScheduleTime"],
        Value::Null,
        "it is made up for"
    );
    let replaced = decide(
        &cron(&json!({"concurrencyPolicy": "Replace"})),
        &running,
        now,
    );
    assert!(replaced.create.is_some());
    assert_eq!(names(&replaced.delete), ["old"]);
}

#[test]
fn history_is_kept_within_its_limits() {
    let jobs = [
        job("s2", "2026-01-01T12:02:00Z", Some("Complete")),
        job("s1", "2026-01-01T12:01:00Z", Some("Complete")),
        job("f1", "2026-01-01T12:01:00Z", Some("Failed")),
        job("f2", "2026-01-01T12:02:00Z", Some("Failed")),
        job("r", "2026-01-01T12:00:00Z", None),
    ];
    let plan = decide(&cron(&json!({})), &jobs, at("2026-01-01T12:10:00Z"));
    assert_eq!(names(&plan.delete), ["s1", "f1"]);
    assert_eq!(plan.status["lastSuccessfulTime"], "2026-01-01T12:02:00Z");
}

#[test]
fn a_schedule_that_cannot_be_read_is_said() {
    let plan = decide(
        &cron(&json!({"schedule": "often"})),
        &[],
        at("2026-01-01T12:10:00Z"),
    );
    assert_eq!(plan.warning.unwrap().0, "UnParseableCronJobSchedule");
}
