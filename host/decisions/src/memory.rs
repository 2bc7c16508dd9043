//! What was decided about recent calls: a bounded memory for `osier why`.
//!
//! Every call takes the next slot of a ring and overwrites what stands there, in place: no allocation once the ring is warm, and no lock but
//! the slot's own. Calls that were refused or went wrong have a ring of their own, so that good ones do not push them out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Uri};
use osier_proxy::{Decision, Direction, Record};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Calls that went well: as many as stay in a processor's cache, because every call writes one.
const GOOD: usize = 1024;
/// Calls that were refused or went wrong.
const BAD: usize = 1024;
/// Bytes kept of any text that a caller chose.
const MAX_TEXT: usize = 512;
/// Decisions kept of one call.
const MAX_DECISIONS: usize = 32;

/// The calls of the last moments.
pub struct Decisions {
    good: Ring,
    bad: Ring,
}

struct Ring {
    slots: Box<[Mutex<Option<Box<Call>>>]>,
    next: AtomicUsize,
}

/// One pod, by namespace and name.
type Pod = (Arc<str>, Arc<str>);

/// What is kept of one call.
struct Call {
    id: String,
    url: String,
    route: String,
    cluster: String,
    gateway: String,
    method: Method,
    source: Option<Pod>,
    destination: Option<Pod>,
    service: Option<Arc<str>>,
    endpoint: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    received: SystemTime,
    began: Instant,
    duration: Duration,
    answered: Option<Duration>,
    status: u16,
    flags: &'static str,
    reason: String,
    verdict: &'static str,
    bytes: (u64, u64),
    decisions: Vec<Decision>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self {
            good: Ring::new(GOOD),
            bad: Ring::new(BAD),
        }
    }
}

impl Decisions {
    /// Keeps what is known of a call that has ended.
    pub fn remember(&self, record: &Record<'_>) {
        let well = record.status < 400 && record.flags == "-" && record.verdict == "allow";
        let ring = if well { &self.good } else { &self.bad };
        ring.next_slot(|slot| match slot {
            Some(old) => old.overwrite(record),
            None => *slot = Some(Box::new(Call::new(record))),
        });
    }

    /// What is remembered of a request id, oldest call first. Calls of one page share an id.
    pub fn find(&self, request_id: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for slot in self.good.slots.iter().chain(&self.bad.slots) {
            if let Some(call) = &*slot.lock()
                && call.id == request_id
            {
                found.push((call.received, call.show()));
            }
        }
        found.sort_by_key(|(received, _)| *received);
        found.into_iter().map(|(_, shown)| shown).collect()
    }
}

impl Ring {
    fn new(size: usize) -> Self {
        Self {
            slots: (0..size).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    fn next_slot(&self, with: impl FnOnce(&mut Option<Box<Call>>)) {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        with(&mut self.slots[place].lock());
    }
}

impl Call {
    fn new(record: &Record<'_>) -> Self {
        let mut own = Self {
            id: String::new(),
            url: String::new(),
            route: String::new(),
            cluster: String::new(),
            gateway: String::new(),
            method: record.method.clone(),
            source: None,
            destination: None,
            service: None,
            endpoint: None,
            peer: None,
            received: record.received,
            began: record.began,
            duration: record.duration,
            answered: None,
            status: 0,
            flags: "-",
            reason: String::new(),
            verdict: "",
            bytes: (0, 0),
            decisions: Vec::new(),
        };
        own.overwrite(record);
        own
    }

    /// Writes another call over this one; texts keep their memory.
    fn overwrite(&mut self, record: &Record<'_>) {
        copy(&mut self.id, record.request_id);
        copy(&mut self.reason, record.reason);
        copy(&mut self.route, record.route);
        copy(&mut self.cluster, record.cluster);
        copy(&mut self.gateway, record.gateway.unwrap_or_default());
        write_url(&mut self.url, record.uri);
        let pod = |workload: &osier_snapshot::Workload| {
            (workload.namespace.clone(), workload.name.clone())
        };
        self.method.clone_from(record.method);
        self.source = record.source.map(pod);
        self.destination = record.destination.map(pod);
        self.service = record.service.map(|service| service.host.clone());
        (self.endpoint, self.peer) = (record.endpoint, record.peer);
        (self.received, self.began) = (record.received, record.began);
        (self.duration, self.answered) = (record.duration, record.answered);
        (self.status, self.flags, self.verdict) = (record.status, record.flags, record.verdict);
        self.bytes = (record.request_bytes, record.response_bytes);
        self.decisions.clear();
        self.decisions
            .extend(record.decisions.iter().take(MAX_DECISIONS).cloned());
    }

    fn show(&self) -> Value {
        let pod = |pod: &Option<Pod>| {
            pod.as_ref()
                .map(|(namespace, name)| format!("{namespace}/{name}"))
        };
        json!({
            "requestId": self.id,
            "received": jiff::Timestamp::try_from(self.received).map(|time| time.to_string()).unwrap_or_default(),
            "method": self.method.as_str(),
            "url": self.url,
            "source": pod(&self.source),
            "gateway": Some(&self.gateway).filter(|name| !name.is_empty()),
            "client": self.peer.map(|peer| peer.to_string()),
            "service": self.service.as_deref(),
            "route": self.route,
            "cluster": self.cluster,
            "destination": pod(&self.destination),
            "endpoint": self.endpoint.map(|endpoint| endpoint.to_string()),
            "status": self.status,
            "flags": self.flags,
            "reason": self.reason,
            "verdict": self.verdict,
            "answeredMicros": self.answered.map(micros),
            "durationMicros": micros(self.duration),
            "bytesIn": self.bytes.0,
            "bytesOut": self.bytes.1,
            "decisions": self.decisions.iter().map(|one| self.show_decision(one)).collect::<Vec<_>>(),
        })
    }

    fn show_decision(&self, decision: &Decision) -> Value {
        json!({
            "direction": match decision.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            },
            "policy": &*decision.policy,
            "plugin": &*decision.plugin,
            "template": &*decision.template,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "cached": decision.cached,
            "atMicros": decision.began.map(|began| micros(began.saturating_duration_since(self.began))),
            "tookMicros": decision.took.as_nanos() as f64 / 1e3,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Copies a text up to its bound.
fn copy(own: &mut String, text: &str) {
    own.clear();
    append(own, text);
}

fn append(own: &mut String, text: &str) {
    let room = MAX_TEXT.saturating_sub(own.len()).min(text.len());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at));
    own.push_str(&text[..end.unwrap_or(0)]);
}

fn write_url(own: &mut String, uri: &Uri) {
    own.clear();
    for part in [
        uri.authority().map(http::uri::Authority::as_str),
        uri.path_and_query().map(http::uri::PathAndQuery::as_str),
    ] {
        append(own, part.unwrap_or_default());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn record<'a>(id: &'a str, uri: &'a Uri, decisions: &'a [Decision]) -> Record<'a> {
        Record {
            source: None,
            destination: None,
            service: None,
            gateway: Some("gateway"),
            gateways: &[],
            method: &Method::GET,
            uri,
            version: http::Version::HTTP_11,
            user_agent: None,
            request_id: id,
            peer: None,
            proven: false,
            server_name: None,
            received: SystemTime::UNIX_EPOCH,
            began: Instant::now(),
            duration: Duration::from_millis(7),
            answered: Some(Duration::from_millis(5)),
            status: 200,
            flags: "-",
            reason: "",
            request_bytes: 1,
            response_bytes: 2,
            route: "default",
            cluster: "reviews",
            verdict: "allow",
            policy: "",
            plugin: "",
            endpoint: None,
            sides: osier_proxy::Sides {
                outbound: true,
                inbound: false,
            },
            decisions,
            heads: None,
            connected: None,
        }
    }

    #[test]
    fn the_last_calls_are_remembered_and_no_more() {
        let (remembered, uri) = (Decisions::default(), "http://a/x?y=1".parse().unwrap());
        for number in 0..GOOD + 10 {
            remembered.remember(&record(&format!("r{number}"), &uri, &[]));
        }
        assert!(remembered.find("r9").is_empty());
        let found = remembered.find("r10");
        assert_eq!(found[0]["url"], "a/x?y=1");
        assert_eq!(found[0]["durationMicros"], 7000);
    }

    #[test]
    fn good_calls_do_not_push_out_a_refused_one() {
        let (remembered, uri) = (Decisions::default(), "http://a/".parse().unwrap());
        let refusal = Decision {
            direction: Direction::Inbound,
            policy: "default/p".into(),
            plugin: "default/denier".into(),
            template: "checknothing".into(),
            place: 0,
            outcome: "deny",
            reason: "closed".to_owned(),
            cached: false,
            began: Some(Instant::now()),
            took: Duration::from_micros(3),
            memo: None,
        };
        let refusals = [refusal];
        let refused = Record {
            status: 403,
            verdict: "deny",
            flags: "UAEX",
            ..record("bad", &uri, &refusals)
        };
        remembered.remember(&refused);
        (0..GOOD * 2).for_each(|_| remembered.remember(&record("good", &uri, &[])));
        let found = remembered.find("bad");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["decisions"][0]["reason"], "closed");
        assert_eq!(found[0]["decisions"][0]["tookMicros"], 3.0);
    }

    #[test]
    fn what_a_caller_chose_is_cut() {
        let (remembered, uri) = (Decisions::default(), "http://a/".parse().unwrap());
        let long = "é".repeat(MAX_TEXT);
        remembered.remember(&record(&long, &uri, &[]));
        assert_eq!(remembered.find(&"é".repeat(MAX_TEXT / 2)).len(), 1);
    }

    #[test]
    #[ignore = "prints figures; run it in release"]
    fn cost() {
        let (remembered, uri) = (Decisions::default(), "http://a/x?y=1".parse().unwrap());
        let record = record("0b6f2c1e-9f5e-4f0a-8b3a-0f6a5c2d1e9b", &uri, &[]);
        (0..GOOD).for_each(|_| remembered.remember(&record));
        let begun = Instant::now();
        (0..100_000).for_each(|_| remembered.remember(&record));
        println!(
            "{:9.0} ns  remembering a call",
            begun.elapsed().as_nanos() as f64 / 1e5
        );
    }
}
