//! The life of one raw connection: what policy is asked about it, and what is told of it. The log is told when it ends, the gate also
//! when it stands and while it does, as Mixer was.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderValue, Method, Uri, Version};
use osier_process::carry::{Bounds, carry};
use osier_process::serve::Stream;
use osier_snapshot::{Cluster, Endpoint, Server};

use super::{Refused, ended};
use crate::access;
use crate::flags::Flag;
use crate::gate::{Call, Connected, Decision, Direction, Moment, Record, Sides, Verdict};
use crate::proxy::Proxy;
use crate::source::Source;
use crate::tcp_metrics;

/// A connection that stands is told of so often: Mixer's clients did.
const PERIOD: Duration = Duration::from_secs(10);

/// One raw connection, with what is known of it by now.
pub(super) struct Life {
    proxy: Arc<Proxy>,
    pub(super) source: Source,
    /// What of a gateway it came through.
    server: Option<Arc<Server>>,
    pub(super) id: HeaderValue,
    pub(super) server_name: Option<Box<str>>,
    /// Its bytes are datagrams.
    pub(super) datagrams: bool,
    /// Where to, in the form of a CONNECT, once that is known.
    pub(super) head: Option<Parts>,
    pub(super) route: Arc<str>,
    pub(super) cluster: Option<Arc<Cluster>>,
    endpoint: Option<Arc<Endpoint>>,
    sides: Sides,
    decisions: Vec<Decision>,
    /// Policy and plugin that decided, if one did.
    decided: Option<(Arc<str>, Arc<str>)>,
    refused: Option<Refused>,
    /// None: its bytes are requests, each of which is told.
    counted: Option<Arc<tcp_metrics::Connection>>,
    received: SystemTime,
    began: std::time::Instant,
}

impl Life {
    pub(super) fn begin(
        proxy: &Arc<Proxy>,
        (source, id): (Source, HeaderValue),
        head: Option<Parts>,
        datagrams: bool,
    ) -> Self {
        Self {
            proxy: Arc::clone(proxy),
            server: source.server(&proxy.snapshot()),
            sides: Sides {
                outbound: source.arrival().is_none(),
                inbound: false,
            },
            source,
            id,
            server_name: None,
            datagrams,
            head,
            route: Arc::from(""),
            cluster: None,
            endpoint: None,
            decisions: Vec::new(),
            decided: None,
            refused: None,
            counted: None,
            received: osier_process::clock::now().into(),
            began: std::time::Instant::now(),
        }
    }

    /// This endpoint is called; `here` says that its own side of the call is on this node.
    pub(super) fn calls(&mut self, endpoint: &Arc<Endpoint>, here: bool) {
        self.endpoint = Some(Arc::clone(endpoint));
        self.sides.inbound = here;
    }

    /// Asks policy: the called side's once [`Life::calls`] has said who that is.
    pub(super) fn ask(&mut self, direction: Direction) -> Result<(), Refused> {
        match self.proxy.gate().check(&self.call(direction)?) {
            Verdict::Allow(approval) => {
                self.decisions.extend(approval.decisions);
                let decided = approval.policy.zip(approval.plugin);
                self.decided = decided.or(self.decided.take());
                Ok(())
            }
            Verdict::Deny(denial) => {
                let reason = format!("policy {} refused it: {}", denial.policy, denial.reason);
                self.decisions.extend(denial.decisions);
                self.decided = Some((denial.policy, denial.plugin));
                Err(Refused::new(Flag::Denied, reason))
            }
        }
    }

    fn call(&self, direction: Direction) -> Result<Call<'_>, Refused> {
        let no_host = || Refused::new(Flag::BadRequest, "its name is no host");
        let head = self.head.as_ref().ok_or_else(no_host)?;
        let inbound = direction == Direction::Inbound;
        let endpoint = self.endpoint.as_deref().filter(|_| inbound);
        let port = endpoint.map(|endpoint| endpoint.port);
        Ok(Call {
            direction,
            source: self.source.workload(),
            destination: endpoint.map(|endpoint| &*endpoint.workload),
            port: port.or_else(|| head.uri.port_u16()),
            service: self.cluster.as_ref().map(|cluster| &*cluster.service),
            gateway: self.source.gateway(),
            gateways: self.gateways(),
            head,
            request_id: self.id(),
            peer: self.source.address(),
            proven: self.proven(),
            server_name: self.server_name.as_deref(),
            received: self.received,
            before: &self.decisions,
        })
    }

    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    fn gateways(&self) -> &[Arc<str>] {
        self.server.as_ref().map_or(&[], |server| &server.gateways)
    }

    /// As of requests: who came from another node showed a certificate.
    fn proven(&self) -> bool {
        let peer = self.source.peer();
        self.source.arrival().is_some() || peer.is_some_and(|peer| peer.certificate.is_some())
    }

    /// Joins it with the other end, until one of them is done.
    pub(super) async fn carried(
        mut self,
        (client, upstream): (Box<dyn Stream>, Box<dyn Stream>),
        counted: tcp_metrics::Connection,
        bounds: &Bounds,
    ) {
        let counted = Arc::new(counted);
        self.counted = Some(Arc::clone(&counted));
        self.tell(Moment::Open);
        let mut line = pin!(carry((client, upstream), &*counted, bounds));
        let mut again = tokio::time::interval(PERIOD);
        again.tick().await;
        let end = loop {
            tokio::select! {
                end = &mut line => break end,
                _ = again.tick() => self.tell(Moment::Continue),
            }
        };
        self.end(ended(end));
    }

    /// It is over, or never came to stand.
    pub(super) fn end(mut self, outcome: Result<(), Refused>) {
        self.refused = outcome.err();
        let record = self.record(Moment::Close);
        access::tunnelled(&record, &self.source);
        self.proxy.gate().report(&record);
    }

    fn tell(&self, event: Moment) {
        self.proxy.gate().report(&self.record(event));
    }

    fn record(&self, event: Moment) -> Record<'_> {
        static NOWHERE: std::sync::LazyLock<Uri> = std::sync::LazyLock::new(Uri::default);
        let (refused, endpoint) = (self.refused.as_ref(), self.endpoint.as_ref());
        let (cluster, counted) = (self.cluster.as_ref(), self.counted.as_ref());
        let passed = counted.map(|counted| counted.passed.tell());
        let decided = self.decided.as_ref();
        let denied = refused.is_some_and(|refused| refused.flag == Flag::Denied);
        Record {
            source: self.source.workload(),
            destination: endpoint.map(|endpoint| &*endpoint.workload),
            service: cluster.map(|cluster| &*cluster.service),
            gateway: self.source.gateway(),
            gateways: self.gateways(),
            method: &Method::CONNECT,
            uri: self.head.as_ref().map_or(&NOWHERE, |head| &head.uri),
            version: Version::default(),
            user_agent: None,
            request_id: self.id(),
            peer: self.source.address(),
            proven: self.proven(),
            server_name: self.server_name.as_deref(),
            received: self.received,
            began: self.began,
            duration: self.began.elapsed(),
            answered: None,
            status: 0,
            flags: refused.map_or("-", |refused| refused.flag.letters()),
            reason: refused.map_or("", |refused| &refused.reason),
            request_bytes: passed.map_or(0, |[received, _]| received.1),
            response_bytes: passed.map_or(0, |[_, sent]| sent.1),
            route: &self.route,
            cluster: cluster.map_or("", |cluster| &cluster.name),
            verdict: if denied { "deny" } else { "allow" },
            policy: decided.map_or("", |(policy, _)| policy),
            plugin: decided.map_or("", |(_, plugin)| plugin),
            endpoint: endpoint.map(|one| SocketAddr::new(one.workload.address, one.port)),
            sides: self.sides,
            decisions: &self.decisions,
            heads: None,
            connected: Some(Connected {
                event,
                received: passed.map(|[received, _]| received),
                sent: passed.map(|[_, sent]| sent),
            }),
        }
    }
}
