//! The page that draws who calls whom: what it is told, and what a real browser makes of it.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::bookinfo::deploy;
use osier_tests::http::get;
use osier_tests::{Node, until};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// A browser starts slowly on a machine that is busy.
const BROWSER: Duration = Duration::from_secs(90);

async fn called() -> (Node, String) {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    for _ in 0..10 {
        assert_eq!(get(&gateway, "/productpage").await.unwrap().status, 200);
    }
    let admin = node.address("admin").unwrap();
    (node, admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_tells_who_called_whom() {
    let (_node, admin) = called().await;
    let told = || async {
        let graph = get(&admin, "/dashboard/graph.json").await?;
        let graph: Value = serde_json::from_str(&graph.text())?;
        let edges = graph["edges"].as_array().cloned().unwrap_or_default();
        let leads = |from: &str, to: &str| {
            edges.iter().any(|edge| {
                edge["source"]["name"] == from
                    && edge["destination"]["name"] == to
                    && edge["codes"]["200"].as_u64() >= Some(1)
            })
        };
        let all = leads("gateway", "productpage-v1") && leads("productpage-v1", "details-v1");
        Ok(all.then_some(edges))
    };
    let edges = until("edges of the graph", LIMIT, told).await.unwrap();
    let pages = edges
        .iter()
        .find(|edge| edge["source"]["name"] == "gateway")
        .unwrap();
    // Ten here and what `deploy` waited with; both ends count each.
    let told = pages["codes"]["200"].as_u64().unwrap();
    assert!(told < 20, "each page is told once: {pages}");
    assert_eq!(pages["destination"]["namespace"], "default");
}

fn browser() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&paths)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

async fn rendered(browser: &PathBuf, url: &str) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(browser);
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=7000", "--dump-dom", url])
        .kill_on_drop(true);
    let ran = tokio::time::timeout(BROWSER, command.output()).await;
    ran.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_draws_it() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium on the path: `apt-get install chromium` has one");
        return;
    };
    let (_node, admin) = called().await;
    let ran = rendered(&browser, &format!("http://{admin}/dashboard")).await;
    let page = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    for wanted in [
        "class=\"node gateway\"",
        "<title>productpage-v1 → details-v1 (details.default.svc.cluster.local)</title>",
        "<td class=\"\">productpage-v1 (default)</td><td class=\"\">details-v1 (default)</td>",
        "200: ",
    ] {
        assert!(page.contains(wanted), "no {wanted} in {page}\n{errors}");
    }
}
