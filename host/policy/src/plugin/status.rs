//! How a plugin has been doing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use osier_bounded::{Conduct, Failures};
use serde_json::Value as Json;

use super::Plugin;
use super::cpu::{Measuring, Spent};
use osier_capabilities::FailureKind;

/// The state of a plugin on this node, for `Plugin.status`.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginStatus {
    /// Digest of the component.
    pub digest: String,
    /// Interfaces that it exports.
    pub interfaces: Vec<String>,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Schema of its configuration.
    pub schema: Option<Json>,
    /// Calls into the plugin, without those that the cache answered.
    pub calls: u64,
    /// Processor time of those calls, estimated from a part of them.
    pub cpu: Duration,
    /// Answers from the cache.
    pub cache_hits: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Calls that overran the deadline.
    pub deadline_overruns: u64,
    /// Calls that wanted more memory than allowed.
    pub memory_overruns: u64,
    /// Calls that found every instance busy.
    pub overloads: u64,
    /// Answers that were none.
    pub bad_answers: u64,
    /// Records of ended calls that found no room in their queue.
    pub dropped_reports: u64,
    /// It overran its limits too often lately: its calls run aside.
    pub aside: bool,
    /// The last failure.
    pub last_error: Option<String>,
    /// When it was.
    pub last_error_at: Option<SystemTime>,
    /// When the plugin was loaded.
    pub since: SystemTime,
    /// Live instances.
    pub instances: usize,
    /// Linear memory of the idle ones, in bytes.
    pub memory: u64,
}

/// Counts and the last failure.
#[derive(Default)]
pub(super) struct Health {
    pub(super) calls: AtomicU64,
    pub(super) spent: Spent,
    pub(super) dropped_reports: AtomicU64,
    pub(super) conduct: Conduct,
    last: Failures,
}

impl Health {
    /// Counts a call that begins, and measures it if it is one of those.
    pub(super) fn count(&self) -> Option<Measuring> {
        Measuring::begin(self.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// Remembers a failure. Some(n): say it, n went unsaid since the last line.
    pub(super) fn failed(&self, what: &str, now: Instant) -> Option<u64> {
        self.last.remember(what, now)
    }

    pub(super) fn status(&self, plugin: &Plugin) -> PluginStatus {
        let error = self.last.last();
        let count = |kind| plugin.metrics.failures(kind);
        let (instances, memory, cpu) = (plugin.live(), plugin.memory(), plugin.cpu());
        let news = self.spent.news(cpu);
        plugin.metrics.cpu.inc_by(news.as_secs_f64());
        let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        plugin.metrics.instances.set(shown(instances as u64));
        plugin.metrics.memory.set(shown(memory));
        PluginStatus {
            digest: plugin.digest.clone(),
            interfaces: plugin.interfaces.clone(),
            imports: plugin.imports.clone(),
            schema: plugin.schema.clone(),
            calls: self.calls.load(Ordering::Relaxed),
            cpu,
            cache_hits: plugin.metrics.cache_hits(),
            traps: count(FailureKind::Trap),
            deadline_overruns: count(FailureKind::Deadline),
            memory_overruns: count(FailureKind::Memory),
            overloads: count(FailureKind::Overload),
            bad_answers: count(FailureKind::Answer),
            dropped_reports: self.dropped_reports.load(Ordering::Relaxed),
            aside: self.conduct.is_apart(Instant::now),
            last_error_at: error.as_ref().map(|(_, at)| *at),
            last_error: error.map(|(what, _)| what),
            since: plugin.since,
            instances,
            memory,
        }
    }
}
