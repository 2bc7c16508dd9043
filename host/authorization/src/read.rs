//! An AuthorizationPolicy to a policy, with every fault that it has.

use std::sync::Arc;

use http::HeaderName;
use osier_api::Object;

use crate::action::Action;
use crate::addresses;
use crate::concern::Concern;
use crate::fault::Fault;
use crate::field::Field;
use crate::policy::Policy;
use crate::rule::{Attribute, Demand, Rule, Values};
use crate::text::Pattern;

/// Reads an object. With faults the policy is there all the same, and denies what it might have denied.
pub fn read(object: &Object) -> (Policy, Vec<Fault>) {
    let spec = Field::spec(object);
    let mut faults = Vec::new();
    let action = action(&spec, &mut faults);
    let provider = provider(&spec, (action, object.namespace()), &mut faults);
    let concern = Concern::read(object, &mut faults);
    let rules = spec.at("rules").each();
    let own = object.namespace();
    let rules = rules.iter().map(|rule| self::rule(rule, own, &mut faults));
    let rules = rules.collect();
    let policy = Policy {
        name: format!("{own}/{}", object.name()).into(),
        concern,
        // Whoever is to be asked, nothing passes where not all of it can be read.
        action: match action {
            Action::Custom if !faults.is_empty() => Action::Deny,
            action => action,
        },
        provider,
        rules,
        broken: !faults.is_empty(),
    };
    (policy, faults)
}

fn action(spec: &Field<'_>, faults: &mut Vec<Fault>) -> Action {
    let field = spec.at("action");
    let detail = match field.text() {
        "" | "ALLOW" => return Action::Allow,
        "DENY" => return Action::Deny,
        "AUDIT" => return Action::Audit,
        "CUSTOM" => return Action::Custom,
        _ => "must be ALLOW, DENY, AUDIT or CUSTOM",
    };
    faults.push(Fault::new(field.path, detail));
    // Whatever it was to be, nothing that it speaks of passes.
    Action::Deny
}

/// Whom a custom policy asks, where others have nobody to ask: a Policy that plugins answer, of its own namespace unless it says another.
fn provider(
    spec: &Field<'_>,
    (action, own): (Action, &str),
    faults: &mut Vec<Fault>,
) -> Option<Arc<str>> {
    let provider = spec.at("provider");
    let field = provider.at("name");
    if action != Action::Custom {
        if !provider.value.is_null() {
            faults.push(Fault::new(provider.path, "goes with action CUSTOM alone"));
        }
        return None;
    }
    let name = field.text();
    if name.is_empty() {
        let detail = "CUSTOM needs the name of the Policy (policy.osier.dev) that is asked";
        faults.push(Fault::new(field.path, detail));
    }
    Some(match name.contains('/') {
        true => name.into(),
        false => format!("{own}/{name}").into(),
    })
}

/// A list of one element: what its key asks about.
type Key = (&'static str, Attribute);

fn rule(field: &Field<'_>, own: &str, faults: &mut Vec<Fault>) -> Rule {
    faults.extend(field.unknown(&["from", "to", "when"]));
    let account = Attribute::ServiceAccount { own: own.into() };
    let sources: [Key; 7] = [
        ("principals", Attribute::Principal),
        ("requestPrincipals", Attribute::TokenPrincipal),
        ("namespaces", Attribute::Namespace),
        ("serviceAccounts", account),
        ("ipBlocks", Attribute::Address),
        ("remoteIpBlocks", Attribute::RemoteAddress),
        ("trustDomains", Attribute::TrustDomain),
    ];
    let operations: [Key; 4] = [
        ("hosts", Attribute::Host),
        ("ports", Attribute::Port),
        ("methods", Attribute::Method),
        ("paths", Attribute::Path),
    ];
    let mut elements = |key: &str, inner: &str, keys: &[Key]| {
        let all = field.at(key).each();
        let read = all.iter().map(|one| element(&one.at(inner), keys, faults));
        read.collect::<Vec<_>>()
    };
    let (from, to) = (
        elements("from", "source", &sources),
        elements("to", "operation", &operations),
    );
    let conditions = field.at("when").each();
    let when = conditions
        .iter()
        .flat_map(|one| condition(one, own, faults));
    Rule {
        from,
        to,
        when: when.collect(),
    }
}

fn element(field: &Field<'_>, keys: &[Key], faults: &mut Vec<Fault>) -> Vec<Demand> {
    let negated = |key: &str| {
        let (first, rest) = key.split_at(1);
        format!("not{}{rest}", first.to_ascii_uppercase())
    };
    let known: Vec<String> = keys
        .iter()
        .flat_map(|(key, _)| [(*key).to_owned(), negated(key)])
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    faults.extend(field.unknown(&known));
    let mut demands = Vec::new();
    for (key, of) in keys {
        for (name, not) in [((*key).to_owned(), false), (negated(key), true)] {
            demands.extend(demand(&field.at(&name), of, not, faults));
        }
    }
    demands
}

fn condition(field: &Field<'_>, own: &str, faults: &mut Vec<Fault>) -> Vec<Demand> {
    let key = field.at("key");
    let Some(of) = attribute(key.text(), own) else {
        let detail = format!("{:?} is no attribute that conditions know", key.text());
        faults.push(Fault::new(key.path, detail));
        return Vec::new();
    };
    let mut demands = Vec::new();
    for (name, not) in [("values", false), ("notValues", true)] {
        demands.extend(demand(&field.at(name), &of, not, faults));
    }
    if demands.is_empty() {
        let detail = "values or notValues say what it is compared with";
        faults.push(Fault::new(field.at("values").path, detail));
    }
    demands
}

/// The attribute that a condition's key names
/// (<https://istio.io/latest/docs/reference/config/security/conditions/>).
fn attribute(key: &str, own: &str) -> Option<Attribute> {
    Some(match key {
        "source.ip" => Attribute::Address,
        "remote.ip" => Attribute::RemoteAddress,
        "source.namespace" => Attribute::Namespace,
        "source.principal" => Attribute::Principal,
        "source.serviceAccount" => Attribute::ServiceAccount { own: own.into() },
        "destination.ip" => Attribute::Destination,
        "destination.port" => Attribute::Port,
        "connection.sni" => Attribute::ServerName,
        "request.auth.principal" => Attribute::TokenPrincipal,
        "request.auth.audiences" => Attribute::Audience,
        "request.auth.presenter" => Attribute::Presenter,
        claim if claim.starts_with(CLAIMS) => Attribute::Claim(claim_of(claim)?),
        header => Attribute::Header(header_of(header)?),
    })
}

const CLAIMS: &str = "request.auth.claims";

/// The way to the claim in `request.auth.claims[NAME]`, or `request.auth.claims[NAME][NAME]` for one inside another.
fn claim_of(key: &str) -> Option<Box<[Box<str>]>> {
    let names = key.strip_prefix(CLAIMS)?.strip_prefix('[')?;
    let names = names.strip_suffix(']')?.split("][");
    let names: Box<[Box<str>]> = names.map(Into::into).collect();
    let whole = names.iter().all(|name| !name.is_empty());
    whole.then_some(names)
}

/// The header in `request.headers[NAME]`.
fn header_of(key: &str) -> Option<HeaderName> {
    let name = key.strip_prefix("request.headers[")?.strip_suffix(']')?;
    HeaderName::try_from(name).ok()
}

/// What a list asks; nothing if it is not there.
fn demand(field: &Field<'_>, of: &Attribute, not: bool, faults: &mut Vec<Fault>) -> Option<Demand> {
    let all = field.each();
    if all.is_empty() {
        return None;
    }
    let values = match of {
        Attribute::Address | Attribute::RemoteAddress | Attribute::Destination => {
            Values::Blocks(each(&all, faults, |text| {
                addresses::block(text).ok_or("must be an address or a block such as 10.0.0.0/8")
            }))
        }
        Attribute::Port => Values::Ports(each(&all, faults, |text| {
            let port = text.parse().ok().filter(|port| *port > 0);
            port.ok_or("must be a port between 1 and 65535")
        })),
        Attribute::Path => Values::Texts(each(&all, faults, Pattern::of_path)),
        Attribute::Host => Values::Texts(each(&all, faults, |text| Ok(Pattern::lower(text)))),
        _ => Values::Texts(each(&all, faults, |text| Ok(Pattern::of(text)))),
    };
    let of = of.clone();
    Some(Demand { of, values, not })
}

fn each<T>(
    all: &[Field<'_>],
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Vec<T> {
    let mut read = Vec::new();
    for field in all {
        match parse(field.text()) {
            Ok(value) if !field.text().is_empty() => read.push(value),
            Ok(_) => faults.push(Fault::new(field.path.as_str(), "must not be empty")),
            Err(detail) => faults.push(Fault::new(field.path.as_str(), detail)),
        }
    }
    read
}
