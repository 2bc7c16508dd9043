//! Taking a node down: outside traffic first, the store last, within one deadline.

use super::rooms::Rooms;
use crate::exit::Failure;
use osier_node::Node;
use osier_process::signals::Signals;
use osier_process::{Stuck, Tasks};
use std::time::Duration;
use tokio::time::Instant;

/// Drains everything; a second signal ends the wait at once.
///
/// # Errors
/// [`Failure::NotDrained`] names what was still running; [`Failure::Interrupted`] after a second signal.
pub(crate) async fn drain(
    rooms: Rooms,
    deadline: Duration,
    signals: &mut Signals,
) -> Result<(), Failure> {
    tokio::select! {
        drained = in_order(rooms, Instant::now() + deadline) => drained,
        _ = signals.next() => Err(Failure::Interrupted),
    }
}

/// The same for a joined node, whose task sets end in this order after its requests.
///
/// # Errors
/// As [`drain`].
pub(crate) async fn drain_node(
    node: &Node,
    sets: [(&str, &Tasks); 3],
    deadline: Duration,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let deadline = Instant::now() + deadline;
    let in_order = async {
        let mut stuck = Vec::new();
        for (place, (name, tasks)) in sets.into_iter().enumerate() {
            if place == 1 {
                node.drain(left(deadline)).await;
            }
            stuck.extend(ended(name, tasks, deadline).await);
        }
        match stuck.is_empty() {
            true => Ok(()),
            false => Err(Failure::NotDrained(stuck.join("; "))),
        }
    };
    tokio::select! {
        drained = in_order => drained,
        _ = signals.next() => Err(Failure::Interrupted),
    }
}

/// The same for a proxy that has no pods.
///
/// # Errors
/// As [`drain`].
pub(crate) async fn drain_sets(
    sets: [(&str, &Tasks); 3],
    deadline: Duration,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let deadline = Instant::now() + deadline;
    let in_order = async {
        let mut stuck = Vec::new();
        for (name, tasks) in sets {
            stuck.extend(ended(name, tasks, deadline).await);
        }
        match stuck.is_empty() {
            true => Ok(()),
            false => Err(Failure::NotDrained(stuck.join("; "))),
        }
    };
    tokio::select! {
        drained = in_order => drained,
        _ = signals.next() => Err(Failure::Interrupted),
    }
}

async fn in_order(rooms: Rooms, deadline: Instant) -> Result<(), Failure> {
    let _draining = rooms.unready();
    let mut stuck = Vec::new();
    stuck.extend(ended("gateway", &rooms.edge, deadline).await);
    rooms.node.drain(left(deadline)).await;
    stuck.extend(ended("controllers and node", &rooms.plane, deadline).await);
    stuck.extend(ended("api", &rooms.api, deadline).await);
    rooms
        .server
        .close()
        .await
        .map_err(|error| Failure::Data(error.to_string()))?;
    stuck.extend(ended("admin", &rooms.admin, deadline).await);
    if stuck.is_empty() {
        Ok(())
    } else {
        Err(Failure::NotDrained(stuck.join("; ")))
    }
}

async fn ended(name: &str, tasks: &Tasks, deadline: Instant) -> Option<String> {
    let Stuck(left) = tasks.drained(left(deadline)).await.err()?;
    Some(format!("{name}: {}", Stuck(left)))
}

/// What is left until the deadline; every set gets a moment even when an earlier one used it all.
fn left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(200))
}
