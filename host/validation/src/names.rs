//! The forms of names, with upstream's words for each that is broken.

use std::net::IpAddr;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
/// A name that may stand in a path: anything without `/` and `%`, but not `.` or `..`.
pub(super) fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let bad = ['/', '%']
        .into_iter()
        .filter(|letter| name.contains(*letter));
    bad.map(|letter| format!("may not contain '{letter}'"))
        .collect()
}

/// What a port number must be.
pub(super) const PORT: &str = "must be between 1 and 65535, inclusive";

/// DNS-1123 label: a namespace, a container.
pub(super) fn label(name: &str) -> Vec<String> {
    let fits = !name.is_empty() && lower(name) && edges(name);
    words(name, 63, fits, LABEL)
}

/// DNS-1123 subdomain: most names. What is wrong with one, in upstream's words.
pub fn subdomain(name: &str) -> Vec<String> {
    let fits = name
        .split('.')
        .all(|part| !part.is_empty() && lower(part) && edges(part));
    words(name, 253, fits, SUBDOMAIN)
}

/// DNS-1035 label: a service. What is wrong with one, in upstream's words.
pub fn label_1035(name: &str) -> Vec<String> {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase()) && lower(name) && edges(name);
    words(name, 63, fits, LABEL_1035)
}

/// Value of a label.
pub(super) fn label_value(value: &str) -> Vec<String> {
    words(value, 63, mixed(value) && edges(value), LABEL_VALUE)
}

/// Key of a label or annotation, name of a finalizer or resource: `[prefix/]name`.
pub fn qualified(name: &str) -> Vec<String> {
    let (prefix, rest) = match name.split_once('/') {
        None => (None, name),
        Some((_, rest)) if rest.contains('/') => {
            return vec![format!(
                "a qualified name {}",
                NAME_PART.trim_start_matches("name part ")
            )];
        }
        Some((prefix, rest)) => (Some(prefix), rest),
    };
    let mut found = Vec::new();
    match prefix {
        Some("") => found.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => found.extend(
            subdomain(prefix)
                .iter()
                .map(|words| format!("prefix part {words}")),
        ),
        None => {}
    }
    if rest.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else if rest.len() > 63 {
        found.push("name part must be no more than 63 bytes".to_owned());
    }
    if !mixed(rest) || !edges(rest) {
        found.push(NAME_PART.to_owned());
    }
    found
}

/// Key of a ConfigMap or Secret.
pub(super) fn config_key(key: &str) -> Vec<String> {
    let fits = !key.is_empty() && mixed(key);
    let mut found = words(key, 253, fits, CONFIG_KEY);
    if key == "." || key == ".." || key.starts_with("..") {
        found.push("a valid config key must not be '.' or start with '..'".to_owned());
    }
    found
}

/// Name of an environment variable.
pub(super) fn variable(name: &str) -> Vec<String> {
    let fits = name.chars().all(|c| (' '..='~').contains(&c) && c != '=');
    let rule = "a valid environment variable name must consist only of printable ASCII characters other than '='";
    if fits {
        Vec::new()
    } else {
        vec![rule.to_owned()]
    }
}

/// Name of a port (IANA service name).
pub(super) fn port(name: &str) -> Vec<String> {
    let rules: [(bool, &str); 5] = [
        (name.len() <= 15, "must be no more than 15 bytes"),
        (
            lower(name),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            name.contains(|c: char| c.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (!name.contains("--"), "must not contain consecutive hyphens"),
        (
            !name.starts_with('-') && !name.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ];
    rules
        .iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, words)| (*words).to_owned())
        .collect()
}

/// An IP address.
pub(super) fn ip(text: &str) -> Vec<String> {
    match text.parse::<IpAddr>() {
        Ok(_) => Vec::new(),
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

/// A host of the mesh: a DNS name, perhaps with `*` or `*.` in front.
pub(super) fn host(text: &str) -> Vec<String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let lowered = name.to_ascii_lowercase();
    if text == "*"
        || (!name.is_empty() && subdomain(&lowered).is_empty())
        || text.parse::<IpAddr>().is_ok()
    {
        return Vec::new();
    }
    vec!["must be a DNS name, an IP address, *, or *. and a DNS name".to_owned()]
}

fn words(name: &str, most: usize, fits: bool, rule: &str) -> Vec<String> {
    let mut found = Vec::new();
    if name.len() > most {
        found.push(format!("must be no more than {most} bytes"));
    }
    if !fits {
        found.push(rule.to_owned());
    }
    found
}

fn lower(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn mixed(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Begins and ends with a letter or digit, or is empty.
fn edges(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    edge(text.as_bytes().first()) && edge(text.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_names() {
        type Rule = fn(&str) -> Vec<String>;
        let cases: [(Rule, &[&str], &[&str]); 8] = [
            (
                label,
                &["a", "a-1", "1a"],
                &["", "A", "-a", "a-", "a.b", "a_b", "ä"],
            ),
            (
                subdomain,
                &["a.b-c.d", "1"],
                &["", ".a", "a..b", "a.", "a-.b", "A"],
            ),
            (label_1035, &["a", "a1"], &["1a", "", "a-"]),
            (label_value, &["", "A_b.c-1"], &["-a", "a b", "a/"]),
            (
                qualified,
                &["a", "x.io/A_b"],
                &["", "/a", "x/", "a/b/c", "X.io/a"],
            ),
            (config_key, &["a.b", ".x", "A_"], &["", "..", "..a", "a/b"]),
            (
                port,
                &["http", "a-1"],
                &["1", "A", "a--b", "-a", "abcdefghijklmnop"],
            ),
            (
                host,
                &["*", "*.a.b", "reviews", "10.0.0.1", "Example.COM"],
                &["", "*a", "a b", "*."],
            ),
        ];
        for (rule, good, bad) in cases {
            good.iter()
                .for_each(|name| assert_eq!(rule(name), Vec::<String>::new(), "{name}"));
            bad.iter()
                .for_each(|name| assert!(!rule(name).is_empty(), "{name}"));
        }
        assert_eq!(label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
    }
}
