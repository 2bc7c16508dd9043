//! Conditions of a rule, and the request as they see it.

use std::borrow::Cow;
use std::cell::Cell;

use http::request::Parts;
use http::{HeaderName, Method};
use regex::{Regex, RegexBuilder};

use crate::claims::{self, Way};
use crate::workload::Workload;

/// The compiled size that one expression may take.
pub const REGEX_BYTES: usize = 1 << 20;

/// A condition on one string.
#[derive(Clone, Debug)]
pub enum StringMatch {
    /// Any value, as long as there is one.
    Present,
    /// This value.
    Exact(Box<str>),
    /// A value that begins so.
    Prefix(Box<str>),
    /// A path whose first segments are these: `/a` is there in `/a` and `/a/b`, not in `/ab`. Without the slash at its end, so that
    /// the empty text is every path.
    Segments(Box<str>),
    /// A value that the whole expression matches.
    Regex(Regex),
}

impl StringMatch {
    /// An expression in RE2's syntax that matches the whole value.
    pub fn whole(text: &str) -> Result<Self, regex::Error> {
        let mut builder = RegexBuilder::new(&format!("^(?:{text})$"));
        builder.size_limit(REGEX_BYTES).build().map(Self::Regex)
    }

    /// A path's first segments, with or without a slash at the end.
    pub fn segments(path: &str) -> Self {
        Self::Segments(path.strip_suffix('/').unwrap_or(path).into())
    }

    /// Whether a value fulfils the condition.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => **text == *value,
            Self::Prefix(text) => value.starts_with(&**text),
            Self::Segments(text) => value
                .strip_prefix(&**text)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// A condition on the path, with the choice to ignore ASCII case.
#[derive(Clone, Debug)]
pub struct PathMatch {
    /// The condition.
    pub text: StringMatch,
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
}

impl PathMatch {
    fn matches(&self, path: &str) -> bool {
        match &self.text {
            StringMatch::Exact(text) if self.ignore_case => text.eq_ignore_ascii_case(path),
            StringMatch::Prefix(text) if self.ignore_case => path
                .get(..text.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(text)),
            other => other.matches(path),
        }
    }

    /// How many bytes of a matching path are "the matched prefix".
    pub fn prefix_length(&self) -> Option<usize> {
        match &self.text {
            StringMatch::Prefix(text) | StringMatch::Segments(text) => Some(text.len()),
            _ => None,
        }
    }

    /// Which of two conditions is the narrower one: a whole path, then an expression, then the longer prefix.
    fn narrowness(&self) -> (u8, usize) {
        match &self.text {
            StringMatch::Exact(text) => (3, text.len()),
            StringMatch::Regex(regex) => (2, regex.as_str().len()),
            StringMatch::Prefix(text) | StringMatch::Segments(text) => (1, text.len()),
            StringMatch::Present => (0, 0),
        }
    }
}

/// The conditions of one rule: all must hold; an absent one always does.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// On the path.
    pub path: Option<PathMatch>,
    /// On the method.
    pub method: Option<StringMatch>,
    /// On the scheme.
    pub scheme: Option<StringMatch>,
    /// On the authority, without its port.
    pub authority: Option<StringMatch>,
    /// On headers that must be there.
    pub headers: Vec<(HeaderName, StringMatch)>,
    /// On headers: none of these may hold.
    pub without_headers: Vec<(HeaderName, StringMatch)>,
    /// On what the request's token says; `true` where it must not hold.
    pub claims: Vec<(Way, StringMatch, bool)>,
    /// On parameters of the query.
    pub query: Vec<(Box<str>, StringMatch)>,
    /// On the port that the request came to.
    pub port: Option<u16>,
    /// On where it comes from.
    pub source: SourceMatch,
}

/// Conditions on where a request comes from.
#[derive(Clone, Debug, Default)]
pub struct SourceMatch {
    /// Labels of the calling pod.
    pub labels: Vec<(String, String)>,
    /// The namespace of the calling pod.
    pub namespace: Option<Box<str>>,
    /// Whether the rule is for calls between pods.
    pub mesh: bool,
    /// Whether the rule is for gateways.
    pub gateway: bool,
    /// Only for these gateways of the object, as (namespace, name); empty is all of them.
    pub gateways: Vec<(String, String)>,
}

/// A request, as conditions see it.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Its head.
    pub head: &'a Parts,
    /// Its host, in lower case.
    pub host: Cow<'a, str>,
    /// The port that it came to.
    pub port: u16,
    /// The calling pod, if it is one.
    pub source: Option<&'a Workload>,
    /// Rules compared so far: the work of a lookup, held by tests.
    pub compared: Cell<u32>,
}

impl Ask<'_> {
    /// Its path, without the query.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }
}

impl Matcher {
    /// Whether all conditions hold.
    pub fn matches(&self, ask: &Ask<'_>) -> bool {
        ask.compared.set(ask.compared.get() + 1);
        let holds = |condition: &Option<StringMatch>, value: &str| {
            condition.as_ref().is_none_or(|c| c.matches(value))
        };
        self.port.is_none_or(|port| port == ask.port)
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.matches(ask.path()))
            && self
                .method
                .as_ref()
                .is_none_or(|m| m.matches(method(ask.head)))
            && holds(&self.scheme, ask.head.uri.scheme_str().unwrap_or("http"))
            && holds(&self.authority, &ask.host)
            && self
                .headers
                .iter()
                .all(|(name, condition)| header_matches(ask, name, condition))
            && !self
                .without_headers
                .iter()
                .any(|(name, condition)| header_matches(ask, name, condition))
            && self
                .claims
                .iter()
                .all(|(way, condition, not)| claim_matches(ask, way, condition) != *not)
            && self
                .query
                .iter()
                .all(|(name, condition)| query_matches(ask, name, condition))
            && self.source.matches(ask.source)
    }

    /// How narrow the conditions are, by the Gateway API's precedence: the path, a method, the number of headers, the number of query
    /// parameters. The greater one comes first.
    pub fn narrowness(&self) -> ((u8, usize), bool, usize, usize) {
        let path = self.path.as_ref().map(PathMatch::narrowness);
        (
            path.unwrap_or_default(),
            self.method.is_some(),
            self.headers.len(),
            self.query.len(),
        )
    }

    /// True if every request matches.
    pub fn is_catch_all(&self) -> bool {
        let any_path = match &self.path {
            None => true,
            Some(PathMatch {
                text: StringMatch::Prefix(text),
                ..
            }) => &**text == "/",
            Some(PathMatch {
                text: StringMatch::Segments(text),
                ..
            }) => text.is_empty(),
            Some(_) => false,
        };
        any_path
            && self.method.is_none()
            && self.scheme.is_none()
            && self.authority.is_none()
            && self.headers.is_empty()
            && self.without_headers.is_empty()
            && self.claims.is_empty()
            && self.query.is_empty()
            && self.port.is_none()
            && self.source.labels.is_empty()
            && self.source.namespace.is_none()
    }
}

impl SourceMatch {
    /// Whether the rule is for this one of its object's gateways.
    pub fn is_for(&self, namespace: &str, name: &str) -> bool {
        let named = |(of, gateway): &(String, String)| of == namespace && gateway == name;
        self.gateway && (self.gateways.is_empty() || self.gateways.iter().any(named))
    }

    /// Whether the conditions on the caller hold.
    pub fn matches(&self, source: Option<&Workload>) -> bool {
        if self.labels.is_empty() && self.namespace.is_none() {
            return true;
        }
        let Some(source) = source else { return false };
        self.labels
            .iter()
            .all(|(key, value)| source.labels.get(key) == Some(value))
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| *namespace == *source.namespace)
    }
}

fn method(head: &Parts) -> &str {
    Method::as_str(&head.method)
}

/// Several values of one header are one list, as RFC 9110 reads them.
fn header_matches(ask: &Ask<'_>, name: &HeaderName, condition: &StringMatch) -> bool {
    let mut values = ask.head.headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return false;
    };
    if matches!(condition, StringMatch::Present) {
        return true;
    }
    let Ok(first) = first.to_str() else {
        return false;
    };
    let mut rest = values.peekable();
    if rest.peek().is_none() {
        return condition.matches(first);
    }
    let all = std::iter::once(first).chain(rest.filter_map(|v| v.to_str().ok()));
    condition.matches(&all.collect::<Vec<_>>().join(","))
}

/// One of the claim's texts is enough.
fn claim_matches(ask: &Ask<'_>, way: &Way, condition: &StringMatch) -> bool {
    let texts = claims::texts(ask.head.extensions.get(), way);
    texts.is_some_and(|texts| {
        matches!(condition, StringMatch::Present)
            || texts.iter().any(|text| condition.matches(text))
    })
}

/// The first parameter of that name decides.
fn query_matches(ask: &Ask<'_>, name: &str, condition: &StringMatch) -> bool {
    let pairs = ask.head.uri.query().unwrap_or_default().split('&');
    let mut named = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    named
        .find(|(key, _)| *key == name)
        .is_some_and(|(_, value)| condition.matches(value))
}
