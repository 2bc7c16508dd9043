//! Jobs and CronJobs.

use jiff::Timestamp;
use serde_json::Value;

use super::workload::{CONTAINERS, IMAGES, SELECTOR, count, template_cells};
use super::{
    AGE, Layout, NAME, age, array, condition, human, is_true, joined, or_none, since_creation, text,
};
use osier_api::Object;

pub(super) const JOBS: Layout = Layout {
    columns: &[
        NAME,
        text("Status", "Running, Complete, Failed, Suspended..."),
        text("Completions", "Pods that succeeded, of how many."),
        text("Duration", "Time from the start to the completion."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |job, now| {
        let mut cells = vec![
            job.name().into(),
            status(job).into(),
            completions(job).into(),
            duration(job, now),
            since_creation(job, now),
        ];
        cells.extend(template_cells(job));
        cells
    },
};

pub(super) const CRON_JOBS: Layout = Layout {
    columns: &[
        NAME,
        text("Schedule", "When it runs, in the form of cron."),
        text("Timezone", "The time zone of the schedule."),
        text("Suspend", "Whether it does not run at present."),
        text("Active", "Number of Jobs that run."),
        text("Last Schedule", "Time since the last Job was due."),
        AGE,
        CONTAINERS,
        IMAGES,
    ],
    cells: |cron, now| {
        let containers = array(
            cron,
            &[
                "spec",
                "jobTemplate",
                "spec",
                "template",
                "spec",
                "containers",
            ],
        );
        let each = |field: &str| joined(containers.iter().filter_map(|one| one[field].as_str()));
        let suspended = cron.get(&["spec", "suspend"]) == Some(&Value::Bool(true));
        let last = cron.text(&["status", "lastScheduleTime"]);
        vec![
            cron.name().into(),
            cron.text(&["spec", "schedule"]).into(),
            or_none(cron.text(&["spec", "timeZone"])),
            if suspended { "True" } else { "False" }.into(),
            array(cron, &["status", "active"]).len().to_string().into(),
            match last {
                "" => "<none>".into(),
                last => age::since(Some(last), now).into(),
            },
            since_creation(cron, now),
            each("name"),
            each("image"),
        ]
    },
};

fn status(job: &Object) -> &'static str {
    let holds = |kind: &str| is_true(condition(job, kind));
    if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if job.deletion_timestamp().is_some() {
        "Terminating"
    } else if holds("Suspended") {
        "Suspended"
    } else if holds("FailureTarget") {
        "FailureTarget"
    } else if holds("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

/// `2/5`, or `1/1 of 3` for a queue of work.
fn completions(job: &Object) -> String {
    let done = count(job, "status", "succeeded");
    let parallel = count(job, "spec", "parallelism");
    match job.get(&["spec", "completions"]).and_then(Value::as_i64) {
        Some(wanted) => format!("{done}/{wanted}"),
        None if parallel > 1 => format!("{done}/1 of {parallel}"),
        None => format!("{done}/1"),
    }
}

fn duration(job: &Object, now: Timestamp) -> Value {
    let time = |field: &str| -> Option<Timestamp> { job.text(&["status", field]).parse().ok() };
    let Some(start) = time("startTime") else {
        return "".into();
    };
    human(
        time("completionTime")
            .unwrap_or(now)
            .duration_since(start)
            .as_secs(),
    )
    .into()
}
