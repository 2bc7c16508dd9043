//! Events expire: nobody reads yesterday's, and they are the most numerous objects of all.

use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_api::resources::EVENTS;
use osier_client::{Client, ClientError, DeleteOptions, Query};
use osier_process::clock;

use crate::Context;
use crate::facts;

/// How often is looked. Events are read by pages then, and not mirrored all the time: there are more
/// of them than of everything else.
const EVERY: Duration = Duration::from_secs(300);
const PAGE: u32 = 500;

/// Starts the sweep.
pub(crate) fn start(context: &Context, age: Duration) {
    let (client, stopping) = (context.client.clone(), context.tasks.stopping());
    context.tasks.spawn("event-expiry", async move {
        tokio::select! {
            () = run(client, age) => {}
            () = stopping.cancelled() => {}
        }
    });
}

async fn run(client: Client, age: Duration) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = sweep(&client, age).await {
            tracing::debug!(%error, "events that expired stay until the next look");
        }
    }
}

async fn sweep(client: &Client, age: Duration) -> Result<(), ClientError> {
    let mut query = Query {
        limit: Some(PAGE),
        ..Query::default()
    };
    loop {
        let page = client.list(&EVENTS, "", &query).await?;
        for event in expired(page.items, age, clock::now()) {
            // With its revision: an event that was counted up meanwhile lives on.
            let options = DeleteOptions {
                resource_version: Some(event.resource_version()),
                ..DeleteOptions::exactly(&event)
            };
            let of = (event.namespace(), event.name());
            match client.delete(&EVENTS, of, &options).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
                _ => {}
            }
        }
        query.continues = page.continues;
        if query.continues.is_none() {
            return Ok(());
        }
    }
}

/// The events last seen longer than `age` ago.
fn expired(mut events: Vec<Object>, age: Duration, now: Timestamp) -> Vec<Object> {
    events.retain(|event| {
        let passed = Duration::try_from(now.duration_since(last_seen(event)));
        passed.is_ok_and(|passed| passed > age)
    });
    events
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
            Object::from_value(value).unwrap()
        };
        let mut bare = event("bare", "");
        bare.remove(&["lastTimestamp"]);
        let events = [
            event("old", "2026-01-01T00:59:59Z"),
            event("fresh", "2026-01-01T01:30:00Z"),
            bare,
        ];
        let now = "2026-01-01T02:00:00Z".parse().unwrap();
        let gone = expired(events.into(), Duration::from_secs(3600), now);
        let names: Vec<&str> = gone.iter().map(|event| event.name()).collect();
        assert_eq!(names, ["old", "bare"]);
    }
}
