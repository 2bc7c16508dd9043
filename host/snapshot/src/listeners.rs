//! Gateway objects and route sets to listeners: who gets which port, what is served on it, and which routes are reached there.

mod streams;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::StatusCode;
use http::uri::Scheme;

use crate::finding::{Finding, FindingKind, Findings};
use crate::gateways::{GatewaySet, ServedHost, ServerProtocol, ServerSpec};
use crate::hosts::{HostIndex, HostPattern};
use crate::listener::{
    Application, Listener, ListenerKey, Server, ServerOrigin, StreamRoute, Tls, Transport,
};
use crate::matcher::{Matcher, SourceMatch};
use crate::route::{Action, DerivePort, Redirect, Route};
use crate::rules::Rule;
use crate::secret::Secrets;
use crate::table::{About, Binding, ByHost, Filed, HostName, RouteSet, index};

/// Plain HTTP ports that mean the node's main listener wherever that is: what examples of this field are written for.
const CUSTOMARY: [u16; 2] = [80, 8080];

/// What listeners are made of.
pub(crate) struct Wishes<'a> {
    /// Gateway objects, oldest first.
    pub(crate) gateways: &'a [Arc<GatewaySet>],
    /// Route sets, oldest first.
    pub(crate) sets: &'a [Arc<RouteSet>],
    pub(crate) secrets: &'a Secrets,
    /// The port of the main listener; 0 if the kernel chooses it.
    pub(crate) main_port: u16,
}

/// Gives ports to gateways and files routes under them. Older objects win.
pub(crate) fn listeners(
    wishes: &Wishes<'_>,
    previous: &[Arc<Listener>],
    found: &mut Vec<Finding>,
) -> Vec<Arc<Listener>> {
    let mut drafts = Drafts::default();
    for gateway in wishes.gateways {
        let findings = gateway.about.findings();
        for server in &gateway.servers {
            drafts.place(gateway, server, wishes, &findings);
        }
        found.extend(findings.into_vec());
    }
    for set in wishes.sets {
        let findings = set.about.findings();
        for binding in &set.gateways {
            drafts.bind(set, binding, &findings);
        }
        found.extend(findings.into_vec());
    }
    let finish = |(key, draft): (ListenerKey, Draft)| {
        let before = previous.iter().find(|listener| listener.key == key);
        Arc::new(draft.finish(key, before.map(|listener| &**listener)))
    };
    drafts.by_key.into_iter().map(finish).collect()
}

/// Listeners under construction.
#[derive(Default)]
struct Drafts {
    by_key: BTreeMap<ListenerKey, Draft>,
    /// Where the servers of each gateway object were placed.
    placed: HashMap<(&'static str, String, String), Vec<Placed>>,
}

/// A server of a gateway object, and the draft that serves it.
struct Placed {
    spec: ServerSpec,
    key: ListenerKey,
    server: usize,
}

struct Draft {
    transport: Transport,
    proxy_protocol: bool,
    servers: Vec<ServerDraft>,
}

struct ServerDraft {
    name: String,
    wanted_by: Vec<ServerOrigin>,
    application: Application,
    tls: Option<Tls>,
    server_names: Vec<HostPattern>,
    routes: ByHost,
    streams: HashMap<HostPattern, Arc<StreamRoute>>,
}

impl Drafts {
    fn place(
        &mut self,
        gateway: &GatewaySet,
        spec: &ServerSpec,
        wishes: &Wishes<'_>,
        findings: &Findings,
    ) {
        let about = &gateway.about;
        let gateway_key = (about.resource, about.namespace.clone(), about.name.clone());
        // A gateway without a place for its server is still known, so that routes are not served elsewhere instead.
        let placed = self.placed.entry(gateway_key).or_default();
        let key = match key(spec, wishes.main_port) {
            Ok(key) => key,
            Err(detail) => {
                findings.add(
                    FindingKind::Conflict,
                    format!("{}.port", spec.field),
                    detail,
                );
                return;
            }
        };
        let draft = self.by_key.entry(key).or_insert_with(|| Draft {
            transport: transport(spec.protocol),
            proxy_protocol: spec.proxy_protocol,
            servers: Vec::new(),
        });
        let server = draft.take(key, (about, spec), wishes.secrets, findings);
        let Some(server) = server else { return };
        if spec.https_redirect {
            let redirect = redirect(gateway, spec);
            draft.servers[server].file_redirect(spec, redirect);
        }
        placed.push(Placed {
            spec: spec.clone(),
            key,
            server,
        });
    }

    /// Files a route set under one gateway. A gateway that does not exist is served by the main listener.
    fn bind(&mut self, set: &Arc<RouteSet>, binding: &Binding, findings: &Findings) {
        let key = (
            binding.resource,
            binding.namespace.clone(),
            binding.name.clone(),
        );
        let Some(placed) = self.placed.get(&key) else {
            let (namespace, name) = (&binding.namespace, &binding.name);
            let detail = format!(
                "Gateway {namespace}/{name} does not exist; the node's own gateway listener serves the routes"
            );
            findings.add(FindingKind::Reference, "spec.gateways", detail);
            let server = main_server(&mut self.by_key);
            for host in &set.hosts {
                server.file(&host.pattern, set, binding);
            }
            return;
        };
        let placed: Vec<&Placed> = placed
            .iter()
            .filter(|placed| wanted(&placed.spec, binding))
            .collect();
        let drafts = &mut self.by_key;
        if !set.rules.is_empty() || set.streams.is_empty() {
            bind_requests(set, binding, (&placed, drafts), findings);
        }
        for rule in &set.streams {
            streams::bind((set, rule), binding, (&placed, drafts), findings);
        }
    }
}

fn wanted(spec: &ServerSpec, binding: &Binding) -> bool {
    binding
        .section
        .as_ref()
        .is_none_or(|section| *section == spec.name)
        && binding.port.is_none_or(|port| spec.port == Some(port))
}

fn bind_requests(
    set: &Arc<RouteSet>,
    binding: &Binding,
    (placed, drafts): (&[&Placed], &mut BTreeMap<ListenerKey, Draft>),
    findings: &Findings,
) {
    for host in &set.hosts {
        let mut any = false;
        for placed in placed {
            let server = server_of(placed, drafts);
            let Some(server) = server.filter(|s| s.application == Application::Http) else {
                continue;
            };
            for pattern in common(&placed.spec, &set.about, &host.pattern) {
                any = true;
                if !placed.spec.https_redirect {
                    server.file(&pattern, set, binding);
                }
            }
        }
        if !any {
            not_taken(host, binding, findings);
        }
    }
}

fn not_taken(host: &HostName, binding: &Binding, findings: &Findings) {
    let detail = format!(
        "no server of Gateway {}/{} takes host {:?}",
        binding.namespace, binding.name, host.text
    );
    findings.add(FindingKind::Reference, host.field.as_str(), detail);
}

fn server_of<'a>(
    placed: &Placed,
    drafts: &'a mut BTreeMap<ListenerKey, Draft>,
) -> Option<&'a mut ServerDraft> {
    drafts.get_mut(&placed.key)?.servers.get_mut(placed.server)
}

/// What both a server and a host of a route cover, if routes of that namespace may bind.
fn common(spec: &ServerSpec, about: &About, host: &HostPattern) -> Vec<HostPattern> {
    let may_bind = |served: &&ServedHost| {
        let namespace = served.namespace.as_ref();
        namespace.is_none_or(|namespace| *namespace == about.namespace)
    };
    let served = spec.hosts.iter().filter(may_bind);
    served
        .filter_map(|served| served.pattern.intersect(host))
        .collect()
}

/// The socket for a server.
fn key(spec: &ServerSpec, main_port: u16) -> Result<ListenerKey, String> {
    let plain = spec.protocol == ServerProtocol::Http;
    match spec.port {
        None => Ok(ListenerKey::Main),
        Some(port) if plain && (port == main_port || CUSTOMARY.contains(&port)) => {
            Ok(ListenerKey::Main)
        }
        Some(port) if port == main_port => Err(format!(
            "port {port} is the node's main gateway listener, which speaks plain HTTP; choose another port, \
             or move the main listener with --gateway-listen"
        )),
        Some(port) => Ok(ListenerKey::Port(port)),
    }
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

fn main_server(drafts: &mut BTreeMap<ListenerKey, Draft>) -> &mut ServerDraft {
    let draft = drafts.entry(ListenerKey::Main).or_insert_with(|| Draft {
        transport: Transport::Plain,
        proxy_protocol: false,
        servers: Vec::new(),
    });
    if draft.servers.is_empty() {
        let server = ServerDraft::new(ListenerKey::Main.to_string(), Application::Http);
        draft.servers.push(server);
    }
    &mut draft.servers[0]
}

impl Draft {
    /// The position of the server that serves this, or nothing if what is there already forbids it.
    fn take(
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
        self.servers[server].wanted_by.push(origin(about, spec));
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
        let tls = spec
            .tls
            .as_ref()
            .and_then(|tls| tls::resolve(tls, secrets, findings));
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

    fn finish(self, key: ListenerKey, previous: Option<&Listener>) -> Listener {
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
    fn new(name: String, application: Application) -> Self {
        Self {
            name,
            wanted_by: Vec::new(),
            application,
            tls: None,
            server_names: Vec::new(),
            routes: ByHost::new(),
            streams: HashMap::new(),
        }
    }

    fn file(&mut self, pattern: &HostPattern, set: &Arc<RouteSet>, binding: &Binding) {
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

    fn file_redirect(&mut self, spec: &ServerSpec, (set, binding): (Arc<RouteSet>, Binding)) {
        for served in &spec.hosts {
            self.file(&served.pattern, &set, &binding);
        }
    }

    fn finish(self, previous: Option<&Server>) -> Server {
        let shared = previous.and_then(|server| server.tls.clone());
        let tls = self.tls.map(|tls| match shared {
            Some(shared) if *shared == tls => shared,
            _ => Arc::new(tls),
        });
        let mut streams = HostIndex::default();
        for (pattern, route) in self.streams {
            streams.insert(pattern, route);
        }
        Server {
            name: self.name.into(),
            wanted_by: self.wanted_by,
            application: self.application,
            tls,
            server_names: self.server_names,
            routes: index(self.routes, previous.map(|server| &server.routes)),
            streams,
        }
    }
}

fn origin(about: &About, spec: &ServerSpec) -> ServerOrigin {
    ServerOrigin {
        resource: about.resource,
        namespace: about.namespace.as_str().into(),
        name: about.name.as_str().into(),
        field: spec.field.as_str().into(),
    }
}

/// A route that sends every request of a server to `https`: to the port of the gateway that takes the same hosts there.
fn redirect(gateway: &GatewaySet, spec: &ServerSpec) -> (Arc<RouteSet>, Binding) {
    let same_hosts = |other: &&ServerSpec| {
        let covers = |host: &ServedHost| {
            let narrower = spec.hosts.iter();
            let mut common = narrower.filter_map(|own| own.pattern.intersect(&host.pattern));
            common.next().is_some()
        };
        other.protocol == ServerProtocol::Https && other.hosts.iter().any(covers)
    };
    let secure = gateway.servers.iter().find(same_hosts);
    let port = secure
        .and_then(|server| server.port)
        .filter(|port| *port != 443);
    let about = gateway.about.clone();
    let name: Arc<str> = format!("{}/{}/{}", about.namespace, about.name, spec.field).into();
    let action = Action::Redirect(Redirect {
        status: StatusCode::MOVED_PERMANENTLY,
        path: None,
        authority: None,
        port,
        derive_port: DerivePort::Kept,
        scheme: Some(Scheme::HTTPS),
    });
    let source = SourceMatch {
        gateway: true,
        ..SourceMatch::default()
    };
    let rule = Rule {
        matcher: Matcher {
            source,
            ..Matcher::default()
        },
        route: Arc::new(Route::doing(name, action)),
    };
    let binding = Binding {
        resource: about.resource,
        namespace: about.namespace.clone(),
        name: about.name.clone(),
        section: None,
        port: None,
    };
    let mut set = RouteSet::empty(about);
    set.rules.push(rule);
    (Arc::new(set), binding)
}
