//! `osier plugin dev`: from save to served. Builds when a file changes, compiles what changed into the node's cache, puts the component into the
//! node's store, and points the Plugin objects of `plugin.yaml` at it by digest; the node swaps without losing a request, or keeps the old one and
//! says why.

mod phases;

use super::build::Again;
use super::project::Project;
use super::workbench;
use crate::arguments::Dev;
use crate::cli::{apply, connect, manifests};
use crate::configuration;
use anyhow::{Context as _, bail};
use osier_api::{Object, resources};
use osier_client::Client;
use osier_engine::Engine;
use osier_images::ImageStore;
use phases::Phases;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often the project is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often the node is asked whether it serves the new component.
const ASK: Duration = Duration::from_millis(10);
/// How long the node may take: a Python component is compiled for half a minute on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Folders that builds write, and files beyond which a project is too large to be looked at.
const WRITTEN: [&str; 6] = [
    "target",
    "build",
    "node_modules",
    ".venv",
    "__pycache__",
    ".git",
];
const MOST_FILES: usize = 10_000;

/// Builds and swaps until interrupted; with `--once`, once.
pub(super) async fn run(arguments: &Dev) -> anyhow::Result<()> {
    let project = Project::open(&arguments.dir)?;
    let data_dir = configuration::resolve_data_dir(arguments.data_dir.as_deref())?;
    let mut connection = arguments.connection.clone();
    // The node of the data directory, unless another is named.
    (connection.kubeconfig).get_or_insert_with(|| data_dir.join("kubeconfig"));
    let mut bench = Bench {
        image: format!("{}:dev", project.name),
        store: ImageStore::open(&data_dir)?,
        client: connect(&connection)?,
        namespace: arguments.connection.namespace.clone(),
        engine: workbench::again(&data_dir)?,
        again: Again::new(&project)?,
        project,
    };
    let (mut before, mut served) = (None, None);
    loop {
        let now = newest(&bench.project.dir)?;
        // A file that is being written is not whole: what changed must stay for a while.
        let rests = before.replace(now) == Some(now);
        if rests && served != Some(now) {
            // What was saved before this began was not saved for it.
            let saved = served.map_or_else(SystemTime::now, |_| now.0);
            served = Some(now);
            match bench.serve(saved).await {
                Ok(told) => println!("{told}"),
                Err(error) if arguments.once => return Err(error),
                Err(error) => eprintln!(
                    "{} {error:#}\n     the version before serves on; waiting for the next save",
                    workbench::coloured("FAIL", false)
                ),
            }
            if arguments.once {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Bench {
    project: Project,
    image: String,
    store: ImageStore,
    client: Client,
    namespace: String,
    /// Compiles into the node's cache, and only what is not as it was.
    engine: Engine,
    again: Again,
}

impl Bench {
    /// Builds, compiles, imports, applies, and waits until the node serves it.
    async fn serve(&mut self, saved: SystemTime) -> anyhow::Result<String> {
        let mut phases = Phases::since(saved);
        let built = self.again.build(&self.project)?;
        phases.end("build");
        workbench::compile_built(&self.engine, &built)
            .with_context(|| built.file.display().to_string())?;
        phases.end("compile");
        let digest = self.store.import(&self.image, &built.wasm)?.to_string();
        let plugins = self.apply(&digest).await?;
        phases.end("apply");
        for plugin in &plugins {
            self.wait(plugin, &digest).await?;
        }
        phases.end("serve");
        Ok(format!(
            "{} {} serves {} after {phases}",
            workbench::coloured("ok  ", true),
            plugins.join(", "),
            &digest[..digest.len().min(19)],
        ))
    }

    /// Applies `plugin.yaml` with the new component in its Plugin objects; their names.
    async fn apply(&self, digest: &str) -> anyhow::Result<Vec<String>> {
        let file = self.project.dir.join("plugin.yaml");
        let mut plugins = Vec::new();
        for mut manifest in manifests::read(&[file], &self.namespace, resources::all())? {
            if manifest.resource.plural == resources::PLUGINS.plural {
                manifest
                    .object
                    .set(&["spec", "image"], self.image.clone().into());
                manifest.object.set(&["spec", "digest"], digest.into());
                plugins.push(format!(
                    "{}/{}",
                    manifest.object.namespace(),
                    manifest.object.name()
                ));
            }
            let name = manifest.object.name().to_owned();
            apply::apply_one(&self.client, &manifest)
                .await
                .with_context(|| format!("{} {name}", manifest.resource.kind))?;
        }
        if plugins.is_empty() {
            bail!("plugin.yaml names no Plugin object, so there is nothing to swap");
        }
        Ok(plugins)
    }

    /// Waits until every node that serves the plugin serves this digest.
    async fn wait(&self, plugin: &str, digest: &str) -> anyhow::Result<()> {
        let (namespace, name) = plugin.split_once('/').unwrap_or_default();
        let begun = Instant::now();
        loop {
            let object: Object = self
                .client
                .get(&resources::PLUGINS, namespace, name)
                .await?;
            if object
                .get(&["status", "digest"])
                .and_then(|found| found.as_str())
                == Some(digest)
            {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "Plugin {plugin} does not serve {digest} after {PATIENCE:?}; see `osier get plugins {name} -o json`"
                );
            }
            tokio::time::sleep(ASK).await;
        }
    }
}

/// The time of the last change to a source, and how many sources there are: a removed file is a change too.
fn newest(dir: &Path) -> anyhow::Result<(SystemTime, usize)> {
    let (mut last, mut files) = (SystemTime::UNIX_EPOCH, 0);
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .with_context(|| folder.display().to_string())?
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && !WRITTEN.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file()
                && !["Cargo.lock", "package-lock.json"].contains(&name.as_str())
            {
                files += 1;
                // A file that vanishes meanwhile is seen by the next look.
                last = last.max(
                    entry
                        .metadata()
                        .and_then(|data| data.modified())
                        .unwrap_or(last),
                );
            }
        }
        if files > MOST_FILES {
            bail!(
                "{}: more than {MOST_FILES} files; `osier plugin dev` wants the folder of one plugin",
                dir.display()
            );
        }
    }
    Ok((last, files))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sources_count_and_what_builds_write_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        file("src/lib.rs");
        let before = newest(folder.path()).unwrap();
        file("target/x.wasm");
        file("build/x.wasm");
        file("Cargo.lock");
        assert_eq!(newest(folder.path()).unwrap(), before);
        file("src/more.rs");
        assert_eq!(newest(folder.path()).unwrap().1, 2);
    }
}
