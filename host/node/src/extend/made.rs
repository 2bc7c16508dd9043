//! What a compiled policy was made of, so that it is compiled again when that changes.

use osier_api::Object;
use osier_policy::Unavailable;

/// Which state of a Plugin object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: String,
    pub(super) generation: i64,
}

/// Which plugin it is, by its place in memory, or why there is none.
pub(super) type Identity = Result<usize, Unavailable>;

/// What a compiled policy depends on: the object's state, and what its plugins were.
#[derive(PartialEq)]
pub(super) struct Made {
    pub(super) version: Version,
    /// Which manifests its expressions may name.
    pub(super) spoken: Vec<(String, Version)>,
    pub(super) plugins: Vec<Identity>,
    /// The plugin that is rolled out.
    pub(super) canary: Option<Identity>,
}

impl Made {
    /// All plugins were there.
    pub(super) fn is_whole(&self) -> bool {
        self.plugins.iter().all(Result::is_ok)
    }

    /// Nothing differs from `before` but that plugins are no longer there.
    pub(super) fn only_lost(&self, before: &Self) -> bool {
        let same = |(now, then): (&Identity, &Identity)| match (now, then) {
            (Err(_), Ok(_)) => true,
            (now, then) => now == then,
        };
        self.version == before.version
            && self.spoken == before.spoken
            && self.canary == before.canary
            && self.plugins.len() == before.plugins.len()
            && self.plugins.iter().zip(&before.plugins).all(same)
    }
}

impl Version {
    pub(super) fn of(object: &Object) -> Self {
        Self {
            uid: object.uid().to_owned(),
            generation: object.generation(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_kept_only_while_its_plugins_are_gone() {
        let made = |generation, plugins: &[Result<usize, &str>]| Made {
            spoken: Vec::new(),
            canary: None,
            version: Version {
                uid: "u".to_owned(),
                generation,
            },
            plugins: plugins
                .iter()
                .map(|plugin| {
                    plugin.map_err(|reason| Unavailable {
                        reason: reason.to_owned(),
                        failure: osier_policy::FailurePolicy::Fail,
                    })
                })
                .collect(),
        };
        let before = made(1, &[Ok(7), Ok(8)]);
        assert!(made(1, &[Ok(7), Err("gone")]).only_lost(&before));
        assert!(
            !made(1, &[Ok(7), Ok(9)]).only_lost(&before),
            "another version of a plugin"
        );
        assert!(
            !made(2, &[Ok(7), Err("gone")]).only_lost(&before),
            "another version of the policy"
        );
        assert!(!made(1, &[Ok(7)]).only_lost(&before));
    }
}
