//! Programs outside that the server asks, in memory: each has a path, and what was asked is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use osier_apiserver::{WebhookCall, Webhooks};
use osier_process::Boxed;
use serde_json::{Value, json};

type Answering = Box<dyn Fn(&Value) -> Result<Value, String> + Send>;

/// All of them.
#[derive(Default)]
pub(crate) struct Programs {
    at: Mutex<BTreeMap<String, Answering>>,
    asked: Mutex<Vec<(WebhookCall, Value)>>,
}

impl Programs {
    /// From now on this answers at a path.
    pub(crate) fn put(
        &self,
        path: &str,
        answers: impl Fn(&Value) -> Result<Value, String> + Send + 'static,
    ) {
        self.at
            .lock()
            .unwrap()
            .insert(path.to_owned(), Box::new(answers));
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<(WebhookCall, Value)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Webhooks for Programs {
    fn call(&self, call: WebhookCall) -> Boxed<'_, Result<Bytes, String>> {
        let question: Value = serde_json::from_slice(&call.body).unwrap();
        let at = self.at.lock().unwrap();
        let answer = match at.get(&call.path) {
            Some(answers) => answers(&question),
            None => Err("connection refused".to_owned()),
        };
        self.asked.lock().unwrap().push((call, question));
        Box::pin(std::future::ready(
            answer.map(|answer| answer.to_string().into()),
        ))
    }
}

/// An answer to an AdmissionReview.
pub(crate) fn judged(question: &Value, mut response: Value) -> Value {
    response["uid"] = question["request"]["uid"].clone();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

/// An answer to a ConversionReview, made of each object.
pub(crate) fn converted(question: &Value, change: impl Fn(Value) -> Value) -> Value {
    let request = &question["request"];
    let objects = request["objects"].as_array().unwrap().iter();
    let made: Vec<Value> = objects
        .map(|object| {
            let mut made = change(object.clone());
            made["apiVersion"] = request["desiredAPIVersion"].clone();
            made
        })
        .collect();
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "response": {"uid": request["uid"], "convertedObjects": made, "result": {"status": "Success"}}})
}
