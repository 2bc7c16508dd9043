//! `kubectl exec`, `cp`, `attach` and `debug` with every kubectl: WebSocket of the new ones, SPDY of the old ones.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, every, installed};
use osier_tests::{Node, objects, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: &str = include_str!("manifests/exec.yaml");

async fn site() -> Node {
    let node = Node::start().unwrap();
    for (name, guest) in [
        ("web:1.0", "tests/http"),
        ("program:1.0", "tests/fixture-command"),
    ] {
        node.import(name, &component(guest).unwrap()).unwrap();
    }
    node.apply_text(OBJECTS).unwrap();
    for app in ["web", "program", "listener"] {
        objects::ready(&node, &format!("app={app}"), 1)
            .await
            .unwrap();
    }
    node
}

/// What came of a command: its exit code, what it wrote, what it complained of.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

fn exec(kubectl: &Kubectl, node: &Node, line: &str, stdin: Option<&str>) -> (i32, String, String) {
    let mut words = vec!["exec"];
    words.extend(stdin.map(|_| "-i"));
    words.extend(line.split_whitespace());
    told(&kubectl.run(&node.kubeconfig(), &words, stdin).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_runs_tools_programs_and_functions_in_the_pods_sandbox() {
    let (kubectls, skipped) = every();
    skipped
        .iter()
        .for_each(|reason| println!("skipped: {reason}"));
    assert!(!kubectls.is_empty());
    let node = site().await;
    for kubectl in &kubectls {
        println!("with kubectl {}", kubectl.version);
        let run = |line: &str, stdin: Option<&str>| exec(kubectl, &node, line, stdin);
        let good = |text: &str| (0, text.to_owned(), String::new());
        assert_eq!(run("web -- ls /", None), good("config\ndata\n"));
        assert_eq!(run("web -- /bin/cat /config/colour", None), good("green"));
        let (_, environment, _) = run("web -- env", None);
        assert!(environment.contains("COLOUR=green\n"), "{environment}");
        // More than any buffer on the way, in both directions, and to its end.
        let long = "0123456789abcdef".repeat(100_000);
        let (code, same, _) = run("web -- tee /data/long", Some(&long));
        assert!(
            code == 0 && same == long,
            "{} of {}",
            same.len(),
            long.len()
        );
        let (_, told, _) = run("web -- stat /data/long", None);
        assert!(told.contains("Size: 1600000\t"), "{told}");
        // How it ends is told.
        let (code, _, errors) = run("web -- false", None);
        assert!(code == 1 && errors.contains("exit code 1"), "{errors}");
        let (code, output, errors) = run("web -- cat /etc/passwd", None);
        assert_eq!((code, output.as_str()), (1, ""));
        assert!(
            errors.contains("sees only its volumes, at /config, /data"),
            "{errors}"
        );
        let (code, _, errors) = run("web -- bash", None);
        assert!(
            code == 127 && errors.contains("its own greet, its own tidy, cat, "),
            "{errors}"
        );
        // Functions of the component, and its program.
        assert_eq!(
            run("web -- greet Ada 2", None),
            good("hello Ada, hello Ada, \n")
        );
        assert_eq!(run("web -- tidy a b c", None), good("3\n"));
        let (code, _, errors) = run("web -- tidy desk", None);
        assert!(
            code == 1 && errors.starts_with("not the desk\n"),
            "{errors}"
        );
        let (code, output, errors) = run("program -- main print x", None);
        assert!(output.starts_with("args main,print,x\nenv "), "{output}");
        assert_eq!((code, errors.as_str()), (0, "done\n"));
        let (code, _, errors) = run("program -- main trap", None);
        assert!(code == 134 && errors.contains("unreachable"), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_copies_files_both_ways() {
    let node = site().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir_all(source.join("deep/er")).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number * 7 % 251) as u8)
        .collect();
    std::fs::write(source.join("deep/er").join("b".repeat(120)), &bytes).unwrap();
    std::fs::write(source.join("empty"), "").unwrap();
    for kubectl in &every().0 {
        println!("with kubectl {}", kubectl.version);
        let cp = |from: &str, to: &str| {
            kubectl
                .ok(&node.kubeconfig(), &["cp", from, to], None)
                .unwrap();
        };
        cp(source.to_str().unwrap(), "web:/data/copied");
        let back = folder.path().join(&kubectl.version);
        cp("web:/data/copied", back.to_str().unwrap());
        same(&source, &back);
        let file = folder.path().join("one");
        cp("web:/config/colour", file.to_str().unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "green");
        cp(file.to_str().unwrap(), "web:/data/");
        let (_, text, _) = exec(kubectl, &node, "web -- cat /data/one", None);
        assert_eq!(text, "green");
        let words = ["cp", file.to_str().unwrap(), "web:/config/other"];
        let refused = kubectl.fails(&node.kubeconfig(), &words, None).unwrap();
        assert!(refused.contains("the volume is read-only"), "{refused}");
        exec(kubectl, &node, "web -- rm -rf /data/copied /data/one", None);
    }
}

fn same(one: &Path, other: &Path) {
    let names = |folder: &Path| {
        let entries = folder.read_dir().unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other));
    for name in names(one) {
        let (one, other) = (one.join(&name), other.join(&name));
        if one.is_dir() {
            same(&one, &other);
        } else {
            assert!(
                std::fs::read(one).unwrap() == std::fs::read(other).unwrap(),
                "{name:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_attaches_to_a_program() {
    let node = site().await;
    for kubectl in &every().0 {
        println!("with kubectl {}", kubectl.version);
        let mut child = kubectl
            .command(&node.kubeconfig())
            .args(["attach", "-i", "listener"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stdin = child.stdin.take().unwrap();
        for word in ["one", "two"] {
            writeln!(stdin, "{word}").unwrap();
            let heard = lines.find(|line| line.as_ref().unwrap().starts_with("heard"));
            assert_eq!(heard.unwrap().unwrap(), format!("heard {word}"));
        }
        // It was not started for one alone: the next finds it listening.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let once = [
        "run",
        "once",
        "-i",
        "--rm",
        "--restart=Never",
        "--image=program:1.0",
        "--",
        "hear",
    ];
    let output = installed()
        .unwrap()
        .run(&node.kubeconfig(), &once, Some("last\n"))
        .unwrap();
    let (code, output, errors) = told(&output);
    assert!(
        code == 0 && output.contains("heard last"),
        "{output}{errors}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_lines_an_end_and_an_interrupt() {
    let node = site().await;
    let kubectl = installed().unwrap();
    let typed = |line: &str, keys: &str| {
        let line = format!("{} exec -it {line}", kubectl.path.display());
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("KUBECONFIG", node.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let (mut shown, mut byte) = (Vec::new(), [0]);
        // Keys before the prompt would be the machine's own terminal's.
        while !shown.ends_with(b"$ ") && output.read(&mut byte).unwrap() > 0 {
            shown.extend(byte);
        }
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        output.read_to_end(&mut shown).unwrap();
        drop(stdin);
        let code = child.wait().unwrap().code().unwrap();
        (code, String::from_utf8_lossy(&shown).into_owned())
    };
    let (code, shown) = typed(
        "web -- sh",
        "cd /data\rls -x\u{7f}\u{7f}\u{7f}; echo [$COLOUR]\r\u{4}",
    );
    assert!(shown.contains("/ $ cd /data\r\n"), "{shown:?}");
    assert!(shown.contains("/data $ [green]\r\n"), "{shown:?}");
    assert_eq!(code, 0);
    let (code, shown) = typed("web -- sh", "cat\rhi\r\u{4}");
    assert!(shown.contains("hi\r\nhi\r\n"), "{shown:?}");
    assert_eq!(code, 0);
    let (code, shown) = typed("web -- sh", "cat\rhi\u{3}");
    assert!(shown.contains("hi^C\r\n"), "{shown:?}");
    assert_eq!(code, 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_held_to_the_containers_limits_and_ends_with_its_client_or_node() {
    let mut node = site().await;
    let kubectl = installed().unwrap();
    let (code, _, errors) = exec(&kubectl, &node, "program -- main bomb", None);
    assert!(
        code == 137 && errors.contains("more memory than its limit"),
        "{errors}"
    );
    let pod = "/api/v1/namespaces/default/pods/program";
    let status = objects::get(&node, pod).await.unwrap()["status"].clone();
    assert_eq!(
        status["containerStatuses"][0]["restartCount"], 0,
        "{status}"
    );
    let start = |line: &str| {
        let words = ["exec"].into_iter().chain(line.split_whitespace());
        let mut command = kubectl.command(&node.kubeconfig());
        command
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // A client that goes takes its command along, even one that loops: the machine is free for the next.
    let mut spinning = start("program -- main spin");
    let mut sleeping = start("program -- main sleep");
    let sessions = |wanted: usize| {
        let node = &node;
        until("sessions", LIMIT, move || async move {
            let usage = osier_tests::http::get(&node.address("admin")?, "/metrics")
                .await?
                .text();
            let line = usage
                .lines()
                .find(|line| line.starts_with("osier_sessions"));
            let open = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
            Ok((open == Some(wanted)).then_some(()))
        })
    };
    sessions(2).await.unwrap();
    spinning.kill().unwrap();
    spinning.wait().unwrap();
    sessions(1).await.unwrap();
    // So does a node that stops.
    let begun = Instant::now();
    node.terminate().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert!(!sleeping.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_refused_and_debug_says_what_to_do() {
    let node = site().await;
    for kubectl in &every().0 {
        println!("with kubectl {}", kubectl.version);
        let fails = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            kubectl.fails(&node.kubeconfig(), &words, None).unwrap()
        };
        for line in ["exec web -- ls /", "attach web"] {
            let refused = fails(
                &format!("{line} --as system:serviceaccount:default:default").replace(
                    "-- ls / --as system:serviceaccount:default:default",
                    "--as system:serviceaccount:default:default -- ls /",
                ),
            );
            assert!(refused.contains("orbidden"), "{line}: {refused}");
        }
        let ended = fails("exec ended -- ls /");
        assert!(
            ended.contains("does not run now") || ended.contains("completed pod"),
            "{ended}"
        );
        let old = kubectl.version.starts_with("v1.20");
        let debug = fails(if old {
            "alpha debug web --image=program:1.0"
        } else {
            "debug web --image=program:1.0"
        });
        assert!(
            debug.contains("--copy-to") && debug.contains("--profile=general"),
            "{debug}"
        );
    }
    let copy = [
        "debug",
        "web",
        "--copy-to=copy",
        "--set-image=web=program:1.0",
    ];
    installed()
        .unwrap()
        .ok(&node.kubeconfig(), &copy, None)
        .unwrap();
    let looked = || async {
        let copy = objects::get(&node, "/api/v1/namespaces/default/pods/copy").await?;
        Ok((copy["spec"]["containers"][0]["image"] == "program:1.0").then_some(()))
    };
    until("the copy is there", LIMIT, looked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn to_run_something_is_to_create_and_not_to_read() {
    let node = site().await;
    let role = |verb: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {verb}}}\nrules:\n\
             - {{apiGroups: [''], resources: [pods], verbs: [get]}}\n\
             - {{apiGroups: [''], resources: [pods/exec], verbs: [{verb}]}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {verb}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {verb}}}\n\
             subjects: [{{kind: User, name: who-may-{verb}, apiGroup: rbac.authorization.k8s.io}}]\n---\n"
        )
    };
    node.apply_text(&(role("get") + &role("create"))).unwrap();
    let kubectl = installed().unwrap();
    let run = |who: &str| {
        let line = format!("web --as {who} -- ls /");
        exec(&kubectl, &node, &line, None)
    };
    let good = (0, "config\ndata\n".to_owned(), String::new());
    assert_eq!(run("who-may-create"), good);
    let (code, _, errors) = run("who-may-get");
    assert!(
        code == 1 && errors.contains("cannot create resource"),
        "{errors}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_joined_nodes_are_reached_too() {
    let node = site().await;
    let _joined = node.joined("second").unwrap();
    let far = OBJECTS
        .split("---\n")
        .find(|text| text.contains("name: web\n") && text.contains("kind: Pod"))
        .unwrap();
    let far = far
        .replace("name: web\n", "name: far\n")
        .replace("app: web", "app: far")
        .replace("spec:\n", "spec:\n  nodeName: second\n");
    node.apply_text(&far).unwrap();
    objects::ready(&node, "app=far", 1).await.unwrap();
    for kubectl in &every().0 {
        let (code, output, errors) = exec(kubectl, &node, "far -- tee /data/x", Some("over there"));
        assert_eq!(
            (code, output.as_str(), errors.as_str()),
            (0, "over there", "")
        );
        let (_, output, errors) = exec(kubectl, &node, "far -- wget -qO- http://web/hello", None);
        assert_eq!((output.as_str(), errors.as_str()), ("hello", ""));
    }
}
