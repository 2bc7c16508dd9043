//! Where an etcd is, as people write it: `etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX]`.

use std::fmt;
use std::str::FromStr;

use http::uri::Authority;

/// etcd's port for clients.
const PORT: u16 = 2379;
/// Below what all keys lie, unless it is said.
const PREFIX: &str = "osier";
const SCHEME: &str = "etcd://";

/// The members of a cluster, and the part of its keys that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Host and port of each.
    pub members: Vec<Authority>,
    /// What every key begins with, without slashes at its ends.
    pub prefix: String,
}

/// A text is no such place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no etcd: {reason}; write etcd://HOST[:PORT] and further members behind commas, such as etcd://10.0.0.1,10.0.0.2,10.0.0.3"
)]
pub struct BadLocation {
    text: String,
    reason: String,
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        let bad = |reason: String| BadLocation {
            text: text.to_owned(),
            reason,
        };
        let places = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| bad(format!("it does not begin with {SCHEME}")))?;
        let (places, prefix) = places.split_once('/').unwrap_or((places, PREFIX));
        let prefix = prefix.trim_matches('/');
        if prefix.is_empty() {
            return Err(bad("the prefix of its keys is empty".to_owned()));
        }
        let member = |place: &str| {
            let authority = Authority::from_str(place);
            let authority = authority.ok().filter(|found| !found.host().is_empty());
            let authority = authority.filter(|found| !found.as_str().contains('@'));
            let found = authority.ok_or_else(|| bad(format!("{place:?} is no host")))?;
            match found.port_u16() {
                Some(_) => Ok(found),
                None => Authority::from_str(&format!("{}:{PORT}", found.host()))
                    .map_err(|error| bad(error.to_string())),
            }
        };
        let members: Result<Vec<_>, _> = places.split(',').map(member).collect();
        Ok(Self {
            members: members?,
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(SCHEME)?;
        for (place, member) in self.members.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(formatter, "{comma}{member}")?;
        }
        if self.prefix != PREFIX {
            write!(formatter, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn members_ports_and_prefix_are_read() {
        let read: Location = "etcd://a,10.0.0.2:4000,[::1]".parse().unwrap();
        let members: Vec<_> = read.members.iter().map(Authority::as_str).collect();
        assert_eq!(members, ["a:2379", "10.0.0.2:4000", "[::1]:2379"]);
        assert_eq!(read.prefix, "osier");
        let read: Location = "etcd://a:1/clusters/two/".parse().unwrap();
        assert_eq!(read.prefix, "clusters/two");
        assert_eq!(read.to_string(), "etcd://a:1/clusters/two");
    }

    #[test]
    fn what_is_no_etcd_is_told() {
        for text in ["sled", "etcd://", "etcd://a,,b", "etcd://u@h", "etcd://a/"] {
            let told = text.parse::<Location>().unwrap_err().to_string();
            assert!(
                told.contains(&format!("{text:?}")) && told.contains("10.0.0.1"),
                "{told}"
            );
        }
    }
}
