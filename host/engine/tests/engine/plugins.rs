//! Plugins: asked through interfaces that the engine reads from them.

use crate::guests::{PLUGIN, Paper, engine, wasm};
use osier_capabilities::{KeyValue, KeyValueError, Taken, Terms};
use osier_engine::plugin::{
    PluginComponent, PluginGrants, PluginInstance, PluginLimits, PreparedPlugin, Type, Val,
};
use osier_engine::{CallError, ComponentError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ASK: &str = "osier:fixture/ask@0.1.0";

/// Counters of one bucket.
#[derive(Default)]
struct Counters(Mutex<HashMap<String, i64>>);

impl KeyValue for Counters {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<i64>, KeyValueError> {
        if bucket != "visits" {
            return Err(KeyValueError::NotGranted);
        }
        Ok(self.0.lock().unwrap().get(key).copied())
    }

    fn increment(
        &self,
        bucket: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, KeyValueError> {
        assert_eq!((bucket, ttl), ("visits", None));
        if key == "full" {
            return Err(KeyValueError::Full);
        }
        let mut counters = self.0.lock().unwrap();
        let counter = counters.entry(key.to_owned()).or_default();
        *counter += delta;
        Ok(*counter)
    }

    fn take(
        &self,
        _: &str,
        _: &str,
        amount: u64,
        terms: Terms,
        _: bool,
    ) -> Result<Taken, KeyValueError> {
        Ok(Taken {
            amount,
            remaining: terms.capacity - amount,
            retry_after: 0,
        })
    }

    fn now(&self) -> u64 {
        1
    }
}

fn component() -> PluginComponent {
    engine().plugin(&wasm(PLUGIN)).unwrap()
}

fn grants() -> PluginGrants {
    PluginGrants {
        keyvalue: Some(Arc::new(Counters::default())),
        ..PluginGrants::default()
    }
}

fn prepared() -> PreparedPlugin {
    let limits = PluginLimits {
        memory: 8 << 20,
        ..PluginLimits::default()
    };
    component().prepare(grants(), limits).unwrap()
}

fn instance() -> PluginInstance {
    prepared().instantiate().unwrap()
}

/// Calls a function with at most one result.
fn ask(
    instance: &mut PluginInstance,
    function: &str,
    args: &[Val],
    answers: usize,
) -> Result<Option<Val>, CallError> {
    let function = instance.function(ASK, function).unwrap();
    let mut results = vec![Val::Bool(false); answers];
    instance.call(function, args, &mut results)?;
    Ok(results.pop())
}

fn question(name: &str) -> Val {
    let tag = Val::Tuple(vec![Val::String("a".into()), Val::String("b".into())]);
    Val::Record(vec![
        ("name".into(), Val::String(name.into())),
        ("amount".into(), Val::S64(-3)),
        ("tags".into(), Val::List(vec![tag])),
    ])
}

#[test]
fn what_it_exports_and_imports_is_read_from_it() {
    let plugin = component();
    let [ask] = plugin.interfaces() else {
        panic!("{:?}", plugin.interfaces())
    };
    assert_eq!(ask.name, ASK);
    let check = ask
        .functions
        .iter()
        .find(|function| function.name == "check")
        .unwrap();
    let [(name, Type::Record(question))] = check.params.as_slice() else {
        panic!("{check:?}")
    };
    assert_eq!(name, "question");
    let fields: Vec<_> = question
        .fields()
        .map(|field| field.name.to_owned())
        .collect();
    assert_eq!(fields, ["name", "amount", "tags"]);
    assert!(matches!(check.results, Some(Type::Variant(_))));
    assert!(
        plugin
            .imports()
            .iter()
            .any(|import| import == "osier:policy/counters@0.1.0")
    );
    assert_eq!(
        plugin.section("osier.config_schema"),
        Some(&b"{\"type\":\"object\"}"[..])
    );
    assert_eq!(plugin.section("osier.other"), None);
}

#[test]
fn questions_are_answered() {
    let mut instance = instance();
    assert_eq!(
        ask(&mut instance, "check", &[question("alice")], 1).unwrap(),
        Some(Val::Variant("allow".into(), None))
    );
    let reason = Val::String("mallory wants -3 with 1 tags".into());
    let denied = Val::Variant("deny".into(), Some(Box::new(reason)));
    assert_eq!(
        ask(&mut instance, "check", &[question("mallory")], 1).unwrap(),
        Some(denied)
    );
    assert!(instance.memory() > 0);
    assert!(instance.function(ASK, "nothing").is_none());
    assert!(
        instance
            .function("osier:fixture/ask@0.1.1", "check")
            .is_none(),
        "names are exact"
    );
}

#[test]
fn what_is_not_granted_is_refused_by_name() {
    let refused = component()
        .prepare(PluginGrants::default(), PluginLimits::default())
        .err()
        .unwrap();
    let ComponentError::Import { import, remedy } = refused else {
        panic!("{refused}")
    };
    assert!(import.starts_with("osier:policy/counters") && remedy.contains("grants.keyvalue"));
}

#[test]
fn a_memory_limit_that_is_too_low_is_refused_before_it_runs() {
    let limits = PluginLimits {
        memory: 65_536,
        ..PluginLimits::default()
    };
    assert!(
        matches!(component().prepare(grants(), limits), Err(ComponentError::Limit { needs, .. }) if needs > 65_536)
    );
}

#[test]
fn a_loop_ends_at_its_deadline() {
    let mut instance = instance();
    let begun = Instant::now();
    let ended = ask(&mut instance, "spin", &[], 0).unwrap_err();
    assert_eq!(
        ended,
        CallError::Deadline {
            limit: Duration::from_millis(5)
        }
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(4),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_call_off_the_request_path_may_have_another_deadline() {
    let mut instance = instance();
    let spin = instance.function(ASK, "spin").unwrap();
    let limit = Duration::from_millis(60);
    let begun = Instant::now();
    assert_eq!(
        instance.call_within(limit, spin, &[], &mut []),
        Err(CallError::Deadline { limit })
    );
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn each_failure_has_its_name_and_spares_the_next_instance() {
    let prepared = prepared();
    let fail = |function: &str, args: &[Val], answers| {
        let mut instance = prepared.instantiate().unwrap();
        let function = instance.function(ASK, function).unwrap();
        let mut results = vec![Val::Bool(false); answers];
        let called = instance.call_within(Duration::from_secs(20), function, args, &mut results);
        called.unwrap_err()
    };
    assert!(
        matches!(fail("fail", &[], 0), CallError::Trap { reason, .. } if reason.contains("unreachable"))
    );
    assert_eq!(
        fail("grow", &[Val::U32(20)], 1),
        CallError::OutOfMemory { limit: 8 << 20 }
    );
    let shouted = fail("shout", &[Val::U32(1 << 20)], 1);
    assert!(
        matches!(&shouted, CallError::Trap { reason, .. } if reason.contains("131072 bytes")),
        "{shouted}"
    );
    let mistaken = fail("check", &[Val::U32(1)], 1);
    assert!(matches!(mistaken, CallError::Trap { .. }));
    let mut instance = prepared.instantiate().unwrap();
    assert_eq!(
        ask(&mut instance, "check", &[question("alice")], 1).unwrap(),
        Some(Val::Variant("allow".into(), None))
    );
}

#[test]
fn the_answer_cap_is_for_each_call() {
    let mut instance = instance();
    for _ in 0..10 {
        let answer = ask(&mut instance, "shout", &[Val::U32(100_000)], 1);
        assert!(matches!(answer, Ok(Some(Val::String(text))) if text.len() == 100_000));
    }
}

#[test]
fn counters_outlive_instances() {
    let prepared = prepared();
    let count = |key: &str| {
        let mut instance = prepared.instantiate().unwrap();
        ask(&mut instance, "count", &[Val::String(key.into())], 1).unwrap()
    };
    let counted = |n| Some(Val::Result(Ok(Some(Box::new(Val::S64(n))))));
    assert_eq!(count("a"), counted(1));
    assert_eq!(count("a"), counted(2));
    assert_eq!(count("b"), counted(1));
    let Some(Val::Result(Err(Some(refused)))) = count("full") else {
        panic!("counted")
    };
    let Val::String(refused) = *refused else {
        panic!("{refused:?}")
    };
    assert!(refused.contains("full"), "{refused}");
}

/// Inside a runtime, where wasmtime's own synchronous streams would panic.
#[tokio::test]
async fn printing_works_on_a_worker_and_leads_nowhere_without_logs() {
    let logs = Arc::new(Paper::default());
    let with = component()
        .prepare(
            PluginGrants {
                logs: Some(logs.clone()),
                ..grants()
            },
            PluginLimits::default(),
        )
        .unwrap();
    for plugin in [with, prepared()] {
        let mut instance = plugin.instantiate().unwrap();
        ask(&mut instance, "print", &[Val::String("hello".into())], 0).unwrap();
    }
    assert_eq!(logs.text(), "hello\n");
}

#[test]
fn a_handle_serves_every_instance_of_the_component() {
    let prepared = prepared();
    let function = component().function(ASK, "check").unwrap();
    for _ in 0..2 {
        let mut instance = prepared.instantiate().unwrap();
        let mut results = [Val::Bool(false)];
        instance
            .call(function, &[question("alice")], &mut results)
            .unwrap();
        assert_eq!(results[0], Val::Variant("allow".into(), None));
    }
}
