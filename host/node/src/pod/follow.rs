//! Keeps the files of a running pod's volumes as the objects are that they come from.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_client::Reference;
use osier_podspec::{containers, volumes};
use tokio::sync::watch;

use super::{Shared, create};

/// How old the files may be; kubelet's is a minute.
const PERIOD: Duration = Duration::from_secs(20);

/// Runs for as long as it is polled. Never ends by itself; does nothing for a pod without such volumes.
pub(super) async fn follow(shared: Arc<Shared>, pod: watch::Receiver<Option<Arc<Object>>>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let current = pod.borrow().clone();
        match current.filter(|pod| pod.deletion_timestamp().is_none()) {
            Some(pod) => refresh(&shared, &pod).await,
            // It is going: nothing may be written that its end would leave behind.
            None => std::future::pending().await,
        }
    }
}

async fn refresh(shared: &Arc<Shared>, pod: &Object) {
    let ip = pod.text(&["status", "podIP"]).parse();
    let place = shared.place(ip.unwrap_or(Ipv4Addr::UNSPECIFIED));
    for field in ["initContainers", "containers"] {
        for container in containers(pod, field) {
            if volumes::references_files(pod, container)
                && let Err(refusal) = create::mounts(shared, pod, container, &place).await
            {
                let words = format!("its files stay as they are: {}", refusal.message);
                let about = Reference::to(pod);
                shared.recorder.warning(&about, "FailedMount", words);
            }
        }
    }
}
