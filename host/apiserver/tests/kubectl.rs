//! Every kubectl on this machine against the API over TLS: a script of commands, each with what it must say.
//!
//! Looks in `PATH`, in the folder of the Google Cloud SDK (which brings seven versions), and in `OSIER_KUBECTL` (a list
//! of programs, as in `PATH`). Without any kubectl the test says so and passes.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "kubectl/programs.rs"]
mod programs;
#[path = "kubectl/script.rs"]
mod script;
#[path = "kubectl/site.rs"]
mod site;

use programs::Program;
use script::{PODS, SCRIPT, Step};
use site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kubectl_does_its_work() {
    let programs = programs::installed();
    if programs.is_empty() {
        println!("skipped: there is no kubectl in PATH, the Google Cloud SDK or OSIER_KUBECTL");
        return;
    }
    let site = Site::start().await;
    let faults: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = programs
            .iter()
            .map(|program| scope.spawn(|| run(&site, program)))
            .collect();
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect()
    });
    let versions: Vec<String> = programs
        .iter()
        .map(|program| format!("1.{}", program.minor))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
    println!(
        "{} steps each with kubectl {}",
        SCRIPT.len(),
        versions.join(", ")
    );
}

/// All steps in a namespace of one's own. Steps build on each other: a fault may be the cause of the next.
fn run(site: &Site, program: &Program) -> Vec<String> {
    let namespace = format!("with-1-{}", program.minor);
    let kubectl = |arguments: &[&str], input: &str| program.run(site, &namespace, arguments, input);
    kubectl(&["create", "namespace", &namespace], "");
    let steps = SCRIPT.iter().filter(|step| program.minor >= step.since);
    let mut faults: Vec<String> = steps
        .filter_map(|step| {
            check(
                step,
                &kubectl(&step.arguments(&namespace), &step.input(&namespace)),
            )
        })
        .collect();
    faults.extend(watches(site, program, &namespace));
    faults.extend(waits(site, program, &namespace));
    faults
        .iter()
        .map(|fault| format!("kubectl 1.{}: {fault}", program.minor))
        .collect()
}

fn check(step: &Step, said: &programs::Said) -> Option<String> {
    let missing = step.says.iter().find(|words| !said.text.contains(**words));
    let present = step.never.iter().find(|words| said.text.contains(**words));
    if said.success == step.succeeds && missing.is_none() && present.is_none() {
        return None;
    }
    let problem = match (missing, present) {
        (Some(words), _) => format!("does not say {words:?}"),
        (_, Some(words)) => format!("says {words:?}"),
        _ => format!("success is {}", said.success),
    };
    Some(format!("{:?} {problem}:\n{}", step.command, said.text))
}

/// `get -w` shows a change that comes later.
fn watches(site: &Site, program: &Program, namespace: &str) -> Option<String> {
    let mut watching = program.start(site, namespace, &["get", "configmaps", "-w", "-o", "name"]);
    let found = watching.until("configmap/maps");
    program.run(
        site,
        namespace,
        &["create", "configmap", "watched", "--from-literal=a=b"],
        "",
    );
    let seen = found && watching.until("configmap/watched");
    (!seen).then(|| {
        format!(
            "kubectl 1.{}: get -w did not show the change",
            program.minor
        )
    })
}

/// `wait` ends when a condition becomes true.
fn waits(site: &Site, program: &Program, namespace: &str) -> Option<String> {
    program.run(site, namespace, &["create", "-f", "-"], PODS);
    let mut waiting = program.start(
        site,
        namespace,
        &[
            "wait",
            "--for=condition=Ready",
            "pod/waiting",
            "--timeout=30s",
        ],
    );
    site.make_ready(namespace, "waiting");
    let met = waiting.until("condition met");
    (!met).then(|| "wait did not end".to_owned())
}
