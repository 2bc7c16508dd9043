//! What an `image:` names. Pure.

use std::fmt::Write as _;

/// Where an image is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the store, under this name with a tag.
    Name(String),
    /// A file of the data directory.
    File(String),
    /// In the binary.
    Bundled(String),
    /// In a registry, by a reference that may have been imported under that name.
    Registry(String),
}

/// A name that no image can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not the name of an image: {reason}")]
pub struct InvalidName {
    name: String,
    reason: &'static str,
}

impl InvalidName {
    pub(super) fn new(name: &str, reason: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            reason,
        }
    }
}

/// Reads an `image:`.
pub(super) fn parse(image: &str) -> Result<Source, InvalidName> {
    if let Some(path) = image.strip_prefix("file://") {
        return Ok(Source::File(path.to_owned()));
    }
    if let Some(name) = image.strip_prefix("builtin://") {
        return Ok(Source::Bundled(name.to_owned()));
    }
    if let Some(name) = image.strip_prefix("oci://") {
        return Ok(Source::Registry(normal(name)?));
    }
    Ok(Source::Name(normal(image)?))
}

/// `[HOST[:PORT]/]PATH[:TAG]`, with the tag `latest` when there is none.
fn normal(name: &str) -> Result<String, InvalidName> {
    let refuse = |reason| Err(InvalidName::new(name, reason));
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > 255 {
        return refuse("it is longer than 255 characters");
    }
    let cut = name.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[cut..].find(':') {
        Some(colon) => (&name[..cut + colon], &name[cut + colon + 1..]),
        None => (name, "latest"),
    };
    let tag_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'@');
    if tag.is_empty() || !tag.bytes().all(tag_byte) {
        return refuse("a tag is made of letters, digits and `._-`");
    }
    let byte = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'_' | b'-' | b':' | b'@')
    };
    let part = |part: &str| {
        part.bytes().all(byte)
            && part
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_alphanumeric())
    };
    if !path.split('/').all(part) {
        return refuse("it is made of lowercase letters, digits and `._-` in parts divided by `/`");
    }
    Ok(format!("{path}:{tag}"))
}

/// The file name under which a name is kept.
pub(super) fn reference_file(name: &str) -> String {
    let mut file = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            file.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(file, "%{byte:02X}");
        }
    }
    file
}

/// The name that a file keeps; none for files that are not ours.
pub(super) fn from_reference_file(file: &str) -> Option<String> {
    if file.starts_with('.') {
        return None;
    }
    let mut parts = file.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(char::from(u8::from_str_radix(code, 16).ok()?));
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_get_a_tag() {
        assert_eq!(normal("web").unwrap(), "web:latest");
        assert_eq!(
            normal("localhost:5000/shop/web").unwrap(),
            "localhost:5000/shop/web:latest"
        );
        assert_eq!(normal("shop/web:v1.2").unwrap(), "shop/web:v1.2");
        for bad in ["", "Web", "a//b", "-a", "a b", "web:", "web:a b", "../x"] {
            assert!(normal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_give_the_name_back() {
        let name = "localhost:5000/shop/web:v1";
        assert_eq!(reference_file(name), "localhost%3A5000%2Fshop%2Fweb%3Av1");
        assert_eq!(from_reference_file(&reference_file(name)).unwrap(), name);
        assert_eq!(from_reference_file(".tmp"), None);
    }
}
