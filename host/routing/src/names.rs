//! Host names of services: what a name means to a caller in a namespace.

use std::borrow::Cow;
use std::sync::Arc;

use crate::route::ServiceName;

/// Splits an authority into a lower-case host (no trailing dot, no brackets) and a port.
pub fn split_authority(authority: &str) -> (Cow<'_, str>, Option<u16>) {
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, rest)| rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port))
            if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    (lower(host), port)
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Reads `name`, `name.namespace`, `name.namespace.svc` and the full name as (name, namespace); the first is relative.
pub fn service_of<'a>(
    host: &'a str,
    relative_to: Option<&'a str>,
    domain: &str,
) -> Option<(&'a str, &'a str)> {
    let local = host
        .strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'));
    let (short, needs_svc) = local.map_or((host, false), |rest| (rest, true));
    let (short, has_svc) = short
        .strip_suffix(".svc")
        .map_or((short, false), |rest| (rest, true));
    if needs_svc && !has_svc {
        return None;
    }
    match short.split_once('.') {
        None if !has_svc => Some((short, relative_to?)),
        Some((name, namespace)) if !namespace.contains('.') => Some((name, namespace)),
        Some(_) if has_svc => pod_of(short, None),
        _ => None,
    }
}

/// Reads `host.name` and `host.name.namespace` as the host of a pod behind a headless service, (`host.name`, namespace); the first
/// is relative.
pub fn pod_of<'a>(host: &'a str, relative_to: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    match host.bytes().filter(|byte| *byte == b'.').count() {
        1 => Some((host, relative_to?)),
        2 => host.rsplit_once('.'),
        _ => None,
    }
}

/// A service's full name.
pub fn full_name(name: &str, namespace: &str, domain: &str) -> String {
    format!("{name}.{namespace}.svc.{domain}")
}

/// What a host in a manifest of `namespace` stands for. `a.b` may be a service or a site; it is read as a service, and if there is
/// none the reference check says so.
pub fn meaning(host: &str, namespace: &str, domain: &str) -> ServiceName {
    let host = host.to_ascii_lowercase();
    match service_of(&host, Some(namespace), domain) {
        Some((name, of)) => ServiceName::Mesh {
            namespace: Arc::from(of),
            name: Arc::from(name),
        },
        None => ServiceName::Other(host.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_split() {
        let split = |text| {
            let (host, port) = split_authority(text);
            (host.into_owned(), port)
        };
        assert_eq!(split("reviews"), ("reviews".into(), None));
        assert_eq!(
            split("Reviews.Default:9080"),
            ("reviews.default".into(), Some(9080))
        );
        assert_eq!(split("reviews.:80"), ("reviews".into(), Some(80)));
        assert_eq!(split("[::1]:80"), ("::1".into(), Some(80)));
        assert_eq!(split("[::1]"), ("::1".into(), None));
        assert_eq!(split("user@host:1"), ("host".into(), Some(1)));
    }

    #[test]
    fn names_are_relative_to_the_caller() {
        let of = |host| service_of(host, Some("here"), "cluster.local");
        assert_eq!(of("reviews"), Some(("reviews", "here")));
        assert_eq!(of("reviews.there"), Some(("reviews", "there")));
        assert_eq!(of("reviews.there.svc"), Some(("reviews", "there")));
        assert_eq!(
            of("reviews.there.svc.cluster.local"),
            Some(("reviews", "there"))
        );
        assert_eq!(of("reviews.there.cluster.local"), None);
        assert_eq!(of("www.example.com"), None);
        assert_eq!(of("reviews.svc"), None);
        for host in ["web-0.web.there.svc", "web-0.web.there.svc.cluster.local"] {
            assert_eq!(of(host), Some(("web-0.web", "there")));
        }
        assert_eq!(of("a.web-0.web.there.svc"), None);
        assert_eq!(of("web-0.web.there"), None);
        assert_eq!(
            pod_of("web-0.web.there", None),
            Some(("web-0.web", "there"))
        );
        assert_eq!(
            pod_of("web-0.web", Some("here")),
            Some(("web-0.web", "here"))
        );
        assert_eq!(service_of("reviews", None, "cluster.local"), None);
    }
}
