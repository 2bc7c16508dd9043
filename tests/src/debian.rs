//! Programs out of Debian's packages, unpacked once below the target directory; nothing is installed.

use crate::artifacts;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program at `path` of a package.
pub fn program(package: &str, path: &str) -> Result<PathBuf> {
    let folder = artifacts::target().join("osier-tests");
    let program = folder.join(package).join(path);
    if !program.is_file() {
        unpack(&folder, package)?;
    }
    ensure!(program.is_file(), "the package {package} has no {path}");
    Ok(program)
}

fn unpack(folder: &Path, package: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    // Unpacked beside its place and moved there whole: suites run side by side.
    let partial = tempfile::tempdir_in(folder)?;
    command(partial.path(), "apt-get", &["download", package])?;
    let file = partial
        .path()
        .read_dir()?
        .flatten()
        .next()
        .context("apt-get left no package")?;
    let file = file.path().to_string_lossy().into_owned();
    command(partial.path(), "dpkg", &["-x", &file, package])?;
    let moved = std::fs::rename(partial.path().join(package), folder.join(package));
    ensure!(
        moved.is_ok() || folder.join(package).is_dir(),
        "cannot be unpacked to {}",
        folder.display()
    );
    Ok(())
}

fn command(folder: &Path, program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output();
    match output {
        Err(error) => bail!("{program} cannot be run: {error}"),
        Ok(output) if !output.status.success() => {
            bail!(
                "{program} failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )
        }
        Ok(_) => Ok(()),
    }
}
