//! Which kind a word or a manifest means: one of ours, or one that the server's users defined.

use crate::words;
use anyhow::bail;
use osier_api::{Resource, resources};
use osier_client::Client;

/// Every kind that the server has: ours, and those that its users defined.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn served(client: &Client) -> anyhow::Result<Vec<&'static Resource>> {
    let custom = client.custom_kinds().await?;
    Ok([resources::all(), &custom].concat())
}

/// The kind of this name: plural, singular or short, and with its group behind a dot if it says one. The server is asked
/// only for names that are none of ours.
///
/// # Errors
/// When there is no such kind, or the server does not answer.
pub(super) async fn named(client: &Client, name: &str) -> anyhow::Result<&'static Resource> {
    if let Some(found) = among(resources::all(), name) {
        return Ok(found);
    }
    let served = served(client).await?;
    if let Some(found) = among(&served, name) {
        return Ok(found);
    }
    // As kubectl says it, and then what may have been meant.
    let told = format!("the server doesn't have a resource type {name:?}");
    match nearest(&served, name) {
        Some(near) => bail!("{told}; did you mean {near}?"),
        None => bail!("{told}; `kubectl api-resources` lists what it has"),
    }
}

/// The plural that differs the least from a word, if it differs by little.
fn nearest(kinds: &[&'static Resource], word: &str) -> Option<&'static str> {
    words::nearest(kinds.iter().map(|kind| kind.plural), word)
}

fn among(kinds: &[&'static Resource], name: &str) -> Option<&'static Resource> {
    let (word, group) = match name.split_once('.') {
        Some((word, group)) => (word, Some(group)),
        None => (name, None),
    };
    let matches = |found: &&&'static Resource| {
        let called =
            found.plural == word || found.singular == word || found.short_names.contains(&word);
        called && group.is_none_or(|group| found.group == group)
    };
    kinds.iter().find(matches).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_people_do() {
        let plural = |name: &str| among(resources::all(), name).map(|resource| resource.plural);
        for name in ["pods", "pod", "po"] {
            assert_eq!(plural(name), Some("pods"));
        }
        assert_eq!(plural("deployment.apps"), Some("deployments"));
        assert_eq!(plural("deployment.batch"), None);
    }

    #[test]
    fn a_word_that_is_nearly_right_is_guessed() {
        let guess = |word: &str| nearest(resources::all(), word);
        assert_eq!(guess("deploymnets"), Some("deployments"));
        assert_eq!(guess("podss"), Some("pods"));
        assert_eq!(guess("widgets"), None);
    }
}
