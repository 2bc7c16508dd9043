//! Where in a request tokens are, and the request without them.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;

/// Where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a header, behind this text.
    Header(HeaderName, Box<str>),
    /// In a parameter of the query.
    Param(Box<str>),
    /// In a cookie.
    Cookie(Box<str>),
}

impl Place {
    /// Where tokens are if nothing else is said.
    pub(crate) fn usual() -> Vec<Self> {
        vec![
            Self::Header(AUTHORIZATION, "Bearer ".into()),
            Self::Param("access_token".into()),
        ]
    }

    /// The tokens that a request has here.
    pub(crate) fn tokens<'r>(&self, head: &'r Parts) -> Vec<Cow<'r, str>> {
        match self {
            Self::Header(name, prefix) => {
                let values = head.headers.get_all(name).iter();
                let texts = values.filter_map(|value| value.to_str().ok());
                let tokens = texts.filter_map(|text| behind(text, prefix));
                tokens.map(Cow::Borrowed).collect()
            }
            Self::Param(name) => {
                let query = head.uri.query().unwrap_or_default();
                let pairs = form_urlencoded::parse(query.as_bytes());
                let named = pairs.filter(|(key, _)| **key == **name);
                named.map(|(_, value)| value).collect()
            }
            Self::Cookie(name) => {
                let lines = head.headers.get_all(COOKIE).iter();
                let lines = lines.filter_map(|line| line.to_str().ok());
                let values = lines.flat_map(cookies);
                let named = values.filter(|(key, _)| **key == **name);
                named.map(|(_, value)| Cow::Borrowed(value)).collect()
            }
        }
    }

    /// Takes what stands here out of a request.
    pub(crate) fn clear(&self, head: &mut Parts) {
        match self {
            Self::Header(name, _) => drop(head.headers.remove(name)),
            Self::Param(name) => clear_param(head, name),
            Self::Cookie(name) => clear_cookie(head, name),
        }
    }
}

/// The token behind a prefix; `Bearer` has no case (RFC 9110, 11.1).
fn behind<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = (text.get(..prefix.len())?, text.get(prefix.len()..)?);
    let same = match prefix {
        "Bearer " => start.eq_ignore_ascii_case(prefix),
        _ => start == prefix,
    };
    same.then(|| rest.trim()).filter(|token| !token.is_empty())
}

/// The cookies of one line; quotes around a value are not of it (RFC 6265, 4.1.1).
fn cookies(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let inside = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Some((name.trim(), inside.unwrap_or(value)))
    })
}

/// Every other parameter stays as it is written.
fn clear_param(head: &mut Parts, name: &str) {
    let Some(query) = head.uri.query() else {
        return;
    };
    let is_it = |pair: &&str| {
        let mut read = form_urlencoded::parse(pair.as_bytes());
        read.next().is_some_and(|(key, _)| *key == *name)
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
    let path = head.uri.path();
    let target = match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    };
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Ok(uri) = http::Uri::from_parts(parts) {
        head.uri = uri;
    }
}

fn clear_cookie(head: &mut Parts, name: &str) {
    let lines = head.headers.get_all(COOKIE).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));
    let others = pairs.filter(|pair| {
        let key = pair.split('=').next().unwrap_or_default();
        !pair.trim().is_empty() && key.trim() != name
    });
    let others: Vec<&str> = others.map(str::trim).collect();
    match HeaderValue::try_from(others.join("; ")) {
        Ok(line) if !others.is_empty() => drop(head.headers.insert(COOKIE, line)),
        _ => drop(head.headers.remove(COOKIE)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn head(target: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn tokens_are_found_and_taken_out_where_they_may_be() {
        let header = Place::Header(AUTHORIZATION, "Bearer ".into());
        let mut one = head("http://a/", &[("authorization", "bearer  t.t.t ")]);
        assert_eq!(header.tokens(&one), ["t.t.t"]);
        header.clear(&mut one);
        assert!(one.headers.is_empty());
        let basic = head("http://a/", &[("authorization", "Basic dDp0")]);
        assert!(header.tokens(&basic).is_empty(), "it is no token");
        let whole = Place::Header(HeaderName::from_static("x-token"), "".into());
        let two = head("http://a/", &[("x-token", "a.b.c"), ("x-token", "d.e.f")]);
        assert_eq!(whole.tokens(&two), ["a.b.c", "d.e.f"]);

        let param = Place::Param("access_token".into());
        let mut query = head("http://a/p?x=%20&access%5Ftoken=a.b.c&y", &[]);
        assert_eq!(param.tokens(&query), ["a.b.c"]);
        param.clear(&mut query);
        assert_eq!(query.uri, "http://a/p?x=%20&y");
        let mut only = head("http://a/p?access_token=a.b.c", &[]);
        param.clear(&mut only);
        assert_eq!(only.uri, "http://a/p");

        let cookie = Place::Cookie("session".into());
        let lines = [("cookie", "a=1; session=\"a.b.c\"; b=2"), ("cookie", "c=3")];
        let mut jar = head("http://a/", &lines);
        assert_eq!(cookie.tokens(&jar), ["a.b.c"]);
        cookie.clear(&mut jar);
        assert_eq!(jar.headers[COOKIE], "a=1; b=2; c=3");
    }
}
