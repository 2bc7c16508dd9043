//! Callers that stay with their endpoint (`sessionPersistence`): across destinations, and until the endpoint fails them.

use http::header::COOKIE;
use osier_snapshot::GatewayApi;

use super::*;

/// Services `one` and `two` with two pods each, and a route of `one` that sends calls by these weights.
fn publish(mesh: &Mesh, persistence: &Value, weights: [u32; 2]) {
    let all = ["one", "two"];
    let meta = |name: &str| json!({"name": name, "namespace": "default", "uid": name});
    let names: Vec<String> = all
        .iter()
        .flat_map(|name| [0, 1].map(|number| format!("{name}-{number}")))
        .collect();
    let pods: Vec<_> = names
        .iter()
        .map(|name| object(json!({"metadata": meta(name)})))
        .collect();
    let service = |name: &&str| {
        object(
            json!({"metadata": meta(name), "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}),
        )
    };
    let endpoints = |name: &&str| {
        let target = |number: u32| json!({"ip": "10.244.0.1", "targetRef": {"kind": "Pod", "name": format!("{name}-{number}")}});
        let addresses = [0, 1].map(target);
        object(
            json!({"metadata": meta(name), "subsets": [{"addresses": addresses, "ports": [{"port": 8080}]}]}),
        )
    };
    let backends: Vec<Value> = all
        .iter()
        .zip(weights)
        .map(|(name, weight)| json!({"name": name, "port": 80, "weight": weight}))
        .collect();
    let rule = json!({"sessionPersistence": persistence, "backendRefs": backends,
        "matches": [{"path": {"type": "PathPrefix", "value": "/shop"}}]});
    let parents = json!([{"group": "", "kind": "Service", "name": "one"}]);
    let route = object(
        json!({"metadata": meta("route"), "spec": {"parentRefs": parents, "rules": [rule]}}),
    );
    let inputs = Inputs {
        services: &all.iter().map(service).collect::<Vec<_>>(),
        endpoints: &all.iter().map(endpoints).collect::<Vec<_>>(),
        pods: &pods,
        domain: "cluster.local",
        gateway_api: GatewayApi {
            http_routes: &[route],
            ..GatewayApi::default()
        },
        ..Inputs::default()
    };
    let (snapshot, findings) = compile(&inputs, Some(&mesh.proxy.snapshot()));
    assert!(findings.is_empty(), "{findings:?}");
    mesh.proxy.publish(Arc::new(snapshot));
}

fn mesh(persistence: &Value, weights: [u32; 2]) -> Mesh {
    let mesh = Mesh::new(1, to_echo(json!({})));
    publish(&mesh, persistence, weights);
    mesh.echo("one-0").echo("one-1").echo("two-0").echo("two-1");
    mesh
}

/// The pod that answers, and the token that comes with its answer.
async fn asked(mesh: &Mesh, sent: Option<(&str, &str)>, told: &str) -> (String, Option<String>) {
    let mut request = get("http://one/shop/x");
    if let Some((name, value)) = sent {
        let name = http::HeaderName::try_from(name).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let response = mesh.proxy.handle(caller(), request).await;
    let given = response.headers().get(told);
    let given = given.map(|value| value.to_str().unwrap().to_owned());
    let pod = text(response).await;
    (pod.trim_end_matches(':').to_owned(), given)
}

#[tokio::test]
async fn a_caller_stays_with_its_endpoint_whatever_the_weights_become() {
    let persistence = json!({"sessionName": "sid"});
    for _ in 0..8 {
        let mesh = mesh(&persistence, [1, 1]);
        let (home, given) = asked(&mesh, None, "set-cookie").await;
        let given = given.unwrap();
        let (pair, attributes) = given.split_once("; ").unwrap();
        assert!(
            pair.starts_with("sid=") && attributes == "Path=/shop; HttpOnly",
            "{given}"
        );
        let weights = match home.starts_with("one") {
            true => [[1, 1], [0, 1]],
            false => [[1, 1], [1, 0]],
        };
        for weights in weights {
            publish(&mesh, &persistence, weights);
            for _ in 0..4 {
                let (pod, again) = asked(&mesh, Some((COOKIE.as_str(), pair)), "set-cookie").await;
                assert_eq!((&pod, again), (&home, None));
            }
        }
        // No new session begins where there is no weight.
        let (other, _) = asked(&mesh, None, "set-cookie").await;
        assert_ne!(other.split('-').next(), home.split('-').next());
    }
}

#[tokio::test]
async fn a_session_ends_with_its_endpoint_and_another_begins() {
    let persistence = json!({"sessionName": "x-session", "type": "Header"});
    let mesh = mesh(&persistence, [1, 0]);
    let (home, token) = asked(&mesh, None, "x-session").await;
    let token = token.unwrap();
    let sent = Some(("x-session", token.as_str()));
    assert_eq!(asked(&mesh, sent, "x-session").await, (home.clone(), None));
    let gone = match home.as_str() {
        "one-0" => "one-0",
        _ => "one-1",
    };
    mesh.pod(gone, |_| Box::pin(async { Err(PodError::NotHere) }));
    let (other, fresh) = asked(&mesh, sent, "x-session").await;
    let fresh = fresh.unwrap();
    assert!(other.starts_with("one-") && other != home, "{other}");
    let sent = Some(("x-session", fresh.as_str()));
    assert_eq!(asked(&mesh, sent, "x-session").await, (other, None));
    // What is no token is like none.
    let (_, given) = asked(&mesh, Some(("x-session", "forged")), "x-session").await;
    assert!(given.is_some());
}
