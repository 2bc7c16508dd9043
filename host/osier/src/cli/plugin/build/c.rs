//! C: headers of the project's world are made here, then clang or zig compiles, and the module becomes a component here.

use super::super::project::Project;
use super::steps::{self, Tool};
use anyhow::{Context as _, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where generated files go; the compiler looks there for `plugin.h`.
const GENERATED: &str = "build/generated";
const MODULE: &str = "build/plugin.module.wasm";
const COMPONENT: &str = "build/plugin.c.wasm";
/// What is fetched where there is no compiler.
const PACKAGE: &str = "ziglang==0.17.1";
const FETCHED: Tool = Tool {
    program: "python-zig",
    remedy: "install a C compiler for WebAssembly: wasi-sdk (set WASI_SDK_PATH), zig, \
             `apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32`, or Python 3.10 with venv, by which zig is fetched",
};
/// Where Debian's wasi-libc is.
const LIBRARY: &str = "/usr/lib/wasm32-wasi";
const CLANGS: [&str; 5] = ["clang-22", "clang-21", "clang-20", "clang-19", "clang"];

/// A compiler and how it is called.
struct Compiler {
    program: PathBuf,
    /// Before all other arguments.
    first: Vec<OsString>,
}

/// Builds and says where the component is.
pub(super) fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let dir = &project.dir;
    let generated = dir.join(GENERATED);
    std::fs::create_dir_all(&generated).with_context(|| generated.display().to_string())?;
    for (name, bytes) in osier_authoring::bindings(&dir.join("wit"))? {
        let file = generated.join(name);
        std::fs::write(&file, bytes).with_context(|| file.display().to_string())?;
    }
    let compiler = compiler()?;
    let mut arguments = compiler.first;
    arguments.extend(OPTIONS.map(OsString::from));
    for folder in ["src", "vendor/osier", GENERATED] {
        arguments.extend(sources(dir, folder)?);
    }
    steps::run(&compiler.program, &arguments, dir)?;
    let module = std::fs::read(dir.join(MODULE)).with_context(|| MODULE)?;
    let made = dir.join(COMPONENT);
    let component = osier_authoring::component_of(&module)?;
    std::fs::write(&made, component).with_context(|| made.display().to_string())?;
    Ok(made)
}

const OPTIONS: [&str; 13] = [
    "-Os",
    "-Wall",
    "-Wextra",
    "-fno-strict-aliasing",
    "-mexec-model=reactor",
    "-Wl,-z,stack-size=65536",
    "-Wl,--strip-debug",
    "-Isrc",
    "-Ivendor",
    "-Ivendor/osier",
    "-Ibuild/generated",
    "-o",
    MODULE,
];

/// The sources and objects in a folder, sorted.
fn sources(dir: &Path, folder: &str) -> anyhow::Result<Vec<OsString>> {
    let entries = std::fs::read_dir(dir.join(folder)).with_context(|| folder.to_owned())?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let ours = |name: &OsString| {
        let ending = Path::new(name).extension().unwrap_or_default();
        ending == "c" || ending == "o"
    };
    let mut found: Vec<OsString> = names
        .filter(ours)
        .map(|name| Path::new(folder).join(name).into())
        .collect();
    found.sort();
    Ok(found)
}

/// wasi-sdk if it is named, zig or a clang that has a C library for WASI on the PATH, else the zig that is fetched.
fn compiler() -> anyhow::Result<Compiler> {
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH") {
        let program = PathBuf::from(sdk).join("bin/clang");
        if !program.is_file() {
            bail!(
                "WASI_SDK_PATH is set, but there is no {}",
                program.display()
            );
        }
        return Ok(called(program, &["--target=wasm32-wasip1"]));
    }
    let on_path = |program| {
        steps::find(
            &Tool {
                program,
                remedy: "",
            },
            &[],
        )
        .ok()
    };
    if let Some(zig) = on_path("zig") {
        return Ok(called(zig, &ZIG));
    }
    let clang = CLANGS.into_iter().find_map(on_path);
    if let Some(clang) = clang.filter(|_| Path::new(LIBRARY).is_dir()) {
        return Ok(called(clang, &["--target=wasm32-wasi"]));
    }
    let zig = steps::fetched(&FETCHED, PACKAGE)?;
    Ok(called(zig, &ZIG))
}

const ZIG: [&str; 3] = ["cc", "-target", "wasm32-wasi"];

fn called(program: PathBuf, first: &[&str]) -> Compiler {
    let first = first.iter().map(OsString::from).collect();
    Compiler { program, first }
}
