//! Where a plugin may call: scheme, host and port (RFC 6454).

use http::Uri;

/// An origin, with its port written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `http[s]://HOST[:PORT]`.
    pub(super) fn read(text: &str) -> Option<Self> {
        Self::of(&text.parse().ok()?)
    }

    /// The origin of a URL; none of what is no absolute URL of HTTP, or says who calls.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        (!host.is_empty()).then_some(Self { secure, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_scheme_and_hosts_know_no_case() {
        let same =
            |a: &str, b: &str| Origin::read(a).is_some() && Origin::read(a) == Origin::read(b);
        assert!(same("http://a.example", "http://A.example.:80/x?y"));
        assert!(same("https://a.example", "https://a.example:443/"));
        assert!(!same("http://a.example", "https://a.example"));
        assert!(!same("http://a.example", "http://a.example:8080"));
        assert!(!same("http://a.example", "http://b.a.example"));
        for none in [
            "a.example",
            "/x",
            "ftp://a.example",
            "http://a@b.example",
            "http://",
        ] {
            assert_eq!(Origin::read(none), None, "{none}");
        }
    }
}
