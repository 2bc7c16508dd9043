//! What is known of a call.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Map, Value};

/// A call. What is not known of it matches nothing.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub caller: Caller<'a>,
    /// The request; none for a raw connection.
    pub asked: Option<Asked<'a>>,
    /// The address that is called.
    pub address: Option<IpAddr>,
    /// The port that is called.
    pub port: Option<u16>,
    /// The server name of the caller's TLS handshake.
    pub server_name: Option<&'a str>,
    /// What a token says that was verified at this place.
    pub token: Option<Token<'a>>,
}

/// What a verified token says.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// `ISSUER/SUBJECT`, where it names both.
    pub principal: Option<&'a str>,
    /// Whom it is for.
    pub audiences: &'a [String],
    /// Whom it was given to.
    pub presenter: Option<&'a str>,
    /// Everything that it says.
    pub claims: &'a Map<String, Value>,
    /// Claims whose text is a list with spaces between.
    pub spaced: &'a [String],
}

/// Who calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, as proved.
    pub principal: Option<&'a str>,
    /// The address at the other end of the connection.
    pub address: Option<IpAddr>,
    /// The address of the client outside that began it.
    pub remote: Option<IpAddr>,
}

impl<'a> Caller<'a> {
    fn parts(&self) -> Option<[&'a str; 3]> {
        let (domain, rest) = self.principal?.split_once("/ns/")?;
        let (namespace, account) = rest.split_once("/sa/")?;
        Some([domain, namespace, account])
    }

    /// The trust domain of the principal.
    pub(crate) fn trust_domain(&self) -> Option<&'a str> {
        self.parts().map(|[domain, _, _]| domain)
    }

    /// The namespace of the principal.
    pub(crate) fn namespace(&self) -> Option<&'a str> {
        self.parts().map(|[_, namespace, _]| namespace)
    }

    /// The account of the principal.
    pub(crate) fn account(&self) -> Option<&'a str> {
        self.parts().map(|[_, _, account]| account)
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// The authority that it names, with its port if it says one.
    pub authority: &'a str,
    /// Its path, normalized, without the query.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// Where a call is decided about.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// At a workload.
    Workload {
        /// Its namespace.
        namespace: &'a str,
        /// Its labels.
        labels: &'a BTreeMap<String, String>,
        /// It is no member of the mesh: only what chooses it by its labels concerns it.
        outside: bool,
        /// The service by which it is called, as namespace and name.
        service: Option<(&'a str, &'a str)>,
    },
    /// At a gateway, on behalf of these Gateways, each `NAMESPACE/NAME`.
    Gateway(&'a [Arc<str>]),
}
