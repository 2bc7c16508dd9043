//! Running other people's tools: each command is shown before it runs, and a missing one is named with how to get it.

use anyhow::{Context as _, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A tool and how to get it.
pub(super) struct Tool {
    /// The program.
    pub(super) program: &'static str,
    /// What to do if it is not there.
    pub(super) remedy: &'static str,
}

/// Where a tool is: in one of `folders`, else on the PATH.
///
/// # Errors
/// With the remedy.
pub(super) fn find(tool: &Tool, folders: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = folders.iter().cloned().chain(std::env::split_paths(&path));
    let mut files = places.map(|folder| folder.join(tool.program));
    match files.find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!("{} is not installed: {}", tool.program, tool.remedy),
    }
}

/// Runs a command in a folder; what it prints goes to standard error, so that standard output stays ours.
///
/// # Errors
/// If it cannot be run or fails; its own words are above.
pub(super) fn run<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    dir: &Path,
) -> anyhow::Result<()> {
    run_for(program, arguments, dir, Stdio::from(std::io::stderr())).map(drop)
}

/// As [`run`], and gives back what the command writes to standard output.
pub(super) fn read<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    dir: &Path,
) -> anyhow::Result<Vec<u8>> {
    run_for(program, arguments, dir, Stdio::piped())
}

fn run_for<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    dir: &Path,
    out: Stdio,
) -> anyhow::Result<Vec<u8>> {
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.as_ref().to_string_lossy().into_owned())
        .collect();
    let shown = format!(
        "{} {}",
        program.file_name().unwrap_or_default().to_string_lossy(),
        words.join(" ")
    );
    eprintln!("$ {shown}");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::inherit());
    let done = command
        .output()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    if !done.status.success() {
        bail!(
            "`{shown}` failed ({}); its own words are above",
            done.status
        );
    }
    Ok(done.stdout)
}
