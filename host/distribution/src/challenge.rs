//! `WWW-Authenticate`: what a registry wants to see before it answers. Pure.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password.
    Basic,
    /// A token of this service.
    Bearer {
        /// The URL that gives tokens.
        realm: String,
        /// For whom the token is.
        service: Option<String>,
        /// For what the token is.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the header; nothing if it asks for what is not known here.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let find = |name: &str| {
            let mut found = parameters.iter();
            found
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        Some(Self::Bearer {
            realm: find("realm")?,
            service: find("service"),
            scope: find("scope"),
        })
    }
}

/// `key="value, with commas",key=value`.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((key.trim().to_owned(), value.to_owned()));
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:web:pull,push""#;
        assert_eq!(
            Challenge::parse(header).unwrap(),
            Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: Some("registry.example".into()),
                scope: Some("repository:web:pull,push".into()),
            }
        );
        assert_eq!(
            Challenge::parse("basic realm=\"x\""),
            Some(Challenge::Basic)
        );
        for other in ["Negotiate", "Bearer service=x", ""] {
            assert_eq!(Challenge::parse(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_is_too_strange(text in ".{0,80}") {
            let _read = Challenge::parse(&text);
        }
    }
}
