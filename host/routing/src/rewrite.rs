//! Changes of a request's target, and the targets of redirects. Pure.

use crate::route::{DerivePort, PathRewrite, Redirect, Rewrite};
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Applies a route's rewrite. What does not make a valid URI leaves that part as it was.
pub fn apply(uri: &mut Uri, rewrite: &Rewrite, matched_prefix: Option<usize>) {
    if rewrite.path.is_none() && rewrite.authority.is_none() {
        return;
    }
    let path = rewrite
        .path
        .as_ref()
        .and_then(|path| new_path(uri, path, matched_prefix).parse().ok());
    *uri = replace(uri, rewrite.authority.clone(), path);
}

/// The URI with another authority or path.
pub fn replace(uri: &Uri, authority: Option<Authority>, path: Option<PathAndQuery>) -> Uri {
    let mut parts = uri.clone().into_parts();
    if authority.is_some() {
        parts.authority = authority;
    }
    if path.is_some() {
        parts.path_and_query = path;
    }
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn new_path(uri: &Uri, rewrite: &PathRewrite, matched_prefix: Option<usize>) -> String {
    let path = uri.path();
    let mut new = match rewrite {
        PathRewrite::Matched(text) => {
            let rest = matched_prefix.map_or("", |length| path.get(length..).unwrap_or_default());
            join(text, rest)
        }
        PathRewrite::Whole(text) => text.to_string(),
        PathRewrite::Regex(regex, text) => regex.replace_all(path, &**text).into_owned(),
    };
    if !new.starts_with('/') {
        new.insert(0, '/');
    }
    if let Some(query) = uri.query().filter(|_| !new.contains('?')) {
        new.push('?');
        new.push_str(query);
    }
    new
}

/// `/` before `/x` is `/x`, not `//x`.
fn join(prefix: &str, rest: &str) -> String {
    match prefix.strip_suffix('/') {
        Some(trimmed) if rest.starts_with('/') => format!("{trimmed}{rest}"),
        _ => format!("{prefix}{rest}"),
    }
}

/// Where a redirect of a request to `port` points to; the rule's prefix covers so many bytes of the path.
pub fn location(
    uri: &Uri,
    redirect: &Redirect,
    (port, matched_prefix): (u16, Option<usize>),
) -> String {
    let scheme = redirect
        .scheme
        .as_ref()
        .or(uri.scheme())
        .unwrap_or(&Scheme::HTTP);
    let original = uri.authority().map_or("", Authority::as_str);
    let authority = redirect.authority.as_deref().unwrap_or(original);
    let (host, written) = split(authority);
    let same_scheme = uri.scheme().is_none_or(|old| old == scheme);
    let derived = match redirect.derive_port {
        DerivePort::Kept => written.filter(|_| same_scheme || redirect.authority.is_some()),
        DerivePort::FromProtocol => None,
        DerivePort::FromRequest => Some(port),
    };
    let port = redirect
        .port
        .or(derived)
        .filter(|port| Some(*port) != default_port(scheme));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let target = match &redirect.path {
        Some(path) => new_path(uri, path, matched_prefix),
        None => uri
            .path_and_query()
            .map_or("/", PathAndQuery::as_str)
            .to_owned(),
    };
    format!("{scheme}://{host}{port}{target}")
}

fn split(authority: &str) -> (&str, Option<u16>) {
    match authority
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse()))
    {
        Some((host, Ok(port))) => (host, Some(port)),
        _ => (authority, None),
    }
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The path with its dot segments resolved, so that policies, routes and pods read the same one (RFC 3986, 5.2.4; also `%2e` and
/// `\`). `None` if it already is.
pub fn normalized(path: &str) -> Option<String> {
    let suspicious = path
        .bytes()
        .zip(path.bytes().skip(1))
        .any(|(a, b)| match a {
            b'/' => b == b'.',
            b'\\' => true,
            b'%' => b == b'2' || b == b'5',
            _ => false,
        })
        || path.ends_with('\\');
    if !suspicious {
        return None;
    }
    let plain = decode_dots(path);
    let mut kept: Vec<&str> = Vec::new();
    let last_is_directory = matches!(plain.rsplit('/').next(), Some("." | ".."));
    for segment in plain.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut new = format!("/{}", kept.join("/"));
    if last_is_directory && !new.ends_with('/') {
        new.push('/');
    }
    (new != path).then_some(new)
}

/// Writes out `%2e`, and `\` or `%5c` as `/`.
fn decode_dots(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        let escape = rest.get(..3).map(str::to_ascii_lowercase);
        let (plain, length) = match escape.as_deref() {
            Some("%2e") => ('.', 3),
            Some("%5c") => ('/', 3),
            _ if c == '\\' => ('/', 1),
            _ => (c, c.len_utf8()),
        };
        out.push(plain);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use http::StatusCode;

    fn rewritten(uri: &str, path: &str, prefix: Option<usize>) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        let rewrite = Rewrite {
            path: Some(PathRewrite::Matched(path.into())),
            authority: None,
        };
        apply(&mut uri, &rewrite, prefix);
        uri.to_string()
    }

    #[test]
    fn a_prefix_is_replaced_and_the_rest_stays() {
        assert_eq!(
            rewritten("http://a/api/x?q=1", "/v1", Some(4)),
            "http://a/v1/x?q=1"
        );
        assert_eq!(rewritten("http://a/api/x", "/", Some(4)), "http://a/x");
        assert_eq!(rewritten("http://a/api", "/", Some(4)), "http://a/");
        assert_eq!(rewritten("http://a/api/x", "/new", None), "http://a/new");
        assert_eq!(rewritten("http://a/api/x", "v2", Some(4)), "http://a/v2/x");
    }

    #[test]
    fn an_expression_and_an_authority_replace_their_parts() {
        let mut uri: Uri = "http://a:80/user/7?x".parse().unwrap();
        let regex = osier_regex("^/user/([0-9]+)$");
        let rewrite = Rewrite {
            path: Some(PathRewrite::Regex(regex, "/u/${1}".into())),
            authority: "b".parse().ok(),
        };
        apply(&mut uri, &rewrite, None);
        assert_eq!(uri.to_string(), "http://b/u/7?x");
    }

    #[test]
    fn an_expression_replaces_each_place_that_it_finds() {
        let mut uri: Uri = "http://a/one/x/one?one".parse().unwrap();
        let rewrite = Rewrite {
            path: Some(PathRewrite::Regex(osier_regex("one"), "two".into())),
            authority: None,
        };
        apply(&mut uri, &rewrite, None);
        assert_eq!(uri.to_string(), "http://a/two/x/two?one");
    }

    fn osier_regex(text: &str) -> regex::Regex {
        regex::Regex::new(text).unwrap()
    }

    fn location_of(uri: &str, change: impl FnOnce(&mut Redirect)) -> String {
        let mut redirect = Redirect {
            status: StatusCode::MOVED_PERMANENTLY,
            path: None,
            authority: None,
            port: None,
            derive_port: DerivePort::Kept,
            scheme: None,
        };
        change(&mut redirect);
        location(&uri.parse().unwrap(), &redirect, (8080, Some(4)))
    }

    #[test]
    fn redirects_replace_only_what_they_name() {
        let to = |change: fn(&mut Redirect)| location_of("http://a:8080/x?q=1", change);
        let whole = |text: &str| Some(PathRewrite::Whole(text.into()));
        assert_eq!(
            to(|r| r.path = Some(PathRewrite::Whole("/y".into()))),
            "http://a:8080/y?q=1"
        );
        assert_eq!(
            location_of("http://a:8080/x?q=1", |r| r.path = whole("/y?z")),
            "http://a:8080/y?z"
        );
        assert_eq!(to(|r| r.authority = Some("b".into())), "http://b/x?q=1");
        assert_eq!(to(|r| r.scheme = Some(Scheme::HTTPS)), "https://a/x?q=1");
        assert_eq!(to(|r| r.port = Some(80)), "http://a/x?q=1");
    }

    #[test]
    fn redirects_derive_their_port_and_keep_what_is_behind_the_prefix() {
        let to = |change: fn(&mut Redirect)| location_of("http://a:8080/api/x?q=1", change);
        assert_eq!(
            to(|r| r.derive_port = DerivePort::FromProtocol),
            "http://a/api/x?q=1"
        );
        let https = to(|r| {
            r.scheme = Some(Scheme::HTTPS);
            r.derive_port = DerivePort::FromRequest;
        });
        assert_eq!(https, "https://a:8080/api/x?q=1");
        assert_eq!(
            to(|r| r.path = Some(PathRewrite::Matched("/v2".into()))),
            "http://a:8080/v2/x?q=1"
        );
    }

    #[test]
    fn dot_segments_are_resolved_in_every_spelling() {
        for (path, wanted) in [
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/public/%2e%2E/admin", "/admin"),
            ("/public\\..\\admin", "/admin"),
            ("/public%5c..%5Cadmin", "/admin"),
            ("/../../x", "/x"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
        ] {
            assert_eq!(normalized(path).as_deref(), Some(wanted), "{path}");
        }
        for path in [
            "/",
            "/a/b",
            "/.well-known/x",
            "/a..b/c",
            "/a//b",
            "/a%20b",
            "/a%2fb",
            "*",
        ] {
            assert_eq!(normalized(path), None, "{path}");
        }
    }
}
