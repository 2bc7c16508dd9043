//! Which definitions get the names that they ask for: one group has each name once, and who has it keeps it.

use osier_api::{Object, resources};
use serde_json::{Value, json};

/// Says on whose word a group of Kubernetes' own is used.
pub(crate) const APPROVAL: &str = "api-approved.kubernetes.io";

/// What became of one definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The definition with its new status.
    pub definition: Object,
    /// Whether that status is another one than before.
    pub changed: bool,
    /// Whether its kind is served as it says: it is established, and none of ours.
    pub served: bool,
}

/// Decides about all definitions at once; `now` is the time of conditions that change, RFC 3339.
pub fn settle(mut all: Vec<Object>, now: &str) -> Vec<Settled> {
    // Who has its names keeps them; of those that have none yet the oldest comes first.
    all.sort_by_key(|one| {
        let accepted = one.text(&["status", "acceptedNames", "plural"]).is_empty();
        let age = one.creation_timestamp().unwrap_or("").to_owned();
        (accepted, age, one.name().to_owned())
    });
    let count = all.len();
    let settle = |index| settle_one(&mut all, index, now);
    (0..count).map(settle).collect()
}

/// Decides about one among the others, those before it in their new state.
fn settle_one(all: &mut [Object], index: usize, now: &str) -> Settled {
    let others = all.iter().enumerate().filter(|(other, _)| *other != index);
    let others: Vec<&Object> = others.map(|(_, one)| one).collect();
    let status = status(&all[index], &others, now);
    let changed = all[index].get(&["status"]) != Some(&status);
    all[index].set(&["status"], status);
    let definition = all[index].clone();
    let plural = definition.text(&["spec", "names", "plural"]);
    let ours = crate::built_in(definition.text(&["spec", "group"]), plural);
    Settled {
        served: ours.is_none() && has_condition(&definition, "Established"),
        changed,
        definition,
    }
}

fn has_condition(definition: &Object, name: &str) -> bool {
    let conditions = definition
        .get(&["status", "conditions"])
        .and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == name && one["status"] == "True")
}

fn status(definition: &Object, others: &[&Object], now: &str) -> Value {
    let empty = || json!({});
    let mut status = definition.get(&["status"]).cloned().unwrap_or_else(empty);
    let asked = definition.get(&["spec", "names"]).cloned();
    let had = status.get("acceptedNames").cloned();
    let had = had.unwrap_or_else(|| json!({"kind": "", "plural": ""}));
    let plural = definition.text(&["spec", "names", "plural"]);
    let taken = Taken::by((definition.text(&["spec", "group"]), plural), others);
    let (accepted, conflict) = taken.judge(&asked.unwrap_or_else(empty), had);
    status["acceptedNames"] = accepted;
    let conditions = conditions(conflict, has_condition(definition, "Established"));
    for (condition, (reason, words)) in conditions {
        put_condition(&mut status, condition, (reason, &words), now);
    }
    if let Some(approval) = definition.annotation(APPROVAL) {
        let words = format!("approved in {approval}");
        let condition = ("KubernetesAPIApprovalPolicyConformant", true);
        put_condition(&mut status, condition, ("ApprovedAnnotation", &words), now);
    }
    status
}

/// A reason and its words.
type Why = (&'static str, String);

/// What follows from the first conflict, if there is one, for a definition that may be established already.
fn conditions(conflict: Option<Why>, established: bool) -> Vec<((&'static str, bool), Why)> {
    let why = |reason, words: &str| (reason, words.to_owned());
    let free = why("NoConflicts", "no conflicts found");
    let accepted = why(
        "InitialNamesAccepted",
        "the initial names have been accepted",
    );
    let waits = why("NotAccepted", "not all names are accepted");
    match conflict {
        None => vec![
            (("NamesAccepted", true), free),
            (("Established", true), accepted),
        ],
        Some(conflict) if established => vec![(("NamesAccepted", false), conflict)],
        Some(conflict) => vec![
            (("NamesAccepted", false), conflict),
            (("Established", false), waits),
        ],
    }
}

/// Puts a condition into a status; its time is that of its last change.
pub(crate) fn put_condition(
    status: &mut Value,
    (name, holds): (&str, bool),
    (reason, message): (&str, &str),
    now: &str,
) {
    let word = if holds { "True" } else { "False" };
    let mut list = status["conditions"].as_array().cloned().unwrap_or_default();
    let old = list.iter_mut().find(|condition| condition["type"] == name);
    let mut condition = json!({"type": name, "status": word, "reason": reason, "message": message,
        "lastTransitionTime": now});
    match old {
        Some(old) => {
            if old["status"] == word {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => list.push(condition),
    }
    status["conditions"] = list.into();
}

/// The names of a group that others have.
struct Taken {
    /// Plural, singular and short names.
    words: Vec<String>,
    /// Kinds and kinds of lists.
    kinds: Vec<String>,
}

impl Taken {
    fn by((group, plural): (&str, &str), others: &[&Object]) -> Self {
        let mut taken = Self::by_ours(group, plural);
        let here = others
            .iter()
            .filter(|other| other.text(&["spec", "group"]) == group);
        for names in here.filter_map(|other| other.get(&["status", "acceptedNames"])) {
            let text = |field: &str| names[field].as_str().unwrap_or("").to_owned();
            taken.words.extend([text("plural"), text("singular")]);
            taken.words.extend(texts(&names["shortNames"]));
            taken.kinds.extend([text("kind"), text("listKind")]);
        }
        taken
    }

    /// Of our own kinds one may be defined once more, by the same name.
    fn by_ours(group: &str, plural: &str) -> Self {
        let ours = resources::all().iter();
        let ours = ours.filter(|ours| ours.group == group && ours.plural != plural);
        let (mut words, mut kinds) = (Vec::new(), Vec::new());
        for ours in ours {
            let named = ours
                .short_names
                .iter()
                .chain([&ours.plural, &ours.singular]);
            words.extend(named.map(|word| (*word).to_owned()));
            kinds.extend([ours.kind.to_owned(), ours.list_kind()]);
        }
        Self { words, kinds }
    }

    /// The names that are accepted of those asked for, the ones it had where they are not; and the first conflict.
    fn judge(&self, asked: &Value, had: Value) -> (Value, Option<Why>) {
        let (mut accepted, mut conflict) = (had, None);
        let mut refuse = |reason, name: &str| {
            conflict.get_or_insert((reason, format!("{name:?} is already in use")));
        };
        let has = |taken: &[String], name: &str| taken.iter().any(|other| other == name);
        for (field, reason, taken) in [
            ("plural", "PluralConflict", &self.words),
            ("singular", "SingularConflict", &self.words),
            ("kind", "KindConflict", &self.kinds),
            ("listKind", "ListKindConflict", &self.kinds),
        ] {
            match asked[field].as_str().unwrap_or("") {
                "" => {}
                name if has(taken, name) => refuse(reason, name),
                name => accepted[field] = name.into(),
            }
        }
        let short = texts(&asked["shortNames"]);
        match short.iter().find(|name| self.words.contains(name)) {
            Some(name) => refuse("ShortNamesConflict", name),
            None => put_list(&mut accepted, "shortNames", &short),
        }
        put_list(&mut accepted, "categories", &texts(&asked["categories"]));
        (accepted, conflict)
    }
}

fn put_list(names: &mut Value, field: &str, list: &[String]) {
    match (names.as_object_mut(), list.is_empty()) {
        (Some(names), true) => drop(names.remove(field)),
        (Some(names), false) => drop(names.insert(field.to_owned(), json!(list))),
        (None, _) => {}
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
