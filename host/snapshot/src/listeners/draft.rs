//! Listeners under construction: who joins which server, and under which hosts routes are filed there.

use std::collections::HashMap;
use std::sync::Arc;

use crate::gateways::{ServerProtocol, ServerSpec};
use crate::listener::{Application, Listener, Server, ServerOrigin, Shown, StreamRoute, Transport};
use crate::table::{About, Binding, ByHost, Filed, RouteSet, index};
use osier_balancing::Credential;
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_standing::{FindingKind, Findings, ListenerKey};
use osier_traffic::{Secrets, Tls};

/// A socket, and who wants what on it.
pub(super) struct Draft {
    transport: Transport,
    proxy_protocol: bool,
    pub(super) servers: Vec<ServerDraft>,
}

/// What is served, and who is reached there.
pub(super) struct ServerDraft {
    name: String,
    wanted_by: Vec<ServerOrigin>,
    pub(super) application: Application,
    pub(super) tls: Option<Tls>,
    server_names: Vec<HostPattern>,
    /// Hosts of the Gateway API's listeners: each keeps its requests from the wider ones.
    kept: Vec<HostPattern>,
    routes: ByHost,
    pub(super) streams: HashMap<HostPattern, Arc<StreamRoute>>,
    shown: Vec<Shown>,
}

fn transport(protocol: ServerProtocol) -> Transport {
    match protocol {
        ServerProtocol::Http | ServerProtocol::Tcp => Transport::Plain,
        ServerProtocol::Https | ServerProtocol::Tls => Transport::Tls,
    }
}

fn application(protocol: ServerProtocol) -> Application {
    match protocol {
        ServerProtocol::Http | ServerProtocol::Https => Application::Http,
        ServerProtocol::Tls | ServerProtocol::Tcp => Application::Stream,
    }
}

impl Draft {
    pub(super) fn new(protocol: ServerProtocol, proxy_protocol: bool) -> Self {
        Self {
            transport: transport(protocol),
            proxy_protocol,
            servers: Vec::new(),
        }
    }

    /// The position of the server that serves this, or nothing if what is there already forbids it.
    pub(super) fn take(
        &mut self,
        key: ListenerKey,
        (about, spec): (&About, &ServerSpec),
        secrets: &Secrets,
        findings: &Findings,
    ) -> Option<usize> {
        let first = self.servers.first();
        let same = transport(spec.protocol) == self.transport
            && (self.transport == Transport::Tls
                || first.is_none_or(|server| server.application == application(spec.protocol)));
        let alone = first.is_some() && spec.protocol == ServerProtocol::Tcp;
        if !same || alone || spec.proxy_protocol != self.proxy_protocol {
            let detail = format!(
                "an older server uses port {key} in another way, with another protocol, with or without PROXY protocol, or for \
                 other TCP routes; this one is not opened"
            );
            findings.add(
                FindingKind::Conflict,
                format!("{}.port", spec.field),
                detail,
            );
            return None;
        }
        let server = match self.transport {
            Transport::Plain => self.join(key, spec),
            Transport::Tls => self.add(key, (about, spec), secrets, findings)?,
        };
        self.servers[server].joins(about, spec);
        Some(server)
    }

    /// All of a plain port is one server: nothing tells its connections apart.
    fn join(&mut self, key: ListenerKey, spec: &ServerSpec) -> usize {
        if self.servers.is_empty() {
            let server = ServerDraft::new(key.to_string(), application(spec.protocol));
            self.servers.push(server);
        }
        0
    }

    /// On a TLS port each server has the server names that no older one has.
    fn add(
        &mut self,
        key: ListenerKey,
        (about, spec): (&About, &ServerSpec),
        secrets: &Secrets,
        findings: &Findings,
    ) -> Option<usize> {
        let tls = spec
            .tls
            .as_ref()
            .and_then(|tls| osier_traffic::served(tls, secrets, findings));
        if let Some(same) = self.same(spec, tls.as_ref()) {
            return Some(same);
        }
        let mut server_names: Vec<HostPattern> = Vec::new();
        for served in &spec.hosts {
            let taken = |server: &&ServerDraft| server.server_names.contains(&served.pattern);
            if let Some(older) = self.servers.iter().find(taken) {
                let detail = format!(
                    "server {} is older and takes the same server name on port {key}",
                    older.name
                );
                findings.add(
                    FindingKind::Conflict,
                    format!("{}.hosts", spec.field),
                    detail,
                );
            } else if !server_names.contains(&served.pattern) {
                server_names.push(served.pattern.clone());
            }
        }
        if server_names.is_empty() || tls.is_none() {
            return None;
        }
        let own = if spec.name.is_empty() {
            &spec.field
        } else {
            &spec.name
        };
        let name = format!("{key}/{}/{}/{own}", about.namespace, about.name);
        self.servers.push(ServerDraft {
            tls,
            server_names,
            ..ServerDraft::new(name, application(spec.protocol))
        });
        Some(self.servers.len() - 1)
    }

    /// The server that does the same for all these server names.
    fn same(&self, spec: &ServerSpec, tls: Option<&Tls>) -> Option<usize> {
        self.servers.iter().position(|server| {
            let mut hosts = spec.hosts.iter();
            server.tls.as_ref() == tls
                && server.application == application(spec.protocol)
                && hosts.all(|served| server.server_names.contains(&served.pattern))
        })
    }

    pub(super) fn finish(self, key: ListenerKey, previous: Option<&Listener>) -> Listener {
        let finish = |draft: ServerDraft| {
            let before = previous.and_then(|listener| {
                let mut servers = listener.servers.iter();
                servers.find(|server| *server.name == *draft.name)
            });
            Arc::new(draft.finish(before.map(|server| &**server)))
        };
        let servers: Vec<Arc<Server>> = self.servers.into_iter().map(finish).collect();
        let mut by_name = HostIndex::default();
        for server in &servers {
            for pattern in &server.server_names {
                by_name.insert(pattern.clone(), Arc::clone(server));
            }
        }
        Listener {
            key,
            transport: self.transport,
            proxy_protocol: self.proxy_protocol,
            servers,
            by_name,
        }
    }
}

impl ServerDraft {
    pub(super) fn new(name: String, application: Application) -> Self {
        Self {
            name,
            wanted_by: Vec::new(),
            application,
            tls: None,
            server_names: Vec::new(),
            kept: Vec::new(),
            routes: ByHost::new(),
            streams: HashMap::new(),
            shown: Vec::new(),
        }
    }

    fn joins(&mut self, about: &About, spec: &ServerSpec) {
        self.wanted_by.push(origin(about, spec));
        if spec.kinds.is_some() {
            self.kept
                .extend(spec.hosts.iter().map(|served| served.pattern.clone()));
        }
    }

    pub(super) fn shows(&mut self, about: &About, credential: &Arc<Credential>) {
        let shown = Shown {
            gateway: (about.namespace.clone(), about.name.clone()),
            credential: Arc::clone(credential),
        };
        if !self.shown.contains(&shown) {
            self.shown.push(shown);
        }
    }

    /// Whether the server's host `own` is the narrowest one that takes `pattern`.
    pub(super) fn is_for(&self, pattern: &HostPattern, own: &HostPattern) -> bool {
        let covering = self.kept.iter().filter(|kept| kept.covers(pattern));
        let mut narrower = covering.filter(|kept| *kept != own);
        !narrower.any(|kept| own.covers(kept))
    }

    pub(super) fn file(&mut self, pattern: &HostPattern, set: &Arc<RouteSet>, binding: &Binding) {
        let filed = self.routes.entry(pattern.clone()).or_default();
        match filed.iter_mut().find(|filed| Arc::ptr_eq(&filed.set, set)) {
            Some(filed) if filed.through.contains(binding) => {}
            Some(filed) => filed.through.push(binding.clone()),
            None => filed.push(Filed {
                set: Arc::clone(set),
                through: vec![binding.clone()],
            }),
        }
    }

    pub(super) fn file_redirect(
        &mut self,
        spec: &ServerSpec,
        (set, binding): (Arc<RouteSet>, Binding),
    ) {
        for served in &spec.hosts {
            self.file(&served.pattern, &set, &binding);
        }
    }

    fn finish(mut self, previous: Option<&Server>) -> Server {
        for host in self
            .kept
            .into_iter()
            .filter(|host| *host != HostPattern::Any)
        {
            self.routes.entry(host).or_default();
        }
        let shared = previous.and_then(|server| server.tls.clone());
        let tls = self.tls.map(|tls| match shared {
            Some(shared) if *shared == tls => shared,
            _ => Arc::new(tls),
        });
        // Connections are kept by what was shown on them.
        let before = previous.map_or(&[][..], |server| &server.shown);
        let same = |shown: Shown| {
            before
                .iter()
                .find(|known| **known == shown)
                .cloned()
                .unwrap_or(shown)
        };
        let shown = self.shown.into_iter().map(same).collect();
        let mut streams = HostIndex::default();
        for (pattern, route) in self.streams {
            streams.insert(pattern, route);
        }
        Server {
            name: self.name.into(),
            gateways: gateways(&self.wanted_by),
            wanted_by: self.wanted_by,
            application: self.application,
            tls,
            server_names: self.server_names,
            routes: index(self.routes, previous.map(|server| &server.routes)),
            streams,
            shown,
        }
    }
}

fn gateways(wanted_by: &[ServerOrigin]) -> Vec<Arc<str>> {
    let gateways = (wanted_by.iter()).filter(|origin| origin.resource.name == "Gateway");
    let mut labels: Vec<Arc<str>> = gateways
        .map(|origin| format!("{}/{}", origin.namespace, origin.name).into())
        .collect();
    labels.sort();
    labels.dedup();
    labels
}

fn origin(about: &About, spec: &ServerSpec) -> ServerOrigin {
    ServerOrigin {
        resource: about.resource,
        namespace: about.namespace.as_str().into(),
        name: about.name.as_str().into(),
        field: spec.field.as_str().into(),
    }
}
