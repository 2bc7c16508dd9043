//! One report action of one policy: records are built where a call ends, and handed to the plugin in batches, off the request path.
//!
//! A queue that is empty costs nothing. The first record starts a task, which waits for a full batch, for a second, or for the end of the
//! process, whatever comes first, delivers everything, and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use osier_bounded::{Pushed, Queue, QueueTerms};
use osier_engine::plugin::{FunctionHandle, Val};
use serde_json::Value as Json;
use tokio::sync::Notify;

use super::Plugin;
use super::binding::find;
use super::pool::NoInstance;
use crate::fault::Fault;
use crate::template::{EMPTY, Plan, Variety, compile};
use osier_capabilities::{FailureKind, Families, ReportMetrics};
use osier_expressions::EvaluationError;
use osier_expressions::{Attributes, Vocabulary};

/// Records of one delivery.
const BATCH: usize = 100;
/// Longest time that a record waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// Processor time of one delivery; nobody waits for it.
const DEADLINE: Duration = Duration::from_secs(1);
/// While checks keep every instance busy, a batch waits so long ...
const PAUSE: Duration = Duration::from_millis(20);
/// ... so many times, and is lost.
const TRIES: usize = 100;

/// A plugin's report template with the fields of an action.
pub(crate) struct Reporting {
    plugin: Arc<Plugin>,
    template: String,
    function: FunctionHandle,
    /// None: the plugin is told only how many calls there were.
    plan: Option<Plan>,
    answers: bool,
    queue: Queue<Val>,
    delivering: AtomicBool,
    /// Records were dropped since the last batch was taken.
    overflowing: AtomicBool,
    full: Notify,
    metrics: ReportMetrics,
}

impl std::fmt::Debug for Reporting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} told by {}", self.plugin, self.template)
    }
}

/// What became of one batch.
enum Sent {
    Done,
    Lost,
    /// Every instance is busy.
    Later(Vec<Val>),
}

impl Reporting {
    /// Binds the fields of an action to a template; `path` is the path of the action.
    pub(crate) fn new(
        plugin: Arc<Plugin>,
        wanted: &str,
        (fields, terms): (&Json, QueueTerms),
        path: &str,
        (vocabulary, families): (&Vocabulary, &Families),
    ) -> Result<Self, Vec<Fault>> {
        let (template, function) = find(&plugin, wanted)
            .map_err(|detail| vec![Fault::new(format!("{path}.template"), detail)])?;
        let plan = compile(template, fields, &format!("{path}.fields"), vocabulary)?;
        Ok(Self {
            template: template.interface.clone(),
            function,
            plan,
            answers: template.answers,
            queue: Queue::new(terms, EMPTY),
            delivering: AtomicBool::new(false),
            overflowing: AtomicBool::new(false),
            full: Notify::new(),
            metrics: families.reports(plugin.label(), template.short()),
            plugin,
        })
    }

    /// True if an action of this plugin and template is told rather than asked.
    pub(crate) fn is_meant(plugin: &Plugin, wanted: &str) -> bool {
        find(plugin, wanted)
            .is_ok_and(|(template, _)| matches!(template.variety, Variety::Report | Variety::Count))
    }

    /// True if it settles what was reserved, which is done once: when all is over.
    pub(crate) fn settles(&self) -> bool {
        self.template.starts_with("osier:policy/settlement@")
    }

    pub(crate) fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Builds the record of a call that has ended. Never waits.
    pub(crate) fn record<'a>(self: &Arc<Self>, attributes: &'a Attributes<'a>) {
        let pushed = self.queue.push(|place| match &self.plan {
            Some(plan) => plan.fill(attributes, place),
            None => Ok(()),
        });
        match pushed {
            Ok(Pushed::Waiting(waiting)) if waiting % BATCH == 0 => self.full.notify_one(),
            Ok(Pushed::Waiting(_)) => {}
            Ok(Pushed::ForOldest | Pushed::Lost) => self.dropped(),
            Err(error) => {
                let what = format!(
                    "a field of template {} cannot be computed: {error}",
                    self.template
                );
                self.plugin.failed(FailureKind::Expression, &what);
                self.metrics.failed.inc();
                return;
            }
        }
        self.start();
    }

    /// A record found no room. It is said once, until there is room again.
    fn dropped(&self) {
        self.metrics.dropped.inc();
        let health = &self.plugin.health;
        health.dropped_reports.fetch_add(1, Ordering::Relaxed);
        if self.overflowing.swap(true, Ordering::Relaxed) {
            return;
        }
        let what = format!(
            "reports by {} are dropped: {} wait already; raise queue.limit of the policy's action",
            self.template,
            self.queue.limit()
        );
        self.plugin.remember(FailureKind::Overload, &what);
    }

    /// The policy's `match` has no answer for a call: nobody knows whether the plugin wanted to be told.
    pub(crate) fn undecided(&self, policy: &str, error: &EvaluationError) {
        let what = format!("match of policy {policy} cannot be computed: {error}");
        self.plugin.failed(FailureKind::Expression, &what);
        self.metrics.failed.inc();
    }

    /// Makes sure that a task delivers what waits.
    fn start(self: &Arc<Self>) {
        if self.delivering.load(Ordering::Acquire)
            || tokio::runtime::Handle::try_current().is_err()
            || self.delivering.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let own = self.clone();
        let tasks = &self.plugin.tasks;
        tasks.spawn("report", async move { own.deliver().await });
    }

    async fn deliver(self: Arc<Self>) {
        let stopping = self.plugin.tasks.stopping();
        loop {
            if self.queue.len() < BATCH {
                tokio::select! {
                    () = self.full.notified() => {}
                    () = tokio::time::sleep(LINGER) => {}
                    () = stopping.cancelled() => {}
                }
            }
            while !self.queue.is_empty() {
                let batch = self.queue.take(BATCH);
                self.overflowing.store(false, Ordering::Relaxed);
                self.send(batch).await;
            }
            self.delivering.store(false, Ordering::Release);
            // A record that came between the two was not allowed to start another task.
            if self.queue.is_empty() || self.delivering.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    async fn send(self: &Arc<Self>, mut batch: Vec<Val>) {
        let count = batch.len() as u64;
        for _ in 0..TRIES {
            let own = self.clone();
            let tasks = &self.plugin.tasks;
            let sent = tasks.spawn_blocking("report-batch", move || own.call(batch));
            match sent.await {
                Ok(Sent::Done) => {
                    self.metrics.delivered.inc_by(count);
                    return;
                }
                Ok(Sent::Later(again)) => batch = again,
                Ok(Sent::Lost) | Err(_) => {
                    self.metrics.failed.inc_by(count);
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let what =
            "every instance was busy for too long to take reports; raise spec.limits.instances";
        self.plugin.failed(FailureKind::Overload, what);
        self.metrics.failed.inc_by(count);
    }

    /// Hands a batch to an instance.
    fn call(&self, batch: Vec<Val>) -> Sent {
        let plugin = &self.plugin;
        let instance = match plugin.take() {
            Ok(instance) => instance,
            Err(NoInstance::Busy) => return Sent::Later(batch),
            Err(reason) => {
                plugin.no_instance(reason);
                return Sent::Lost;
            }
        };
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let told = [match &self.plan {
            Some(_) => Val::List(batch),
            None => Val::U32(count),
        }];
        let called = plugin.observed(instance, |instance| {
            let results = &mut instance.results[..usize::from(self.answers)];
            let guest = &mut instance.guest;
            guest.call_within(DEADLINE, self.function, &told, results)
        });
        let [told] = told;
        if let Val::List(batch) = told {
            self.queue.recycle(batch);
        }
        let Ok(((), mut instance)) = called else {
            return Sent::Lost;
        };
        let answer = std::mem::replace(&mut instance.results[0], Val::Bool(false));
        plugin.give(instance);
        let Val::Result(Err(reason)) = answer else {
            return Sent::Done;
        };
        let reason = match reason.map(|reason| *reason) {
            Some(Val::String(reason)) => reason,
            _ => "no reason given".to_owned(),
        };
        let what = format!("a batch of reports was refused: {reason}");
        plugin.failed(FailureKind::Answer, &what);
        Sent::Lost
    }
}
