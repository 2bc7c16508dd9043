//! Jobs and CronJobs.

use super::at::At;
use super::{job_policy, metadata, pod};
use osier_api::selector::LabelSelector;
use osier_api::{Fault, Object};

const MODES: [&str; 2] = ["Indexed", "NonIndexed"];
const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];
/// A CronJob's Jobs are named after it with eleven more characters.
const LONGEST_NAME: usize = 52;
/// Indexed Jobs have at most this many pods at once, and this many completions.
const MOST_INDEXES: i64 = 100_000;
/// What stays once it is there, and what stays as it was.
const FIXED: [&str; 4] = ["completions", "completionMode", "selector", "template"];
const POLICIES_OF_PODS: [&str; 4] = [
    "backoffLimitPerIndex",
    "managedBy",
    "podFailurePolicy",
    "successPolicy",
];

/// The spec of a Job.
pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = check_spec(spec);
    let selector = spec.at("selector");
    if !selector.is_present() {
        faults.push(selector.required(""));
        return faults;
    }
    faults.extend(metadata::selector(&selector));
    let labels = spec.at("template").at("metadata").at("labels");
    let carried = labels.entries();
    let carried = carried.iter().map(|(key, value)| (*key, value.text()));
    let parsed = LabelSelector::from_object(selector.value).unwrap_or_default();
    if !parsed.matches(&carried.collect()) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
    faults
}

/// What a Job and the template of one share.
fn check_spec(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        faults.extend(spec.at(field).at_least(0));
    }
    let (mode, completions) = (spec.at("completionMode"), spec.at("completions"));
    faults.extend(mode.one_of(&MODES));
    if mode.text() == "Indexed" {
        if !completions.is_present() {
            faults.push(completions.required("when completion mode is Indexed"));
        }
        if completions.int().is_some_and(|count| count > MOST_INDEXES) {
            faults.push(completions.invalid("must be less than or equal to 100000"));
        }
    }
    let template = spec.at("template");
    faults.extend(metadata::labels(&template.at("metadata").at("labels")));
    let pods = template.at("spec");
    faults.extend(pod::check(&pods));
    let restart = pods.at("restartPolicy");
    if restart.text() == "Always" {
        faults.push(restart.required("valid values: \"OnFailure\", \"Never\""));
    }
    faults.extend(job_policy::check(spec));
    faults
}

/// A CronJob.
pub(super) fn check_cron(object: &Object) -> Vec<Fault> {
    let (name, spec) = (
        At::of(object, "metadata").at("name"),
        At::of(object, "spec"),
    );
    let mut faults = Vec::new();
    if name.text().len() > LONGEST_NAME {
        faults.push(name.invalid("must be no more than 52 characters"));
    }
    let schedule = spec.at("schedule");
    if schedule.is_set() {
        let parsed = osier_api::schedule::Schedule::parse(schedule.text());
        faults.extend(
            parsed
                .err()
                .map(|error| schedule.invalid(error.to_string())),
        );
    } else {
        faults.push(schedule.required(""));
    }
    let zone = spec.at("timeZone");
    if zone.is_present() && jiff::tz::TimeZone::get(zone.text()).is_err() {
        faults.push(zone.invalid(format!("unknown time zone {}", zone.text())));
    }
    faults.extend(spec.at("concurrencyPolicy").one_of(&POLICIES));
    for field in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        faults.extend(spec.at(field).at_least(0));
    }
    let job = spec.at("jobTemplate").at("spec");
    if job.at("manualSelector").is_true() {
        let field = job.at("manualSelector");
        faults.push(field.forbidden("a CronJob's Jobs choose their pods themselves"));
    }
    faults.extend(check_spec(&job));
    faults
}

/// What a Job is about stays: how many completions, but for an Indexed Job that runs all of them at once; and its template, but for where
/// pods run while it has never run.
pub(super) fn check_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (At::of(old, "spec"), At::of(new, "spec"));
    let same = |field: &str| before.at(field).value == after.at(field).value;
    let elastic = after.at("completionMode").text() == "Indexed"
        && after.at("completions").value == after.at("parallelism").value;
    let waiting = before.at("suspend").is_true() && old.text(&["status", "startTime"]).is_empty();
    let moved = |field: &str| match field {
        "completions" if elastic => false,
        "template" if waiting => {
            unplaced(&before.at("template")) != unplaced(&after.at("template"))
        }
        field => !same(field),
    };
    let fixed = FIXED.into_iter();
    let fixed = fixed.filter(|field| before.at(field).is_present() && moved(field));
    let policies = POLICIES_OF_PODS.into_iter().filter(|field| !same(field));
    fixed
        .chain(policies)
        .map(|field| after.at(field))
        .map(|field| Fault::immutable(&field.path, field.value.clone()))
        .collect()
}

/// A template without what says where its pods run.
fn unplaced(template: &At<'_>) -> serde_json::Value {
    let mut template = template.value.clone();
    for (part, fields) in [
        ("metadata", &["annotations", "labels"][..]),
        (
            "spec",
            &["affinity", "nodeSelector", "schedulingGates", "tolerations"],
        ),
    ] {
        let part = template
            .get_mut(part)
            .and_then(serde_json::Value::as_object_mut);
        if let Some(part) = part {
            part.retain(|field, _| !fields.contains(&field.as_str()));
        }
    }
    template
}
