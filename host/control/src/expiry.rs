//! Events expire: nobody reads yesterday's, and they are the most numerous objects of all.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_api::resources::EVENTS;
use osier_client::{Client, DeleteOptions, Informer};
use osier_process::clock;

use crate::Context;
use crate::facts;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(60);

/// Starts the sweep.
pub(crate) fn start(context: &Context, age: Duration) {
    let Some(events) = context.informers.of(&EVENTS).cloned() else {
        return;
    };
    let (client, stopping) = (context.client.clone(), context.tasks.stopping());
    context.tasks.spawn("event-expiry", async move {
        tokio::select! {
            () = sweep(client, events, age) => {}
            () = stopping.cancelled() => {}
        }
    });
}

async fn sweep(client: Client, events: Arc<Informer>, age: Duration) {
    loop {
        tokio::time::sleep(EVERY).await;
        for event in expired(&events.list(), age, clock::now()) {
            let of = (event.namespace(), event.name());
            // With its revision: an event that was counted up meanwhile lives on.
            let options = DeleteOptions {
                resource_version: Some(event.resource_version()),
                ..DeleteOptions::exactly(&event)
            };
            if let Err(error) = client.delete(&EVENTS, of, &options).await {
                tracing::debug!(%error, "an expired event stays for now");
            }
        }
    }
}

/// The events last seen longer than `age` ago.
fn expired(events: &[Arc<Object>], age: Duration, now: Timestamp) -> Vec<Arc<Object>> {
    let old = |event: &&Arc<Object>| {
        Duration::try_from(now.duration_since(last_seen(event))).is_ok_and(|passed| passed > age)
    };
    events.iter().filter(old).cloned().collect()
}

fn last_seen(event: &Object) -> Timestamp {
    let fields: [&[&str]; 3] = [
        &["series", "lastObservedTime"],
        &["lastTimestamp"],
        &["eventTime"],
    ];
    let seen = fields
        .iter()
        .find_map(|field| event.text(field).parse().ok());
    seen.unwrap_or_else(|| facts::created(event))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_lives_an_hour_after_it_was_last_seen() {
        let event = |name: &str, last: &str| {
            let value = json!({"metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}, "lastTimestamp": last});
            Arc::new(Object::from_value(value).unwrap())
        };
        let mut bare = (*event("bare", "")).clone();
        bare.remove(&["lastTimestamp"]);
        let events = [
            event("old", "2026-01-01T00:59:59Z"),
            event("fresh", "2026-01-01T01:30:00Z"),
            Arc::new(bare),
        ];
        let now = "2026-01-01T02:00:00Z".parse().unwrap();
        let gone = expired(&events, Duration::from_secs(3600), now);
        let names: Vec<&str> = gone.iter().map(|event| event.name()).collect();
        assert_eq!(names, ["old", "bare"]);
    }
}
