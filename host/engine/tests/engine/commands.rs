//! Programs that run once.

use crate::guests::{
    COMMAND, HTTP, Paper, container, engine, eventually, serve, text, wasm, workload,
};
use osier_engine::{
    Account, CommandContainer, ComponentError, Console, Container, Engine, Exit, Program, Settings,
    Stdin,
};
use osier_process::Tasks;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn command(args: &[&str], container: Container) -> CommandContainer {
    let args = [&["program"], args]
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect();
    workload(COMMAND)
        .command(Container { args, ..container })
        .unwrap()
}

#[tokio::test]
async fn arguments_environment_and_output() {
    let (out, err) = (Arc::new(Paper::default()), Arc::new(Paper::default()));
    let env = vec![
        ("A".to_owned(), "1".to_owned()),
        ("B".to_owned(), "two words".to_owned()),
    ];
    let given = Container {
        env,
        stdout: out.clone(),
        stderr: err.clone(),
        ..container()
    };
    assert_eq!(command(&["print", "x y"], given).run().await, Exit::Code(0));
    assert_eq!(
        out.text(),
        "args program,print,x y\nenv A=1\nenv B=two words\n"
    );
    assert_eq!(err.text(), "done\n");
}

#[tokio::test]
async fn there_is_no_way_out_of_the_sandbox() {
    let out = Arc::new(Paper::default());
    let ended = command(
        &["reach"],
        Container {
            stdout: out.clone(),
            ..container()
        },
    )
    .run()
    .await;
    assert_eq!(
        out.text(),
        "file false\nwrite false\nconnect false\nlisten false\nstdin 0\n"
    );
    assert_eq!(ended, Exit::Code(0));
}

#[tokio::test]
async fn every_end_has_its_name() {
    // Rust's standard library says only that it failed.
    assert_eq!(
        command(&["exit", "7"], container()).run().await,
        Exit::Code(1)
    );
    assert_eq!(
        command(&["exit", "0"], container()).run().await,
        Exit::Code(0)
    );
    let limits = Container {
        memory_limit: 8 << 20,
        ..container()
    };
    assert_eq!(command(&["bomb"], limits).run().await, Exit::OutOfMemory);
    let trapping = command(&["trap"], container());
    assert!(
        matches!(trapping.run().await, Exit::Trap { reason, .. } if reason.contains("unreachable"))
    );
    let usage = trapping.usage();
    assert_eq!((usage.traps, usage.instances, usage.memory), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_kill_ends_a_loop_and_a_sleep() {
    for how in ["spin", "sleep"] {
        let command = command(&[how], container());
        let run = tokio::spawn({
            let command = command.clone();
            async move { command.run().await }
        });
        eventually("it runs", || command.usage().instances == 1).await;
        let begun = Instant::now();
        command.kill();
        assert_eq!(run.await.unwrap(), Exit::Killed, "{how}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(command.usage().instances, 0);
        assert_eq!(command.run().await, Exit::Killed, "it stays killed");
    }
}

#[tokio::test]
async fn a_larger_share_of_the_processor_gets_more_of_it() {
    let spin = |cpu_share| {
        command(
            &["spin"],
            Container {
                cpu_share,
                ..container()
            },
        )
    };
    let (small, large) = (spin(1), spin(10));
    // Both loop on this one thread; each ends its slice by itself.
    let enough = eventually("half a second", || {
        large.usage().cpu > Duration::from_millis(500)
    });
    tokio::select! {
        _ = small.run() => panic!("it loops"),
        _ = large.run() => panic!("it loops"),
        () = enough => {}
    }
    let (small, large) = (small.usage().cpu, large.usage().cpu);
    // Ten to one on an idle machine. On a crowded one the clock's own thread waits too, and a tick may last long.
    assert!(
        small > Duration::ZERO && large > small.mul_f64(1.5),
        "{small:?} and {large:?}"
    );
}

#[tokio::test]
async fn nobody_gets_more_of_the_processor_than_the_limit() {
    let limited = Container {
        cpu_limit: Some(100),
        ..container()
    };
    let looping = command(&["spin"], limited);
    let begun = Instant::now();
    let enough = eventually("a tenth of a second", || {
        looping.usage().cpu > Duration::from_millis(100)
    });
    tokio::select! {
        _ = looping.run() => panic!("it loops"),
        () = enough => {}
    }
    // A second, without the 10 ms that it begins with. On a crowded machine the last slice may have been a long one.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn a_preview1_module_runs_as_a_component() {
    let workload = engine().workload(&exit_with_7()).unwrap();
    assert!(workload.is_command() && !workload.serves_http());
    assert_eq!(
        workload.command(container()).unwrap().run().await,
        Exit::Code(1)
    );
}

#[test]
fn a_component_without_run_is_no_command() {
    let refused = workload(HTTP).command(container()).err().unwrap();
    assert!(
        matches!(&refused, ComponentError::Export { export, .. } if export.contains("wasi:cli/run")),
        "{refused}"
    );
}

/// A core module of preview1: imports `proc_exit`, exports `_start` and a memory, and exits with 7, which the adapter makes a failure.
fn exit_with_7() -> Vec<u8> {
    let name = |text: &str| {
        [
            vec![u8::try_from(text.len()).unwrap()],
            text.as_bytes().to_vec(),
        ]
        .concat()
    };
    let section =
        |id: u8, body: Vec<u8>| [vec![id, u8::try_from(body.len()).unwrap()], body].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![2, 0x60, 0, 0, 0x60, 1, 0x7f, 0]),
        section(
            2,
            [
                vec![1],
                name("wasi_snapshot_preview1"),
                name("proc_exit"),
                vec![0, 1],
            ]
            .concat(),
        ),
        section(3, vec![1, 0]),
        section(5, vec![1, 0, 1]),
        section(
            7,
            [
                vec![2],
                name("_start"),
                vec![0, 1],
                name("memory"),
                vec![2, 0],
            ]
            .concat(),
        ),
        section(10, vec![1, 6, 0, 0x41, 7, 0x10, 0, 0x0b]),
    ]
    .concat()
}

/// Runs something of a guest beside a container, and says how it ended and what it wrote.
async fn beside(
    guest: &str,
    (given, account): (Container, &Account),
    program: Program,
) -> (Exit, String) {
    let execution = workload(guest).beside(given, account, &program).unwrap();
    let (stdout, mut written) = tokio::sync::mpsc::channel(1);
    let console = Console {
        stdin: Some(Stdin::new(&b"one\ntwo\n"[..], false)),
        stderr: stdout.clone(),
        stdout,
        terminal: false,
    };
    let reading = async {
        let mut text = String::new();
        while let Some(bytes) = written.recv().await {
            text += std::str::from_utf8(&bytes).unwrap();
            // The guest waits for a slow reader.
            tokio::task::yield_now().await;
        }
        text
    };
    tokio::join!(execution.run(console), reading)
}

fn arguments(words: &[&str]) -> Container {
    Container {
        args: words.iter().map(ToString::to_string).collect(),
        ..container()
    }
}

#[tokio::test]
async fn a_function_runs_beside_a_service_and_is_accounted_to_it() {
    let service = serve(container());
    let run = async |words: &[&str]| {
        let program = Program::Function(words[0].to_owned());
        beside(HTTP, (arguments(words), &service.account()), program).await
    };
    let greeted = run(&["greet", "Ada", "1"]).await;
    assert_eq!(greeted, (Exit::Code(0), "hello Ada, \n".to_owned()));
    let refused = run(&["tidy", "desk"]).await;
    assert_eq!(refused, (Exit::Code(1), "not the desk\n".to_owned()));
    let (exit, told) = run(&["greet", "Ada"]).await;
    assert_eq!(
        (exit, told.as_str()),
        (Exit::Code(1), "the argument times is missing\n")
    );
    let usage = service.usage();
    assert!(
        usage.cpu > Duration::ZERO && usage.instances == 0,
        "{usage:?}"
    );
    let names = workload(HTTP).functions();
    assert!(names.iter().any(|name| name == "greet"), "{names:?}");
    let missing = workload(HTTP).beside(container(), &service.account(), &Program::Run);
    assert!(matches!(missing, Err(ComponentError::Export { .. })));
}

#[tokio::test]
async fn a_program_beside_a_container_has_streams_of_its_own_and_shares_its_memory() {
    let account = command(&[], container()).account();
    let heard = beside(COMMAND, (arguments(&["x", "hear"]), &account), Program::Run).await;
    assert_eq!(
        heard,
        (
            Exit::Code(0),
            "listening\nheard one\nheard two\nover\n".to_owned()
        )
    );
    let (exit, _) = beside(COMMAND, (arguments(&["x", "bomb"]), &account), Program::Run).await;
    assert_eq!(exit, Exit::OutOfMemory);
}

#[tokio::test]
async fn a_full_engine_says_so_and_what_serves_nobody_gives_way() {
    const MOST: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let small = Engine::start(Settings {
        max_instances: u32::try_from(MOST).unwrap(),
        ..Settings::new(dir.path(), Tasks::new())
    })
    .unwrap();
    let http = small
        .workload(&wasm(HTTP))
        .unwrap()
        .http(container())
        .unwrap();
    text(&http, "/hello").await;
    let program = small.workload(&wasm(COMMAND)).unwrap();
    let sleeper = || {
        let args = ["program", "sleep"].map(str::to_owned).to_vec();
        program
            .command(Container {
                args,
                ..container()
            })
            .unwrap()
    };
    let sleepers: Vec<CommandContainer> = (0..MOST).map(|_| sleeper()).collect();
    let runs = sleepers.iter().map(|one| {
        let one = one.clone();
        tokio::spawn(async move { one.run().await })
    });
    let runs: Vec<_> = runs.collect();
    let running = || {
        sleepers
            .iter()
            .map(|one| one.usage().instances)
            .sum::<u32>()
    };
    eventually("all have an instance", || running() == 20).await;
    let Exit::Trap { reason, .. } = sleeper().run().await else {
        panic!("there was room for one more")
    };
    assert!(reason.contains("no room for another instance"), "{reason}");
    assert!(
        runs.iter().all(|run| !run.is_finished()),
        "the others go on"
    );
    sleepers[0].kill();
    eventually("one has left", || runs[0].is_finished()).await;
    text(&http, "/hello").await;
    sleepers.iter().for_each(CommandContainer::kill);
}
