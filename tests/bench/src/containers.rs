//! What pods are measured against: containers of a native program, run by `crun`, from the call to the first answer, and their memory.

use crate::Bench;
use crate::proxy::bare;
use anyhow::{Context, Result, ensure};
use osier_tests::http;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Containers that run at the same time.
const COUNT: usize = 20;
/// Where the second kind of control groups is mounted beside the first.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// Starts them one after the other; `Null` where there is no `crun`.
pub(crate) async fn measure(bench: &Bench) -> Result<Value> {
    if let Some(why) = missing(bench) {
        println!("\n  containers are not measured: {why}");
        return Ok(Value::Null);
    }
    let bundle = tempfile::tempdir()?;
    make(bundle.path(), &bare(bench)?)?;
    let (mut containers, mut times) = (Vec::new(), Vec::new());
    for number in 0..COUNT {
        let container = Container(format!("osier-bench-{}-{number}", std::process::id()));
        times.push(container.answers(bundle.path()).await?);
        containers.push(container);
    }
    let memory: Result<Vec<u64>> = containers.iter().map(Container::memory).collect();
    Ok(tell(times, &memory?))
}

fn tell(mut times: Vec<f64>, memory: &[u64]) -> Value {
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[COUNT / 2], times[COUNT - 1]);
    let each = memory.iter().sum::<u64>() as f64 / COUNT as f64;
    println!(
        "\n  {COUNT} containers by crun, a native server in each: {median:.1} ms from `crun run` to the first answer (worst {worst:.1} ms), {each:.0} KiB each (PSS)"
    );
    json!({"containers": COUNT, "start_median_ms": median, "start_worst_ms": worst, "kib_each": each})
}

fn missing(bench: &Bench) -> Option<String> {
    let crun = Command::new("crun").arg("--version").output();
    if !crun.is_ok_and(|output| output.status.success()) {
        return Some("there is no `crun`: apt-get install crun".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("crun needs root to make namespaces here".to_owned());
    }
    bare(bench).err().map(|error| format!("{error:#}"))
}

/// A bundle whose root has one program with its libraries.
fn make(bundle: &Path, program: &Path) -> Result<()> {
    let root = bundle.join("rootfs");
    let put = |from: &Path, to: &Path| -> Result<()> {
        let to = root.join(to.strip_prefix("/").unwrap_or(to));
        std::fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        std::fs::copy(from, &to).with_context(|| from.display().to_string())?;
        Ok(())
    };
    put(program, Path::new("/server"))?;
    for library in libraries(program)? {
        put(&library, &library)?;
    }
    for folder in ["dev", "proc"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    let kinds = ["pid", "mount", "ipc", "uts"].map(|kind| json!({"type": kind}));
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["/server", "answer"], "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": kinds},
    });
    std::fs::write(bundle.join("config.json"), config.to_string())?;
    Ok(())
}

/// What a program is linked with: the paths that `ldd` prints.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8(output.stdout)?;
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}

/// crun knows no machine with both kinds of control groups. It is shown one kind there, which costs it some milliseconds.
fn crun() -> Command {
    if !Path::new(UNIFIED).exists() {
        return Command::new("crun");
    }
    let mut command = Command::new("unshare");
    let script = format!("umount {UNIFIED}; exec crun \"$@\"");
    command.args(["--mount", "sh", "-c", &script, "crun"]);
    command
}

/// A container, which ends when it is dropped.
struct Container(String);

impl Container {
    /// Runs it; the milliseconds until it has answered.
    async fn answers(&self, bundle: &Path) -> Result<f64> {
        let began = Instant::now();
        let port = self.start(bundle).await?;
        let answer = http::get(&format!("127.0.0.1:{port}"), "/").await?;
        ensure!(
            answer.status == 200,
            "the container answers {}",
            answer.status
        );
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    /// Runs it, and returns the port that it says it listens on.
    async fn start(&self, bundle: &Path) -> Result<u16> {
        let mut child = crun()
            .args(["--cgroup-manager=disabled", "run", "--detach", "--bundle"])
            .arg(bundle)
            .arg(&self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().context("crun has no output")?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(said).read_line(&mut line).map(|_| line)
        });
        let line = line.await??;
        ensure!(child.wait()?.success(), "crun does not run the container");
        line.trim()
            .parse()
            .with_context(|| format!("the container says {line:?}"))
    }

    /// Its proportional share of memory, in KiB.
    fn memory(&self) -> Result<u64> {
        let state = Command::new("crun").args(["state", &self.0]).output()?;
        let state: Value = serde_json::from_slice(&state.stdout)?;
        let pid = state["pid"].as_u64().context("crun tells no pid")?;
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.context("no Pss")?.parse().context("Pss")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _left = Command::new("crun")
            .args(["delete", "--force", &self.0])
            .output();
    }
}
