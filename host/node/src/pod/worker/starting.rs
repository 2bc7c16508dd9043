//! How a container is started, and what happens when it cannot be.

use std::sync::Arc;
use std::time::Duration;

use osier_engine::HttpContainer;
use osier_podspec::{self as spec, Slot};
use osier_process::{CancellationToken, clock};
use tokio::time::Instant;

use super::{Alive, Worker};
use crate::live::{LiveContainer, Running};
use crate::pod::create::{Created, NEVER_PULLED, Order, Refusal, create};
use crate::pod::{Event, failed_call};
use crate::served::{Calls, Serving};
use osier_images::Pulled;
use osier_life::{BACKOFF, Ended};

/// A pod that is up sooner than this is reported once, as Running, and not first as Pending.
const SOON: Duration = Duration::from_millis(40);

impl Worker {
    /// Starts a container; true when the pod is to end instead.
    pub(super) async fn start(&mut self, slot: Slot) -> bool {
        self.due.remove(&slot);
        let Some(record) = self.record(slot) else {
            return false;
        };
        let life = record.restarts + u32::from(record.last.is_some() || record.ended().is_some());
        let order = Order {
            pod: Arc::clone(&self.pod),
            slot,
            life,
            place: self.place(),
            about: self.about(slot),
        };
        let shared = Arc::clone(&self.shared);
        let making = async move { create(&shared, &order).await };
        tokio::pin!(making);
        let mut told = false;
        let made = loop {
            tokio::select! {
                made = &mut making => break made,
                () = tokio::time::sleep(SOON), if !told => {
                    self.report();
                    told = true;
                }
                changed = self.changes.changed() => if changed.is_err() || self.changed() {
                    return true;
                },
            }
        };
        match made {
            Ok(created) => self.launch(slot, life, created).await,
            Err(refusal) => self.refuse(slot, refusal),
        }
        self.post_start(slot, life).await
    }

    async fn launch(&mut self, slot: Slot, life: u32, created: Created) {
        let name = self
            .record(slot)
            .map_or_else(String::new, |record| record.name.clone());
        let image = self
            .record(slot)
            .map_or_else(String::new, |record| record.image.clone());
        let about = self.about(slot);
        let recorder = self.shared.recorder.clone();
        recorder.normal(&about, "Pulled", pulled(&image, created.pulled));
        recorder.normal(&about, "Created", format!("Created container: {name}"));
        let now = clock::now();
        if let Some(record) = self.record_mut(slot) {
            record.image_id = created.image_id;
            // What kept it from being made is over; only its own failures count from here.
            if record.last.is_none() && record.ended().is_none() {
                record.failures = 0;
            }
            record.start(now, created.container_id);
        }
        let stop = CancellationToken::new();
        let alive = Alive {
            body: created.body.clone(),
            _image: created.image,
            life,
            stop: stop.clone(),
        };
        self.alive.insert(slot, alive);
        let live = LiveContainer {
            name: name.clone(),
            body: created.body.clone(),
            workload: created.workload,
            input: created.input,
            stop,
        };
        let calls = self.enroll(live);
        match created.body {
            Running::Serves(container) => {
                if let Err(error) = container.start().await {
                    let ended = failed_call(&error)
                        .unwrap_or_else(|| Ended::new(1, "StartError", error.to_string()));
                    return self.ended(slot, ended);
                }
                self.serve(slot, life, (container, calls));
            }
            Running::Runs(container) => {
                let sender = self.sender.clone();
                self.shared.tasks.spawn("container", async move {
                    let ended = Ended::of(&container.run().await);
                    // Nobody listens when the pod has ended meanwhile.
                    let ended = Box::new(ended);
                    let _told = sender.send(Event::Ended { slot, life, ended }).await;
                });
            }
        }
        recorder.normal(&about, "Started", format!("Started container {name}"));
    }

    /// Others find the container, and its use is metered; the counter is for the calls that the mesh brings.
    fn enroll(&self, live: LiveContainer) -> Arc<Calls> {
        let (uid, body) = (self.pod.uid(), live.body.clone());
        let calls = self.calls(&live.body);
        let counted = Arc::clone(&calls);
        let meters = &self.shared.meters;
        meters.add(uid, &live.name, move || osier_engine::Usage {
            // What the mesh brought, without probes.
            requests: counted.taken(),
            ..body.usage()
        });
        self.shared.live.add(uid, live);
        calls
    }

    /// What counts a container's calls: programs of a pod share its network, and the first of them counts for all.
    fn calls(&self, body: &Running) -> Arc<Calls> {
        let runs = |alive: &&Alive| matches!(alive.body, Running::Runs(_));
        let programs = self.alive.values().filter(runs).count();
        match body {
            Running::Runs(_) if programs <= 1 => self.shared.served.count(self.pod.uid()),
            _ => Arc::default(),
        }
    }

    fn serve(&self, slot: Slot, life: u32, (container, calls): (HttpContainer, Arc<Calls>)) {
        let sidecar = self.record(slot).is_some_and(|record| record.sidecar);
        // A serving init container has no end to wait for: it is done when it is up.
        if matches!(slot, Slot::Init(_)) && !sidecar {
            let ended = Ended::new(
                0,
                "Completed",
                "it serves requests, and has nothing to run to its end",
            );
            let ended = Box::new(ended);
            let _full = self.sender.try_send(Event::Ended { slot, life, ended });
            return;
        }
        let Some(container_spec) = spec::container(&self.pod, slot) else {
            return;
        };
        let faults = self.sender.clone();
        let serving = Serving {
            name: container_spec["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            ports: spec::ports(container_spec),
            container,
            calls,
            failed: Arc::new(move |error| {
                // A full channel means that the pod hears of more faults than it can tell anyway.
                if let Some(fault) = Event::fault(slot, error) {
                    let _told = faults.try_send(fault);
                }
            }),
        };
        self.shared.served.add(self.pod.uid(), serving);
    }

    fn refuse(&mut self, slot: Slot, refusal: Refusal) {
        let about = self.about(slot);
        let Some(record) = self.record_mut(slot) else {
            return;
        };
        record.failures = record.failures.saturating_add(1);
        let again = record.failures > 1;
        let reason = if again { refusal.again } else { refusal.reason };
        let message = if again && reason == "ImagePullBackOff" {
            format!(
                "Back-off pulling image \"{}\": {}: {}",
                record.image, refusal.reason, refusal.message
            )
        } else {
            refusal.message.clone()
        };
        record.wait(reason, message);
        let delay = BACKOFF.after(record.failures);
        let image = record.image.clone();
        self.due.insert(slot, Instant::now() + delay);
        let recorder = &self.shared.recorder;
        match refusal.reason {
            "ErrImagePull" => {
                recorder.warning(
                    &about,
                    "Failed",
                    format!("Failed to pull image \"{image}\": {}", refusal.message),
                );
                recorder.warning(&about, "Failed", format!("Error: {reason}"));
                recorder.normal(
                    &about,
                    "BackOff",
                    format!("Back-off pulling image \"{image}\""),
                );
            }
            NEVER_PULLED => {
                recorder.warning(&about, NEVER_PULLED, refusal.message);
                recorder.warning(&about, "Failed", format!("Error: {NEVER_PULLED}"));
            }
            "InvalidImageName" => recorder.warning(&about, "InspectFailed", refusal.message),
            _ => recorder.warning(&about, "Failed", format!("Error: {}", refusal.message)),
        }
    }
}

/// kubelet's words.
fn pulled(image: &str, pulled: Option<Pulled>) -> String {
    match pulled {
        None => format!("Container image \"{image}\" already present on machine"),
        Some(Pulled { took, size }) => format!(
            "Successfully pulled image \"{image}\" in {} ms. Image size: {size} bytes.",
            took.as_millis()
        ),
    }
}
