//! The four kinds of lists.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use osier_plugin::serde::Deserialize;
use regex_lite::Regex;

/// How entries are compared; the names are Mixer's.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(crate = "osier_plugin::serde", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Kind {
    /// Equal strings.
    #[default]
    Strings,
    /// Strings equal but for the case of ASCII letters.
    CaseInsensitiveStrings,
    /// Addresses and CIDR ranges.
    IpAddresses,
    /// Patterns that match the whole value.
    Regex,
}

/// Entries, ready to be asked.
pub(crate) enum Entries {
    Exact(BTreeSet<String>),
    Folded(BTreeSet<String>),
    Nets(Vec<IpNet>),
    Patterns(Vec<Regex>),
}

impl Entries {
    /// Reads the entries; the error begins with the place of a wrong one, such as `[3]`.
    pub(crate) fn new(kind: Kind, entries: Vec<String>) -> Result<Self, String> {
        Ok(match kind {
            Kind::Strings => Self::Exact(entries.into_iter().collect()),
            Kind::CaseInsensitiveStrings => Self::Folded(
                entries
                    .iter()
                    .map(|entry| entry.to_ascii_lowercase())
                    .collect(),
            ),
            Kind::IpAddresses => Self::Nets(each(&entries, |entry| {
                let whole = entry.parse::<IpAddr>().map(IpNet::from);
                whole.ok().or_else(|| entry.parse().ok()).ok_or_else(|| {
                    format!("`{entry}` is neither an address nor a range such as 10.0.0.0/8")
                })
            })?),
            Kind::Regex => Self::Patterns(each(&entries, |entry| {
                Regex::new(&format!("^(?:{entry})$"))
                    .map_err(|error| format!("`{entry}` is not a regular expression: {error}"))
            })?),
        })
    }

    /// True if the value is on the list.
    pub(crate) fn contains(&self, value: &str) -> bool {
        match self {
            Self::Exact(entries) => entries.contains(value),
            Self::Folded(entries) => entries.contains(&value.to_ascii_lowercase()),
            Self::Nets(nets) => value
                .parse::<IpAddr>()
                .is_ok_and(|ip| nets.iter().any(|net| net.contains(&ip.to_canonical()))),
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(value)),
        }
    }
}

fn each<T>(entries: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let numbered = entries.iter().enumerate();
    numbered
        .map(|(place, entry)| read(entry).map_err(|error| format!("[{place}]: {error}")))
        .collect()
}
