//! Metrics and the access log.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::subscriber::with_default;
use tracing::{Event, Metadata, Subscriber, span};

use super::*;

#[tokio::test]
async fn istios_metrics_count_each_call_on_both_sides() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    for _ in 0..3 {
        text(
            mesh.proxy
                .handle(caller(), post("http://echo/", "hello"))
                .await,
        )
        .await;
    }
    mesh.proxy
        .handle(caller(), get("http://outside.example/"))
        .await;
    let told = mesh.metrics.encode();
    for reporter in ["source", "destination"] {
        let line = told
            .lines()
            .find(|line| {
                line.starts_with("istio_requests_total{")
                    && line.contains(&format!("reporter=\"{reporter}\""))
                    && line.contains("\"200\"")
            })
            .unwrap_or_else(|| panic!("{told}"));
        assert!(line.ends_with(" 3"), "{line}");
        for label in [
            "source_workload=\"caller-1\"",
            "source_workload_namespace=\"default\"",
            "source_principal=\"spiffe://cluster.local/ns/default/sa/default\"",
            "source_app=\"caller\"",
            "source_version=\"unknown\"",
            "destination_workload=\"echo-0\"",
            "destination_version=\"v1\"",
            "destination_service=\"echo.default.svc.cluster.local\"",
            "destination_service_name=\"echo\"",
            "destination_service_namespace=\"default\"",
            "request_protocol=\"http\"",
            "response_flags=\"-\"",
        ] {
            assert!(line.contains(label), "{label} in {line}");
        }
    }
    let refused: Vec<_> = told
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{") && line.contains("\"403\""))
        .collect();
    assert_eq!(refused.len(), 1, "only the source saw it");
    assert!(
        refused[0].contains("response_flags=\"NR\"") && refused[0].contains("reporter=\"source\"")
    );
    for name in [
        "istio_request_duration_milliseconds_bucket{",
        "istio_request_bytes_sum{",
        "istio_response_bytes_count{",
    ] {
        assert!(told.contains(name), "{name}");
    }
    assert!(
        told.lines()
            .any(|line| line.starts_with("istio_request_bytes_sum{") && line.ends_with(" 15.0")),
        "{told}"
    );
    assert!(told.contains("le=\"3600000.0\"") && told.contains("le=\"+Inf\""));
}

/// Keeps the fields of access events.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<HashMap<&'static str, String>>>>);

struct Fields<'a>(&'a mut HashMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(
            field.name(),
            format!("{value:?}").trim_matches('"').to_owned(),
        );
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == crate::ACCESS_TARGET
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = HashMap::new();
        event.record(&mut Fields(&mut fields));
        self.0.lock().push(fields);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn one_access_event_tells_the_whole_request() {
    let listener = Listener::default();
    with_default(listener.clone(), || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mesh = Mesh::new(1, to_echo(json!({})));
            mesh.echo("echo-0");
            let request = Request::post("http://shop/x?q=1")
                .header("user-agent", "test/1")
                .header("x-request-id", "id-1");
            text(mesh.send(request.body(body::full("hello")).unwrap()).await).await;
        });
    });
    let events = listener.0.lock();
    assert_eq!(events.len(), 1);
    for (field, value) in [
        ("method", "POST"),
        ("authority", "shop"),
        ("path", "/x?q=1"),
        ("protocol", "HTTP/1.1"),
        ("status", "200"),
        ("flags", "-"),
        ("route", "default/echo-outside/all"),
        ("cluster", "outbound|80||echo.default.svc.cluster.local"),
        ("source", "gateway"),
        ("destination", "echo-0"),
        ("peer", "192.0.2.7:4711"),
        ("verdict", "allow"),
        ("policy", ""),
        ("plugin", ""),
        ("bytes_in", "5"),
        ("bytes_out", "12"),
        ("request_id", "id-1"),
        ("user_agent", "test/1"),
    ] {
        assert_eq!(
            events[0].get(field).map(String::as_str),
            Some(value),
            "{field}"
        );
    }
    assert!(events[0]["duration_ms"].parse::<f64>().unwrap() >= 0.0);
}
