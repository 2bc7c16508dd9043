//! The names of files that hold the values of keys: the key itself, but for what file systems and people could take for something else.

use super::BucketError;

/// Bytes of a file's name on the file systems that there are.
const LONGEST: usize = 255;
/// Characters of a key that are told of it.
const TOLD: usize = 64;

/// The name of the file of a key.
pub(super) fn of(key: &str) -> Result<String, BucketError> {
    let fault = |fault| BucketError::Key {
        key: key.chars().take(TOLD).collect(),
        fault,
    };
    if key.is_empty() {
        return Err(fault("is empty"));
    }
    let mut name = String::with_capacity(key.len());
    for (at, byte) in key.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_=+@,".contains(&byte);
        // A name that begins with a dot is hidden, or a way out.
        if plain || (byte == b'.' && at > 0) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    match name.len() <= LONGEST {
        true => Ok(name),
        false => Err(fault(
            "is too long: at most 255 bytes, of which all but letters, digits and -_=+@,. count three",
        )),
    }
}

/// The key of a file's name, if it is the name of one.
pub(super) fn key(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    let key = String::from_utf8(bytes).ok()?;
    // Files that came by another way, under a name that no key has.
    (of(&key).ok()? == name).then_some(key)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_key_has_a_name_of_its_own_that_leads_nowhere_else() {
        for (key, name) in [
            ("visits", "visits"),
            ("user/42", "user%2F42"),
            ("..", "%2E."),
            ("../../etc", "%2E.%2F..%2Fetc"),
            (".hidden", "%2Ehidden"),
            ("100%", "100%25"),
            ("é", "%C3%A9"),
            ("a\0b", "a%00b"),
        ] {
            assert_eq!(of(key).unwrap(), name);
            assert_eq!(super::key(name).as_deref(), Some(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_what_is_no_name_is_passed_over() {
        assert!(of("").is_err());
        assert!(of(&"a".repeat(255)).is_ok());
        assert!(of(&"a".repeat(256)).is_err());
        assert!(of(&"/".repeat(86)).is_err());
        for strange in [".x", "a b", "%2f", "%", "%zz", "%FF", "a%41"] {
            assert_eq!(key(strange), None, "{strange}");
        }
    }
}
