//! Sessions: a caller goes on with the endpoint that answered it first, by a token that it brings along
//! (<https://gateway-api.sigs.k8s.io/geps/gep-1619/>).
//!
//! A token names its endpoint by a hash, and says when the session began and when it was used last. It is no secret: whoever makes one
//! up reaches an endpoint to which the rule may send anybody.

use std::fmt;
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::HeaderOperation;
use crate::matcher::{PathMatch, StringMatch};

/// How a rule keeps callers with their endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What brings the token.
    pub bearer: Bearer,
    /// How long a session lasts; `None` is as long as its endpoint.
    pub longest: Option<Duration>,
    /// How long it lasts without a request.
    pub idle: Option<Duration>,
}

/// What brings a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A cookie, which browsers send by themselves.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// The paths that it is sent with.
        path: Box<str>,
        /// Whether it outlives the browser's own session.
        permanent: bool,
    },
    /// A header, which clients take from an answer and send along.
    Header(HeaderName),
}

/// What a caller brings along: which endpoint it stays with. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The endpoint's mark.
    pub endpoint: u64,
    began: u64,
    used: u64,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}-{:x}", self.endpoint, self.began, self.used)
    }
}

impl Token {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let token = Self {
            endpoint: number()?,
            began: number()?,
            used: number()?,
        };
        parts.next().is_none().then_some(token)
    }
}

impl Session {
    /// The token of a request, if it has one that holds at this time.
    pub fn token(&self, headers: &HeaderMap, now: u64) -> Option<Token> {
        let text = match &self.bearer {
            Bearer::Cookie { name, .. } => cookie(headers, name),
            Bearer::Header(name) => headers.get(name)?.to_str().ok(),
        };
        let token = Token::read(text?)?;
        let within = |since: u64, time: Option<Duration>| {
            let passed = Duration::from_secs(now.saturating_sub(since));
            time.is_none_or(|time| passed < time)
        };
        (within(token.began, self.longest) && within(token.used, self.idle)).then_some(token)
    }

    /// What of an answer tells the caller of the endpoint that gave it; nothing where it knows already.
    pub fn told(&self, before: Option<Token>, endpoint: u64, now: u64) -> Option<HeaderOperation> {
        let same = before.filter(|token| token.endpoint == endpoint);
        if same.is_some_and(|token| self.idle.is_none() || token.used == now) {
            return None;
        }
        let token = Token {
            endpoint,
            began: same.map_or(now, |token| token.began),
            used: now,
        };
        match &self.bearer {
            Bearer::Header(name) => {
                let value = HeaderValue::try_from(token.to_string());
                Some(HeaderOperation::Set(name.clone(), value.ok()?))
            }
            Bearer::Cookie {
                name,
                path,
                permanent,
            } => {
                let end = self.longest.filter(|_| *permanent);
                let left = end.map(|time| {
                    let end = token.began.saturating_add(time.as_secs());
                    end.saturating_sub(now)
                });
                let age = left.map_or_else(String::new, |left| format!("; Max-Age={left}"));
                let text = format!("{name}={token}; Path={path}{age}; HttpOnly");
                let value = HeaderValue::try_from(text).ok()?;
                Some(HeaderOperation::Add(SET_COOKIE, value))
            }
        }
    }

    /// The same for requests that match this condition on the path: a cookie is sent with those alone, so that rules of other paths have
    /// sessions of their own.
    #[must_use]
    pub fn for_path(&self, condition: Option<&PathMatch>) -> Self {
        let mut session = self.clone();
        if let Bearer::Cookie { path, .. } = &mut session.bearer {
            *path = covering(condition).into();
        }
        session
    }
}

/// The longest path below which everything stands that matches. Of an expression that is what no special character comes before.
fn covering(condition: Option<&PathMatch>) -> &str {
    const SPECIAL: [char; 13] = [
        '\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$',
    ];
    let path: &str = match condition.map(|condition| &condition.text) {
        None | Some(StringMatch::Present) => "/",
        Some(
            StringMatch::Exact(path) | StringMatch::Prefix(path) | StringMatch::Segments(path),
        ) => path,
        Some(StringMatch::Regex(regex)) => {
            let whole = regex.as_str();
            let inside = whole.strip_prefix("^(?:").unwrap_or(whole);
            let plain = inside.split(SPECIAL).next().unwrap_or_default();
            let end = plain.rfind('/').filter(|_| !inside.contains('|'));
            plain.get(..end.unwrap_or(0)).unwrap_or_default()
        }
    };
    // Of what cannot stand in a cookie nothing is said.
    let fits = path.starts_with('/') && !path.contains([';', ',']);
    if fits { path } else { "/" }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).into_iter();
    let pairs = all.filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|text| text.split(';'));
    pairs.find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn by_cookie(permanent: bool) -> Session {
        Session {
            bearer: Bearer::Cookie {
                name: "sid".into(),
                path: "/shop".into(),
                permanent,
            },
            longest: Some(Duration::from_secs(100)),
            idle: None,
        }
    }

    /// The name and value of the header that an answer bears.
    fn header(told: Option<HeaderOperation>) -> Option<(HeaderName, HeaderValue)> {
        match told? {
            HeaderOperation::Set(name, value) | HeaderOperation::Add(name, value) => {
                Some((name, value))
            }
            HeaderOperation::Remove(_) => None,
        }
    }

    fn with(name: HeaderName, text: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(text).unwrap())])
    }

    #[test]
    fn a_cookie_leads_back_until_the_session_is_over() {
        let session = by_cookie(true);
        let (name, told) = header(session.told(None, 7, 1_000)).unwrap();
        let text = told.to_str().unwrap();
        let token = "0000000000000007-3e8-3e8";
        assert_eq!(name, SET_COOKIE);
        assert_eq!(
            text,
            format!("sid={token}; Path=/shop; Max-Age=100; HttpOnly")
        );
        let sent = with(COOKIE, &format!("a=b; sid={token}"));
        let known = session.token(&sent, 1_099).unwrap();
        assert_eq!(known.endpoint, 7);
        assert_eq!(session.told(Some(known), 7, 1_099), None);
        assert_eq!(session.token(&sent, 1_100), None);
        // Another endpoint answered: the session begins anew.
        let (_, told) = header(session.told(Some(known), 8, 1_050)).unwrap();
        assert!(
            told.to_str()
                .unwrap()
                .starts_with("sid=0000000000000008-41a-41a;")
        );
        let (_, told) = header(by_cookie(false).told(None, 7, 1_000)).unwrap();
        assert!(!told.to_str().unwrap().contains("Max-Age"));
    }

    #[test]
    fn an_idle_session_ends_and_a_used_one_goes_on() {
        let name = HeaderName::from_static("x-session");
        let session = Session {
            bearer: Bearer::Header(name.clone()),
            longest: Some(Duration::from_secs(100)),
            idle: Some(Duration::from_secs(10)),
        };
        let (told, mut value) = header(session.told(None, 7, 1_000)).unwrap();
        assert_eq!(told, name);
        for now in [1_009, 1_018, 1_027] {
            let sent = HeaderMap::from_iter([(name.clone(), value)]);
            let known = session.token(&sent, now).unwrap();
            assert_eq!(session.token(&sent, now + 1), None);
            value = header(session.told(Some(known), 7, now)).unwrap().1;
            let used = session.token(&with(name.clone(), value.to_str().unwrap()), now);
            assert_eq!(session.told(used, 7, now), None);
        }
        // However much it is used, it began at 1,000.
        let text = value.to_str().unwrap();
        assert_eq!(text, "0000000000000007-3e8-403");
        let late = with(name, "0000000000000007-3e8-44b");
        assert!(session.token(&late, 1_099).is_some() && session.token(&late, 1_100).is_none());
    }

    #[test]
    fn what_is_no_token_is_none() {
        let name = HeaderName::from_static("x-session");
        let session = Session {
            bearer: Bearer::Header(name.clone()),
            longest: None,
            idle: None,
        };
        for text in ["", "7", "7-1", "7-1-x", "7-1-1-1", "10000000000000000-1-1"] {
            assert_eq!(session.token(&with(name.clone(), text), 1), None, "{text}");
        }
        assert_eq!(session.token(&HeaderMap::new(), 1), None);
    }

    #[test]
    fn a_cookie_is_for_the_paths_of_its_match() {
        let path = |text| PathMatch {
            text,
            ignore_case: false,
        };
        let whole = |text: &str| StringMatch::whole(text).unwrap();
        for (text, expected) in [
            (StringMatch::segments("/"), "/"),
            (StringMatch::segments("/shop/"), "/shop"),
            (StringMatch::Exact("/a/b".into()), "/a/b"),
            (whole("/p1/p2/.*/p3"), "/p1/p2"),
            (whole("/a/b?"), "/a"),
            (whole("/a|/b"), "/"),
            (whole("[a-z]+"), "/"),
            (StringMatch::Exact("/a;b".into()), "/"),
        ] {
            assert_eq!(covering(Some(&path(text.clone()))), expected, "{text:?}");
        }
        assert_eq!(covering(None), "/");
    }

    #[test]
    fn cookies_are_found_by_name() {
        let mut headers = with(COOKIE, "a=1; sid=\"s 1\"");
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(cookie(&headers, "sid"), Some("s 1"));
        assert_eq!(cookie(&headers, "b"), Some("2"));
        assert_eq!(cookie(&headers, "i"), None);
    }
}
