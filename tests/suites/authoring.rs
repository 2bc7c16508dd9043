//! Plugins from an empty folder to a running node, and the conformance suite in every language whose tools are here.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::{binary, component, target, workspace};
use osier_tests::http::{get, get_with};
use osier_tests::{Node, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
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
        .env("OSIER_DATA_DIR", kept().join("data"));
    caches(&mut command).output().unwrap()
}

/// Where builds keep what takes them long: cargo's objects, compilers that are fetched.
fn caches(command: &mut Command) -> &mut Command {
    command
        .env("CARGO_TARGET_DIR", kept().join("cargo"))
        .env("XDG_CACHE_HOME", kept().join("cache"))
}

/// The languages that have an SDK, and what the machine must have of each; the rest is fetched.
const LANGUAGES: [(&str, &str); 5] = [
    ("js", "npm"),
    ("python", "python3"),
    ("go", "python3"),
    ("c", "python3"),
    ("rust", "cargo"),
];

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
    project_of(folder, name, ("listentry", language))
}

fn project_of(folder: &Path, name: &str, (template, language): (&str, &str)) -> PathBuf {
    let new = [
        "plugin",
        "new",
        name,
        "--template",
        template,
        "--lang",
        language,
    ];
    done(folder, &new);
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

/// The commands of the guide, for one language.
fn guide(language: &str) -> String {
    let text = std::fs::read_to_string(workspace().join("docs/guide/plugin-author.md")).unwrap();
    let (_, rest) = text
        .split_once("## From nothing to a running plugin\n\n```sh\n")
        .unwrap();
    let commands = rest.split("```").next().unwrap();
    let commands = commands
        .replace("--lang rust", &format!("--lang {language}"))
        .replace("guests", &format!("guests-{language}"));
    // This repository's locked versions, so that cargo fetches and compiles nothing that is not there already.
    let lock = workspace().join("Cargo.lock");
    commands.replace(
        "cd guests-rust\n",
        &format!("cd guests-rust; cp {} .\n", lock.display()),
    )
}

/// True if a build ended while it fetched its tools: there is no network, or Python cannot make environments. Anything else that fails is a fault.
fn unfetchable(words: &str) -> bool {
    let fetching = ["$ npm install", "$ python3 -m venv", "$ pip install"];
    let building = [
        "$ rolldown",
        "$ componentize",
        "$ go build",
        "$ python-zig",
        "$ zig",
        "$ clang",
    ];
    fetching.iter().any(|step| words.contains(step))
        && !building.iter().any(|step| words.contains(step))
}

/// Does what the guide says, beside a node; the folder of the project, or none if the language's tools cannot be had.
fn follow(node: &Node, folder: &Path, language: &str) -> Option<PathBuf> {
    let tools = binary().unwrap().parent().unwrap().to_owned();
    let path = std::env::join_paths(
        std::iter::once(tools).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-ec", &guide(language)])
        .current_dir(folder)
        .env("PATH", path);
    shell
        .env("OSIER_DATA_DIR", node.data_dir())
        .env("KUBECONFIG", node.kubeconfig());
    let output = caches(&mut shell).output().unwrap();
    let told = words(&output);
    if !output.status.success() && unfetchable(&told) {
        println!("skipped: {language}, because its tools cannot be fetched:\n{told}");
        return None;
    }
    assert!(output.status.success(), "{told}");
    for wanted in [
        "4 cases",
        "Template   listentry",
        "Grants     none",
        "created",
    ] {
        assert!(
            told.contains(wanted),
            "{language}: {wanted} is not in\n{told}"
        );
    }
    Some(folder.join(format!("guests-{language}")))
}

fn has(tool: &str, language: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        println!("skipped: {language}, because {tool} is not installed");
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_leads_from_nothing_to_a_running_plugin_in_each_language() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start().unwrap();
    node.import("hello:1.0", &component("hello").unwrap())
        .unwrap();
    node.apply(&workspace().join("examples/hello/hello.yaml"))
        .unwrap();
    let gateway = node.address("gateway").unwrap();
    let up = || async { Ok((get(&gateway, "/hello").await?.status == 200).then_some(())) };
    until("hello answers", LIMIT, up).await.unwrap();
    for (language, tool) in LANGUAGES {
        if !has(tool, language) {
            continue;
        }
        let Some(dir) = follow(&node, folder.path(), language) else {
            continue;
        };
        answers(&gateway, 403, "mallory").await;
        answers(&gateway, 200, "alice").await;
        match language {
            "rust" => develop(&node, &dir, "src/lib.rs").await,
            "js" => develop(&node, &dir, "src/plugin.ts").await,
            "c" => {
                once(&node, &dir);
                answers(&gateway, 451, "mallory").await;
            }
            _ => {}
        }
        node.delete(&dir.join("plugin.yaml")).unwrap();
        answers(&gateway, 200, "mallory").await;
    }
}

/// Saves a change and lets `osier plugin dev --once` serve it.
fn once(node: &Node, dir: &Path) {
    let source = dir.join("src/plugin.c");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("deny(403", "deny(451")).unwrap();
    let data = node.data_dir();
    let once = ["plugin", "dev", "--once", "--data-dir"];
    let told = done(dir, &[&once[..], &[data.to_str().unwrap()]].concat());
    assert!(told.contains("default/guests-c serves sha256:"), "{told}");
}

/// `osier plugin dev` at work on a project; it ends with this.
struct Dev {
    child: Child,
    told: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    fn start(node: &Node, dir: &Path) -> Self {
        let mut command = Command::new(binary().unwrap());
        command
            .args(["plugin", "dev", "--data-dir"])
            .arg(node.data_dir())
            .current_dir(dir)
            .stdout(Stdio::piped());
        let mut child = caches(&mut command).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, told }
    }

    /// Waits until it says that a version is served; how it says so.
    fn served(&mut self) -> String {
        let line = self.told.next().unwrap().unwrap();
        println!("{line}");
        assert!(line.contains(" serves sha256:"), "{line}");
        line
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Saves changes while `osier plugin dev` runs, and sees each served.
async fn develop(node: &Node, dir: &Path, source: &str) {
    let gateway = node.address("gateway").unwrap();
    let mut dev = Dev::start(node, dir);
    dev.served();
    let source = dir.join(source);
    let original = std::fs::read_to_string(&source).unwrap();
    for status in [451, 402] {
        let changed = original.replace("deny(403", &format!("deny({status}"));
        assert_ne!(changed, original);
        std::fs::write(&source, changed).unwrap();
        let line = dev.served();
        for part in ["notice", "build", "compile", "apply", "serve"] {
            assert!(line.contains(part), "{line}");
        }
        answers(&gateway, status, "mallory").await;
        answers(&gateway, 200, "alice").await;
    }
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
        words(&other).contains("- deny (403") && words(&other).contains("+ does not load"),
        "{}",
        words(&other)
    );
}

/// Replays fixtures with two versions; whether they answer the same, and what was told.
fn replayed(fixtures: &Path, [before, after]: [&str; 2]) -> (bool, String) {
    let [before, after] = [before, after].map(|name| component(name).unwrap());
    let mut command = Command::new(binary().unwrap());
    command.args(["plugin", "replay"]).args([&before, &after]);
    command.arg("--fixtures").arg(fixtures);
    let output = command
        .env("OSIER_DATA_DIR", kept().join("data"))
        .output()
        .unwrap();
    (output.status.success(), words(&output))
}

#[test]
fn hooks_and_middlewares_are_compared_by_what_others_would_see() {
    let suite = workspace().join("sdk/conformance");
    let (same, told) = replayed(&suite, ["sdk/rust/examples"; 2]);
    assert!(same && told.contains(" 0 differences"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let fixture = folder.path().join("calls.yaml");
    let differences = |text: &str, versions, wanted: &[&str]| {
        std::fs::write(&fixture, text).unwrap();
        let (same, told) = replayed(&fixture, versions);
        assert!(!same, "{told}");
        for wanted in wanted {
            assert!(told.contains(wanted), "{wanted} is not in\n{told}");
        }
    };
    let examples = "sdk/rust/examples";
    let plugin = "plugin: {config: {}, grants: {keyvalue: [limits]}}\n";
    differences(
        &format!(
            "{plugin}action: {{hook: schedule}}\ncases:\n- name: two nodes\n  given: {{pod: {{metadata: {{name: web}}}}, \
            nodes: [{{name: a, pods: 10}}, {{name: b, pods: 1, siblings: 1}}]}}\n  expect: {{verdict: allow}}\n"
        ),
        [examples, "plugins/bin-pack"],
        &[
            "- allow, a 90, b does not fit: there is one of its kind",
            "+ allow, a ",
            "1 calls, 1 differences",
        ],
    );
    differences(
        &format!(
            "{plugin}action: {{hook: admit, kinds: [{{group: '*', kind: '*'}}]}}\ncases:\n- name: no owner\n  \
            given: {{write: {{user: alice, object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, labels: {{app: web}}}}}}}}}}\n  \
            expect: {{verdict: allow}}\n"
        ),
        [examples, "plugins/require-labels"],
        &["- allow, patch [{\"op\":\"add\"", "+ allow\n"],
    );
    differences(
        "action: {hook: filter}\ncases:\n- name: any\n  given: {request: {path: /hello, headers: {x-a: b}}, response: {status: 201, body: made}}\n  \
        expect: {verdict: allow}\n",
        ["shield", "tests/http"],
        &[
            "- allow, GET service.example/hello, request x-a=b",
            "status 201",
            "x-frame-options=DENY",
            "+ deny (the middleware answered itself), status 200",
        ],
    );
    // Nothing is equal that was not compared.
    let text = "action: {template: listentry}\ncases:\n- {name: no configuration, expect: {verdict: allow}}\n";
    std::fs::write(&fixture, text).unwrap();
    let (same, told) = replayed(&fixture, ["plugins/list"; 2]);
    assert!(!same && told.contains("neither version answers"), "{told}");
}

#[test]
fn a_middleware_is_tested_by_fixtures() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = folder.path().join("shield.yaml");
    let text = "action: {hook: filter}\ncases:\n- name: a response is shielded\n  \
        given: {request: {method: POST, path: /a?b=c, body: sent}, response: {status: 418, headers: {server: x}, body: tea}}\n  \
        expect: {verdict: allow, path: /a?b=c, requestBody: sent, status: 418, body: tea, headers: {x-frame-options: DENY, server: null}}\n\
        - name: what nobody should ask for never goes on\n  given: {request: {path: /.git/config}}\n  \
        expect: {verdict: deny, status: 404, body: \"There is nothing here.\\n\"}\n";
    std::fs::write(&fixture, text).unwrap();
    let shield = component("shield").unwrap();
    let arguments = ["plugin", "test", shield.to_str().unwrap(), "--fixtures"];
    let told = done(
        folder.path(),
        &[&arguments[..], &[fixture.to_str().unwrap()]].concat(),
    );
    assert!(told.contains("2 cases"), "{told}");
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

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["plugin", "new", "mine"][..],
        &["plugin", "new", "--list"],
        &["completion", "bash"],
        &["config", "print"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(binary().unwrap());
        command.args(arguments).current_dir(folder.path());
        command.env("OSIER_DATA_DIR", folder.path().join("data"));
        let output = command.stdout(writer).output().unwrap();
        let told = words(&output);
        assert_eq!(output.status.code(), Some(141), "{arguments:?}: {told}");
        assert_eq!(told, "", "{arguments:?}");
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
    if !has(tool, language) {
        return None;
    }
    let dir = tree().join("sdk").join(language).join("examples");
    let output = osier(&dir, &["plugin", "build", "-o", "json"]);
    let words = words(&output);
    if !output.status.success() && unfetchable(&words) {
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
    assert!(told.contains("38 cases"), "{told}");
}

#[test]
fn the_examples_in_rust_conform() {
    let file = component("sdk/rust/examples").unwrap();
    conforms(&file);
    let found: Value = serde_json::from_str(&done(
        &workspace(),
        &["plugin", "inspect", file.to_str().unwrap(), "-o", "json"],
    ))
    .unwrap();
    let mut names: Vec<&str> = found["templates"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|template| template["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "listentry", "quota"]);
    assert_eq!(found["schema"]["properties"]["limit"]["minimum"], 1);
    let needs = found["imports"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|import| import["needs"] != "nothing");
    let remedies: Vec<&str> = needs
        .filter_map(|import| import["remedy"].as_str())
        .collect();
    assert_eq!(
        remedies,
        ["name its buckets in spec.grants.keyvalue"],
        "{found}"
    );
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

#[test]
fn the_examples_in_go_conform() {
    examples("go", "python3")
        .iter()
        .for_each(|file| conforms(file));
}

#[test]
fn the_examples_in_c_conform() {
    examples("c", "python3")
        .iter()
        .for_each(|file| conforms(file));
}

/// Builds a project of a template and runs its fixtures; false if the language's tools cannot be had.
fn made(language: &str, template: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let dir = project_of(folder.path(), "mine", (template, language));
    let output = osier(&dir, &["plugin", "build"]);
    let words = words(&output);
    if !output.status.success() && unfetchable(&words) {
        println!("skipped: {language}, because its tools cannot be fetched:\n{words}");
        return false;
    }
    assert!(output.status.success(), "{language} {template}: {words}");
    let told = done(&dir, &["plugin", "test"]);
    assert!(told.contains(" cases"), "{language} {template}: {told}");
    true
}

#[test]
fn an_attribute_generator_and_a_filter_are_made_in_each_language() {
    for (language, tool) in LANGUAGES {
        let templates = ["kubernetes", "filter"];
        let _all = has(tool, language) && templates.iter().all(|one| made(language, one));
    }
}

/// In C all of them, because a build is a matter of a second; in Go those that the conformance suite does not have.
#[test]
fn every_template_is_made_in_c_and_in_go() {
    let list = done(&workspace(), &["plugin", "new", "--list"]);
    let line = list.lines().find(|line| line.starts_with("c "));
    let known: Vec<&str> = line.unwrap()[2..].trim().split(", ").collect();
    assert!(known.len() > 10 && known.contains(&"schedule"), "{list}");
    if has("python3", "C and Go") {
        let _c = known.iter().all(|template| made("c", template));
        let _go = ["apikey", "checknothing"].iter().all(|one| made("go", one));
    }
}

#[test]
fn a_language_without_its_tools_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    for (language, remedy) in [
        ("c", "wasi-sdk"),
        ("go", "https://go.dev/dl"),
        ("rust", "rustup"),
    ] {
        let dir = project_of(folder.path(), language, ("listentry", language));
        let mut command = Command::new(binary().unwrap());
        command.args(["plugin", "build"]).current_dir(&dir);
        let output = command
            .env("PATH", "")
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .env_remove("WASI_SDK_PATH")
            .output()
            .unwrap();
        let words = words(&output);
        assert!(
            !output.status.success() && words.contains(remedy),
            "{language}: {words}"
        );
    }
}
