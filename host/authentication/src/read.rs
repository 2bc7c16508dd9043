//! A RequestAuthentication to rules, with every fault that it has, and the key sets that somebody must fetch for it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use osier_api::{Object, duration};
use osier_authorization::{Concern, Fault, Field};
use osier_identity::KeySet;
use serde_json::Value;

use crate::place::Place;
use crate::rule::{Policy, Rule};
use crate::told::Told;

/// Where fetched key sets stand in an object's status: a list of objects with `uri` and `jwks`.
const FETCHED: [&str; 2] = ["status", "keySets"];
/// How long an issuer may take if nothing else is said, as in Istio.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Claims whose text is a list with spaces between (RFC 8693, 4.2).
const SPACED: [&str; 2] = ["scope", "permission"];

const KNOWN: [&str; 13] = [
    "issuer",
    "audiences",
    "jwks",
    "jwksUri",
    "jwks_uri",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "outputClaimToHeaders",
    "forwardOriginalToken",
    "timeout",
    "spaceDelimitedClaims",
];

/// A key set that is not in the object and must be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is, or where the issuer says where it is.
    pub uri: String,
    /// `uri` is the issuer's description (OpenID Connect Discovery 1.0, 4), which names the set.
    pub discovered: bool,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Where the keys of a rule come from.
enum Source {
    Inline(KeySet),
    Fetched(Wanted),
    /// They could not be read.
    Nowhere,
}

/// Reads an object. With faults it is there all the same: of what could not be read no token is believed.
pub fn read(object: &Object) -> (Policy, Vec<Fault>) {
    let mut faults = Vec::new();
    let spec = Field::spec(object);
    let known = ["selector", "targetRef", "targetRefs", "jwtRules"];
    faults.extend(spec.unknown(&known));
    let concern = Concern::read(object, &mut faults);
    let rules = spec.at("jwtRules").each();
    let rules = rules.iter().map(|field| rule(field, object, &mut faults));
    let policy = Policy {
        name: format!("{}/{}", object.namespace(), object.name()).into(),
        concern,
        rules: rules.collect(),
    };
    (policy, faults)
}

/// The key sets that an object needs, each once.
pub fn wanted(object: &Object) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for field in Field::spec(object).at("jwtRules").each() {
        if let Source::Fetched(wanted) = source(&field, &mut Vec::new())
            && !all.iter().any(|known| known.uri == wanted.uri)
        {
            all.push(wanted);
        }
    }
    all
}

fn rule(field: &Field<'_>, object: &Object, faults: &mut Vec<Fault>) -> Rule {
    faults.extend(field.unknown(&KNOWN));
    let issuer = field.at("issuer");
    if issuer.text().is_empty() {
        faults.push(Fault::new(issuer.path.as_str(), "must name the issuer"));
    }
    let keys = match source(field, faults) {
        Source::Inline(keys) => Ok(keys),
        Source::Fetched(wanted) => fetched(object, &wanted.uri),
        Source::Nowhere => Err("they cannot be read".into()),
    };
    let payload = field.at("outputPayloadToHeader");
    let payload = (!payload.text().is_empty()).then(|| header(&payload, faults));
    let spaced = texts(&field.at("spaceDelimitedClaims"), faults).into_iter();
    let spaced = spaced.chain(SPACED.map(Into::into)).map(String::from);
    Rule {
        issuer: issuer.text().into(),
        audiences: texts(&field.at("audiences"), faults),
        keys,
        places: places(field, faults),
        told: Told {
            payload: payload.flatten(),
            claims: claims(&field.at("outputClaimToHeaders"), faults),
        },
        forward: field.at("forwardOriginalToken").value == &Value::Bool(true),
        spaced: spaced.collect::<Arc<[String]>>(),
    }
}

fn source(field: &Field<'_>, faults: &mut Vec<Fault>) -> Source {
    let (inline, short, long) = (field.at("jwks"), field.at("jwksUri"), field.at("jwks_uri"));
    let uri = if long.text().is_empty() { short } else { long };
    let timeout = timeout(&field.at("timeout"), faults);
    match (inline.text(), uri.text()) {
        ("", "") => discovered(field, timeout, faults),
        ("", text) if is_url(text) => Source::Fetched(Wanted {
            uri: text.to_owned(),
            discovered: false,
            timeout,
        }),
        ("", _) => {
            faults.push(Fault::new(uri.path, "must be a URL, http:// or https://"));
            Source::Nowhere
        }
        (text, "") => match KeySet::read(text) {
            Ok(keys) => Source::Inline(keys),
            Err(error) => {
                faults.push(Fault::new(inline.path, error.to_string()));
                Source::Nowhere
            }
        },
        _ => {
            let detail = "goes with no jwksUri: the keys stand here or there";
            faults.push(Fault::new(inline.path, detail));
            Source::Nowhere
        }
    }
}

/// An issuer without keys in the object tells itself where they are.
fn discovered(field: &Field<'_>, timeout: Duration, faults: &mut Vec<Fault>) -> Source {
    let issuer = field.at("issuer");
    let issuer = issuer.text();
    if !is_url(issuer) {
        let detail = "is needed, or jwks: the issuer is no URL at which they could be asked for";
        faults.push(Fault::new(field.at("jwksUri").path, detail));
        return Source::Nowhere;
    }
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    Source::Fetched(Wanted {
        uri: format!("{issuer}/.well-known/openid-configuration"),
        discovered: true,
        timeout,
    })
}

/// The keys that somebody fetched from there.
fn fetched(object: &Object, uri: &str) -> Result<KeySet, Box<str>> {
    let sets = object.get(&FETCHED).and_then(Value::as_array);
    let mut sets = sets.into_iter().flatten();
    let found = sets.find(|set| set["uri"] == uri);
    let jwks = found.and_then(|set| set["jwks"].as_str());
    let jwks = jwks.ok_or_else(|| format!("{uri} has not been fetched yet"))?;
    KeySet::read(jwks).map_err(|error| error.to_string().into())
}

fn is_url(text: &str) -> bool {
    text.parse::<Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

fn timeout(field: &Field<'_>, faults: &mut Vec<Fault>) -> Duration {
    if field.text().is_empty() {
        return TIMEOUT;
    }
    let read = duration::parse(field.text());
    match read.map_err(|error| error.to_string()) {
        Ok(time) if time >= Duration::from_millis(1) => time,
        Ok(_) => {
            faults.push(Fault::new(field.path.as_str(), "must be at least 1ms"));
            TIMEOUT
        }
        Err(detail) => {
            faults.push(Fault::new(field.path.as_str(), detail));
            TIMEOUT
        }
    }
}

fn places(field: &Field<'_>, faults: &mut Vec<Fault>) -> Vec<Place> {
    let mut places = Vec::new();
    for one in field.at("fromHeaders").each() {
        let name = header(&one.at("name"), faults);
        let prefix = one.at("prefix").text();
        places.extend(name.map(|name| Place::Header(name, prefix.into())));
    }
    let params = texts(&field.at("fromParams"), faults).into_iter();
    places.extend(params.map(Place::Param));
    let cookies = texts(&field.at("fromCookies"), faults).into_iter();
    places.extend(cookies.map(Place::Cookie));
    if places.is_empty() {
        return Place::usual();
    }
    places
}

fn claims(field: &Field<'_>, faults: &mut Vec<Fault>) -> Vec<(HeaderName, Vec<Box<str>>)> {
    let mut read = Vec::new();
    for one in field.each() {
        let (name, claim) = (header(&one.at("header"), faults), one.at("claim"));
        if claim.text().is_empty() {
            faults.push(Fault::new(claim.path, "must name a claim"));
            continue;
        }
        let way = claim.text().split('.').map(Into::into);
        read.extend(name.map(|name| (name, way.collect())));
    }
    read
}

fn header(field: &Field<'_>, faults: &mut Vec<Fault>) -> Option<HeaderName> {
    let name = HeaderName::try_from(field.text()).ok();
    if name.is_none() {
        let detail = "must be the name of a header";
        faults.push(Fault::new(field.path.as_str(), detail));
    }
    name
}

fn texts(field: &Field<'_>, faults: &mut Vec<Fault>) -> Vec<Box<str>> {
    let mut read: Vec<Box<str>> = Vec::new();
    for one in field.each() {
        match one.text() {
            "" => faults.push(Fault::new(one.path, "must not be empty")),
            text => read.push(text.into()),
        }
    }
    read
}
