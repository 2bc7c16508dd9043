//! Metrics and the access log.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::subscriber::with_default;
use tracing::{Event, Metadata, Subscriber, span};

use super::*;

/// Lines of a metric that hold all of these.
fn lines<'a>(told: &'a str, name: &str, parts: &[&str]) -> Vec<&'a str> {
    let of_metric = told.lines().filter(|line| line.starts_with(name));
    of_metric
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .collect()
}

async fn told_after_three_calls_and_a_refused_one() -> String {
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
    mesh.metrics.encode()
}

#[tokio::test]
async fn istios_metrics_count_each_call_on_both_sides() {
    let told = told_after_three_calls_and_a_refused_one().await;
    for reporter in ["reporter=\"source\"", "reporter=\"destination\""] {
        let found = lines(
            &told,
            "istio_requests_total{",
            &[reporter, "response_code=\"200\""],
        );
        assert_eq!(found.len(), 1, "{told}");
        assert!(found[0].ends_with(" 3"), "{}", found[0]);
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
            assert!(found[0].contains(label), "{label} in {}", found[0]);
        }
    }
    let refused = lines(&told, "istio_requests_total{", &["response_code=\"403\""]);
    assert_eq!(refused.len(), 1, "only the source saw it");
    assert!(
        refused[0].contains("response_flags=\"NR\"") && refused[0].contains("reporter=\"source\"")
    );
}

#[tokio::test]
async fn durations_and_sizes_are_istios_histograms() {
    let told = told_after_three_calls_and_a_refused_one().await;
    let parts = ["reporter=\"source\"", "response_code=\"200\""];
    for (metric, wanted) in [
        ("istio_request_bytes_sum{", " 15.0"),
        ("istio_response_bytes_sum{", " 36.0"),
        ("istio_request_duration_milliseconds_count{", " 3"),
    ] {
        let found = lines(&told, metric, &parts);
        assert_eq!(found.len(), 1, "{metric} {told}");
        assert!(found[0].ends_with(wanted), "{}", found[0]);
    }
    let buckets = lines(&told, "istio_request_duration_milliseconds_bucket{", &parts);
    assert_eq!(buckets.len(), 20);
    assert!(buckets[18].contains("le=\"3600000.0\"") && buckets[19].contains("le=\"+Inf\""));
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
    // While there is only one dispatcher, another test's thread that meets the event first switches it off for all.
    let _second = tracing::Dispatch::new(listener.clone());
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
