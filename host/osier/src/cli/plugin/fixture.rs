//! Fixtures: what a plugin is given and what it must answer, as YAML.

use anyhow::{Context as _, bail};
use osier_policy::Vocabulary;
use osier_review::Recorded;
pub(super) use osier_review::{Given, Message};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most repetitions of one case.
const MOST_REPEATS: u32 = 1_000_000;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Fixture {
    /// `spec` of a Plugin object, without the image.
    #[serde(default)]
    pub(super) plugin: Map<String, Value>,
    /// `spec.attributes` of an AttributeManifest.
    #[serde(default)]
    pub(super) manifest: Map<String, Value>,
    /// An entry of `spec.actions` of a Policy object, without the plugin.
    pub(super) action: Option<Map<String, Value>>,
    /// `spec.match` of a Policy object.
    #[serde(rename = "match")]
    pub(super) matched: Option<String>,
    /// What is asked, in order; counters live from case to case.
    pub(super) cases: Vec<Case>,
}

/// One question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows.
    pub(super) name: String,
    /// What is known about the call.
    #[serde(default)]
    pub(super) attributes: Value,
    /// What a hook is given.
    #[serde(default)]
    pub(super) given: Given,
    /// In place of the file's configuration.
    pub(super) config: Option<Value>,
    /// In place of the file's action.
    pub(super) action: Option<Map<String, Value>>,
    /// How often it is asked; each time the same is expected.
    #[serde(default = "once")]
    pub(super) repeat: u32,
    /// What must come out.
    pub(super) expect: Expect,
}

fn once() -> u32 {
    1
}

/// What must come out; what is not named may be anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    /// The verdict.
    pub(super) verdict: Wanted,
    /// Status of a denial.
    pub(super) status: Option<u16>,
    /// Part of the reason of a denial, of a failure, or of a refused configuration.
    pub(super) reason: Option<String>,
    /// Body of a denial, whole.
    pub(super) body: Option<String>,
    /// Headers of the response, or of the denial; `*` is any value, null is none.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// Headers that are set on the request; `*` is any value, null is none.
    #[serde(default)]
    pub(super) request_headers: BTreeMap<String, Option<String>>,
    /// Attributes that are generated, as text; `*` is any value, null is none.
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, Option<String>>,
    /// The request's body as it goes on.
    pub(super) request_body: Option<String>,
    /// The request's path as it goes on.
    pub(super) path: Option<String>,
    /// Which one a choice fell on: the subset or host of a destination, the pod of an endpoint; null leaves it to the host.
    #[serde(default, deserialize_with = "said")]
    pub(super) chosen: Option<Option<String>>,
    /// The wrong field of an object.
    pub(super) field: Option<String>,
    /// Part of a warning.
    pub(super) warning: Option<String>,
    /// The patch of an object.
    pub(super) patch: Option<Value>,
    /// Scores by node; null is a node that does not fit.
    #[serde(default)]
    pub(super) scores: BTreeMap<String, Option<u32>>,
}

/// Tells a null from a field that is not there.
fn said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Verdicts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) enum Wanted {
    /// The call passes.
    Allow,
    /// The plugin turns it away; a filter may answer it with any status.
    Deny,
    /// The plugin gives no answer: a trap, an overrun.
    Fail,
    /// The configuration is refused: the plugin does not load.
    Refuse,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Fail => "fail",
            Self::Refuse => "refuse",
        })
    }
}

/// A fixture and where it came from.
pub(super) struct File {
    /// Without directories and extension.
    pub(super) name: String,
    /// What it says.
    pub(super) fixture: Fixture,
}

/// Reads fixtures: files, and the YAML files of directories in order of their names.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        for file in listed(path)? {
            let text =
                std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let fixture = parse(&text).with_context(|| file.display().to_string())?;
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.push(File { name, fixture });
        }
    }
    if files.is_empty() {
        let places: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        bail!(
            "no fixture (*.yaml) in {}; `osier plugin test --help` shows one",
            places.join(", ")
        );
    }
    Ok(files)
}

fn listed(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    });
    files.sort();
    Ok(files)
}

fn parse(text: &str) -> anyhow::Result<Fixture> {
    let fixture: Fixture = serde_saphyr::from_str(text)?;
    if fixture.cases.is_empty() {
        bail!("cases: name at least one");
    }
    for key in ["image", "digest"] {
        if fixture.plugin.contains_key(key) {
            bail!("plugin.{key}: remove it; the component is the one that is tested");
        }
    }
    for (place, case) in fixture.cases.iter().enumerate() {
        if !(1..=MOST_REPEATS).contains(&case.repeat) {
            bail!("cases[{place}].repeat: must be from 1 to {MOST_REPEATS}");
        }
        if case.action.is_none()
            && fixture.action.is_none()
            && case.expect.verdict != Wanted::Refuse
        {
            bail!(
                "cases[{place}]: says no action and the file has none; write `action: {{template: …}}`"
            );
        }
    }
    Ok(fixture)
}

impl Case {
    /// The hook that its action names, if it is no template.
    pub(super) fn hook<'a>(&'a self, file: &'a File) -> Option<&'a str> {
        let action = self.action.as_ref().or(file.fixture.action.as_ref())?;
        action.get("hook")?.as_str()
    }

    /// The attributes of the call.
    pub(super) fn recorded(&self) -> anyhow::Result<Recorded> {
        let vocabulary = Vocabulary::default();
        Recorded::read(&self.attributes, "attributes", &vocabulary).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(told.join("; "))
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_fixture_is_read_and_nonsense_is_refused_with_its_place() {
        let good = parse("plugin: {config: {a: 1}}\naction: {template: listentry}\ncases:\n- name: x\n  expect: {verdict: deny, status: 403, headers: {retry-after: '*', x: null}}\n").unwrap();
        assert_eq!(
            (good.cases[0].repeat, good.cases[0].expect.status),
            (1, Some(403))
        );
        assert_eq!(good.cases[0].expect.headers["x"], None);
        for (wrong, told) in [
            ("cases: []", "at least one"),
            (
                "plugin: {image: x}\ncases: [{name: x, expect: {verdict: refuse}}]",
                "plugin.image",
            ),
            ("cases: [{name: x, expect: {verdict: allow}}]", "no action"),
            (
                "action: {template: t}\ncases: [{name: x, repeat: 0, expect: {verdict: allow}}]",
                "repeat",
            ),
            ("cases: [{name: x, expects: {verdict: allow}}]", "expects"),
            ("cases: [{name: x, expect: {verdict: maybe}}]", "maybe"),
        ] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}
