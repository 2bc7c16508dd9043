//! Who calls whom, and what plugins do: the metrics of this node put together for a picture.
//!
//! Everything is a count since the node began, as in the metrics; whoever draws rates takes the difference of two graphs.

use crate::exposition::{Sample, samples};
use serde::Serialize;
use std::collections::BTreeMap;

/// What the picture is made of.
const NAMES: [&str; 5] = [
    "istio_requests_total{",
    "istio_request_duration_milliseconds_",
    "istio_tcp_",
    "osier_plugin_",
    "osier_policy_",
];

/// Edges that one graph may have: beyond that no picture helps, and the answer stays bounded. The busiest are kept.
const EDGES: usize = 2_000;

/// Everything that this node has carried.
#[derive(Debug, Default, Serialize)]
pub struct Graph {
    /// Milliseconds of the node's own clock at which this was so: rates are taken by it, whatever the way took.
    pub at: u64,
    /// Who called whom.
    pub edges: Vec<Edge>,
    /// What plugins were asked, by name.
    pub plugins: Vec<Plugin>,
    /// Edges that were left out because there are too many.
    pub omitted: usize,
}

/// One end of an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Workload {
    /// The workload's name; of a call that reached none, the service's.
    pub name: String,
    /// Its namespace; empty for gateways and hosts outside.
    pub namespace: String,
    /// Whether it is a service of which no endpoint was chosen: the call was refused on its way, or the host is outside.
    pub service: bool,
}

/// What one workload called of another.
#[derive(Debug, Default, Serialize)]
pub struct Edge {
    /// Who called.
    pub source: Workload,
    /// Who was called.
    pub destination: Workload,
    /// The service by whose name it was called.
    pub service: String,
    /// `http`, `grpc` or `tcp`.
    pub protocol: String,
    /// Requests by response code.
    pub codes: BTreeMap<String, u64>,
    /// Requests by response flags, without those that have none.
    pub flags: BTreeMap<String, u64>,
    /// Requests that took at most so many milliseconds, as `[milliseconds, requests]`; the last bound, of all requests, is left out.
    pub buckets: Vec<(f64, u64)>,
    /// Milliseconds that all requests took.
    pub milliseconds: f64,
    /// Connections that were opened, of raw TCP.
    pub connections: u64,
    /// Bytes both ways, of raw TCP.
    pub bytes: u64,
}

/// What one plugin was asked.
#[derive(Debug, Default, Serialize)]
pub struct Plugin {
    /// `namespace/name`.
    pub name: String,
    /// Answers by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Calls without an answer, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Calls into it.
    pub calls: u64,
    /// Seconds that those took.
    pub seconds: f64,
    /// Processor seconds, estimated.
    pub cpu: f64,
    /// Instances now.
    pub instances: u64,
    /// Bytes of their memory.
    pub memory: u64,
}

/// Both ends count a call; what tells them apart is who reports.
type Key = (bool, Workload, Workload, String);

impl Graph {
    /// Reads the graph from metrics in the text format, taken at `at`.
    #[must_use]
    pub fn read(text: &str, at: u64) -> Self {
        let (mut edges, mut plugins) = (BTreeMap::<Key, Edge>::new(), BTreeMap::new());
        for sample in samples(text, &NAMES) {
            match sample.name.starts_with("istio_") {
                true => edge(&mut edges, &sample),
                false => plugin(&mut plugins, &sample),
            }
        }
        let mut edges = once(edges);
        edges.sort_by_key(|edge| std::cmp::Reverse(edge.weight()));
        let omitted = edges.len().saturating_sub(EDGES);
        edges.truncate(EDGES);
        Self {
            at,
            edges,
            plugins: plugins.into_values().collect(),
            omitted,
        }
    }
}

impl Edge {
    fn weight(&self) -> u64 {
        self.codes.values().sum::<u64>() + self.connections
    }
}

/// Of an edge that both ends report, the caller's view: it knows what was refused on the way.
fn once(mut edges: BTreeMap<Key, Edge>) -> Vec<Edge> {
    let by_source: Vec<Key> = edges.keys().filter(|key| key.0).cloned().collect();
    for (_, source, destination, service) in by_source {
        edges.remove(&(false, source, destination, service));
    }
    edges.into_values().collect()
}

fn edge(edges: &mut BTreeMap<Key, Edge>, sample: &Sample<'_>) {
    let by_source = sample.label("reporter") == "source";
    let (source, destination) = (caller(sample), called(sample));
    let service = sample.label("destination_service").to_owned();
    let key = (by_source, source, destination, service);
    let edge = edges.entry(key).or_insert_with_key(|key| Edge {
        source: key.1.clone(),
        destination: key.2.clone(),
        service: key.3.clone(),
        ..Edge::default()
    });
    let count = whole(sample.value);
    match sample.name {
        "istio_requests_total" => {
            sample
                .label("request_protocol")
                .clone_into(&mut edge.protocol);
            add(&mut edge.codes, sample.label("response_code"), count);
            let flags = sample.label("response_flags");
            if !["-", ""].contains(&flags) {
                add(&mut edge.flags, flags, count);
            }
        }
        "istio_request_duration_milliseconds_bucket" => edge.within(sample.label("le"), count),
        "istio_request_duration_milliseconds_sum" => edge.milliseconds += sample.value,
        "istio_tcp_connections_opened_total" => {
            "tcp".clone_into(&mut edge.protocol);
            edge.connections += count;
        }
        "istio_tcp_sent_bytes_total" | "istio_tcp_received_bytes_total" => edge.bytes += count,
        _ => {}
    }
}

impl Edge {
    fn within(&mut self, bound: &str, count: u64) {
        let Ok(bound) = bound.parse::<f64>() else {
            return;
        };
        if bound.is_infinite() {
            return;
        }
        match self
            .buckets
            .binary_search_by(|(own, _)| own.total_cmp(&bound))
        {
            Ok(place) => self.buckets[place].1 += count,
            Err(place) => self.buckets.insert(place, (bound, count)),
        }
    }
}

/// `unknown` is what Istio's metrics write where there is nothing to say.
fn known<'a>(sample: &'a Sample<'_>, label: &str) -> Option<&'a str> {
    let value = sample.label(label);
    (!["", "unknown"].contains(&value)).then_some(value)
}

fn caller(sample: &Sample<'_>) -> Workload {
    let name = known(sample, "source_workload");
    Workload {
        name: name.unwrap_or("unknown").to_owned(),
        namespace: owned(known(sample, "source_workload_namespace")),
        service: false,
    }
}

fn called(sample: &Sample<'_>) -> Workload {
    if let Some(name) = known(sample, "destination_workload") {
        return Workload {
            name: name.to_owned(),
            namespace: owned(known(sample, "destination_workload_namespace")),
            service: false,
        };
    }
    let host = known(sample, "destination_service_name").or(known(sample, "destination_service"));
    Workload {
        name: host.unwrap_or("unknown").to_owned(),
        namespace: owned(known(sample, "destination_service_namespace")),
        service: true,
    }
}

fn plugin(plugins: &mut BTreeMap<String, Plugin>, sample: &Sample<'_>) {
    let Some(name) = known(sample, "plugin") else {
        return;
    };
    let plugin = plugins.entry(name.to_owned()).or_insert_with(|| Plugin {
        name: name.to_owned(),
        ..Plugin::default()
    });
    let count = whole(sample.value);
    match sample.name {
        "osier_plugin_calls_total" => add(&mut plugin.verdicts, sample.label("verdict"), count),
        "osier_plugin_failures_total" => add(&mut plugin.failures, sample.label("reason"), count),
        "osier_plugin_duration_seconds_sum" => plugin.seconds += sample.value,
        "osier_plugin_duration_seconds_count" => plugin.calls += count,
        "osier_plugin_cpu_seconds_total" => plugin.cpu += sample.value,
        "osier_plugin_instances" => plugin.instances += count,
        "osier_plugin_memory_bytes" => plugin.memory += count,
        _ => {}
    }
}

fn owned(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn add(counts: &mut BTreeMap<String, u64>, what: &str, count: u64) {
    if count > 0 {
        *counts.entry(what.to_owned()).or_default() += count;
    }
}

/// Counters are whole numbers below 2^53 in text; anything else counts as nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what is exact"
)]
fn whole(value: f64) -> u64 {
    value.clamp(0.0, 9_007_199_254_740_992.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: &str = "source_workload=\"a\",source_workload_namespace=\"shop\",destination_workload=\"b\",destination_workload_namespace=\"shop\",destination_service=\"b.shop.svc.cluster.local\",destination_service_name=\"b\",destination_service_namespace=\"shop\"";

    fn workload(name: &str, namespace: &str, service: bool) -> Workload {
        Workload {
            name: name.into(),
            namespace: namespace.into(),
            service,
        }
    }

    #[test]
    fn an_edge_is_told_once_though_both_ends_count_it() {
        let text = format!(
            "istio_requests_total{{reporter=\"source\",{ENDS},request_protocol=\"http\",response_code=\"200\",response_flags=\"-\"}} 7\n\
             istio_requests_total{{reporter=\"source\",{ENDS},request_protocol=\"http\",response_code=\"503\",response_flags=\"UF\"}} 2\n\
             istio_requests_total{{reporter=\"destination\",{ENDS},request_protocol=\"http\",response_code=\"200\",response_flags=\"-\"}} 7\n\
             istio_request_duration_milliseconds_bucket{{le=\"5.0\",reporter=\"source\",{ENDS},response_code=\"503\"}} 1\n\
             istio_request_duration_milliseconds_bucket{{le=\"1.0\",reporter=\"source\",{ENDS},response_code=\"200\"}} 3\n\
             istio_request_duration_milliseconds_bucket{{le=\"5.0\",reporter=\"source\",{ENDS},response_code=\"200\"}} 6\n\
             istio_request_duration_milliseconds_bucket{{le=\"+Inf\",reporter=\"source\",{ENDS},response_code=\"200\"}} 7\n\
             istio_request_duration_milliseconds_sum{{reporter=\"source\",{ENDS},response_code=\"200\"}} 12.5\n# EOF\n"
        );
        let graph = Graph::read(&text, 0);
        assert_eq!(graph.edges.len(), 1, "{graph:?}");
        let edge = &graph.edges[0];
        assert_eq!(edge.source, workload("a", "shop", false));
        assert_eq!(edge.destination, workload("b", "shop", false));
        assert_eq!(
            edge.codes,
            BTreeMap::from([("200".into(), 7), ("503".into(), 2)])
        );
        assert_eq!(edge.flags, BTreeMap::from([("UF".into(), 2)]));
        assert_eq!(edge.buckets, [(1.0, 3), (5.0, 7)]);
        assert_eq!((edge.milliseconds, edge.protocol.as_str()), (12.5, "http"));
    }

    #[test]
    fn what_only_the_called_end_counted_is_told_too() {
        let text = format!(
            "istio_tcp_connections_opened_total{{reporter=\"destination\",{ENDS}}} 3\n\
             istio_tcp_sent_bytes_total{{reporter=\"destination\",{ENDS}}} 10\n\
             istio_tcp_received_bytes_total{{reporter=\"destination\",{ENDS}}} 5\n"
        );
        let graph = Graph::read(&text, 0);
        let told = graph.edges.iter();
        let told: Vec<_> = told
            .map(|edge| (edge.protocol.as_str(), edge.connections, edge.bytes))
            .collect();
        assert_eq!(told, [("tcp", 3, 15)]);
    }

    #[test]
    fn a_call_that_reached_no_endpoint_leads_to_its_service() {
        let text = "istio_requests_total{reporter=\"source\",source_workload=\"gateway\",source_workload_namespace=\"unknown\",destination_workload=\"unknown\",destination_service=\"api.example.com\",destination_service_name=\"unknown\",response_code=\"429\"} 1\n";
        let graph = Graph::read(text, 0);
        assert_eq!(graph.edges[0].source, workload("gateway", "", false));
        assert_eq!(
            graph.edges[0].destination,
            workload("api.example.com", "", true)
        );
    }

    #[test]
    fn plugins_are_told_with_what_they_answered_and_cost() {
        let text = "osier_plugin_calls_total{plugin=\"d/list\",template=\"listentry\",verdict=\"deny\"} 4\n\
             osier_plugin_calls_total{plugin=\"d/list\",template=\"listentry\",verdict=\"failed\"} 0\n\
             osier_plugin_failures_total{plugin=\"d/list\",reason=\"trap\"} 1\n\
             osier_plugin_duration_seconds_sum{plugin=\"d/list\"} 0.5\n\
             osier_plugin_duration_seconds_count{plugin=\"d/list\"} 5\n\
             osier_plugin_cpu_seconds_total{plugin=\"d/list\"} 0.25\n\
             osier_plugin_instances{plugin=\"d/list\"} 2\n\
             osier_plugin_memory_bytes{plugin=\"d/list\"} 65536\n";
        let graph = Graph::read(text, 0);
        let plugin = &graph.plugins[0];
        assert_eq!(plugin.verdicts, BTreeMap::from([("deny".into(), 4)]));
        assert_eq!(plugin.failures, BTreeMap::from([("trap".into(), 1)]));
        assert_eq!(
            (plugin.calls, plugin.instances, plugin.memory),
            (5, 2, 65536)
        );
    }

    #[test]
    fn of_too_many_edges_the_busiest_are_kept() {
        let line = |n: usize| {
            format!(
                "istio_requests_total{{reporter=\"source\",source_workload=\"w{n}\",destination_workload=\"b\",response_code=\"200\"}} {n}\n"
            )
        };
        let text: String = (1..=EDGES + 5).map(line).collect();
        let graph = Graph::read(&text, 0);
        assert_eq!((graph.edges.len(), graph.omitted), (EDGES, 5));
        assert_eq!(graph.edges[0].source.name, format!("w{}", EDGES + 5));
    }
}
