//! What names and addresses stand for where they are looked up before any call is made, as by DNS: the same services, exports and
//! scopes as those that requests see, but for a port that nobody has named yet.

use std::net::IpAddr;
use std::sync::Arc;

use osier_routing::names;
use osier_routing::service::Service;
use osier_routing::workload::Workload;

use crate::snapshot::Snapshot;

/// The namespace of those of whom nothing is known: what is exported to every namespace is exported there.
const NOBODY: &str = "";

/// What a host name stands for.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    /// A service, of the cluster or outside.
    Service(&'a Arc<Service>),
    /// Another name for this host: a Service of type ExternalName.
    Alias(&'a str),
}

impl Snapshot {
    /// The domain of the cluster; empty before anything was compiled.
    pub fn domain(&self) -> &Arc<str> {
        &self.domain
    }

    /// What a lower-case host name stands for to a workload, or to those of whom nothing is known: what it may call on some port.
    pub fn meaning(&self, host: &str, asker: Option<&Workload>) -> Option<Meaning<'_>> {
        let namespace = asker.map_or(NOBODY, |workload| &workload.namespace);
        if let Some(service) = self.service(host, Some(namespace)) {
            let called = (&*service.names.namespace, [&*service.names.host, host]);
            let known = self.is_known(asker, called);
            return known.then_some(Meaning::Service(service));
        }
        let (name, of) = names::service_of(host, Some(namespace), &self.domain)?;
        let alias = self.aliases.get(of)?.get(name)?;
        let full = names::full_name(name, of, &self.domain);
        let known = alias.export.reaches(namespace) && self.is_known(asker, (of, [&full, host]));
        known.then_some(Meaning::Alias(&alias.host))
    }

    /// The service that has an address to itself, if the workload may call it.
    pub fn service_at(&self, address: IpAddr, asker: Option<&Workload>) -> Option<&Arc<Service>> {
        let service = self.by_address.get(&address)?;
        let namespace = asker.map_or(NOBODY, |workload| &workload.namespace);
        let called = (&*service.names.namespace, [&*service.names.host; 2]);
        let sees = service.export.reaches(namespace) && self.is_known(asker, called);
        sees.then_some(service)
    }

    /// The pods of a namespace with host names behind headless services, each with its `host.service`.
    pub fn pod_hosts(&self, namespace: &str) -> impl Iterator<Item = (&str, &Arc<Service>)> {
        let names = self.namespaces.get(namespace).into_iter();
        let all = names.flat_map(|names| names.iter());
        let hosts = all.filter(|(name, _)| name.contains('.'));
        hosts.map(|(name, service)| (&**name, service))
    }

    /// Whether there is a service in a namespace.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace) || self.aliases.contains_key(namespace)
    }

    fn is_known(&self, asker: Option<&Workload>, called: (&str, [&str; 2])) -> bool {
        let scope = match asker {
            Some(workload) => self.scopes.of(workload),
            None => self.scopes.of_mesh(),
        };
        scope.is_none_or(|scope| scope.knows(called))
    }
}
