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
    let known: Vec<&str> = served.iter().map(|resource| resource.plural).collect();
    bail!("{name}: no such resource; one of {}", known.join(", "))
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
}
