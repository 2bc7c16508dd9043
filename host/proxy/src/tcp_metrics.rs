//! Istio's standard metrics of raw connections; looked up once for each connection, counted while it lives.

use osier_process::metrics::Metrics;
use osier_snapshot::{ServiceRef, Workload};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use osier_process::carry::{Count, Passed};

type Labels = Vec<(&'static str, String)>;

/// The metrics of all raw connections. A series for each pair of service and endpoint.
#[derive(Clone, Default)]
pub(crate) struct TcpMetrics {
    opened: Family<Labels, Counter>,
    closed: Family<Labels, Counter>,
    received: Family<Labels, Counter>,
    sent: Family<Labels, Counter>,
}

/// The counters of one connection, which is counted as closed when they are dropped.
pub(crate) struct Connection {
    closed: Counter,
    received: Counter,
    sent: Counter,
    /// Of this connection alone.
    pub(crate) passed: Passed,
}

impl TcpMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let this = Self::default();
        metrics.register(|registry| {
            for (name, help, family) in [
                (
                    "istio_tcp_connections_opened",
                    "Raw connections that were opened",
                    &this.opened,
                ),
                (
                    "istio_tcp_connections_closed",
                    "Raw connections that have ended",
                    &this.closed,
                ),
                (
                    "istio_tcp_received_bytes",
                    "Bytes of raw connections from clients",
                    &this.received,
                ),
                (
                    "istio_tcp_sent_bytes",
                    "Bytes of raw connections to clients",
                    &this.sent,
                ),
            ] {
                registry.register(name, help, family.clone());
            }
        });
        this
    }

    /// Counts a connection from a gateway or workload to a service's endpoint.
    pub(crate) fn open(
        &self,
        source: &str,
        service: &ServiceRef,
        destination: &Workload,
    ) -> Connection {
        self.count(("source", source), service, destination)
    }

    /// Counts a connection that came from another node.
    pub(crate) fn arrived(
        &self,
        source: &str,
        service: &ServiceRef,
        destination: &Workload,
    ) -> Connection {
        self.count(("destination", source), service, destination)
    }

    fn count(
        &self,
        (reporter, source): (&str, &str),
        service: &ServiceRef,
        destination: &Workload,
    ) -> Connection {
        let known = |value: &str| match value {
            "" => "unknown".to_owned(),
            value => value.to_owned(),
        };
        let labels: Labels = vec![
            ("reporter", reporter.to_owned()),
            ("source_workload", known(source)),
            ("destination_workload", known(&destination.workload)),
            (
                "destination_workload_namespace",
                known(&destination.namespace),
            ),
            ("destination_service", known(&service.host)),
            ("destination_service_name", known(&service.name)),
            ("destination_service_namespace", known(&service.namespace)),
            ("request_protocol", "tcp".to_owned()),
            (
                "connection_security_policy",
                match reporter {
                    "destination" => "mutual_tls",
                    _ => "unknown",
                }
                .to_owned(),
            ),
        ];
        self.opened.get_or_create(&labels).inc();
        Connection {
            closed: self.closed.get_or_create(&labels).clone(),
            received: self.received.get_or_create(&labels).clone(),
            sent: self.sent.get_or_create(&labels).clone(),
            passed: Passed::default(),
        }
    }
}

impl Count for Connection {
    fn received(&self, bytes: u64) {
        self.received.inc_by(bytes);
        self.passed.received(bytes);
    }

    fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
        self.passed.sent(bytes);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.closed.inc();
    }
}
