//! Policies asked about things that are not calls: attributes that a manifest declares, quotas that a PolicyReview charges and settles.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::example;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A node and the kubectl that drives it.
struct Person {
    kubectl: Kubectl,
    node: Node,
}

impl Person {
    fn new() -> Self {
        Self {
            kubectl: installed().unwrap(),
            node: Node::start().unwrap(),
        }
    }

    /// The status of a review with this `spec`.
    fn ask(&self, spec: &Value) -> anyhow::Result<Value> {
        let review = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "PolicyReview",
            "metadata": {"name": "asked"}, "spec": spec});
        self.create(&review.to_string())
    }

    fn create(&self, review: &str) -> anyhow::Result<Value> {
        let args = ["create", "-f", "-", "-o", "json"];
        let answer = self
            .kubectl
            .ok(&self.node.kubeconfig(), &args, Some(review))?;
        let answer: Value = serde_json::from_str(&answer)?;
        Ok(answer["status"].clone())
    }

    fn refused(&self, args: &[&str], manifest: &str) -> String {
        let kubeconfig = self.node.kubeconfig();
        self.kubectl
            .fails(&kubeconfig, args, Some(manifest))
            .unwrap()
    }

    /// The status of a review of the example `gpu-quota`, of another job if one is named.
    fn job(&self, file: &str, name: &str) -> Value {
        let review = std::fs::read_to_string(example(&format!("gpu-quota/{file}"))).unwrap();
        self.create(&review.replace("train-1", name)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seconds_of_a_gpu_are_reserved_refused_settled_and_released() {
    let person = Person::new();
    person.node.apply(&example("gpu-quota/quota.yaml")).unwrap();
    // Until the plugin is loaded nobody counts: of jobs that ask for nothing it matters to nobody.
    let counts = || async {
        let status =
            person.ask(&json!({"attributes": {"gpu": {"seconds": 0}, "job.team": "none"}}))?;
        let decided = status["decisions"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        anyhow::ensure!(
            status["requestId"]
                .as_str()
                .is_some_and(|id| id.len() == 36),
            "{status}"
        );
        Ok(decided.then_some(()))
    };
    until("the policy is in force", LIMIT, counts)
        .await
        .unwrap();
    let reserved = person.job("ask.yaml", "train-1");
    assert_eq!(reserved["allowed"], true, "{reserved}");
    assert_eq!(reserved["decisions"][0]["policy"], "default/gpu");
    let again = person.job("ask.yaml", "train-1");
    assert_eq!(again["allowed"], true, "asking twice charges once: {again}");
    let refused = person.job("ask.yaml", "train-2");
    assert_eq!(refused["allowed"], false, "{refused}");
    assert_eq!(
        (&refused["code"], &refused["plugin"]),
        (&json!(429), &json!("default/gpu"))
    );
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains(" for team=vision, and "), "{reason}");
    let negative = person
        .ask(&json!({"attributes": {"request.id": "n", "job.team": "vision", "gpu.seconds": -5}}))
        .unwrap();
    let told = negative["reason"].as_str().unwrap();
    assert_eq!(
        told,
        "field amount of template quota cannot be computed: -5 is negative, which the template's field cannot be"
    );
    let nobody = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "PolicyReview", "metadata": {"name": "r"},
        "spec": {"phase": "Report", "attributes": {"gpu.seconds": 1, "job.team": "vision"}}});
    let output = person
        .kubectl
        .run(
            &person.node.kubeconfig(),
            &["create", "-f", "-"],
            Some(&nobody.to_string()),
        )
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("request.id is not stated"), "{told}");
    assert_eq!(
        person.job("done.yaml", "train-1"),
        json!({"requestId": "train-1"})
    );
    // 2,400 are left as soon as the report has arrived: not enough for 3,000, enough for 2,400.
    let rest =
        json!({"attributes": {"request.id": "train-3", "job.team": "vision", "gpu.seconds": 2400}});
    let settled = || async { Ok((person.ask(&rest)?["allowed"] == true).then_some(())) };
    until("what was not used comes back", LIMIT, settled)
        .await
        .unwrap();
    assert_eq!(person.job("ask.yaml", "train-4")["allowed"], false);
    let release = json!({"phase": "Report", "attributes": {"request.id": "train-3", "job.team": "vision", "gpu.seconds": 0}});
    person.ask(&release).unwrap();
    let other =
        json!({"attributes": {"request.id": "train-5", "job.team": "vision", "gpu.seconds": 2400}});
    let released = || async { Ok((person.ask(&other)?["allowed"] == true).then_some(())) };
    until("what was released comes back", LIMIT, released)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_its_field() {
    let person = Person::new();
    let wrong = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "PolicyReview", "metadata": {"name": "w"},
        "spec": {"attributes": {"gpu.seconds": 1, "request.size": "big"}}});
    let told = person.refused(&["create", "-f", "-"], &wrong.to_string());
    for words in [
        "spec.attributes.gpu.seconds",
        "spec.attributes.request.size",
        "of type int",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let manifest = |name: &str, attribute: &str, ty: &str| {
        json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "AttributeManifest", "metadata": {"name": name},
            "spec": {"attributes": {attribute: {"valueType": ty}}}}).to_string()
    };
    let kubeconfig = person.node.kubeconfig();
    let apply = ["apply", "-f", "-"];
    let first = manifest("first", "gpu.seconds", "INT64");
    person
        .kubectl
        .ok(&kubeconfig, &apply, Some(&first))
        .unwrap();
    for (manifest, words) in [
        (
            manifest("second", "gpu.seconds", "STRING"),
            "is int in AttributeManifest first",
        ),
        (
            manifest("third", "request.path", "STRING"),
            "standard vocabulary",
        ),
        (manifest("fourth", "gpu.kind", "COLOUR"), "valueType"),
    ] {
        let told = person.refused(&apply, &manifest);
        assert!(told.contains(words), "{told}");
    }
    // A policy that names an attribute which nobody declares is refused; of one that somebody does, the type counts.
    let policy = |condition: &str| {
        json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "p"},
            "spec": {"match": condition, "actions": [{"plugin": "none", "template": "checknothing"}]}}).to_string()
    };
    let told = person.refused(&apply, &policy("gpu.minutes.orValue(0) > 1"));
    assert!(told.contains("gpu.minutes"), "{told}");
    let told = person.refused(&apply, &policy("gpu.seconds.orValue('1') == '1'"));
    assert!(told.contains("spec.match"), "{told}");
    person
        .kubectl
        .ok(
            &kubeconfig,
            &apply,
            Some(&policy("gpu.seconds.orValue(0) > 1")),
        )
        .unwrap();
    let table = person
        .kubectl
        .ok(&kubeconfig, &["get", "attributemanifests"], None)
        .unwrap();
    assert!(
        table.contains("ATTRIBUTES") && table.contains("first"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_ask_is_answered() {
    let person = Person::new();
    let kubeconfig = person.node.kubeconfig();
    let review = std::fs::read_to_string(example("gpu-quota/ask.yaml")).unwrap();
    let ask = ["create", "-f", "-", "--as", "bob"];
    let told = person.refused(&ask, &review);
    assert!(
        told.contains("Forbidden") && told.contains("policyreviews"),
        "{told}"
    );
    for line in [
        "create role ask --verb=create --resource=policyreviews.policy.osier.dev",
        "create rolebinding ask --role=ask --user=bob",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        person.kubectl.ok(&kubeconfig, &args, None).unwrap();
    }
    // The example's attributes are not declared here: now the question itself is answered.
    let told = person.refused(&ask, &review);
    assert!(told.contains("gpu.seconds"), "{told}");
}
