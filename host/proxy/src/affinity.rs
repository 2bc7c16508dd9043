//! What of a request decides its endpoint (`consistentHash`), and the cookie that keeps a caller with it.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use http::request::Parts;
use osier_snapshot::{Cluster, HashKey, cookie, hash_of};
use rand::Rng;

use crate::source::Source;

/// What decides about one request.
#[derive(Debug, Default)]
pub(crate) struct Affinity {
    /// The hash; `None` if the request has not what is hashed, or nothing is.
    pub(crate) hash: Option<u64>,
    /// The cookie that the caller is given.
    pub(crate) cookie: Option<HeaderValue>,
}

impl Affinity {
    pub(crate) fn of(cluster: &Cluster, head: &Parts, source: &Source) -> Self {
        let Some(settings) = &cluster.balancing.hash else {
            return Self::default();
        };
        let hash = match &settings.key {
            HashKey::Header(name) => head.headers.get(name).map(|v| hash_of(v.as_bytes())),
            HashKey::SourceIp => address(source).map(hash_of_address),
            HashKey::Query(name) => parameter(head, name).map(|value| hash_of(value.as_bytes())),
            HashKey::Cookie { name, life, .. } => match (cookie(&head.headers, name), life) {
                (Some(value), _) => Some(hash_of(value.as_bytes())),
                (None, Some(life)) => return Self::given(&settings.key, *life),
                (None, None) => None,
            },
        };
        Self { hash, cookie: None }
    }

    /// For a caller without the cookie: a new one.
    fn given(key: &HashKey, life: Duration) -> Self {
        let HashKey::Cookie {
            name,
            path,
            attributes,
            ..
        } = key
        else {
            return Self::default();
        };
        let value = format!("{:032x}", rand::rng().random::<u128>());
        let age = match life.as_secs() {
            0 => String::new(),
            seconds => format!("; Max-Age={seconds}"),
        };
        let path = path.as_ref().map(|path| format!("; Path={path}"));
        let path = path.unwrap_or_default();
        let text = format!("{name}={value}{age}{path}; HttpOnly{attributes}");
        Self {
            hash: Some(hash_of(value.as_bytes())),
            cookie: HeaderValue::try_from(text).ok(),
        }
    }
}

/// The hash of a raw connection, of which only the caller's address is known.
pub(crate) fn of_address(cluster: &Cluster, caller: IpAddr) -> Option<u64> {
    let settings = cluster.balancing.hash.as_ref()?;
    (settings.key == HashKey::SourceIp).then(|| hash_of_address(caller))
}

fn hash_of_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash_of(&address.octets()),
        IpAddr::V6(address) => hash_of(&address.octets()),
    }
}

fn address(source: &Source) -> Option<IpAddr> {
    let outside = source.address().map(|address| address.ip());
    outside.or_else(|| source.workload().map(|workload| workload.address))
}

fn parameter<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let mut pairs = head.uri.query()?.split('&');
    pairs.find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn parameters_are_found_by_name() {
        let request = http::Request::get("http://a/x?user=1&user=2&flag");
        let head = request.body(()).unwrap().into_parts().0;
        assert_eq!(parameter(&head, "user"), Some("1"));
        assert_eq!(parameter(&head, "flag"), Some(""));
        assert_eq!(parameter(&head, "use"), None);
    }

    fn key(name: &str, path: Option<&str>, attributes: &str) -> HashKey {
        HashKey::Cookie {
            name: name.into(),
            path: path.map(Into::into),
            life: None,
            attributes: attributes.into(),
        }
    }

    #[test]
    fn a_given_cookie_says_how_long_it_lives_and_leads_where_its_request_went() {
        let key_of_site = key("sid", Some("/"), "; SameSite=Lax");
        let given = Affinity::given(&key_of_site, Duration::from_secs(60));
        let text = given.cookie.unwrap().to_str().unwrap().to_owned();
        let pattern = "^sid=([0-9a-f]{32}); Max-Age=60; Path=/; HttpOnly; SameSite=Lax$";
        let found = regex::Regex::new(pattern).unwrap();
        let value = found.captures(&text).unwrap()[1].to_owned();
        assert_eq!(given.hash, Some(hash_of(value.as_bytes())));
        let session = Affinity::given(&key("sid", None, ""), Duration::ZERO);
        let text = session.cookie.unwrap().to_str().unwrap().to_owned();
        assert!(
            text.ends_with("; HttpOnly") && !text.contains("Max-Age") && !text.contains("Path")
        );
        let bad = Affinity::given(&key("s\n", None, ""), Duration::ZERO);
        assert_eq!(bad.cookie, None);
    }
}
