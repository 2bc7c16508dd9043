//! `cargo xtask demo`: the whole product once, on a node of its own, with a line for each thing that it shows.
//!
//! It uses what people use — the binary, kubectl where there is one, the gateway — through the same harness as the suites.

mod terminal;
mod traffic;

use crate::terminal::{Step, Steps};
use crate::traffic::{Mark, table};
use anyhow::{Context, Result, bail, ensure};
use osier_tests::api::Api;
use osier_tests::load::{Load, Plan};
use osier_tests::{Node, bookinfo, kubectl, until};
use std::process::ExitCode;
use std::time::Duration;

const POLICY: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies/deny-reviews";
/// Asks productpage, which asks reviews and passes on its status: what the policy refuses is seen as 403.
const PATH: &str = "/api/v1/products/0/reviews";
/// A policy is in force on the next request after it was accepted; this is the promise.
const IN_FORCE: Duration = Duration::from_secs(1);
/// How long each phase of the traffic is looked at.
const PHASE: Duration = Duration::from_secs(3);

/// See the product work.
#[derive(clap::Parser)]
struct Demo {
    /// Leave the node running, and say how to reach and to end it.
    #[arg(long)]
    keep: bool,
}

/// What the demo found out.
struct Shown {
    table: String,
    bites_after: Duration,
    gone_after: Duration,
    requests: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let demo = <Demo as clap::Parser>::parse();
    match demo.show(&mut Steps::new(5)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Demo {
    async fn show(&self, steps: &mut Steps) -> Result<()> {
        let step = steps.begin("start a node: `osier up`");
        let mut node = Node::start()?;
        step.done(&format!(
            "API {}, gateway {}, admin {}",
            node.address("api")?,
            node.address("gateway")?,
            node.address("admin")?
        ));
        let shown = walk(&node, steps)
            .await
            .with_context(|| format!("the demo failed; {}", node.log_tail(40)))?;
        print!("\n{}\n", shown.table);
        println!(
            "{} requests, every one answered. The policy was in force {} ms after `apply` returned, gone {} ms after `delete`.\n",
            shown.requests,
            shown.bites_after.as_millis(),
            shown.gone_after.as_millis()
        );
        if self.keep {
            return farewell(node);
        }
        let status = node.terminate()?;
        ensure!(
            status.success(),
            "osier left with {status} after SIGTERM; {}",
            node.log_tail(40)
        );
        println!(
            "The node drained and left; nothing is running. `cargo xtask demo --keep` leaves it to play with."
        );
        Ok(())
    }
}

/// Deploys, shows and undoes; the node stays up with Bookinfo on it.
async fn walk(node: &Node, steps: &mut Steps) -> Result<Shown> {
    let step = steps.begin("import the images of Bookinfo: `osier image import NAME FILE`");
    bookinfo::import(node)?;
    step.done("4 components");
    let step = steps.begin("deploy Bookinfo: `kubectl apply -f examples/bookinfo/manifests/...`");
    bookinfo::apply(node)?;
    step.done(match kubectl::installed() {
        Some(_) => "applied with kubectl",
        None => "applied with `osier apply` (no kubectl here)",
    });
    let step = steps.begin("wait until all six pods are ready and the page is whole");
    let page = bookinfo::whole(node).await?;
    step.done(&format!(
        "six pods ready, a page of {} bytes with reviews",
        page.len()
    ));
    let step =
        steps.begin("traffic through the gateway; load a policy plugin while it flows; remove it");
    traffic(node, step).await
}

async fn traffic(node: &Node, step: Step) -> Result<Shown> {
    let plan = Plan::get(&node.address("gateway")?, PATH, 8).paced(Duration::from_millis(5));
    let load = plan.start();
    let mut marks = Vec::new();
    tokio::time::sleep(PHASE).await;
    let bites_after = bite(node, &load, &mut marks).await?;
    tokio::time::sleep(PHASE).await;
    let gone_after = undo(node, &load, &mut marks).await?;
    tokio::time::sleep(PHASE).await;
    let outcome = load.finish().await;
    let faults = outcome.unexpected(&[200, 403]);
    if !faults.is_empty() {
        bail!(
            "traffic was harmed: {}\n{}",
            faults.join("; "),
            table(&outcome, &marks)
        );
    }
    step.done("done");
    Ok(Shown {
        table: table(&outcome, &marks),
        bites_after,
        gone_after,
        requests: outcome.total(),
    })
}

/// Applies the policy and waits for the first refusal.
async fn bite(node: &Node, load: &Load, marks: &mut Vec<Mark>) -> Result<Duration> {
    ensure!(
        load.count(403, Duration::ZERO) == 0,
        "requests are refused before the policy is there"
    );
    node.apply(&bookinfo::manifest("policy-deny"))?;
    let at = load.elapsed();
    marks.push(Mark {
        at,
        what: "policy applied",
    });
    let refused = || async { Ok((load.count(403, Duration::ZERO) > 0).then_some(())) };
    until(
        "the policy refuses a request",
        Duration::from_secs(10),
        refused,
    )
    .await?;
    promised("in force", load.elapsed().saturating_sub(at))
}

/// Deletes the policy and waits until a request passes again.
async fn undo(node: &Node, load: &Load, marks: &mut Vec<Mark>) -> Result<Duration> {
    let answer = Api::open(node).await?.send("DELETE", POLICY, None).await?;
    ensure!(
        answer.status.is_success(),
        "delete {POLICY}: {}",
        answer.text()
    );
    let at = load.elapsed();
    marks.push(Mark {
        at,
        what: "policy deleted",
    });
    let passed = || async { Ok((load.count(200, at) > 0).then_some(())) };
    until("requests pass again", Duration::from_secs(10), passed).await?;
    promised("gone", load.elapsed().saturating_sub(at))
}

fn promised(what: &str, after: Duration) -> Result<Duration> {
    ensure!(
        after < IN_FORCE,
        "the policy was {what} only after {after:?}; promised is {IN_FORCE:?}"
    );
    Ok(after)
}

fn farewell(node: Node) -> Result<()> {
    let (gateway, admin, pid) = (
        node.address("gateway")?,
        node.address("admin")?,
        node.pid()?,
    );
    let (kubeconfig, log) = (node.kubeconfig(), node.log_path());
    let folder = node.keep();
    println!("The node keeps running (process {pid}). Open in a browser:\n");
    println!(
        "  http://{gateway}/productpage          the application; sign in as jason to be routed by name"
    );
    println!("  http://{admin}/dashboard              who calls whom, how fast, what fails");
    println!("  http://{admin}/metrics                what the mesh counts\n");
    println!("Go on with kubectl, from the root of the repository:\n");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  kubectl get deployments,pods,services");
    println!("  kubectl logs -f -l app=reviews");
    println!("  kubectl apply -f examples/bookinfo/manifests/reviews-by-user.yaml");
    println!("  kubectl apply -f examples/bookinfo/manifests/policy-deny.yaml");
    println!("  kubectl delete -f examples/bookinfo/manifests/policy-deny.yaml\n");
    println!(
        "Its log is {}. End it with `kill {pid}`, then remove {}.",
        log.display(),
        folder.display()
    );
    Ok(())
}
