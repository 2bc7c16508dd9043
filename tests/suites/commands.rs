//! A table of commands, typed into every kubectl that can be had here, from Debian's 1.20 to the newest: each does the same and says
//! the same. `corpus/commands.txt` has the commands and what must be said; `docs/conformance/kubectl.md` shows them.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::Node;
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, all};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const TABLE: &str = include_str!("corpus/commands.txt");
/// Written anew with `OSIER_BLESS=1`.
const SHOWN: &str = "docs/conformance/kubectl.md";
const LIMIT: Duration = Duration::from_secs(60);

/// One command.
#[derive(Debug, Default)]
struct Step {
    section: &'static str,
    /// The minor versions of the first and the last kubectl that have it.
    since: u32,
    until: u32,
    command: &'static str,
    succeeds: bool,
    input: Option<&'static str>,
    says: Vec<&'static str>,
    never: Vec<&'static str>,
    /// It is typed again until it says what it must.
    repeated: bool,
}

fn steps() -> Vec<Step> {
    let (mut steps, mut section) = (Vec::<Step>::new(), "");
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            section = name;
        } else if let Some(detail) = line.strip_prefix("  ") {
            note(steps.last_mut().unwrap(), detail);
        } else if !line.is_empty() {
            let (since, until, rest) = ages(line);
            let (mark, command) = rest.split_once(' ').unwrap();
            assert!(["$", "!"].contains(&mark), "{line}");
            steps.push(Step {
                section,
                since,
                until,
                command,
                succeeds: mark == "$",
                ..Step::default()
            });
        }
    }
    steps
}

/// The first and the last minor version, and the rest of a line such as `1.27+ $ events`.
fn ages(line: &'static str) -> (u32, u32, &'static str) {
    let Some(rest) = line.strip_prefix("1.") else {
        return (0, u32::MAX, line);
    };
    let (age, rest) = rest.split_once(' ').unwrap();
    match age.strip_suffix('+') {
        Some(since) => (since.parse().unwrap(), u32::MAX, rest),
        None => (0, age.strip_suffix('-').unwrap().parse().unwrap(), rest),
    }
}

fn note(step: &mut Step, detail: &'static str) {
    match detail.split_at(1) {
        ("<", file) => step.input = Some(file.trim()),
        ("+", words) => step.says.push(words.trim_start()),
        ("-", words) => step.never.push(words.trim_start()),
        ("~", "") => step.repeated = true,
        _ => assert!(detail.is_empty(), "what is {detail:?}?"),
    }
}

/// Words of a command; those in quotes stay together.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut begun) = (false, false);
    for letter in command.chars() {
        match letter {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                words.push(String::new());
                begun = false;
            }
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    if begun && command.ends_with("''") {
        words.push(String::new());
    }
    words
}

/// One kubectl in a namespace of its own.
struct Person<'a> {
    kubectl: &'a Kubectl,
    node: &'a Node,
    namespace: String,
    machine: String,
}

impl Person<'_> {
    fn meant(&self, text: &str) -> String {
        text.replace("MACHINE", "\u{0}")
            .replace("NS", &self.namespace)
            .replace('\u{0}', &self.machine)
    }

    /// Whether it succeeded, and both outputs with every gap as one space.
    fn run(&self, step: &Step) -> (bool, String) {
        let input = step.input.map(|name| self.meant(&manifest(name)));
        let words: Vec<String> = words(step.command)
            .iter()
            .map(|word| self.meant(word))
            .collect();
        let mut command = self.kubectl.command(&self.node.kubeconfig());
        command.env("KUBE_EDITOR", "sed -i s/by-label/edited/");
        // Completion takes no flag before the words to complete.
        if words.first().is_some_and(|word| word != "__complete") {
            command.args(["-n", &self.namespace]);
        }
        let output =
            osier_tests::kubectl::finished(command.args(&words), input.as_deref()).unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let spaced: Vec<&str> = text.split_whitespace().collect();
        (output.status.success(), spaced.join(" "))
    }

    /// What is wrong with what a command did.
    fn fault(&self, step: &Step) -> Option<String> {
        let (succeeded, said) = self.run(step);
        let spaced = |words: &str| {
            let words = self.meant(words);
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let missing = step
            .says
            .iter()
            .find(|words| !said.contains(&spaced(words)));
        let stray = step
            .never
            .iter()
            .find(|words| said.contains(&spaced(words)));
        let wrong = match (missing, stray) {
            (Some(words), _) => format!("does not say {words:?}"),
            (_, Some(words)) => format!("says {words:?}"),
            _ if succeeded != step.succeeds => format!("success is {succeeded}"),
            _ => return None,
        };
        Some(format!(
            "kubectl {} {} {wrong}:\n{said}",
            self.kubectl.version,
            self.meant(step.command)
        ))
    }

    fn follow(&self, step: &Step) -> Option<String> {
        let begun = Instant::now();
        loop {
            let fault = self.fault(step);
            if fault.is_none() || !step.repeated || begun.elapsed() > LIMIT {
                return fault;
            }
            std::thread::yield_now();
        }
    }
}

fn manifest(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/corpus/commands");
    std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap()
}

fn minor(kubectl: &Kubectl) -> u32 {
    let minor = kubectl.version.split('.').nth(1).unwrap();
    minor.parse().unwrap()
}

#[test]
fn every_kubectl_does_and_says_the_same() {
    let (mut found, skipped) = all();
    for reason in skipped {
        println!("skipped: {reason}");
    }
    // The oldest and the newest; those between have suites where they differ.
    found.sort_by_key(minor);
    if found.len() > 2 {
        found.drain(1..found.len() - 1);
    }
    let node = Node::start().unwrap();
    node.import("ticker:1.0", &component("tests/ticker").unwrap())
        .unwrap();
    let mut faults = Vec::new();
    for kubectl in &found {
        let names = ["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"];
        let person = Person {
            kubectl,
            node: &node,
            namespace: format!("with-1-{}", minor(kubectl)),
            machine: kubectl.ok(&node.kubeconfig(), &names, None).unwrap(),
        };
        let create = ["create", "namespace", &person.namespace];
        kubectl.ok(&node.kubeconfig(), &create, None).unwrap();
        let steps = steps();
        let had = steps
            .iter()
            .filter(|step| (step.since..=step.until).contains(&minor(kubectl)));
        faults.extend(had.filter_map(|step| person.follow(step)));
        let delete = ["delete", "namespace", &person.namespace, "--timeout=60s"];
        kubectl.ok(&node.kubeconfig(), &delete, None).unwrap();
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
}

#[test]
fn the_table_is_what_is_typed() {
    let mut table = String::from(HEAD);
    for step in steps() {
        let ends = if step.succeeds {
            "succeeds"
        } else {
            "is refused"
        };
        let (old, new) = match (step.since, step.until) {
            (0, u32::MAX) => ("same".to_owned(), "same"),
            (0, _) => ("same".to_owned(), "another way"),
            (since, _) if since > 20 => (format!("since 1.{since}"), "same"),
            _ => ("same".to_owned(), "same"),
        };
        let command = step.command.replace('|', "\\|");
        table += &format!(
            "| {} | `{command}` | {ends} | {old} | {new} |\n",
            step.section
        );
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(SHOWN);
    if std::env::var_os("OSIER_BLESS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let shown = std::fs::read_to_string(&path).unwrap();
    assert_eq!(shown, table, "write it anew with OSIER_BLESS=1");
}

const HEAD: &str = "# kubectl, command by command

What is typed into kubectl 1.20 (Debian's) and the newest of the machine by `tests/suites/commands.rs`, one after the other, each in a namespace of its own on one `osier up`. *same*: the same effect and the same words, which stand with each command in `tests/suites/corpus/commands.txt`. *since*: older kubectls do not have the command or the flag, or do it another way. `OSIER_BLESS=1 cargo test --test commands` writes the table anew.

Streams (`exec`, `attach`, `cp`, `port-forward`), `get -w` and kinds that users define have suites of their own: `exec.rs`, `port_forward.rs`, `kubectl.rs`, `custom.rs`.

| section | kubectl | | 1.20 | newest |
|---|---|---|---|---|
";
