//! Guests, engines and containers for the tests of this folder.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use osier_engine::{
    CallError, Container, Engine, HttpContainer, Outgoing, OutgoingError, Output, Settings,
    Timeouts, Workload,
};
use osier_process::body::{self, Body};
use osier_process::{Boxed, Tasks};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

pub(crate) const HTTP: &str = "fixture_http";
pub(crate) const COMMAND: &str = "fixture-command";
pub(crate) const PLUGIN: &str = "fixture_plugin";
pub(crate) const WASI03: &str = "fixture_wasi03";
pub(crate) const PROGRAM03: &str = "fixture_program03";
pub(crate) const HELLO: &str = "example_hello";

/// The bytes of a guest. Guests that are not there are built, all at once; `cargo xtask build` does so beforehand.
pub(crate) fn wasm(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<()> = OnceLock::new();
    let path = target()
        .join("wasm32-wasip2/guest")
        .join(format!("{name}.wasm"));
    if !path.exists() {
        BUILT.get_or_init(build);
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

fn build() {
    // Cargo's own lock on the target directory keeps several test binaries from building at the same time.
    let packages = [
        "fixture-http",
        "fixture-command",
        "fixture-plugin",
        "fixture-wasi03",
        "fixture-program03",
        "example-hello",
    ];
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--target", "wasm32-wasip2", "--profile", "guest"])
        .current_dir(workspace());
    for package in packages {
        cargo.args(["--package", package]);
    }
    let built = cargo.status().unwrap();
    assert!(
        built.success(),
        "the guests do not build; is the target wasm32-wasip2 installed?"
    );
}

/// An engine that other tests share, with machine code kept between runs.
pub(crate) fn engine() -> Engine {
    static SHARED: OnceLock<Engine> = OnceLock::new();
    let start = || {
        Engine::start(Settings::new(
            target().join("test-code-cache"),
            Tasks::new(),
        ))
        .unwrap()
    };
    SHARED.get_or_init(start).clone()
}

pub(crate) fn workload(name: &str) -> Workload {
    engine().workload(&wasm(name)).unwrap()
}

/// Keeps what a guest writes.
#[derive(Default)]
pub(crate) struct Paper(Mutex<Vec<u8>>);

impl Output for Paper {
    fn write(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes);
    }
}

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A network made of a function from request to answer.
pub(crate) struct Net<F>(pub(crate) F);

impl<F> Outgoing for Net<F>
where
    F: Fn(Request<Body>, Timeouts) -> Boxed<'static, Result<Response<Body>, OutgoingError>>
        + Send
        + Sync,
{
    fn send(
        &self,
        request: Request<Body>,
        timeouts: Timeouts,
    ) -> Boxed<'static, Result<Response<Body>, OutgoingError>> {
        (self.0)(request, timeouts)
    }
}

/// A container with limits that no well-behaved guest meets, and no network.
pub(crate) fn container() -> Container {
    let nowhere = |_: Request<Body>, _| -> Boxed<'static, Result<Response<Body>, OutgoingError>> {
        Box::pin(async { Err(OutgoingError::NotFound) })
    };
    Container {
        name: "test".into(),
        args: vec!["test".into()],
        env: Vec::new(),
        memory_limit: 32 << 20,
        cpu_share: 1,
        cpu_limit: None,
        mounts: Vec::new(),
        stdin: None,
        terminal: false,
        stdout: Arc::new(Paper::default()),
        stderr: Arc::new(Paper::default()),
        outgoing: Arc::new(Net(nowhere)),
        network: None,
        grants: Arc::default(),
        max_instances: 4,
        max_requests_per_instance: 1000,
        max_queued: 16,
        request_deadline: Duration::from_secs(20),
    }
}

/// An HTTP container of the fixture.
pub(crate) fn serve(container: Container) -> HttpContainer {
    workload(HTTP).http(container).unwrap()
}

pub(crate) fn request(path: &str) -> Request<Body> {
    Request::get(format!("http://fixture{path}"))
        .body(body::empty())
        .unwrap()
}

pub(crate) async fn get(http: &HttpContainer, path: &str) -> Result<Response<Body>, CallError> {
    http.call(request(path)).await
}

/// The whole text of a successful answer.
pub(crate) async fn text(http: &HttpContainer, path: &str) -> String {
    let answer = get(http, path).await.unwrap();
    let bytes: Bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits for something that happens in the background.
pub(crate) async fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
