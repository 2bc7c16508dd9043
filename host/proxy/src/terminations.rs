//! TLS configurations of the gateways' servers: made when a snapshot is published, before a connection can ask for one.
//!
//! Material that cannot be used never takes the place of material that could: the last good certificate or authority stays, and
//! what is wrong is said. A server that never had any takes no connection, and none is ever taken with less proof than was asked.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use osier_identity::{
    Certificate, Clients, IdentityError, Manner, Proof, Versions, unknown_ciphers,
};
use osier_snapshot::{
    Application, Finding, FindingKind, Server, Snapshot, Tls, TlsMode, TlsVersion,
};
use rustls::ServerConfig;

/// What is offered by ALPN where HTTP is inside.
const HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Configurations by the server's name.
#[derive(Default)]
pub(crate) struct Terminations {
    made: ArcSwap<HashMap<Arc<str>, Arc<Termination>>>,
}

/// The configuration of one server, and what it was made of.
struct Termination {
    tls: Arc<Tls>,
    application: Application,
    config: Option<Arc<ServerConfig>>,
    certificates: HashMap<Arc<str>, Certificate>,
    authorities: Option<(Arc<str>, Arc<[u8]>)>,
    faults: Vec<String>,
}

impl Terminations {
    /// The configuration of a server, if it has material for one.
    pub(crate) fn of(&self, server: &Server) -> Option<Arc<ServerConfig>> {
        self.made.load().get(&server.name)?.config.clone()
    }

    /// Makes what the snapshot's servers need; says what cannot be made.
    pub(crate) fn update(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let before = self.made.load();
        let mut found = Vec::new();
        let mut made = HashMap::new();
        let listeners = snapshot.listeners().iter();
        for server in listeners.flat_map(|listener| &listener.servers) {
            let Some(tls) = server.tls.as_ref().filter(|tls| ends(tls)) else {
                continue;
            };
            let previous = before.get(&server.name);
            let same = previous.filter(|made| {
                Arc::ptr_eq(&made.tls, tls) && made.application == server.application
            });
            let termination = same.cloned().unwrap_or_else(|| {
                let previous = previous.map(|made| &**made);
                Arc::new(Termination::make(tls, server.application, previous))
            });
            found.extend(findings(server, &termination.faults));
            made.insert(Arc::clone(&server.name), termination);
        }
        self.made.store(Arc::new(made));
        found
    }
}

fn ends(tls: &Tls) -> bool {
    tls.mode != TlsMode::Passthrough
}

fn findings<'a>(server: &'a Server, faults: &'a [String]) -> impl Iterator<Item = Finding> + 'a {
    let said = move |fault: &String| {
        server.wanted_by.iter().map({
            let fault = fault.clone();
            move |origin| Finding {
                resource: origin.resource,
                namespace: origin.namespace.to_string(),
                name: origin.name.to_string(),
                field: format!("{}.tls", origin.field),
                kind: FindingKind::Invalid,
                detail: fault.clone(),
            }
        })
    };
    faults.iter().flat_map(said)
}

impl Termination {
    fn make(tls: &Arc<Tls>, application: Application, previous: Option<&Self>) -> Self {
        let mut this = Self {
            tls: Arc::clone(tls),
            application,
            config: None,
            certificates: HashMap::new(),
            authorities: None,
            faults: unknown_ciphers(&tls.ciphers),
        };
        let chain = this.certificates(previous);
        this.authorities(previous);
        if chain.is_empty() {
            return this;
        }
        match this.config(chain) {
            Ok(config) => this.config = Some(config),
            Err(error) => {
                this.faults.push(format!("{error}; {STAYS}"));
                let same = previous.filter(|previous| previous.tls.mode == tls.mode);
                this.config = same.and_then(|previous| previous.config.clone());
                this.authorities = same.and_then(|previous| previous.authorities.clone());
            }
        }
        this
    }

    /// The certificates in the server's order, each the Secret's own or the last good one.
    fn certificates(&mut self, previous: Option<&Self>) -> Vec<Certificate> {
        let mut chain = Vec::new();
        for named in &self.tls.certificates {
            let read = named
                .value
                .as_ref()
                .map(|pair| Certificate::from_pem(&pair.chain, &pair.key));
            if let Some(Err(error)) = &read {
                self.faults
                    .push(format!("Secret {}: {error}; {STAYS}", named.secret));
            }
            let last = || previous?.certificates.get(&named.secret).cloned();
            if let Some(usable) = read.and_then(Result::ok).or_else(last) {
                self.certificates
                    .insert(Arc::clone(&named.secret), usable.clone());
                chain.push(usable);
            }
        }
        chain
    }

    fn authorities(&mut self, previous: Option<&Self>) {
        let Some(named) = &self.tls.authorities else {
            return;
        };
        let own = named.value.clone();
        let last = || {
            let (_, pem) = previous?.authorities.as_ref()?;
            Some(Arc::clone(pem))
        };
        let pem = own.or_else(last);
        self.authorities = pem.map(|pem| (Arc::clone(&named.secret), pem));
    }

    fn config(&self, chain: Vec<Certificate>) -> Result<Arc<ServerConfig>, IdentityError> {
        let missing = || IdentityError::Material {
            what: "authority",
            reason: "there is none to check clients against".to_owned(),
        };
        let proof = self.authorities.as_ref().map(|(_, pem)| Proof {
            authorities: pem,
            revoked: self.tls.revoked.as_deref(),
            names: &self.tls.taken.names,
            certificates: &self.tls.taken.certificates,
            keys: &self.tls.taken.keys,
        });
        let clients = match self.tls.mode {
            TlsMode::Mutual => Clients::MustProve(proof.ok_or_else(missing)?),
            TlsMode::OptionalMutual => Clients::MayProve(proof.ok_or_else(missing)?),
            TlsMode::Simple | TlsMode::Passthrough => Clients::Anonymous,
        };
        let least = self.tls.least.unwrap_or(TlsVersion::V1_2);
        let versions = match (least, self.tls.greatest.unwrap_or(TlsVersion::V1_3)) {
            (TlsVersion::V1_2, TlsVersion::V1_3) => Versions::Both,
            (TlsVersion::V1_2, TlsVersion::V1_2) => Versions::Only12,
            (TlsVersion::V1_3, TlsVersion::V1_3) => Versions::Only13,
            (TlsVersion::V1_3, TlsVersion::V1_2) => {
                return Err(IdentityError::Material {
                    what: "TLS versions",
                    reason: "the least is above the greatest".to_owned(),
                });
            }
        };
        let protocols: &[&[u8]] = match self.application {
            Application::Http => &HTTP,
            Application::Stream => &[],
        };
        let manner = Manner {
            versions,
            ciphers: &self.tls.ciphers,
            protocols,
        };
        osier_identity::termination(chain, clients, manner)
    }
}

const STAYS: &str = "what was good before stays in use";
