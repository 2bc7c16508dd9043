//! Routing as the specifications of both APIs have it, row by row (`tests/suites/corpus/routing`): asked of the built binary by curl and
//! grpcio, and of Envoy under an equal configuration where this machine has one. `docs/conformance/routing.md` keeps what came of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "conformance/ask.rs"]
mod ask;
#[path = "conformance/backends.rs"]
mod backends;
#[path = "conformance/clients.rs"]
mod clients;
#[path = "conformance/peers.rs"]
mod peers;
#[path = "conformance/rows.rs"]
mod rows;
#[path = "conformance/streams.rs"]
mod streams;
#[path = "conformance/table.rs"]
mod table;

use backends::Backends;
use rows::Row;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// What came of each ask of each row; none where there is nothing to ask.
type Answers = Vec<Vec<Option<ask::Said>>>;

fn answers(rows: &[Row], backends: &Backends, at: impl Fn(&Row) -> Option<String>) -> Answers {
    let of_row = |row: &Row| {
        let address = at(row);
        let asked = |ask| {
            let address = address.as_deref()?;
            ask::made(ask, row, (address, backends))
        };
        row.asks.iter().map(asked).collect()
    };
    rows.iter().map(of_row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_is_as_the_specifications_have_it_and_envoys_answers_are_known() {
    let (rows, backends) = (rows::all(), Backends::start().await);
    let (istio, gateway_api) = (
        peers::istio(&rows, &backends).await,
        peers::gateway_api(&rows, &backends).await,
    );
    let own = |row: &Row| {
        let node = if row.is_istio() { &istio } else { &gateway_api };
        Some(node.address("gateway").unwrap())
    };
    let ours = tokio::task::block_in_place(|| answers(&rows, &backends, own));
    peers::told(&gateway_api, &rows).await;
    let envoy = peers::envoy(&rows, &backends).await;
    let theirs = envoy.as_ref().map(|envoy| {
        let at = |row: &Row| (!row.envoy.is_null()).then(|| envoy.address.clone());
        tokio::task::block_in_place(|| answers(&rows, &backends, at))
    });
    table::hold(&rows, &ours, theirs.as_ref());
}
