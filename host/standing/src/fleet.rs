//! What nodes say of a plugin or a policy, each of itself and all together.
//!
//! An object is in force when every node has it in force: a policy that some node does not enforce yet is never reported as enforced.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// Names that a message lists; the rest is counted.
const LISTED: usize = 5;
/// The reason of what is in force.
const IN_FORCE: &str = "InForce";

/// The nodes on which an object has to be in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Those that must have said so.
    pub awaited: BTreeSet<String>,
    /// Those that are not ready: nobody waits for their word, and an old one does not count.
    pub away: BTreeSet<String>,
    /// Others whose word counts when they give it: proxies beside workloads.
    pub beside: BTreeSet<String>,
}

/// What one node says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The spec's generation that it speaks of.
    pub generation: i64,
    /// The object is in force there.
    pub holds: bool,
    /// Why, or why not, in one word.
    pub reason: String,
    /// The same for people; empty if there is nothing to say.
    pub message: String,
    /// How the rollout of another version of the plugin goes there: the reason, and the words for people.
    pub rollout: Option<(String, String)>,
}

/// A condition: whether it holds, why in one word, and for people.
pub type Told = (bool, String, String);

/// How a policy stands on one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyHere<'a> {
    /// Some version of it decides.
    pub in_force: bool,
    /// That version is not the newest, because a plugin of the newest is still being loaded.
    pub before: bool,
    /// What is wrong with the newest version.
    pub faults: &'a [String],
    /// Plugins that cannot be asked, each with its reason.
    pub missing: &'a [String],
    /// All of those are being loaded.
    pub loading: bool,
    /// For how many seconds plugins that went away decide on as they were.
    pub kept: Option<u64>,
}

impl Fleet {
    /// Whether there is such a node, or a proxy of that name.
    #[must_use]
    pub fn has(&self, node: &str) -> bool {
        [&self.awaited, &self.away, &self.beside]
            .iter()
            .any(|names| names.contains(node))
    }
}

impl PolicyHere<'_> {
    /// What the node says of it.
    #[must_use]
    pub fn word(&self, generation: i64) -> Word {
        let (faults, missing) = (self.faults.join("; "), self.missing.join("; "));
        let absent = match self.loading {
            true => "PluginLoading",
            false => "PluginUnavailable",
        };
        let (reason, message) = match (faults.is_empty(), missing.is_empty()) {
            (true, true) => (IN_FORCE, String::new()),
            (true, false) => (absent, format!("{missing}; {}", self.meanwhile())),
            (false, _) if self.in_force => (
                "Invalid",
                format!("{faults}; the version before stays in force"),
            ),
            (false, _) => ("Invalid", faults),
        };
        Word {
            generation,
            holds: reason == IN_FORCE,
            reason: reason.to_owned(),
            message,
            rollout: None,
        }
    }

    /// What happens to calls while plugins are missing.
    fn meanwhile(&self) -> String {
        match (self.before, self.kept) {
            (true, _) => "the version before stays in force".to_owned(),
            (false, Some(seconds)) => format!(
                "the version that was there decides on for {seconds} s, then calls go by the failure policy"
            ),
            (false, None) => "calls go by the failure policy".to_owned(),
        }
    }
}

impl Word {
    /// As it stands in `Policy.status.nodes`, by the name of the node.
    #[must_use]
    pub fn written(&self) -> Value {
        let mut written = json!({"observedGeneration": self.generation, "state": self.reason});
        // A patch takes away what is null.
        written["message"] = match self.message.as_str() {
            "" => Value::Null,
            message => message.into(),
        };
        written["rollout"] = self.rollout.as_ref().map_or(
            Value::Null,
            |(reason, message)| json!({"state": reason, "message": message}),
        );
        written
    }

    /// The words in `Policy.status.nodes`.
    #[must_use]
    pub fn of_policy(nodes: Option<&Value>) -> BTreeMap<String, Self> {
        let nodes = nodes.and_then(Value::as_object).into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let word = |written: &Value| Self {
            generation: written["observedGeneration"].as_i64().unwrap_or_default(),
            holds: written["state"] == IN_FORCE,
            reason: text(&written["state"]),
            message: text(&written["message"]),
            rollout: written["rollout"].as_object().map(|rollout| {
                let field = |name: &str| rollout.get(name).map(text).unwrap_or_default();
                (field("state"), field("message"))
            }),
        };
        nodes
            .map(|(node, written)| (node.clone(), word(written)))
            .collect()
    }

    /// The words in `Plugin.status.nodes`.
    #[must_use]
    pub fn of_plugin(nodes: &[Value]) -> BTreeMap<String, Self> {
        let word = |written: &Value| {
            let holds = written["state"] == "Ready";
            let error = written["error"].as_str().unwrap_or_default();
            let (reason, message) = match written["state"].as_str() {
                Some("Ready") => ("Loaded", String::new()),
                Some("Failed") if written["digest"].is_string() => (
                    "LoadFailed",
                    format!("{error}; the version before serves on"),
                ),
                Some("Failed") => ("LoadFailed", error.to_owned()),
                _ => ("Loading", "it is being loaded".to_owned()),
            };
            Self {
                generation: written["observedGeneration"].as_i64().unwrap_or_default(),
                holds,
                reason: reason.to_owned(),
                message,
                rollout: None,
            }
        };
        let named = |written: &Value| Some((written["node"].as_str()?.to_owned(), word(written)));
        nodes.iter().filter_map(named).collect()
    }
}

/// What all nodes say together of a generation: it holds if all of them say so. `waiting` is the reason while some have said nothing yet.
#[must_use]
pub fn together(
    generation: i64,
    fleet: &Fleet,
    words: &BTreeMap<String, Word>,
    waiting: &str,
) -> Told {
    let spoken: BTreeMap<&str, &Word> = counted(generation, fleet, words).collect();
    let silent = fleet
        .awaited
        .iter()
        .filter(|node| !spoken.contains_key(node.as_str()));
    let silent: Vec<&str> = silent.map(String::as_str).collect();
    let alone = fleet.awaited.len() + fleet.beside.len() <= 1;
    let failing = || spoken.iter().filter(|(_, word)| !word.holds);
    let Some((_, gravest)) = failing().min_by_key(|(_, word)| gravity(&word.reason)) else {
        if !silent.is_empty() {
            let message = format!("not yet in force on {}", listed(&silent));
            return (false, waiting.to_owned(), message);
        }
        let reason = spoken.values().next().map(|word| word.reason.clone());
        return (true, reason.unwrap_or_default(), without(fleet));
    };
    let mut said = BTreeMap::<&str, Vec<&str>>::new();
    for (node, word) in failing() {
        said.entry(&word.message).or_default().push(node);
    }
    let mut parts: Vec<String> = said
        .iter()
        .map(|(message, nodes)| match alone {
            true => (*message).to_owned(),
            false => format!("on {}: {message}", listed(nodes)),
        })
        .collect();
    if !silent.is_empty() {
        parts.push(format!("not yet in force on {}", listed(&silent)));
    }
    (false, gravest.reason.clone(), parts.join("; "))
}

/// How a rollout goes where it goes worst.
#[must_use]
pub fn rollout<'w>(
    generation: i64,
    fleet: &Fleet,
    words: &'w BTreeMap<String, Word>,
) -> Option<&'w (String, String)> {
    let told = counted(generation, fleet, words).filter_map(|(_, word)| word.rollout.as_ref());
    told.min_by_key(|(reason, _)| match reason.as_str() {
        "Aborted" => 0,
        "Progressing" => 2,
        _ => 1,
    })
}

/// The words that count.
fn counted<'w>(
    generation: i64,
    fleet: &Fleet,
    words: &'w BTreeMap<String, Word>,
) -> impl Iterator<Item = (&'w str, &'w Word)> {
    let counts = move |(node, word): &(&String, &Word)| {
        let here = fleet.awaited.contains(*node) || fleet.beside.contains(*node);
        here && word.generation == generation
    };
    let counted: Vec<_> = words.iter().filter(counts).collect();
    counted
        .into_iter()
        .map(|(node, word)| (node.as_str(), word))
}

/// What is worse comes first: what stays so until somebody does something, then what passes.
fn gravity(reason: &str) -> u8 {
    match reason {
        "Invalid" => 0,
        "PluginLoading" | "Loading" => 2,
        _ => 1,
    }
}

fn listed(nodes: &[&str]) -> String {
    let names = nodes[..nodes.len().min(LISTED)].join(", ");
    match nodes.len().saturating_sub(LISTED) {
        0 if nodes.len() == 1 => format!("node {names}"),
        0 => format!("nodes {names}"),
        more => format!("nodes {names} and {more} more"),
    }
}

/// Whom nobody asked.
fn without(fleet: &Fleet) -> String {
    let away: Vec<&str> = fleet.away.iter().map(String::as_str).collect();
    match away.as_slice() {
        [] => String::new(),
        away => format!("without {}, which is not ready", listed(away)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn word(generation: i64, reason: &str, message: &str) -> Word {
        Word {
            generation,
            holds: reason == IN_FORCE,
            reason: reason.to_owned(),
            message: message.to_owned(),
            rollout: None,
        }
    }

    fn words(said: &[(&str, Word)]) -> BTreeMap<String, Word> {
        let owned = |(node, word): &(&str, Word)| ((*node).to_owned(), word.clone());
        said.iter().map(owned).collect()
    }

    fn fleet(awaited: &[&str], away: &[&str]) -> Fleet {
        Fleet {
            awaited: names(awaited),
            away: names(away),
            beside: BTreeSet::new(),
        }
    }

    fn told(fleet: &Fleet, said: &[(&str, Word)]) -> (bool, String, String) {
        together(2, fleet, &words(said), "Pending")
    }

    #[test]
    fn what_one_node_has_not_is_not_in_force() {
        let two = fleet(&["a", "b"], &[]);
        let here = ("a", word(2, IN_FORCE, ""));
        let (holds, reason, message) = told(&two, std::slice::from_ref(&here));
        assert_eq!((holds, reason.as_str()), (false, "Pending"));
        assert_eq!(message, "not yet in force on node b");
        // A word about an older generation is none.
        let old = ("b", word(1, IN_FORCE, ""));
        assert!(!told(&two, &[here.clone(), old]).0);
        let loading = (
            "b",
            word(2, "PluginLoading", "plugin p: it is being loaded"),
        );
        let (holds, reason, message) = told(&two, &[here.clone(), loading]);
        assert_eq!((holds, reason.as_str()), (false, "PluginLoading"));
        assert_eq!(message, "on node b: plugin p: it is being loaded");
        assert!(told(&two, &[here, ("b", word(2, IN_FORCE, ""))]).0);
    }

    #[test]
    fn a_node_that_is_away_keeps_nothing_from_being_in_force() {
        let one = fleet(&["a"], &["b"]);
        let said = [
            ("a", word(2, IN_FORCE, "")),
            ("b", word(2, "PluginLoading", "x")),
        ];
        let (holds, reason, message) = told(&one, &said);
        assert!(holds && reason == IN_FORCE);
        assert_eq!(message, "without node b, which is not ready");
    }

    #[test]
    fn the_gravest_reason_leads_and_nodes_that_say_the_same_are_one() {
        let three = fleet(&["a", "b", "c"], &[]);
        let gone = || word(2, "PluginUnavailable", "plugin p: no image");
        let said = [
            (
                "a",
                word(2, "PluginLoading", "plugin p: it is being loaded"),
            ),
            ("b", gone()),
            ("c", gone()),
        ];
        let (holds, reason, message) = told(&three, &said);
        assert_eq!((holds, reason.as_str()), (false, "PluginUnavailable"));
        assert!(
            message.contains("on nodes b, c: plugin p: no image"),
            "{message}"
        );
    }

    #[test]
    fn a_node_alone_is_not_named() {
        let (_, _, message) = told(
            &fleet(&["a"], &[]),
            &[("a", word(2, "Invalid", "spec.match: x"))],
        );
        assert_eq!(message, "spec.match: x");
    }

    #[test]
    fn a_rollout_goes_as_it_goes_where_it_goes_worst() {
        let with = |reason: &str| Word {
            rollout: Some((reason.to_owned(), String::new())),
            ..word(2, IN_FORCE, "")
        };
        let said = words(&[("a", with("Progressing")), ("b", with("Aborted"))]);
        let two = fleet(&["a", "b"], &[]);
        assert_eq!(
            rollout(2, &two, &said).map(|(reason, _)| reason.as_str()),
            Some("Aborted")
        );
        assert_eq!(rollout(3, &two, &said), None);
    }

    #[test]
    fn words_are_read_as_they_were_written() {
        let said = Word {
            rollout: Some(("Progressing".to_owned(), "5%".to_owned())),
            ..word(3, "PluginUnavailable", "plugin p: no image")
        };
        let nodes = json!({"a": said.written()});
        assert_eq!(Word::of_policy(Some(&nodes)).get("a"), Some(&said));
        let failed =
            json!([{"node": "a", "state": "Failed", "error": "no image", "observedGeneration": 3}]);
        let words = Word::of_plugin(failed.as_array().map_or(&[], Vec::as_slice));
        assert_eq!(words.get("a"), Some(&word(3, "LoadFailed", "no image")));
    }

    #[test]
    fn a_policy_says_what_becomes_of_calls_meanwhile() {
        let missing = ["plugin p: it is being loaded on this node".to_owned()];
        let here = PolicyHere {
            in_force: true,
            missing: &missing,
            loading: true,
            ..PolicyHere::default()
        };
        let word = here.word(1);
        assert_eq!((word.holds, word.reason.as_str()), (false, "PluginLoading"));
        assert!(word.message.ends_with("calls go by the failure policy"));
        let before = PolicyHere {
            before: true,
            ..here
        };
        assert!(
            before
                .word(2)
                .message
                .ends_with("the version before stays in force")
        );
        assert!(PolicyHere::default().word(1).holds);
    }
}
