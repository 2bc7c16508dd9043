//! The data plane as a reverse proxy, beside its peers: one worker on one core each, the load and one backend for all on the other.
//!
//! All of them run at the same time and are asked in turns, so that what the machine does meanwhile meets each of them alike.

mod configuration;
mod hop;
mod load;
mod osier;
mod peers;
mod program;
mod table;

use crate::cores::Cores;
use crate::{Bench, process};
use anyhow::{Context, Result};
use load::Protocol;
use osier::Variant;
use osier_identity::Authority;
use osier_tests::tls::{Client, certificate};
use osier_tests::{http, until};
use peers::Peer;
pub(crate) use peers::bare;
use program::{Ports, Running};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;
use table::{Line, Sample};
use tempfile::TempDir;

/// The host that every request names: the one in the middle where there are a thousand.
const HOST: &str = "shop-500.example.com";
/// The method that calls name.
const CALL: &str = "/bench.Echo/Call";
/// Requests at the same time.
const REQUESTS: usize = 64;
/// How long a proxy may take until it routes.
const START: Duration = Duration::from_secs(60);

/// What all proxies have in common: the backend, and what they show to clients.
struct Site {
    backend: u16,
    calls: u16,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    client: Client,
    folder: TempDir,
    _backends: [Running; 2],
}

/// One proxy that is measured.
struct Contestant {
    name: String,
    /// It is Osier, in one of its variants.
    own: bool,
    /// It carries bytes as they are too.
    raw: bool,
    ports: Ports,
    /// Its processes: what they use counts together.
    pids: Vec<u32>,
    /// It ends with these.
    _running: Vec<Running>,
}

/// Measures all, prints a table for each protocol, and returns the figures.
pub(crate) async fn compare(bench: &Bench) -> Result<Value> {
    let site = Site::open(bench).await?;
    let mut all = Vec::new();
    for variant in Variant::ALL {
        all.push(osier::start(variant, bench, &site).await?);
    }
    for peer in Peer::ALL {
        match peer.program(bench) {
            Some(program) => all.push(peer.start(&program, &site).await?),
            None => println!(
                "\n  no {} here to compare with; {}",
                peer.name(),
                peer.remedy()
            ),
        }
    }
    let mut figures = Map::new();
    for protocol in Protocol::ALL {
        let Some(lines) = measure(&all, protocol, bench).await? else {
            let (tool, remedy) = protocol.tool();
            println!("\n  {protocol} is not measured: no {tool} here; {remedy}");
            continue;
        };
        println!(
            "\n  reverse proxy, {protocol}, {REQUESTS} requests at a time, 1 KiB, {}, rounds: {} of {} s\n{}",
            Cores::Apart,
            bench.rounds,
            bench.seconds,
            table::render(&lines)
        );
        figures.insert(protocol.key().to_owned(), table::json(&lines));
    }
    drop(all);
    if let Some(lines) = hop::compare(bench, &site).await? {
        println!(
            "\n  a hop of mutual TLS between two proxies, HTTP/1.1 outside, {REQUESTS} requests at a time, 1 KiB, {}, rounds: {} of {} s\n{}",
            Cores::Apart,
            bench.rounds,
            bench.seconds,
            table::render(&lines)
        );
        figures.insert("mutual_tls_hop".to_owned(), table::json(&lines));
    }
    Ok(Value::Object(figures))
}

/// Asks all of them in turns, some rounds long; `None` without the tool for it.
async fn measure(
    all: &[Contestant],
    protocol: Protocol,
    bench: &Bench,
) -> Result<Option<Vec<Line>>> {
    if !crate::cores::installed(protocol.tool().0).await {
        return Ok(None);
    }
    let all: Vec<&Contestant> = all.iter().filter(|one| one.speaks(protocol)).collect();
    for contestant in &all {
        contestant
            .ask(protocol, crate::traffic::WARM_UP.as_secs())
            .await?;
    }
    let mut samples: Vec<Vec<Sample>> = all.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.rounds.max(1) {
        for (contestant, samples) in all.iter().zip(&mut samples) {
            samples.push(contestant.ask(protocol, bench.seconds).await?);
        }
    }
    let lines = all.iter().zip(samples).map(|(contestant, samples)| Line {
        name: contestant.name.clone(),
        own: contestant.own,
        samples,
    });
    Ok(Some(lines.collect()))
}

impl Contestant {
    fn speaks(&self, protocol: Protocol) -> bool {
        self.raw || protocol != Protocol::Tcp
    }

    /// The processor time of all its processes.
    fn used(&self) -> Result<Duration> {
        self.pids.iter().map(|pid| process::used(*pid)).sum()
    }

    /// The memory of all of them, in KiB.
    fn resident(&self) -> Result<u64> {
        self.pids.iter().map(|pid| process::resident(*pid)).sum()
    }

    /// One measurement.
    async fn ask(&self, protocol: Protocol, seconds: u64) -> Result<Sample> {
        let before = self.used()?;
        let outcome = load::ask(protocol, &self.ports, seconds).await;
        let outcome = outcome.with_context(|| format!("{}, {protocol}", self.name))?;
        let used = self.used()?.saturating_sub(before);
        Ok(Sample {
            rate: outcome.rate,
            p50: outcome.p50,
            p99: outcome.p99,
            cpu: used.as_secs_f64() * 1e6 / outcome.requests.max(1) as f64,
            resident: self.resident()?,
        })
    }

    /// Waits until it routes, with TLS and without.
    async fn answers(self, client: &Client) -> Result<Self> {
        let plain = format!("127.0.0.1:{}", self.ports.plain);
        let secure = format!("127.0.0.1:{}", self.ports.secure);
        let url: ::http::Uri = format!("https://{HOST}/").parse()?;
        let both = || async {
            let answer = http::get_with(&plain, "/", &[("host", HOST)]).await?;
            anyhow::ensure!(
                answer.body.len() == 1024,
                "{}: {}",
                answer.status,
                answer.text()
            );
            let (answer, _) = client
                .get_through(&secure, "localhost", url.clone())
                .await?;
            anyhow::ensure!(
                answer.body.len() == 1024,
                "{}: {}",
                answer.status,
                answer.text()
            );
            Ok(Some(()))
        };
        until(&format!("{} routes", self.name), START, both).await?;
        Ok(self)
    }
}

impl Site {
    async fn open(bench: &Bench) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::open(&folder.path().join("authority"))?;
        let shown = certificate(&authority, "localhost")?;
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::write(&certificate, &shown.certificate_pem)?;
        std::fs::write(&key, &shown.key_pem)?;
        // HAProxy wants both in one file.
        let both = format!("{}{}", shown.certificate_pem, shown.key_pem);
        std::fs::write(folder.path().join("tls.pem"), both)?;
        let trusted = folder.path().join("ca.crt");
        std::fs::write(&trusted, authority.certificate_pem())?;
        let bare = peers::bare(bench)?;
        let (backend, answers) = program::backend(&bare, "answer").await?;
        let (calls, called) = program::backend(&bare, "calls").await?;
        Ok(Self {
            backend,
            calls,
            authority: trusted,
            certificate,
            key,
            client: Client::trusting(&authority),
            folder,
            _backends: [answers, called],
        })
    }
}
