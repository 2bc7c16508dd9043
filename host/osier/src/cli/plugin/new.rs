//! `osier plugin new`: a project out of the files that authoring has.

use crate::arguments::New;
use anyhow::{Context as _, bail};
use osier_authoring::{Language, project, templates};
use std::path::Path;

/// Writes a project, or shows what there is.
pub(super) fn run(new: &New) -> anyhow::Result<()> {
    let (Some(name), false) = (&new.name, new.list) else {
        show();
        return Ok(());
    };
    let dir = Path::new(name);
    let folder = dir.file_name().unwrap_or_default().to_string_lossy();
    named(&folder)?;
    let files = project(&folder, &new.template, new.lang)?;
    if dir.exists() {
        bail!("{name} is there already; choose another name or remove it");
    }
    for (path, text) in &files {
        let file = dir.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    println!(
        "{name}: {} files\n\nNext:\n  cd {name}\n  osier plugin build\n  osier plugin test",
        files.len()
    );
    Ok(())
}

fn show() {
    println!("{:<10} TEMPLATES", "LANGUAGE");
    for language in Language::ALL {
        let known: Vec<&str> = templates(language).into_iter().collect();
        println!("{:<10} {}", language.name(), known.join(", "));
    }
}

/// A name that is good for a crate, a package and a Kubernetes object.
fn named(name: &str) -> anyhow::Result<()> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || !name.chars().all(word) || name.ends_with('-') || name.len() > 63 {
        bail!(
            "`{name}` cannot be the name of a plugin: use lower-case letters, digits and dashes, a letter first"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_refused() {
        for wrong in ["", "Mine", "a_b", "-a", "1a", "a-"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
