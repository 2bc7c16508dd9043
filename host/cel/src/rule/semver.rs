//! Versions in rules: `semver('1.2.3-rc.1')`, compared as <https://semver.org> has it
//! (<https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-semver-library>).

use std::cmp::Ordering;

use super::evaluate::{Outcome, fault};
use super::value::Value;

/// A version; what stands behind its `+` counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Semver {
    numbers: [u64; 3],
    before: Before,
}

/// What stands behind the `-`. A version that has something there comes before the one that has not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before(Vec<Identifier>);

/// Numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl PartialOrd for Before {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Before {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0.is_empty(), other.0.is_empty()) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => self.0.cmp(&other.0),
        }
    }
}

impl Semver {
    /// Reads `1.2.3-rc.1+build`.
    fn parse(text: &str) -> Option<Self> {
        let (text, build) = text.split_once('+').unwrap_or((text, "0"));
        let (core, before) = match text.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (text, None),
        };
        let mut numbers = core.split('.').map(number);
        let (Some(major), Some(minor), Some(patch), None) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) else {
            return None;
        };
        let before = before.map_or(Some(Vec::new()), |before| {
            before.split('.').map(identifier).collect()
        });
        if !build.split('.').all(is_word) {
            return None;
        }
        Some(Self {
            numbers: [major?, minor?, patch?],
            before: Before(before?),
        })
    }

    /// Reads `v1.2` and `01.2.3` too.
    fn lenient(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
        let shortened =
            parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-']));
        if shortened {
            return None;
        }
        parts.resize(3, "0".to_owned());
        Self::parse(&parts.join("."))
    }
}

/// Digits without a zero before them.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

fn identifier(text: &str) -> Option<Identifier> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(Identifier::Number);
    }
    is_word(text).then(|| Identifier::Word(text.to_owned()))
}

fn without_zeros(part: &str) -> String {
    if part.len() < 2 {
        return part.to_owned();
    }
    let kept = part.trim_start_matches('0');
    match kept.starts_with(|letter: char| letter.is_ascii_digit()) {
        true => kept.to_owned(),
        false => format!("0{kept}"),
    }
}

/// `semver(text)`, or `semver(text, lenient)`.
pub(super) fn made<'a>(text: &str, lenient: bool) -> Outcome<'a> {
    let read = if lenient {
        Semver::lenient
    } else {
        Semver::parse
    };
    match read(text) {
        Some(version) => Ok(Value::Semver(Box::new(version))),
        None => fault(format!("{text:?} is no semantic version")),
    }
}

/// A method of a version.
pub(super) fn method<'a>(of: &Semver, name: &str, given: &[Value<'a>]) -> Option<Outcome<'a>> {
    let [major, minor, patch] = of.numbers;
    let whole = |number: u64| match i64::try_from(number) {
        Ok(number) => Ok(Value::Int(number)),
        Err(_) => fault("the number is too large"),
    };
    Some(match (name, given) {
        ("major", []) => whole(major),
        ("minor", []) => whole(minor),
        ("patch", []) => whole(patch),
        ("isGreaterThan", [Value::Semver(other)]) => Ok(Value::Bool(*of > **other)),
        ("isLessThan", [Value::Semver(other)]) => Ok(Value::Bool(*of < **other)),
        ("compareTo", [Value::Semver(other)]) => Ok(Value::Int(of.cmp(other) as i64)),
        _ => return None,
    })
}
