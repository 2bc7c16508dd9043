//! What a plugin answers to a case: compared with what a fixture expects, or told in words, so that two versions can be compared.

mod choice;
mod exchange;
mod review;
mod verdict;

use super::fixture::{Case, Expect, Wanted};
use super::test::SCOPE;
use anyhow::bail;
use osier_policy::{Attributes, PolicySet, Verdict};
use osier_review::{after, pairs};
use std::collections::BTreeMap;
use std::fmt::Debug;
use tokio::runtime::Runtime;

/// An answer.
pub(super) enum Answer {
    /// Of a template.
    Verdict(Verdict),
    /// Of the hook `filter`: what becomes of the messages.
    Exchanged(Box<exchange::Exchanged>),
    /// Of the hooks `route` and `balance`.
    Chosen(choice::Chosen),
    /// Of the hook `admit`.
    Reviewed(review::Reviewed),
    /// Of the hook `schedule`.
    Scored(review::Scored),
}

/// Policies, and the attributes of the call that they are asked about.
type Asked<'a> = (&'a PolicySet, &'a Attributes<'a>);

impl Answer {
    /// Asks the hook that a case is about, or its template if there is none. Plugins that take their time are waited for on `runtime`.
    ///
    /// # Errors
    /// If fixtures cannot ask this.
    pub(super) fn to(
        (case, hook): (&Case, Option<&str>),
        asked: Asked<'_>,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let given = &case.given;
        Ok(match hook {
            None => Self::Verdict(asked.0.check(&SCOPE, asked.1)),
            Some("filter") => Self::Exchanged(Box::new(exchange::take(given, asked, runtime)?)),
            Some("route") => Self::Chosen(choice::route(given, asked)),
            Some("balance") => Self::Chosen(choice::balance(given, asked)),
            Some("admit") => Self::Reviewed(review::admit(given, asked.0)),
            Some("schedule") => Self::Scored(review::schedule(given, asked.0)),
            Some(other) => bail!("fixtures know no hook `{other}`"),
        })
    }

    /// What of it is not as expected.
    pub(super) fn faults(&self, expect: &Expect) -> Vec<String> {
        let (got, why) = self.verdict();
        let wanted = expect.verdict;
        if got != wanted {
            let mut fault = format!("verdict: expected {wanted}, got {got}");
            if !why.is_empty() {
                fault += &format!(" ({why})");
            }
            return vec![fault];
        }
        match self {
            Self::Verdict(verdict) => verdict::faults(verdict, expect),
            Self::Exchanged(exchanged) => exchanged.faults(expect),
            Self::Chosen(chosen) => chosen.faults(expect),
            Self::Reviewed(reviewed) => reviewed.faults(expect),
            Self::Scored(scored) => scored.faults(expect),
        }
    }

    /// All of it that others would see.
    pub(super) fn words(&self) -> String {
        let told = match self {
            Self::Verdict(verdict) => verdict::words(verdict),
            Self::Exchanged(exchanged) => exchanged.words(),
            Self::Chosen(chosen) => chosen.words(),
            Self::Reviewed(reviewed) => reviewed.words(),
            Self::Scored(scored) => scored.words(),
        };
        match self.verdict() {
            (verdict, why) if why.is_empty() => format!("{verdict}{told}"),
            (verdict, why) => format!("{verdict} ({why}){told}"),
        }
    }

    /// In one word, and why.
    fn verdict(&self) -> (Wanted, String) {
        match self {
            Self::Verdict(verdict) => verdict::verdict(verdict),
            Self::Exchanged(exchanged) => exchanged.verdict(),
            Self::Chosen(chosen) => chosen.verdict(),
            Self::Reviewed(reviewed) => reviewed.verdict(),
            Self::Scored(scored) => scored.verdict(),
        }
    }
}

/// Pairs in words, in the order of their names: two plugins that set the same headers one after the other do the same.
fn listed(what: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort();
    let each = sorted
        .iter()
        .map(|(name, value)| format!(" {name}={value}"));
    format!(", {what}{}", each.collect::<String>())
}

/// A fault if something is not what was wanted.
fn differs<T: PartialEq + Debug>(what: &str, wanted: Option<&T>, found: &T) -> Option<String> {
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    Some(format!("{what}: expected {wanted:?}, got {found:?}"))
}

/// A fault if a text does not hold what was wanted.
pub(super) fn within(what: &str, wanted: Option<&str>, found: &str) -> Option<String> {
    let wanted = wanted?;
    (!found.contains(wanted)).then(|| format!("{what}: expected {wanted:?} in {found:?}"))
}

fn headers<'a>(
    what: &'a str,
    expected: &'a BTreeMap<String, Option<String>>,
    found: &'a [(String, String)],
) -> impl Iterator<Item = String> + 'a {
    expected.iter().filter_map(move |(name, wanted)| {
        let got = found
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        let fits = match (wanted.as_deref(), got) {
            (None, got) => got.is_none(),
            (Some("*"), got) => got.is_some(),
            (Some(wanted), got) => got.is_some_and(|got| got == wanted),
        };
        (!fits).then(|| {
            format!(
                "{what}.{name}: expected {}, got {}",
                quoted(wanted.as_ref()),
                quoted(got)
            )
        })
    })
}

fn quoted(value: Option<&String>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}
