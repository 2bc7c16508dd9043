//! Bookinfo on a node, as its README deploys it.

use crate::artifacts::{component, example};
use crate::deadline::until;
use crate::{Node, http, objects};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// The images, without the tag `1.0`.
pub const IMAGES: [&str; 4] = ["details", "ratings", "reviews", "productpage"];

/// The path of one of its manifests.
pub fn manifest(name: &str) -> PathBuf {
    example(&format!("bookinfo/manifests/{name}.yaml"))
}

/// Puts the four components into the node's store.
pub fn import(node: &Node) -> Result<()> {
    for image in IMAGES {
        let file = component(&format!("bookinfo/{image}"))?;
        node.import(&format!("bookinfo/{image}:1.0"), &file)?;
    }
    Ok(())
}

/// Applies what makes the application, without any route between versions of reviews.
pub fn apply(node: &Node) -> Result<()> {
    for name in ["bookinfo", "destination-rules", "gateway"] {
        node.apply(&manifest(name))?;
    }
    Ok(())
}

/// Waits until all six pods are ready and the page has all its parts; returns the page.
pub async fn whole(node: &Node) -> Result<String> {
    for (app, count) in [
        ("details", 1),
        ("ratings", 1),
        ("reviews", 3),
        ("productpage", 1),
    ] {
        objects::ready(node, &format!("app={app}"), count).await?;
    }
    let gateway = node.address("gateway")?;
    until(
        "the product page with details and reviews",
        Duration::from_secs(30),
        || async {
            let answer = http::get(&gateway, "/productpage").await?;
            let text = answer.text();
            ensure!(
                answer.status == 200,
                "the gateway answered {}: {text}",
                answer.status
            );
            ensure!(
                !text.contains("unavailable right now"),
                "a part of the page is missing: {text}"
            );
            Ok(Some(text))
        },
    )
    .await
}

/// All of it.
pub async fn deploy(node: &Node) -> Result<String> {
    import(node)?;
    apply(node)?;
    whole(node).await
}
