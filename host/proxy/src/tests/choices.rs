//! Destinations and endpoints that somebody else than the weights and the balancer chooses.

use http::{HeaderName, HeaderValue, StatusCode};
use osier_snapshot::HeaderOperation;

use super::*;
use crate::Choice;

fn rules() -> Value {
    json!([{"name": "split", "route": [
        {"destination": {"host": "echo"}, "weight": 100},
        {"destination": {"host": "nowhere"}, "weight": 0},
    ]}])
}

/// The second destination does not exist: whoever is sent there gets 503.
fn mesh() -> Mesh {
    let mesh = Mesh::new(3, to_echo(json!({})));
    let (snapshot, _) = snapshot(3, rules(), &mesh.proxy.snapshot());
    mesh.proxy.publish(Arc::new(snapshot));
    mesh.echo("echo-0").echo("echo-1").echo("echo-2");
    mesh
}

#[tokio::test]
async fn the_chosen_destination_gets_the_request_and_its_response_is_marked() {
    let mesh = mesh();
    for (place, status) in [(0, StatusCode::OK), (1, StatusCode::SERVICE_UNAVAILABLE)] {
        *mesh.gate.route.lock() = Some(Choice {
            place,
            response_headers: vec![HeaderOperation::Add(
                HeaderName::from_static("set-cookie"),
                HeaderValue::from_static("ab=v2"),
            )],
        });
        let response = mesh.send(get("http://a/")).await;
        assert_eq!(response.status(), status);
        let marked = response.headers().contains_key("set-cookie");
        assert_eq!(marked, status == StatusCode::OK);
    }
}

#[tokio::test]
async fn the_chosen_endpoint_gets_every_request() {
    let mesh = mesh();
    *mesh.gate.balance.lock() = Some(2);
    for _ in 0..6 {
        mesh.send(get("http://a/")).await;
    }
    assert!(mesh.called().iter().all(|pod| pod == "echo-2"));
    // A place that is not there leaves the choice to the balancer.
    *mesh.gate.balance.lock() = Some(9);
    assert_eq!(mesh.send(get("http://a/")).await.status(), StatusCode::OK);
}
