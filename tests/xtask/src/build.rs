//! Builds the guests (components for `wasm32-wasip2`, modules of proxy-wasm for `wasm32-wasip1`) and the host for this machine, and puts the components where people and tests find them.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What components are built for, and what a package says that is built for another: `package.metadata.guest.target`.
const TARGET: &str = "wasm32-wasip2";
/// Folders that hold guests, and the name under which `target/components` gets what is built from each.
const FOLDERS: [(&str, &str); 5] = [
    ("plugins", "plugins"),
    ("sdk/rust", "sdk/rust"),
    ("examples/bookinfo", "bookinfo"),
    ("examples", ""),
    ("tests/components", "tests"),
];

/// One component to be: a package and one of its artifacts.
struct Guest {
    package: String,
    /// File name of the artifact below the profile's folder.
    artifact: String,
    /// Name below `target/components`, such as `bookinfo/details`.
    name: String,
    /// The Rust target that it is built for.
    target: String,
}

/// Builds the guests, then the host unless only guests are wanted. Cargo shows its own progress.
pub(crate) fn run(release: bool, guests_only: bool) -> Result<()> {
    println!("== guests: plugins, examples, test components");
    let count = build_guests()?;
    println!(
        "   {count} components in {}",
        target().join("components").display()
    );
    if guests_only {
        return Ok(());
    }
    println!(
        "== host: the osier binary and the harness (the first build compiles Wasmtime: several minutes)"
    );
    // All of the host in one command, as `cargo test` does: a dependency is then compiled once for demo, test and bench.
    succeed(cargo().arg("build"), "the host does not build")?;
    if release {
        println!("== host: the osier binary with optimisations");
        succeed(
            cargo().args(["build", "--release", "--package", "osier"]),
            "the release build fails",
        )?;
    }
    println!("   {}", binary(release).display());
    Ok(())
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// The target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Where the binary of a profile is.
pub(crate) fn binary(release: bool) -> PathBuf {
    target().join(if release {
        "release/osier"
    } else {
        "debug/osier"
    })
}

/// Cargo in the workspace's root, sharing this terminal.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo runs this program with variables about this program; they would make other builds seem different.
    command
        .current_dir(workspace())
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null());
    command
}

/// Runs to success, or fails with these words.
pub(crate) fn succeed(command: &mut Command, fault: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    ensure!(status.success(), "{fault}: {command:?} ended with {status}");
    Ok(())
}

/// Sees to it that Rust can build guests of this target.
fn add_target(target: &str) -> Result<()> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .context("rustc cannot be run; install Rust from https://rustup.rs")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    if sysroot.join("lib/rustlib").join(target).is_dir() {
        return Ok(());
    }
    println!("== adding the Rust target {target} with rustup");
    let added = Command::new("rustup")
        .args(["target", "add", target])
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            bail!("`rustup target add {target}` ended with {status}; see its message above")
        }
        Err(_) => bail!(
            "this Rust has no {target} target and there is no rustup to add it; install Rust from https://rustup.rs, \
             or your distribution's package of the Rust standard library for {target}"
        ),
    }
}

fn build_guests() -> Result<usize> {
    let guests = find_guests(&metadata()?, &workspace())?;
    let mut targets: Vec<&str> = guests.iter().map(|guest| guest.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    for rust_target in targets {
        add_target(rust_target)?;
        let mut command = cargo();
        command.args(["build", "--target", rust_target, "--profile", "guest"]);
        let own = guests.iter().filter(|guest| guest.target == rust_target);
        let mut packages: Vec<&str> = own.map(|guest| guest.package.as_str()).collect();
        packages.dedup();
        for package in packages {
            command.args(["--package", package]);
        }
        succeed(&mut command, "a guest does not build")?;
    }
    for guest in &guests {
        let built = target().join(&guest.target).join("guest");
        place(
            &built.join(&guest.artifact),
            &target()
                .join("components")
                .join(format!("{}.wasm", guest.name)),
        )?;
    }
    Ok(guests.len())
}

/// Copies a component to its place, unless the same bytes are there already: builds that embed it then stay fresh.
fn place(from: &Path, to: &Path) -> Result<()> {
    let new = std::fs::read(from).with_context(|| format!("{} was not built", from.display()))?;
    if std::fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(to, new).with_context(|| format!("{} cannot be written", to.display()))
}

fn metadata() -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Packages whose own functions are tested on this machine although they are built for another: guests and what they share.
pub(crate) fn tested_natively() -> Result<Vec<String>> {
    let (metadata, root) = (metadata()?, workspace());
    let mut found = Vec::new();
    for package in metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?
    {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let inside = |folder| manifest.starts_with(root.join(folder));
        if ["plugins", "sdk", "examples/bookinfo"]
            .into_iter()
            .any(inside)
        {
            found.extend(package["name"].as_str().map(str::to_owned));
        }
    }
    Ok(found)
}

/// Every component of the workspace: `cdylib` and binary targets of packages below the guests' folders.
fn find_guests(metadata: &Value, root: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for package in metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?
    {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let Some((folder, prefix)) = place_of(manifest, root) else {
            continue;
        };
        for target in package["targets"].as_array().into_iter().flatten() {
            guests.extend(guest(package, target, &folder, prefix));
        }
    }
    Ok(guests)
}

/// The folder's own name and the prefix of what is built there; none for packages that are no guests.
fn place_of(manifest: &Path, root: &Path) -> Option<(String, &'static str)> {
    let folder = manifest.parent()?.strip_prefix(root).ok()?;
    let parent = folder.parent()?.to_str()?;
    let (_, prefix) = FOLDERS.iter().find(|(known, _)| *known == parent)?;
    Some((folder.file_name()?.to_str()?.to_owned(), prefix))
}

fn guest(package: &Value, target: &Value, folder: &str, prefix: &str) -> Option<Guest> {
    let kinds: Vec<&str> = target["kind"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let own = target["name"].as_str()?;
    let (artifact, name) = match kinds.as_slice() {
        kinds if kinds.contains(&"cdylib") => (format!("{}.wasm", own.replace('-', "_")), folder),
        ["bin"] => (format!("{own}.wasm"), own),
        _ => return None,
    };
    let name = if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    };
    Some(Guest {
        package: package["name"].as_str()?.to_owned(),
        artifact,
        name,
        target: package["metadata"]["guest"]["target"]
            .as_str()
            .unwrap_or(TARGET)
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn guests_are_found_by_folder_and_named_for_people() {
        let package = |path: &str, name: &str, kind: &str, target: &str| json!({"name": name, "manifest_path": format!("/w/{path}/Cargo.toml"), "targets": [{"kind": [kind], "name": target}]});
        let metadata = json!({"packages": [
            package("plugins/rate-limit", "osier-plugin-rate-limit", "cdylib", "osier_plugin_rate_limit"),
            package("examples/hello", "example-hello", "cdylib", "example_hello"),
            package("examples/bookinfo/propagation", "bookinfo-propagation", "lib", "bookinfo_propagation"),
            package("tests/components/fixture", "fixture", "bin", "crash-loop"),
            package("host/osier", "osier", "bin", "osier"),
        ]});
        let found = find_guests(&metadata, Path::new("/w")).unwrap();
        let names: Vec<(&str, &str)> = found
            .iter()
            .map(|guest| (guest.name.as_str(), guest.artifact.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("plugins/rate-limit", "osier_plugin_rate_limit.wasm"),
                ("hello", "example_hello.wasm"),
                ("tests/crash-loop", "crash-loop.wasm")
            ]
        );
    }
}
