//! Rules: who calls, what is called, and on which conditions.
//!
//! Within a list one match is enough; of the lists of one element all must match; of the elements one is enough. Of a raw connection
//! nothing is known that a request would say: a rule that asks for it matches none where calls are allowed, and does not care where
//! they are denied, or asked about (<https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/>).

use std::net::IpAddr;

use http::HeaderName;
use ipnet::IpNet;
use serde_json::Value;

use crate::action::Action;
use crate::addresses::holds;
use crate::facts::{Facts, Token};
use crate::text::Pattern;

/// One rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    /// Who; empty is everyone.
    pub(crate) from: Vec<Vec<Demand>>,
    /// What; empty is everything.
    pub(crate) to: Vec<Vec<Demand>>,
    /// On which conditions, all of them.
    pub(crate) when: Vec<Demand>,
}

/// What is asked of one attribute.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) of: Attribute,
    pub(crate) values: Values,
    /// None of the values may match.
    pub(crate) not: bool,
}

/// Values, one of which must match.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Texts(Vec<Pattern>),
    Blocks(Vec<IpNet>),
    Ports(Vec<u16>),
}

/// What policies ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Principal,
    Namespace,
    ServiceAccount {
        own: Box<str>,
    },
    TrustDomain,
    Address,
    RemoteAddress,
    Host,
    Method,
    Path,
    Port,
    Destination,
    ServerName,
    Header(HeaderName),
    TokenPrincipal,
    Audience,
    Presenter,
    /// What a verified token says, by the way to it.
    Claim(Box<[Box<str>]>),
}

impl Attribute {
    /// Whether only a request has it.
    fn is_of_requests(&self) -> bool {
        let own = [Self::Host, Self::Method, Self::Path];
        let of_token = [Self::TokenPrincipal, Self::Audience, Self::Presenter];
        own.contains(self)
            || of_token.contains(self)
            || matches!(self, Self::Header(_) | Self::Claim(_))
    }
}

impl Rule {
    pub(crate) fn matches(&self, facts: &Facts<'_>, action: Action) -> bool {
        let all = |demands: &Vec<Demand>| demands.iter().all(|one| one.holds(facts, action));
        let any = |elements: &[Vec<Demand>]| elements.is_empty() || elements.iter().any(all);
        any(&self.from) && any(&self.to) && all(&self.when)
    }
}

impl Demand {
    fn holds(&self, facts: &Facts<'_>, action: Action) -> bool {
        if facts.asked.is_none() && self.of.is_of_requests() {
            return matches!(action, Action::Deny | Action::Custom);
        }
        self.found(facts) != self.not
    }

    /// Whether one of the values matches what is known.
    fn found(&self, facts: &Facts<'_>) -> bool {
        match &self.values {
            Values::Blocks(blocks) => {
                let address = self.address(facts);
                address.is_some_and(|address| blocks.iter().any(|block| holds(block, address)))
            }
            Values::Ports(ports) => facts.port.is_some_and(|port| ports.contains(&port)),
            Values::Texts(patterns) => self.text_found(facts, patterns),
        }
    }

    fn address(&self, facts: &Facts<'_>) -> Option<IpAddr> {
        match self.of {
            Attribute::RemoteAddress => facts.caller.remote,
            Attribute::Destination => facts.address,
            _ => facts.caller.address,
        }
    }

    fn text_found(&self, facts: &Facts<'_>, patterns: &[Pattern]) -> bool {
        let any = |text: &str| patterns.iter().any(|pattern| pattern.matches(text));
        let known = |text: Option<&str>| text.is_some_and(any);
        match &self.of {
            Attribute::Principal => known(facts.caller.principal),
            Attribute::Namespace => known(facts.caller.namespace()),
            Attribute::TrustDomain => known(facts.caller.trust_domain()),
            Attribute::ServerName => known(facts.server_name),
            Attribute::ServiceAccount { own } => facts.caller.account().is_some_and(|account| {
                let namespace = facts.caller.namespace().unwrap_or_default();
                any(&format!("{namespace}/{account}")) || (*namespace == **own && any(account))
            }),
            Attribute::Host => facts.asked.is_some_and(|asked| {
                let host = asked.authority.to_ascii_lowercase();
                any(&host) || without_port(&host).is_some_and(any)
            }),
            Attribute::Method => facts.asked.is_some_and(|asked| any(asked.method)),
            Attribute::Path => facts.asked.is_some_and(|asked| any(asked.path)),
            Attribute::Header(name) => facts.asked.is_some_and(|asked| {
                let mut values = asked.headers.get_all(name).iter();
                values.any(|value| value.to_str().is_ok_and(any))
            }),
            of_token => facts
                .token
                .is_some_and(|token| token_found(of_token, &token, &any)),
        }
    }
}

/// Whether what a token says has a text that is wanted.
fn token_found(of: &Attribute, token: &Token<'_>, any: &dyn Fn(&str) -> bool) -> bool {
    match of {
        Attribute::TokenPrincipal => token.principal.is_some_and(any),
        Attribute::Audience => token.audiences.iter().any(|one| any(one)),
        Attribute::Presenter => token.presenter.is_some_and(any),
        Attribute::Claim(way) => claim_found(way, token, any),
        _ => false,
    }
}

/// A claim is a text, a list of texts, or a text that is a list (<https://istio.io/latest/docs/reference/config/security/conditions/>).
fn claim_found(way: &[Box<str>], token: &Token<'_>, any: &dyn Fn(&str) -> bool) -> bool {
    let Some((first, inside)) = way.split_first() else {
        return false;
    };
    let claim = token.claims.get(&**first);
    let claim = inside
        .iter()
        .try_fold(claim, |found, name| Some(found?.get(&**name)));
    match claim.flatten() {
        Some(Value::String(text)) if token.spaced.iter().any(|name| **name == **first) => {
            any(text) || text.split(' ').any(any)
        }
        Some(Value::String(text)) => any(text),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(any),
        _ => false,
    }
}

/// The host of an authority that says a port. A policy that names none is for every port.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = authority.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_port.then_some(host)
}
