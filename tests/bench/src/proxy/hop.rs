//! A hop of mutual TLS: Osier's gateway and the proxy beside a workload, and two Envoys. Both have the identities of their two sides
//! checked, and speak HTTP/2 with each other on connections that are kept.

use super::load::Protocol;
use super::peers::Peer;
use super::program::{self, Ports, Running};
use super::table::Line;
use super::{Contestant, HOST, START, Site, configuration, measure, osier};
use crate::Bench;
use crate::cores::Cores;
use anyhow::{Context, Result, ensure};
use osier_tests::{Node, Options, http, until};
use serde_json::{Value, json};
use std::path::Path;

/// The workload's service.
const SERVICE: &str = "hop.internal";

/// Measures both; `None` without the tool for it.
pub(super) async fn compare(bench: &Bench, site: &Site) -> Result<Option<Vec<Line>>> {
    let mut all = vec![own(bench, site).await?];
    match Peer::Envoy.program(bench) {
        Some(program) => all.push(envoys(&program, site).await?),
        None => println!(
            "\n  no envoy here to compare the hop with; {}",
            Peer::Envoy.remedy()
        ),
    }
    measure(&all, Protocol::Http1, bench).await
}

/// A node with the gateway, and the proxy beside the backend.
async fn own(bench: &Bench, site: &Site) -> Result<Contestant> {
    let options = || Options {
        binary: Some(bench.binary.clone()),
        wrapper: Cores::Apart.measured(),
        ..Options::default()
    };
    let node = Node::start_with(&options())?;
    osier::create(&node, &objects(site.backend)).await?;
    let args = ["--workload-address", "127.0.0.1"].map(ToOwned::to_owned);
    let beside = node.companion(
        "default/hop",
        Options {
            args: args.to_vec(),
            ..options()
        },
    )?;
    let plain = osier::port(&node.address("gateway")?)?;
    let running = [node, beside].map(|node| Running::Node(Box::new(node)));
    started(
        "osier, gateway and companion".to_owned(),
        true,
        plain,
        running,
    )
    .await
}

fn objects(backend: u16) -> [Value; 4] {
    let port = json!({"number": 80, "name": "http", "protocol": "HTTP"});
    let labels = json!({"app": "hop"});
    let service = json!({"hosts": [SERVICE], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": [port],
        "workloadSelector": {"labels": labels}});
    let entry = json!({"address": "127.0.0.1", "labels": labels, "serviceAccount": "hop", "ports": {"http": backend}});
    let listens = json!({"number": 8080, "name": "http", "protocol": "HTTP"});
    let routes = json!({"hosts": ["*"], "gateways": ["hop"], "http": [{"route": [{"destination": {"host": SERVICE}}]}]});
    [
        osier::istio("ServiceEntry", "hop", &service),
        osier::istio("WorkloadEntry", "hop", &entry),
        osier::istio(
            "Gateway",
            "hop",
            &json!({"servers": [{"port": listens, "hosts": ["*"]}]}),
        ),
        osier::istio("VirtualService", "hop", &routes),
    ]
}

async fn envoys(program: &Path, site: &Site) -> Result<Contestant> {
    let folder = site.folder.path().join("hop");
    std::fs::create_dir_all(&folder)?;
    let ports = Ports::free()?;
    let place = configuration::Place {
        backend: site.backend,
        calls: site.calls,
        ports,
        certificate: &site.certificate,
        key: &site.key,
        folder: &folder,
    };
    let mut running = Vec::new();
    let configured = configuration::envoys(&place, &site.authority, ports.secure);
    for (name, text) in ["out", "in"].iter().zip(configured) {
        let file = folder.join(format!("{name}.json"));
        std::fs::write(&file, text)?;
        let args = configuration::envoy_args(file.display().to_string());
        running.push(program::start(
            program,
            &args,
            &folder.join(format!("{name}.says")),
        )?);
    }
    let name = format!("2 x {}{}", Peer::Envoy.key(), Peer::Envoy.version(program));
    let said = || std::fs::read_to_string(folder.join("out.says")).unwrap_or_default();
    started(name, false, ports.plain, running)
        .await
        .with_context(said)
}

/// Waits until the hop answers.
async fn started(
    name: String,
    own: bool,
    plain: u16,
    running: impl Into<Vec<Running>>,
) -> Result<Contestant> {
    let running = running.into();
    let pids: Result<Vec<u32>> = running.iter().map(Running::pid).collect();
    let address = format!("127.0.0.1:{plain}");
    let answers = || async {
        let answer = http::get_with(&address, "/", &[("host", HOST)]).await?;
        ensure!(
            answer.body.len() == 1024,
            "{}: {}",
            answer.status,
            answer.text()
        );
        Ok(Some(()))
    };
    until(&format!("{name} answers"), START, answers).await?;
    Ok(Contestant {
        name,
        own,
        raw: false,
        ports: Ports {
            plain,
            two: plain,
            secure: 0,
            raw: 0,
        },
        pids: pids?,
        _running: running,
    })
}
