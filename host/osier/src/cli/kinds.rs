//! Which kind a word or a manifest means: one of ours, or one that the server's users defined.

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
    let plurals = kinds
        .iter()
        .map(|kind| (edits(kind.plural, word), kind.plural));
    let allowed = (word.len() / 3).clamp(1, 3);
    let (edits, nearest) = plurals.min()?;
    (edits <= allowed).then_some(nearest)
}

/// How many letters have to be put in, taken out or replaced to make one word of the other.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = place + 1;
        for (column, second) in other.chars().enumerate() {
            let replaced = corner + usize::from(letter != second);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
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
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
