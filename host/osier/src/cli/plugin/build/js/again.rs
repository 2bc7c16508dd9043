//! At every save: bundle, and put the text into a component that was made before (`osier_authoring::Shell`).

use super::super::super::project::Project;
use super::bundler::{Answer, Bundler};
use anyhow::Context as _;
use osier_authoring::{Room, Shell};
use osier_engine::Digest;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// What is kept between two saves.
#[derive(Default)]
pub(in super::super::super) struct Again {
    bundler: Option<Bundler>,
    /// The component, and what it was made of.
    made: Option<(String, Room)>,
}

/// Why there is no component.
pub(in super::super) enum Failure {
    /// The plugin is wrong.
    Plugin(anyhow::Error),
    /// This way does not suit it.
    Way(anyhow::Error),
}

/// A component, and the one without a text with the place where the text is.
type Exchanged<'a> = (Vec<u8>, (&'a [u8], Range<usize>));

impl Again {
    /// The component of the sources as they are now, and the one without a text, with the place where the text is.
    pub(in super::super) fn build(&mut self, project: &Project) -> Result<Exchanged<'_>, Failure> {
        let text = match self.bundle(project).map_err(Failure::Way)? {
            Answer::Text(text) => text,
            Answer::Fault(words) => return Err(Failure::Plugin(anyhow::anyhow!(words))),
            Answer::Unfit(why) => return Err(Failure::Way(anyhow::anyhow!(why))),
        };
        let known = key(&project.dir).map_err(Failure::Plugin)?;
        let before = self.made.take();
        let before = before.filter(|(made_of, room)| *made_of == known && room.takes(&text));
        let made = match before {
            Some(made) => made,
            None => {
                let room = self.make(project, &known, &text).map_err(Failure::Way)?;
                (known, room)
            }
        };
        let (_, room) = self.made.insert(made);
        let component = room.with(&text).context("the text is too long");
        Ok((component.map_err(Failure::Way)?, room.blank()))
    }

    fn bundle(&mut self, project: &Project) -> anyhow::Result<Answer> {
        let bundler = match &mut self.bundler {
            Some(bundler) => bundler,
            none => none.insert(Bundler::start(&project.dir)?),
        };
        let answer = bundler.bundle();
        if answer.is_err() {
            // The next save gets another process.
            self.bundler = None;
        }
        answer
    }

    /// A component with room for the text: of the time before, or made now.
    fn make(&self, project: &Project, known: &str, text: &str) -> anyhow::Result<Room> {
        let shell = Shell::new(&project.dir.join("wit"), text.len())?;
        let digest = Digest::of(format!("{known}\n{}", shell.source).as_bytes());
        let name = format!("shell-{}.wasm", &digest.hex()[..16]);
        let build = project.dir.join("build");
        let kept = build.join(&name);
        if !kept.is_file() {
            forget(&build);
            let source = build.join("shell.mjs");
            fs::write(&source, &shell.source).with_context(|| source.display().to_string())?;
            let made = build.join("shell.wasm.tmp");
            super::componentize(project, (&*source, &*made), &[])?;
            fs::rename(&made, &kept).with_context(|| kept.display().to_string())?;
        }
        let component = fs::read(&kept).with_context(|| kept.display().to_string())?;
        Ok(shell.room(component)?)
    }
}

/// Removes components of other worlds.
fn forget(build: &Path) {
    for entry in fs::read_dir(build).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("shell-") {
            // One that stays is only not used.
            let _stays = fs::remove_file(entry.path());
        }
    }
}

/// What the component depends on beside the text: the WIT files, and the tool that makes it.
fn key(project: &Path) -> anyhow::Result<String> {
    let mut files = vec![project.join("node_modules/componentize-qjs/package.json")];
    let mut folders = vec![project.join("wit")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for path in entries.flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(file.as_os_str().as_encoded_bytes());
        all.extend(fs::read(&file).with_context(|| file.display().to_string())?);
    }
    Ok(Digest::of(&all).hex().to_owned())
}
