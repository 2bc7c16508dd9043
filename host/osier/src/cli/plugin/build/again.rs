//! Builds at every save, which spare what the build before has done. What they make serves while a plugin is written; what is installed is made by
//! `osier plugin build`, and has a file of its own.

use super::super::project::Project;
use super::{Built, configured, finish, folder, js, rust};
use osier_authoring::Language;

/// What is kept between two builds of one project.
pub(in super::super) enum Again {
    /// Nothing: each is whole.
    Whole,
    /// The tools stay, and so does the component around the plugin's text.
    Js(Box<js::Again>),
    /// Of the project's own crate the compiler keeps what has not changed.
    Rust(rust::Again),
}

impl Again {
    /// The quickest way for a project, after what takes long was checked once.
    ///
    /// # Errors
    /// If its tools are not there.
    pub(in super::super) fn new(project: &Project) -> anyhow::Result<Self> {
        Ok(match project.language {
            Language::Rust => Self::Rust(rust::Again::new(project)?),
            Language::Js => {
                js::tools_are_there(project)?;
                Self::Js(Box::default())
            }
            Language::Python | Language::C | Language::Go => Self::Whole,
        })
    }

    /// Builds the sources as they are now.
    ///
    /// # Errors
    /// If they are wrong.
    pub(in super::super) fn build(&mut self, project: &Project) -> anyhow::Result<Built> {
        folder(project)?;
        let file = project.dir.join(format!("build/{}.dev.wasm", project.name));
        match self {
            Self::Whole => super::build(project),
            Self::Rust(again) => finish(project, again.build(project)?, file),
            Self::Js(again) => match again.build(project) {
                Ok((wasm, (blank, room))) => Ok(Built {
                    like: Some((configured(project, blank.to_vec())?, room)),
                    ..finish(project, wasm, file)?
                }),
                Err(js::Failure::Plugin(error)) => Err(error),
                Err(js::Failure::Way(why)) => {
                    eprintln!("every save is built whole from now on, which takes longer: {why:#}");
                    *self = Self::Whole;
                    super::build(project)
                }
            },
        }
    }
}
