//! Plugins from an empty folder to a running node, and the conformance suite in every language whose tools are here.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::{binary, component, target, workspace};
use osier_tests::http::{get, get_with};
use osier_tests::{Node, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Where builds and compiled code are kept between runs.
fn kept() -> PathBuf {
    target().join("authoring")
}

fn osier(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary().unwrap());
    command
        .args(arguments)
        .current_dir(dir)
        .env("OSIER_DATA_DIR", kept().join("data"))
        .env("CARGO_TARGET_DIR", kept().join("cargo"));
    command.output().unwrap()
}

fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn done(dir: &Path, arguments: &[&str]) -> String {
    let output = osier(dir, arguments);
    assert!(
        output.status.success(),
        "osier {}: {}",
        arguments.join(" "),
        words(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A new project; Rust gets this repository's locked versions, so that nothing else is fetched.
fn project(folder: &Path, name: &str, language: &str) -> PathBuf {
    done(
        folder,
        &[
            "plugin",
            "new",
            name,
            "--template",
            "listentry",
            "--lang",
            language,
        ],
    );
    let dir = folder.join(name);
    if language == "rust" {
        std::fs::copy(workspace().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    }
    dir
}

async fn answers(gateway: &str, status: u16, user: &str) {
    let asked = || async {
        Ok((get_with(gateway, "/hello", &[("x-user", user)])
            .await?
            .status
            == status)
            .then_some(()))
    };
    until(&format!("{status} for {user}"), LIMIT, asked)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_is_built_inspected_tested_and_runs_in_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let dir = project(folder.path(), "guests", "rust");

    let built: Value =
        serde_json::from_str(&done(&dir, &["plugin", "build", "-o", "json"])).unwrap();
    let file = built["file"].as_str().unwrap();
    let found: Value =
        serde_json::from_str(&done(&dir, &["plugin", "inspect", file, "-o", "json"])).unwrap();
    assert_eq!(found["digest"], built["digest"]);
    assert_eq!(found["templates"][0]["name"], "listentry");
    assert_eq!(found["schema"]["required"][0], "allow");
    let asks_for_something = |import: &&Value| import["needs"] != "nothing";
    let imports = found["imports"].as_array().unwrap();
    assert_eq!(imports.iter().find(asks_for_something), None, "{found}");

    let tested = done(&dir, &["plugin", "test"]);
    assert!(
        tested.contains("4 cases") && !tested.contains("FAIL"),
        "{tested}"
    );

    let node = Node::start().unwrap();
    node.import("hello:1.0", &component("hello").unwrap())
        .unwrap();
    node.apply(&workspace().join("examples/hello/hello.yaml"))
        .unwrap();
    let gateway = node.address("gateway").unwrap();
    let up = || async { Ok((get(&gateway, "/hello").await?.status == 200).then_some(())) };
    until("hello answers", LIMIT, up).await.unwrap();
    node.import("guests:1", Path::new(file)).unwrap();
    node.apply(&dir.join("plugin.yaml")).unwrap();
    answers(&gateway, 403, "mallory").await;
    answers(&gateway, 200, "alice").await;

    let source = dir.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("deny(403)", "deny(451)")).unwrap();
    let (data, kubeconfig) = (node.data_dir(), node.kubeconfig());
    let told = done(
        &dir,
        &[
            "plugin",
            "dev",
            "--once",
            "--data-dir",
            data.to_str().unwrap(),
            "--kubeconfig",
            kubeconfig.to_str().unwrap(),
        ],
    );
    assert!(told.contains("default/guests serves sha256:"), "{told}");
    answers(&gateway, 451, "mallory").await;
    answers(&gateway, 200, "alice").await;
}

#[test]
fn a_wrong_answer_fails_the_test_and_says_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = folder.path().join("wrong.yaml");
    let text = "plugin: {config: {status: 451}}\naction: {template: checknothing}\ncases:\n- {name: denies, expect: {verdict: deny, status: 403}}\n\
        - {name: passes, expect: {verdict: allow}}\n- {name: mistyped, attributes: {request.metod: GET}, expect: {verdict: deny}}\n";
    std::fs::write(&fixture, text).unwrap();
    let denier = component("plugins/denier").unwrap();
    let arguments = [
        "plugin",
        "test",
        denier.to_str().unwrap(),
        "--fixtures",
        fixture.to_str().unwrap(),
    ];
    let output = osier(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let told = words(&output);
    for wanted in [
        "status: expected 403, got 451",
        "expected allow, got deny (451",
        "did you mean `request.method`",
        "3 of 3 cases failed",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in\n{told}");
    }
    let json: Value = serde_json::from_slice(
        &osier(folder.path(), &[&arguments[..], &["-o", "json"]].concat()).stdout,
    )
    .unwrap();
    assert_eq!(json[0]["ok"], false, "{json}");
}

#[test]
fn what_is_wrong_is_said_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("text.wasm"), "hello").unwrap();
    for (arguments, told) in [
        (&["plugin", "build"][..], "osier plugin new NAME"),
        (&["plugin", "new", "Upper"], "lower-case"),
        (&["plugin", "new", "mine", "--template", "quotas"], "quota"),
        (&["plugin", "inspect", "text.wasm"], "not WebAssembly"),
        (&["plugin", "inspect", "none.wasm"], "none.wasm"),
        (&["plugin", "test", "text.wasm"], "--fixtures"),
    ] {
        let output = osier(here, arguments);
        let words = words(&output);
        assert!(
            !output.status.success() && words.contains(told),
            "{arguments:?}: {words}"
        );
    }
    project(here, "unbuilt", "rust");
    let output = osier(here, &["plugin", "test", "unbuilt"]);
    assert!(
        words(&output).contains("osier plugin build unbuilt"),
        "{}",
        words(&output)
    );
}

#[test]
fn two_versions_are_compared_call_by_call() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = folder.path().join("calls.yaml");
    let text = "action: {template: checknothing}\ncases:\n- {name: any, repeat: 2, expect: {verdict: deny}}\n";
    std::fs::write(&fixture, text).unwrap();
    let [denier, blocker] = ["plugins/denier", "plugins/list"].map(|name| component(name).unwrap());
    let replay = |after: &Path| {
        let arguments = [
            "plugin",
            "replay",
            denier.to_str().unwrap(),
            after.to_str().unwrap(),
            "--fixtures",
            fixture.to_str().unwrap(),
        ];
        osier(folder.path(), &arguments)
    };
    let same = replay(&denier);
    assert!(
        same.status.success() && words(&same).contains("2 calls, 0 differences"),
        "{}",
        words(&same)
    );
    let other = replay(&blocker);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        words(&other).contains("- deny 403") && words(&other).contains("+ does not load"),
        "{}",
        words(&other)
    );
}

#[test]
fn completion_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = done(&workspace(), &["completion", shell]);
        for word in ["inspect", "replay", "bench", "--fixtures", "--template"] {
            let word = if shell == "fish" {
                word.trim_start_matches("--")
            } else {
                word
            };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

/// A copy of `sdk/` and `wit/` below target, so that builds leave nothing in the sources; links stay links.
fn tree() -> PathBuf {
    let tree = kept().join("tree");
    for folder in ["sdk", "wit"] {
        copy(&workspace().join(folder), &tree.join(folder));
    }
    tree
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let left_behind = ["build", "node_modules", ".venv", "target"].map(Into::into);
        if from.is_symlink() {
            let _absent = std::fs::remove_file(&to);
            std::os::unix::fs::symlink(std::fs::read_link(&from).unwrap(), &to).unwrap();
        } else if from.is_dir() {
            if !left_behind.contains(&entry.file_name()) {
                copy(&from, &to);
            }
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Builds the examples of a language, or says what is missing.
fn examples(language: &str, tool: &str) -> Option<PathBuf> {
    if Command::new(tool).arg("--version").output().is_err() {
        println!("skipped: the examples in {language}, because {tool} is not installed");
        return None;
    }
    let dir = tree().join("sdk").join(language).join("examples");
    let output = osier(&dir, &["plugin", "build", "-o", "json"]);
    let words = words(&output);
    // Without a network the tools cannot be had; anything else that fails is a fault.
    let fetching = ["$ npm install", "$ pip install"]
        .iter()
        .any(|step| words.trim_end().lines().any(|line| line.starts_with(step)));
    let built = !words.contains("$ rolldown") && !words.contains("$ componentize");
    if !output.status.success() && fetching && built {
        println!(
            "skipped: the examples in {language}, because their tools cannot be fetched:\n{words}"
        );
        return None;
    }
    assert!(output.status.success(), "{words}");
    let built: Value = serde_json::from_slice(&output.stdout).unwrap();
    Some(built["file"].as_str().unwrap().into())
}

fn conforms(component: &Path) {
    let suite = workspace().join("sdk/conformance");
    let told = done(
        &workspace(),
        &[
            "plugin",
            "test",
            component.to_str().unwrap(),
            "--fixtures",
            suite.to_str().unwrap(),
        ],
    );
    assert!(told.contains("20 cases"), "{told}");
}

#[test]
fn the_examples_in_rust_conform() {
    conforms(&component("sdk/rust/examples").unwrap());
}

#[test]
fn the_examples_in_typescript_conform() {
    examples("js", "npm").iter().for_each(|file| conforms(file));
}

#[test]
fn the_examples_in_python_conform() {
    examples("python", "python3")
        .iter()
        .for_each(|file| conforms(file));
}
