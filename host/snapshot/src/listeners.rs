//! Gateway objects and route sets to listeners: who gets which port, what is served on it, and which routes are reached there.

mod attach;
mod draft;
mod redirect;
mod streams;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::gateways::{GatewaySet, ServedHost, ServerProtocol, ServerSpec};
use crate::listener::{Application, Listener};
use crate::table::{About, Binding, HostName, RouteSet};
use draft::{Draft, ServerDraft};
use osier_balancing::Credential;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_standing::{
    Attachment, Finding, FindingKind, Findings, GatewayStanding, ListenerKey, ParentStanding,
};
use osier_traffic::Secrets;
use redirect::redirect;

/// What listeners are made of.
pub(crate) struct Wishes<'a> {
    /// Gateway objects, oldest first.
    pub(crate) gateways: &'a [Arc<GatewaySet>],
    /// Route sets, oldest first.
    pub(crate) sets: &'a [Arc<RouteSet>],
    /// Gateways of the Gateway API that others serve.
    pub(crate) foreign: &'a HashSet<(&'a str, &'a str)>,
    pub(crate) secrets: &'a Secrets,
    /// The port of the main listener; 0 if the kernel chooses it.
    pub(crate) main_port: u16,
}

impl Wishes<'_> {
    fn is_foreign(&self, binding: &Binding) -> bool {
        let name = (&*binding.namespace, &*binding.name);
        binding.reference.is_some() && self.foreign.contains(&name)
    }
}

/// Gives ports to gateways and files routes under them. Older objects win. What became of routes is told in `parents`, set by set.
pub(crate) fn listeners(
    wishes: &Wishes<'_>,
    previous: &[Arc<Listener>],
    (found, parents): (&mut Vec<Finding>, &mut [Vec<ParentStanding>]),
) -> (Vec<Arc<Listener>>, Vec<GatewayStanding>) {
    let mut drafts = Drafts::default();
    for gateway in wishes.gateways {
        let findings = gateway.about.findings();
        for server in &gateway.servers {
            drafts.place(gateway, server, wishes, &findings);
        }
        let shows = gateway.shows.as_ref();
        let shown = shows.and_then(|named| osier_traffic::shown(named, wishes.secrets, &findings));
        if let Some(credential) = shown {
            drafts.show(&gateway.about, &credential);
        }
        found.extend(findings.into_vec());
    }
    for (set, parents) in wishes.sets.iter().zip(parents) {
        let findings = set.about.findings();
        // Of a gateway of somebody else's class that one speaks.
        let ours = set
            .gateways
            .iter()
            .filter(|binding| !wishes.is_foreign(binding));
        for binding in ours {
            let attachment = drafts.bind(set, binding, &findings);
            let reference = binding.reference.clone();
            parents.extend(reference.map(|reference| ParentStanding {
                reference,
                attachment,
            }));
        }
        found.extend(findings.into_vec());
    }
    let told = wishes.gateways.iter();
    let told = told
        .filter_map(|gateway| drafts.standing(gateway))
        .collect();
    let finish = |(key, draft): (ListenerKey, Draft)| {
        let before = previous.iter().find(|listener| listener.key == key);
        Arc::new(draft.finish(key, before.map(|listener| &**listener)))
    };
    (drafts.by_key.into_iter().map(finish).collect(), told)
}

/// Listeners under construction.
#[derive(Default)]
struct Drafts {
    by_key: BTreeMap<ListenerKey, Draft>,
    /// Where the servers of each gateway object were placed.
    placed: HashMap<(Kind, String, String), Vec<Placed>>,
}

/// A server of a gateway object, and where it is served.
struct Placed {
    spec: ServerSpec,
    /// The draft that serves it; `None` if there is no place for it.
    at: Option<Place>,
    /// Routes that are attached to it.
    attached: u32,
}

/// A server of a draft.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    key: ListenerKey,
    server: usize,
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
        let at = match key(spec, wishes.main_port) {
            _ if spec.refused.is_some() => None,
            Ok(key) => self.take((gateway, spec), key, wishes.secrets, findings),
            Err(detail) => {
                let field = format!("{}.port", spec.field);
                findings.add(FindingKind::Conflict, field, detail);
                None
            }
        };
        // A gateway without a place for its server is still known, so that routes are not served elsewhere instead.
        self.placed.entry(gateway_key).or_default().push(Placed {
            spec: spec.clone(),
            at,
            attached: 0,
        });
    }

    /// Notes what a gateway shows to backends, wherever it is served.
    fn show(&mut self, about: &About, credential: &Arc<Credential>) {
        let key = (about.resource, about.namespace.clone(), about.name.clone());
        let placed = self.placed.get(&key).into_iter().flatten();
        for at in placed.filter_map(|placed| placed.at) {
            let draft = self.by_key.get_mut(&at.key);
            let server = draft.and_then(|draft| draft.servers.get_mut(at.server));
            if let Some(server) = server {
                server.shows(about, credential);
            }
        }
    }

    fn take(
        &mut self,
        (gateway, spec): (&GatewaySet, &ServerSpec),
        key: ListenerKey,
        secrets: &Secrets,
        findings: &Findings,
    ) -> Option<Place> {
        let new = || Draft::new(spec.protocol, spec.proxy_protocol);
        let draft = self.by_key.entry(key).or_insert_with(new);
        let server = draft.take(key, (&gateway.about, spec), secrets, findings)?;
        if spec.https_redirect {
            draft.servers[server].file_redirect(spec, redirect(gateway, spec));
        }
        Some(Place { key, server })
    }

    /// Files a route set under one gateway.
    fn bind(&mut self, set: &Arc<RouteSet>, binding: &Binding, findings: &Findings) -> Attachment {
        let key = (
            binding.resource,
            binding.namespace.clone(),
            binding.name.clone(),
        );
        let Some(placed) = self.placed.get_mut(&key) else {
            if binding.reference.is_none() {
                bind_to_main(&mut self.by_key, set, binding, findings);
            }
            return Attachment::NoMatchingParent;
        };
        let mut placed: Vec<&mut Placed> = placed
            .iter_mut()
            .filter(|placed| wanted(&placed.spec, binding))
            .collect();
        let attachment = attach::attach(set, &mut placed);
        // Where the object's status tells what became of each reference, nothing else has to.
        let unheard = set.about.findings();
        let findings = match binding.reference {
            Some(_) => &unheard,
            None => findings,
        };
        let placed: Vec<&Placed> = placed.into_iter().map(|placed| &*placed).collect();
        let drafts = &mut self.by_key;
        if !set.rules.is_empty() || set.streams.is_empty() {
            bind_requests(set, binding, (&placed, drafts), findings);
        }
        for rule in &set.streams {
            streams::bind((set, rule), binding, (&placed, drafts), findings);
        }
        attachment
    }
}

/// A gateway of Istio's that does not exist is served by the main listener.
fn bind_to_main(
    drafts: &mut BTreeMap<ListenerKey, Draft>,
    set: &Arc<RouteSet>,
    binding: &Binding,
    findings: &Findings,
) {
    let (namespace, name) = (&binding.namespace, &binding.name);
    let detail = format!(
        "Gateway {namespace}/{name} does not exist; the node's own gateway listener serves the routes"
    );
    findings.add(FindingKind::Reference, "spec.gateways", detail);
    let server = main_server(drafts);
    for host in &set.hosts {
        server.file(&host.pattern, set, binding);
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
            for (served, pattern) in common(&placed.spec, &set.about, &host.pattern) {
                any = true;
                let keeps = binding.reference.is_some();
                if !placed.spec.https_redirect && (!keeps || server.is_for(&pattern, served)) {
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
    let at = placed.at?;
    drafts.get_mut(&at.key)?.servers.get_mut(at.server)
}

/// What both a server and a host of a route cover, each with the server's host, if routes of that kind and namespace may bind.
fn common<'a>(
    spec: &'a ServerSpec,
    about: &About,
    host: &HostPattern,
) -> Vec<(&'a HostPattern, HostPattern)> {
    let takes = |kinds: &Vec<Kind>| kinds.contains(&about.resource);
    if !spec.kinds.as_ref().is_none_or(takes) {
        return Vec::new();
    }
    let may_bind = |served: &&ServedHost| served.namespaces.hold(&about.namespace);
    let served = spec.hosts.iter().filter(may_bind);
    served
        .filter_map(|served| Some((&served.pattern, served.pattern.intersect(host)?)))
        .collect()
}

/// The socket for a server.
fn key(spec: &ServerSpec, main_port: u16) -> Result<ListenerKey, String> {
    let plain = spec.protocol == ServerProtocol::Http;
    match spec.port {
        None => Ok(ListenerKey::Main),
        Some(port) if plain && (port == main_port || spec.main_ports.contains(&port)) => {
            Ok(ListenerKey::Main)
        }
        Some(port) if port == main_port => Err(format!(
            "port {port} is the node's main gateway listener, which speaks plain HTTP; choose another port, \
             or move the main listener with --gateway-listen"
        )),
        Some(port) => Ok(ListenerKey::Port(port)),
    }
}

fn main_server(drafts: &mut BTreeMap<ListenerKey, Draft>) -> &mut ServerDraft {
    let new = || Draft::new(ServerProtocol::Http, false);
    let draft = drafts.entry(ListenerKey::Main).or_insert_with(new);
    if draft.servers.is_empty() {
        let server = ServerDraft::new(ListenerKey::Main.to_string(), Application::Http);
        draft.servers.push(server);
    }
    &mut draft.servers[0]
}
