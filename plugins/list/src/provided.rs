//! The part of a list that is kept elsewhere: a document that the host fetches again and again.

use std::cell::RefCell;
use std::time::Duration;

use osier_plugin::http::{Document, Error};
use osier_plugin::{Period, serde_json};

use crate::Config;
use crate::entries::{Entries, Kind};

/// As in Mixer.
const REFRESH: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(300);

/// A list at a URL.
pub(crate) struct Provided {
    document: Document,
    kind: Kind,
    read: RefCell<Read>,
}

/// What was read last.
#[derive(Default)]
struct Read {
    revision: u64,
    /// None until there was a list that can be read.
    entries: Option<Entries>,
    /// Why the last one cannot be read.
    fault: Option<String>,
}

impl Provided {
    /// The list of a configuration, if it names one. It is fetched now, so that the first question finds it; if that fails, the host tries on.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, String> {
        let Some(url) = &config.provider_url else {
            let needless = [
                ("refreshInterval", config.refresh_interval),
                ("ttl", config.ttl),
            ];
            let needless = needless.iter().find(|(_, given)| given.is_some());
            return match needless {
                Some((field, _)) => Err(format!("{field}: goes with providerUrl only")),
                None => Ok(None),
            };
        };
        let time = |given: Option<Period>, usual| given.map_or(usual, |Period(time)| time);
        let refresh = time(config.refresh_interval, REFRESH);
        let ttl = time(config.ttl, TTL.max(refresh * 5));
        if ttl < refresh {
            return Err(
                "ttl: must not be shorter than refreshInterval, or the list is often gone".into(),
            );
        }
        let provided = Self {
            document: Document::new(url, refresh, Some(ttl)),
            kind: config.kind,
            read: RefCell::default(),
        };
        match provided.refresh() {
            Err(error @ (Error::NotGranted | Error::Invalid)) => {
                Err(format!("providerUrl: {url}: {error}"))
            }
            _ => Ok(Some(provided)),
        }
    }

    /// Whether the value is on the list as it was fetched last.
    pub(crate) fn contains(&self, value: &str) -> Result<bool, String> {
        self.refresh()
            .map_err(|error| format!("the list cannot be had: {error}"))?;
        let read = self.read.borrow();
        match (&read.entries, &read.fault) {
            (Some(entries), _) => Ok(entries.contains(value)),
            (None, fault) => Err(format!(
                "the list cannot be read: {}",
                fault.as_deref().unwrap_or("it was never fetched")
            )),
        }
    }

    /// Reads a newer list, if there is one. One that cannot be read leaves the one before in force.
    fn refresh(&self) -> Result<(), Error> {
        let mut read = self.read.borrow_mut();
        let Some((revision, bytes)) = self.document.newer_than(read.revision)? else {
            return Ok(());
        };
        read.revision = revision;
        match lines(&bytes).and_then(|lines| Entries::new(self.kind, lines)) {
            Ok(entries) => (read.entries, read.fault) = (Some(entries), None),
            Err(fault) => read.fault = Some(fault),
        }
        Ok(())
    }
}

/// The entries of a document: a JSON array of texts, or one entry a line; lines that begin with `#` say nothing.
fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_lines_or_json() {
        let list = |text: &str| lines(text.as_bytes());
        let both = Ok(vec!["a".to_owned(), "b c".to_owned()]);
        assert_eq!(list("# people\r\na\r\n\r\n  b c  \n"), both);
        assert_eq!(list(" [\"a\", \"b c\"]"), both);
        assert!(list("[1]").is_err() && lines(&[0xff]).is_err());
        assert_eq!(list(""), Ok(Vec::new()));
    }
}
