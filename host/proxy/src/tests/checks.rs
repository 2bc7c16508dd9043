//! Active health checks, with real connections.

use std::sync::atomic::{AtomicBool, Ordering};

use osier_snapshot::Snapshot;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::check_endpoints;

/// A server outside that answers every request with the same words, well or badly, over a connection of its own.
async fn server(mesh: &Mesh) -> (u16, Arc<AtomicBool>, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (well, asked) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let (is_well, heads): (_, Arc<Mutex<Vec<String>>>) = (well.clone(), Arc::clone(&asked));
    mesh.tasks.spawn("checked", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            heads
                .lock()
                .push(String::from_utf8_lossy(&head[..read]).into_owned());
            let status = if is_well.load(Ordering::SeqCst) {
                "200 OK"
            } else {
                "500 Oh"
            };
            let text =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _sent = stream.write_all(text.as_bytes()).await;
        }
    });
    (port, well, asked)
}

/// A host that one WorkloadEntry serves, in a group with this probe.
fn publish(mesh: &Mesh, port: u16, probe: &Value) -> Arc<Snapshot> {
    let named = |kind: &str, spec: Value| {
        object(
            json!({"kind": kind, "metadata": {"name": "vm", "namespace": "default",
        "annotations": {"istio.io/autoRegistrationGroup": "vm"}}, "spec": spec}),
        )
    };
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]);
    let host = "vm.example.com";
    let routes = json!({"hosts": ["*"], "gateways": ["vm"], "http": [{"route": [{"destination": {"host": host}}]}]});
    let inputs = Inputs {
        service_entries: &[named(
            "ServiceEntry",
            json!({"hosts": [host], "resolution": "STATIC", "ports": ports,
            "workloadSelector": {"labels": {"app": "vm"}}}),
        )],
        workload_entries: &[named(
            "WorkloadEntry",
            json!({"address": "127.0.0.1", "labels": {"app": "vm"}}),
        )],
        workload_groups: &[named(
            "WorkloadGroup",
            json!({"template": {}, "probe": probe}),
        )],
        virtual_services: &[named("VirtualService", routes)],
        gateways: &[named("Gateway", json!({"servers": [{"hosts": ["*"]}]}))],
        domain: "cluster.local",
        ..Inputs::default()
    };
    let (snapshot, findings) = compile(&inputs, Some(&mesh.proxy.snapshot()));
    assert_eq!(findings, []);
    let snapshot = Arc::new(snapshot);
    mesh.proxy.publish(Arc::clone(&snapshot));
    snapshot
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    assert!(tokio::time::timeout(limit, asked).await.is_ok(), "{what}");
}

fn is_sound(snapshot: &Snapshot) -> bool {
    snapshot.endpoints().all(|endpoint| endpoint.is_sound())
}

#[tokio::test]
async fn an_endpoint_gets_calls_while_its_checks_succeed() {
    let mesh = Mesh::new(0, to_echo(json!({})));
    let (port, well, asked) = server(&mesh).await;
    let headers = json!([{"name": "X-Probe", "value": "yes"}]);
    let get_health = json!({"path": "/healthz", "port": port, "httpHeaders": headers});
    let probe = json!({"httpGet": get_health, "periodSeconds": 1, "failureThreshold": 1});
    let snapshot = publish(&mesh, port, &probe);
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), 503, "nothing is known of it yet");
    assert!(text(response).await.contains("health checks"));
    check_endpoints(&mesh.proxy, &mesh.tasks);
    until("it is found to be sound", || is_sound(&snapshot)).await;
    let head = asked.lock()[0].to_lowercase();
    assert!(
        head.starts_with("get /healthz http/1.1\r\n") && head.contains("x-probe: yes"),
        "{head}"
    );
    assert_eq!(mesh.send(get("http://a/")).await.status(), 200);
    well.store(false, Ordering::SeqCst);
    until("it is found to fail", || !is_sound(&snapshot)).await;
    assert_eq!(mesh.send(get("http://a/")).await.status(), 503);
    well.store(true, Ordering::SeqCst);
    // Another snapshot with the same check goes on with what is known.
    let again = publish(&mesh, port, &probe);
    until("it is back", || is_sound(&again)).await;
    mesh.tasks.stop();
}

#[tokio::test]
async fn a_port_that_takes_connections_is_enough_where_no_more_is_asked() {
    let mesh = Mesh::new(0, to_echo(json!({})));
    let (port, _, _) = server(&mesh).await;
    check_endpoints(&mesh.proxy, &mesh.tasks);
    let snapshot = publish(&mesh, port, &json!({"tcpSocket": {"port": port}}));
    until("it takes a connection", || is_sound(&snapshot)).await;
    mesh.tasks.stop();
}
