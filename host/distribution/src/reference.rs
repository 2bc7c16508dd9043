//! `HOST[:PORT]/PATH[:TAG][@DIGEST]`: where an image is in a registry. Pure.

use std::fmt;

/// The place of an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host and, if it is not the usual one, port.
    pub registry: String,
    /// The path within it.
    pub repository: String,
    /// The tag; `latest` when neither it nor a digest is given.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits, of the manifest.
    pub digest: Option<String>,
}

/// Text that names no image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no image in a registry: {reason}")]
pub struct BadReference {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// Whether a name begins with a registry, by the rule that Docker made: its first part has a dot, a port, or is `localhost`.
    #[must_use]
    pub fn names_registry(name: &str) -> bool {
        name.split_once('/').is_some_and(|(first, _)| {
            first == "localhost" || first.contains('.') || first.contains(':')
        })
    }

    /// Reads a reference, with or without `oci://`.
    ///
    /// # Errors
    /// [`BadReference`] says which part is missing or wrong.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let refuse = |reason| BadReference {
            text: text.to_owned(),
            reason,
        };
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (rest, None),
        };
        if digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
            return Err(refuse(
                "after `@` comes `sha256:` and 64 hexadecimal digits",
            ));
        }
        if !text.starts_with("oci://") && !Self::names_registry(rest) {
            return Err(refuse(
                "it begins with no host; write it like registry.example/shop/web:1",
            ));
        }
        let (registry, path) = rest.split_once('/').ok_or_else(|| {
            refuse("it begins with no host; write it like registry.example/shop/web:1")
        })?;
        let cut = path.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match path[cut..].find(':') {
            Some(colon) => (&path[..cut + colon], Some(&path[cut + colon + 1..])),
            None => (path, digest.is_none().then_some("latest")),
        };
        if !is_host(registry) {
            return Err(refuse("the host is not one"));
        }
        if !repository.split('/').all(is_part) {
            return Err(refuse(
                "the path is made of lowercase letters, digits and `._-` in parts divided by `/`",
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse(
                "a tag is made of at most 128 letters, digits and `._-`",
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// What is asked for in a path of the API: the digest if there is one, for it cannot move.
    #[must_use]
    pub fn version(&self) -> &str {
        self.digest
            .as_deref()
            .or(self.tag.as_deref())
            .unwrap_or("latest")
    }

    /// The same repository at another tag.
    #[must_use]
    pub fn at(&self, tag: &str) -> Self {
        Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether this is `sha256:` and 64 lowercase hexadecimal digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

fn is_host(text: &str) -> bool {
    text.parse::<http::uri::Authority>()
        .is_ok_and(|authority| !authority.host().is_empty() && !text.contains('@'))
}

fn is_part(part: &str) -> bool {
    let byte = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    part.bytes().all(byte)
        && part
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
}

fn is_tag(tag: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !tag.is_empty() && tag.len() <= 128 && tag.bytes().all(byte) && !tag.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_of_all_forms_are_read() {
        let read = |text: &str| Reference::parse(text).unwrap().to_string();
        assert_eq!(read("oci://ghcr.io/shop/web"), "ghcr.io/shop/web:latest");
        assert_eq!(read("localhost:5000/web:v1"), "localhost:5000/web:v1");
        let pinned = format!("ghcr.io/web@{DIGEST}");
        assert_eq!(read(&pinned), pinned);
        let both = Reference::parse(&format!("ghcr.io/web:1@{DIGEST}")).unwrap();
        assert_eq!(both.version(), DIGEST);
        assert_eq!(
            Reference::parse("[::1]:5000/web").unwrap().registry,
            "[::1]:5000"
        );
        for bad in [
            "web",
            "shop/web:1",
            "a.b/",
            "a.b/X",
            "a.b/x:",
            "a.b/x@sha256:12",
            "a.b/../x",
            "u@a.b/x",
            "",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in "[a-z.:/@0-9\\[\\]-]{0,40}") {
            if let Ok(reference) = Reference::parse(&format!("oci://{text}")) {
                let again = Reference::parse(&format!("oci://{reference}")).unwrap();
                prop_assert_eq!(again, reference);
            }
        }
    }
}
