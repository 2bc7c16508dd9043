//! Logs through the whole way: written by a guest, stored, read back.
#![expect(clippy::unwrap_used, reason = "tests")]

use http_body_util::BodyExt as _;
use jiff::Timestamp;
use osier_engine::Output as _;
use serde_json::json;

use super::*;

fn pod() -> Object {
    Object::from_value(json!({"metadata": {"name": "web", "uid": "u"}})).unwrap()
}

async fn text(logs: &Logs, options: LogOptions) -> String {
    let body = logs
        .read(&pod(), ("main", &Standing::default()), options)
        .await
        .unwrap();
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn logs() -> (tempfile::TempDir, Tasks, Arc<Logs>) {
    let (folder, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let logs = Logs::start(folder.path(), &tasks);
    (folder, tasks, logs)
}

#[tokio::test]
async fn lines_are_put_together_and_read_back() {
    let (_folder, _tasks, logs) = logs();
    let log = logs.open_container("u", "main", 0);
    let (out, err) = (log.stream("stdout"), log.stream("stderr"));
    out.write(b"one\ntw");
    err.write(b"oops\n");
    out.write(b"o\nthree");
    assert_eq!(text(&logs, LogOptions::default()).await, "one\noops\ntwo\n");
    drop(out);
    assert_eq!(
        text(&logs, LogOptions::default()).await,
        "one\noops\ntwo\nthree\n"
    );
    let tail = LogOptions {
        tail_lines: Some(2),
        ..LogOptions::default()
    };
    assert_eq!(text(&logs, tail).await, "two\nthree\n");
    let nothing = LogOptions {
        tail_lines: Some(0),
        ..LogOptions::default()
    };
    assert_eq!(text(&logs, nothing).await, "");
    let few = LogOptions {
        limit_bytes: Some(5),
        ..LogOptions::default()
    };
    assert_eq!(text(&logs, few).await, "one\no");
    let stamped = text(
        &logs,
        LogOptions {
            timestamps: true,
            ..LogOptions::default()
        },
    )
    .await;
    assert!(
        stamped
            .lines()
            .all(|line| line.split_once(' ').unwrap().0.parse::<Timestamp>().is_ok())
    );
    let since = stamped
        .lines()
        .nth(2)
        .unwrap()
        .split_once(' ')
        .unwrap()
        .0
        .parse()
        .unwrap();
    let late = LogOptions {
        since: Some(since),
        ..LogOptions::default()
    };
    assert!(text(&logs, late).await.ends_with("two\nthree\n"));
}

#[tokio::test]
async fn a_follower_sees_what_comes_until_the_end() {
    let (_folder, _tasks, logs) = logs();
    let log = logs.open_container("u", "main", 0);
    let out = log.stream("stdout");
    out.write(b"one\n");
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut body = logs
        .read(&pod(), ("main", &Standing::default()), follow)
        .await
        .unwrap();
    let mut seen = Vec::new();
    for more in [b"two\n", b"six\n"] {
        seen.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
        out.write(more);
    }
    drop(out);
    logs.close_container("u", "main");
    while let Some(frame) = body.frame().await {
        seen.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert_eq!(seen, b"one\ntwo\nsix\n");
}

#[tokio::test]
async fn the_life_before_is_kept_and_older_ones_are_not() {
    let (folder, _tasks, logs) = logs();
    for life in 0..3_u8 {
        let log = logs.open_container("u", "main", life.into());
        log.stream("stdout").write(&[b'a' + life, b'\n']);
        log.flushed().await;
    }
    let previous = LogOptions {
        previous: true,
        ..LogOptions::default()
    };
    assert_eq!(text(&logs, previous).await, "b\n");
    assert_eq!(text(&logs, LogOptions::default()).await, "c\n");
    assert!(!folder.path().join("u/main/0.log").exists());
    logs.remove_pod("u").unwrap();
    let error = logs
        .read(
            &pod(),
            ("main", &Standing::default()),
            LogOptions::default(),
        )
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.message,
        "container \"main\" in pod \"web\" is waiting to start: ContainerCreating"
    );
}

#[tokio::test]
async fn the_files_of_a_chatty_guest_stay_bounded() {
    let (folder, _tasks, logs) = logs();
    let log = logs.open_container("u", "main", 0);
    let out = log.stream("stdout");
    let line = [b'x'; 40_000];
    for _ in 0..400 {
        out.write(&line);
        log.flushed().await;
    }
    let sizes = ["0.log", "0.log.1"].map(|file| {
        std::fs::metadata(folder.path().join("u/main").join(file))
            .unwrap()
            .len()
    });
    assert!(
        sizes.iter().all(|size| *size < file::TURN_OVER + (1 << 20)),
        "{sizes:?}"
    );
    let tail = LogOptions {
        tail_lines: Some(1),
        ..LogOptions::default()
    };
    out.write(b"\nend\n");
    assert_eq!(text(&logs, tail).await, "end\n");
}

#[tokio::test]
async fn an_instance_that_was_replaced_is_what_was_before() {
    let (_folder, _tasks, logs) = logs();
    let log = logs.open_container("u", "main", 0);
    log.stream("stdout").write(b"before\n");
    log.flushed().await;
    let standing = Standing {
        replaced: Some(osier_process::clock::now()),
        ..Standing::default()
    };
    log.stream("stdout").write(b"after\n");
    let options = LogOptions {
        previous: true,
        ..LogOptions::default()
    };
    let body = logs.read(&pod(), ("main", &standing), options).await;
    let bytes = body.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(bytes, "before\n");
}

#[tokio::test]
async fn a_container_that_waits_says_for_what() {
    let (_folder, _tasks, logs) = logs();
    for (reason, words) in [
        ("ErrImagePull", "image can't be pulled"),
        ("ImagePullBackOff", "trying and failing to pull image"),
        ("PodInitializing", "PodInitializing"),
    ] {
        let standing = Standing {
            waiting: Some(reason.to_owned()),
            ..Standing::default()
        };
        let pod = pod();
        let read = logs.read(&pod, ("main", &standing), LogOptions::default());
        let message = read.await.err().unwrap().message;
        let words = format!("is waiting to start: {words}");
        assert!(message.ends_with(&words), "{message}");
    }
}
