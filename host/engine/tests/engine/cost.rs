//! What the engine costs. `cargo test --release -p osier-engine --test engine cost -- --ignored --nocapture --test-threads 1`
//! prints the figures; without `--release` they are those of an unoptimised host.

use crate::guests::{HELLO, PLUGIN, container, engine, request, text, wasm, workload};
use http_body_util::BodyExt;
use osier_engine::Container;
use osier_engine::plugin::{PluginGrants, PluginLimits, Val};
use std::time::Instant;

fn print(what: &str, best: f64) {
    println!("{what:60} {best:10.2} µs");
}

#[tokio::test]
#[ignore = "measures, asserts nothing"]
async fn of_requests() {
    for (what, max_requests_per_instance) in [
        ("a request, instance reused", u32::MAX),
        ("a request, fresh instance", 1),
    ] {
        let http = workload(HELLO)
            .http(Container {
                max_requests_per_instance,
                ..container()
            })
            .unwrap();
        text(&http, "/").await;
        let mut best = f64::MAX;
        for _ in 0..15 {
            let begun = Instant::now();
            for _ in 0..1000 {
                let answer = http.call(request("/")).await.unwrap();
                std::hint::black_box(answer.into_body().collect().await.unwrap());
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1e3);
        }
        print(what, best);
    }
}

#[test]
#[ignore = "measures, asserts nothing"]
fn of_plugins() {
    struct None;
    impl osier_capabilities::KeyValue for None {
        fn get(&self, _: &str, _: &str) -> Result<Option<i64>, osier_capabilities::KeyValueError> {
            Ok(Option::None)
        }
        fn increment(
            &self,
            _: &str,
            _: &str,
            delta: i64,
            _: Option<std::time::Duration>,
        ) -> Result<i64, osier_capabilities::KeyValueError> {
            Ok(delta)
        }
        fn take(
            &self,
            _: &str,
            _: &str,
            amount: u64,
            _: osier_capabilities::Terms,
            _: bool,
        ) -> Result<osier_capabilities::Taken, osier_capabilities::KeyValueError> {
            Ok(osier_capabilities::Taken {
                amount,
                remaining: 0,
                retry_after: 0,
            })
        }
        fn now(&self) -> u64 {
            0
        }
    }
    let grants = PluginGrants {
        keyvalue: Some(std::sync::Arc::new(None)),
        ..PluginGrants::default()
    };
    let prepared = engine()
        .plugin(&wasm(PLUGIN))
        .unwrap()
        .prepare(grants, PluginLimits::default())
        .unwrap();
    let mut instance = prepared.instantiate().unwrap();
    let check = instance
        .function("osier:fixture/ask@0.1.0", "check")
        .unwrap();
    let args = [Val::Record(vec![
        ("name".into(), Val::String("alice".into())),
        ("amount".into(), Val::S64(3)),
        ("tags".into(), Val::List(vec![])),
    ])];
    let mut results = [Val::Bool(false)];
    let (mut call, mut fresh) = (f64::MAX, f64::MAX);
    for _ in 0..15 {
        let begun = Instant::now();
        for _ in 0..1000 {
            instance.call(check, &args, &mut results).unwrap();
        }
        call = call.min(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(prepared.instantiate().unwrap());
        }
        fresh = fresh.min(begun.elapsed().as_secs_f64() * 1e4);
    }
    print("a plugin call (record of three), kept arguments", call);
    print("a plugin instance", fresh);
}
