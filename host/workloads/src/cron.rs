//! What a CronJob wants done now. Pure: a function of the CronJob, its Jobs, and the time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use osier_api::Object;
use osier_api::resources::JOBS;
use osier_api::schedule::Schedule;
use osier_process::clock;
use serde_json::{Value, json};

use crate::{facts, ownership};

const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// What to do, and what to report.
#[derive(Debug, Default)]
pub struct Plan {
    /// The Job to start.
    pub create: Option<Object>,
    /// Jobs to be deleted: beyond the history, or replaced.
    pub delete: Vec<Arc<Object>>,
    /// Reason and words of a warning.
    pub warning: Option<(&'static str, String)>,
    /// The status to write, as a merge patch.
    pub status: Value,
    /// When the next time of the schedule is.
    pub look_again: Option<Duration>,
}

/// A CronJob as the decision sees it.
struct Cron<'a> {
    object: &'a Object,
    schedule: Schedule,
    zone: TimeZone,
    now: Timestamp,
}

/// Decides from the Jobs that the CronJob owns.
#[must_use]
pub fn decide(cron: &Object, jobs: &[Arc<Object>], now: Timestamp) -> Plan {
    let mut plan = Plan {
        delete: history(cron, jobs),
        ..Plan::default()
    };
    let running = |job: &&Arc<Object>| !is_over(job);
    let mut active: Vec<Arc<Object>> = jobs.iter().filter(running).cloned().collect();
    let mut due = None;
    match Cron::read(cron, now) {
        Ok(cron) => {
            plan.look_again = cron.until_next();
            due = cron.due();
            if let Some(at) = due
                && !cron.start(at, &mut active, &mut plan)
            {
                due = None;
            }
        }
        Err(words) => plan.warning = Some(("UnParseableCronJobSchedule", words)),
    }
    plan.status = status(cron, jobs, (&active, plan.create.as_ref()), due);
    plan
}

impl<'a> Cron<'a> {
    fn read(object: &'a Object, now: Timestamp) -> Result<Self, String> {
        let schedule = Schedule::parse(object.text(&["spec", "schedule"]));
        let zone = match object.text(&["spec", "timeZone"]) {
            "" => Ok(TimeZone::UTC),
            name => TimeZone::get(name),
        };
        Ok(Self {
            object,
            schedule: schedule.map_err(|error| error.to_string())?,
            zone: zone.map_err(|error| error.to_string())?,
            now,
        })
    }

    fn is(&self, field: &str, value: &Value) -> bool {
        self.object.get(&["spec", field]) == Some(value)
    }

    fn until_next(&self) -> Option<Duration> {
        if self.is("suspend", &Value::Bool(true)) {
            return None;
        }
        let next = self.schedule.next_after(self.now, &self.zone)?;
        let wait = Duration::try_from(next.duration_since(self.now)).ok()?;
        // A little late rather than a little early, when nothing would be due.
        Some(wait + Duration::from_millis(100))
    }

    /// The last time that was due since the last Job, and is not too long ago.
    fn due(&self) -> Option<Timestamp> {
        let leaving = self.object.deletion_timestamp().is_some();
        if leaving || self.is("suspend", &Value::Bool(true)) {
            return None;
        }
        let last = self.object.text(&["status", "lastScheduleTime"]).parse();
        let mut since = last.unwrap_or_else(|_| facts::created(self.object));
        let deadline = self.object.get(&["spec", "startingDeadlineSeconds"]);
        if let Some(seconds) = deadline.and_then(Value::as_i64) {
            let earliest = self.now.as_second().saturating_sub(seconds);
            let earliest = Timestamp::from_second(earliest).unwrap_or(since);
            since = since.max(earliest);
        }
        self.schedule.last_between((since, self.now), &self.zone)
    }

    /// Starts the Job that is due, as far as the others let it. `false` if it must wait.
    fn start(&self, at: Timestamp, active: &mut Vec<Arc<Object>>, plan: &mut Plan) -> bool {
        match self.object.text(&["spec", "concurrencyPolicy"]) {
            "Forbid" if !active.is_empty() => {
                let words = "Not starting job because prior execution is running and concurrency policy is Forbid";
                plan.warning = Some(("JobAlreadyActive", words.to_owned()));
                return false;
            }
            "Replace" => plan.delete.append(active),
            _ => {}
        }
        plan.create = Some(self.job(at));
        true
    }

    /// The Job of a time. Its name is that of the minute, so that none is started twice.
    fn job(&self, at: Timestamp) -> Object {
        let cron = self.object;
        let name = format!("{}-{}", cron.name(), at.as_second() / 60);
        let mut job = Object::new(&JOBS, cron.namespace(), &name);
        for part in ["labels", "annotations"] {
            let of_template = cron.get(&["spec", "jobTemplate", "metadata", part]);
            if let Some(value) = of_template {
                job.set(&["metadata", part], value.clone());
            }
        }
        let local = at.to_zoned(self.zone.clone());
        let local = local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        job.set(&["metadata", "annotations", SCHEDULED], local.into());
        let owners = json!([ownership::reference(cron)]);
        job.set(&["metadata", "ownerReferences"], owners);
        let spec = cron.get(&["spec", "jobTemplate", "spec"]).cloned();
        job.set(&["spec"], spec.unwrap_or_default());
        job
    }
}

fn is_over(job: &Object) -> bool {
    has_ended(job, "Complete") || has_ended(job, "Failed")
}

fn has_ended(job: &Object, how: &str) -> bool {
    facts::is_true(job, how)
}

/// Jobs that are over beyond the limits, the oldest first.
fn history(cron: &Object, jobs: &[Arc<Object>]) -> Vec<Arc<Object>> {
    let ends = [
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ];
    let beyond = ends.into_iter().flat_map(|(end, limit, otherwise)| {
        let limit = cron.get(&["spec", limit]).and_then(Value::as_u64);
        let limit = limit.map_or(otherwise, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let mut over: Vec<_> = jobs
            .iter()
            .filter(|job| has_ended(job, end) && job.deletion_timestamp().is_none())
            .cloned()
            .collect();
        over.sort_by_key(|job| (facts::created(job), job.name().to_owned()));
        over.truncate(over.len().saturating_sub(limit));
        over
    });
    beyond.collect()
}

fn status(
    cron: &Object,
    jobs: &[Arc<Object>],
    (active, created): (&[Arc<Object>], Option<&Object>),
    due: Option<Timestamp>,
) -> Value {
    let reference = |job: &Object| json!({"apiVersion": "batch/v1", "kind": "Job", "namespace": job.namespace(), "name": job.name(), "uid": job.uid()});
    let mut running: Vec<Value> = active.iter().map(|job| reference(job)).collect();
    running.extend(created.map(reference));
    let said = |field: &str| cron.get(&["status", field]).cloned().unwrap_or_default();
    let completed = jobs
        .iter()
        .filter(|job| has_ended(job, "Complete"))
        .map(|job| job.text(&["status", "completionTime"]));
    let last = completed.max().filter(|last| !last.is_empty());
    let last = last.filter(|last| *last > cron.text(&["status", "lastSuccessfulTime"]));
    json!({
        "active": if running.is_empty() { Value::Null } else { running.into() },
        "lastScheduleTime": due.map_or_else(|| said("lastScheduleTime"), |due| clock::seconds(due).into()),
        "lastSuccessfulTime": last.map_or_else(|| said("lastSuccessfulTime"), Value::from),
    })
}

#[cfg(test)]
mod tests;
