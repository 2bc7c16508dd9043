//! A plugin project on disk: which language it is, what it is called, where its component and its fixtures are.

use anyhow::{Context as _, bail};
use osier_authoring::Language;
use std::path::{Path, PathBuf};

/// Files by which a language is known.
const MARKS: [(&str, Language); 5] = [
    ("Cargo.toml", Language::Rust),
    ("package.json", Language::Js),
    ("requirements.txt", Language::Python),
    ("go.mod", Language::Go),
    ("src/plugin.c", Language::C),
];

/// A folder with a plugin.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder, absolute.
    pub(super) dir: PathBuf,
    /// The folder's name.
    pub(super) name: String,
    /// The language.
    pub(super) language: Language,
}

impl Project {
    /// Reads a folder.
    ///
    /// # Errors
    /// If it is none, or holds no project.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir
            .canonicalize()
            .with_context(|| dir.display().to_string())?;
        let mark = MARKS.iter().find(|(mark, _)| dir.join(mark).is_file());
        let Some((_, language)) = mark else {
            let marks: Vec<&str> = MARKS.iter().map(|(mark, _)| *mark).collect();
            bail!(
                "{}: no plugin project (none of {}); `osier plugin new NAME` writes one",
                dir.display(),
                marks.join(", ")
            );
        };
        let name = dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            name,
            language: *language,
            dir,
        })
    }

    /// Where `osier plugin build` puts the component.
    pub(super) fn component(&self) -> PathBuf {
        self.dir.join("build").join(format!("{}.wasm", self.name))
    }

    /// Where its fixtures are.
    pub(super) fn fixtures(&self) -> PathBuf {
        self.dir.join("fixtures")
    }
}

/// The component and the fixtures that `plugin`, a project or a component, stands for.
///
/// # Errors
/// If the project is not built, or a component comes without fixtures.
pub(super) fn component(
    plugin: &Path,
    fixtures: &[PathBuf],
) -> anyhow::Result<(PathBuf, Vec<PathBuf>)> {
    if plugin.is_file() {
        if fixtures.is_empty() {
            bail!(
                "{}: name the fixtures of a component with --fixtures PATH",
                plugin.display()
            );
        }
        return Ok((plugin.to_owned(), fixtures.to_vec()));
    }
    let project = Project::open(plugin)?;
    let component = project.component();
    if !component.is_file() {
        bail!(
            "{} is not built: run `osier plugin build {}`",
            component.display(),
            plugin.display()
        );
    }
    let fixtures = if fixtures.is_empty() {
        vec![project.fixtures()]
    } else {
        fixtures.to_vec()
    };
    Ok((component, fixtures))
}
