//! Watches the pods that are bound to this node and gives each an actor of its own.

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;
use osier_client::{Change, Informer};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::pod::{Shared, Worker};

/// The actors by pod uid, and how each hears of its pod.
pub(crate) struct Agent {
    shared: Arc<Shared>,
    actors: Mutex<HashMap<String, watch::Sender<Option<Arc<Object>>>>>,
    /// Given to the pods that were here before the node was.
    resuming: Mutex<Option<watch::Receiver<()>>>,
}

impl Agent {
    /// Follows the pods of this node from now on. `resuming` is held by those that are here already
    /// until they run again.
    pub(crate) fn start(
        shared: Arc<Shared>,
        pods: &Informer,
        resuming: watch::Receiver<()>,
    ) -> Arc<Self> {
        let agent = Arc::new(Self {
            shared,
            actors: Mutex::default(),
            resuming: Mutex::new(Some(resuming)),
        });
        let listener = Arc::clone(&agent);
        pods.on_change(move |change| listener.changed(change));
        agent.resuming.lock().take();
        agent
    }

    /// Removes the folders of pods that are gone; called once the pods are known.
    pub(crate) fn clean(&self, pods: &Informer) {
        let known: Vec<Arc<Object>> = pods.list();
        let mut uids = self.shared.logs.pods();
        uids.extend(self.shared.volumes.pods());
        for uid in uids {
            if known.iter().any(|pod| pod.uid() == uid) {
                continue;
            }
            let logs = self.shared.logs.remove_pod(&uid);
            if let Err(error) = logs.and(self.shared.volumes.remove(&uid)) {
                tracing::warn!(%error, uid, "the folder of a pod that is gone could not be removed");
            }
        }
    }

    fn changed(self: &Arc<Self>, change: &Change) {
        let pod = change.object();
        if pod.text(&["spec", "nodeName"]) != self.shared.settings.node_name {
            return;
        }
        let mut actors = self.actors.lock();
        if change.is_deleted() {
            // Dropping the sender would say the same, but the actor may be asked about meanwhile.
            if let Some(sender) = actors.get(pod.uid()) {
                sender.send_replace(None);
            }
            return;
        }
        match actors.get(pod.uid()) {
            Some(sender) => drop(sender.send_replace(Some(Arc::clone(pod)))),
            None => drop(actors.insert(pod.uid().to_owned(), self.spawn(pod))),
        }
    }

    fn spawn(self: &Arc<Self>, pod: &Arc<Object>) -> watch::Sender<Option<Arc<Object>>> {
        let (sender, receiver) = watch::channel(Some(Arc::clone(pod)));
        let worker = Worker::new(Arc::clone(&self.shared), Arc::clone(pod), receiver)
            .resuming(self.resuming.lock().clone());
        let (this, uid) = (Arc::clone(self), pod.uid().to_owned());
        self.shared.tasks.spawn("pod", async move {
            worker.run().await;
            this.actors.lock().remove(&uid);
        });
        sender
    }
}
