//! Claims as people use them with kubectl: volumes that are made where the first pod runs, stay when pods and agents go, and go with
//! their claims.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::{Node, Options, objects, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

struct Person {
    kubectl: Kubectl,
    node: Node,
}

impl Person {
    fn new() -> Self {
        Self::with(Vec::new())
    }

    fn with(args: Vec<String>) -> Self {
        let options = Options {
            args,
            ..Options::default()
        };
        let node = Node::start_with(&options).unwrap();
        node.import("program:1.0", &component("tests/fixture-command").unwrap())
            .unwrap();
        let kubectl = installed().unwrap();
        Self { kubectl, node }
    }

    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, None).unwrap()
    }

    fn refused(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.fails(&kubeconfig, &args, None).unwrap()
    }

    fn apply(&self, object: &Value) -> String {
        let (kubeconfig, text) = (self.node.kubeconfig(), object.to_string());
        self.kubectl
            .ok(&kubeconfig, &["apply", "-f", "-"], Some(&text))
            .unwrap()
    }

    fn claim(&self, name: &str, more: &Value) {
        let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec});
        self.apply(&claim);
    }

    /// Runs a program that mounts the claim of the name as /data, and says what it said.
    async fn runs(&self, pod: &Value, phase: &str) -> String {
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.apply(pod);
        self.is(&format!("pod/{name}"), "{.status.phase}", phase)
            .await;
        let told = self.ok(&format!("logs {name}"));
        self.ok(&format!("delete pod {name}"));
        told
    }

    /// Waits until kubectl shows `text` for the path of an object.
    async fn is(&self, object: &str, path: &str, text: &str) {
        let shown = || async {
            let line = format!("get {object} -o jsonpath={path}");
            let args: Vec<&str> = line.split_whitespace().collect();
            let shown = self.kubectl.ok(&self.node.kubeconfig(), &args, None)?;
            ensure!(shown == text, "{object} {path}: {shown}");
            Ok(Some(()))
        };
        until(&format!("{object}: {text}"), LIMIT, shown)
            .await
            .unwrap();
    }

    async fn gone(&self, object: &str) {
        let shown = || async {
            let line = format!("get {object} --ignore-not-found");
            let args: Vec<&str> = line.split_whitespace().collect();
            let shown = self.kubectl.ok(&self.node.kubeconfig(), &args, None)?;
            ensure!(shown.is_empty(), "{shown}");
            Ok(Some(()))
        };
        until(&format!("{object} is gone"), LIMIT, shown)
            .await
            .unwrap();
    }

    /// Waits until an event about the object says so.
    async fn told(&self, object: &str, words: &str) {
        let told = || async {
            let path = "/api/v1/namespaces/default/events";
            let events = objects::get(&self.node, path).await?;
            let events = events["items"].as_array().cloned().unwrap_or_default();
            let mut about = events
                .iter()
                .filter(|event| event["involvedObject"]["name"] == object);
            let says = |event: &Value| {
                let line = format!(
                    "{}: {}",
                    event["reason"].as_str()?,
                    event["message"].as_str()?
                );
                line.contains(words).then_some(())
            };
            ensure!(about.any(|event| says(event).is_some()), "{events:#?}");
            Ok(Some(()))
        };
        until(&format!("{object}: {words}"), LIMIT, told)
            .await
            .unwrap();
    }

    fn volume_of(&self, claim: &str) -> String {
        self.ok(&format!("get pvc {claim} -o jsonpath={{.spec.volumeName}}"))
    }
}

/// A program that mounts a claim as /data.
fn pod(name: &str, claim: &str, args: &[&str]) -> Value {
    let mount = json!({"name": "v", "mountPath": "/data"});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "program:1.0", "args": args, "volumeMounts": [mount]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}})
}

async fn until_gone(folder: &Path) {
    let gone = || async { Ok((!folder.exists()).then_some(())) };
    until("what the claim kept is gone", LIMIT, gone)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_claim_keeps_outlives_its_pods_and_the_agent_and_goes_with_it() {
    let mut person = Person::new();
    let shown = person.ok("get storageclass");
    let columns: Vec<&str> = shown.lines().next().unwrap().split_whitespace().collect();
    let expected = [
        "NAME",
        "PROVISIONER",
        "RECLAIMPOLICY",
        "VOLUMEBINDINGMODE",
        "ALLOWVOLUMEEXPANSION",
        "AGE",
    ];
    assert_eq!(columns, expected, "{shown}");
    let row: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    let expected = [
        "local",
        "(default)",
        "local.osier.dev",
        "Delete",
        "WaitForFirstConsumer",
        "true",
    ];
    assert_eq!(row[..6], expected, "{shown}");
    let told = person.ok("explain storageclass.volumeBindingMode");
    assert!(
        told.contains("VERSION:    v1") && told.contains("storage.k8s.io"),
        "{told}"
    );

    person.claim("data", &json!({}));
    person
        .told(
            "data",
            "WaitForFirstConsumer: waiting for first consumer to be created before binding",
        )
        .await;
    let told = person
        .runs(
            &pod("writer", "data", &["write", "/data/note", "kept"]),
            "Succeeded",
        )
        .await;
    assert_eq!(told, "write done\n");
    let shown = person.ok("get pvc data");
    for words in ["Bound", "1Gi", "RWO", "local", "<unset>"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let name = person.volume_of("data");
    let shown = person.ok(&format!("get pv {name}"));
    for words in ["Delete", "Bound", "default/data", "local"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let described = person.ok("describe pvc data");
    assert!(
        described.contains("ProvisioningSucceeded") && described.contains(&name),
        "{described}"
    );
    let described = person.ok(&format!("describe pv {name}"));
    assert!(
        described.contains("kubernetes.io/hostname in ["),
        "{described}"
    );
    let described = person.ok("describe storageclass local");
    assert!(
        described.contains("IsDefaultClass:        Yes"),
        "{described}"
    );

    let folder = person.node.data_dir().join("claims").join(&name);
    assert_eq!(
        std::fs::read_to_string(folder.join("note")).unwrap(),
        "kept"
    );
    person.node.terminate().unwrap();
    person.node.restart().unwrap();
    let told = person
        .runs(&pod("reader", "data", &["cat", "/data/note"]), "Succeeded")
        .await;
    assert_eq!(told, "/data/note=kept\n");
    // It grows on demand.
    person.ok(r#"patch pvc data -p {"spec":{"resources":{"requests":{"storage":"2Gi"}}}}"#);
    person
        .is("pvc/data", "{.status.capacity.storage}", "2Gi")
        .await;
    person.ok("delete pvc data");
    person.gone(&format!("pv/{name}")).await;
    until_gone(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_a_pod_uses_stays_and_parts_of_it_are_mounted() {
    let person = Person::new();
    person.claim("data", &json!({}));
    let mut user = pod("user", "data", &["sleep"]);
    user["spec"]["containers"][0]["env"] =
        json!([{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    user["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "v", "mountPath": "/mine", "subPathExpr": "of/$(WHO)"},
        {"name": "v", "mountPath": "/all", "readOnly": true}]);
    let mut writes = user["spec"]["containers"][0].clone();
    writes["name"] = "writes".into();
    writes["args"] = json!(["write", "/mine/note", "part"]);
    let mut reads = writes.clone();
    reads["name"] = "reads".into();
    reads["args"] = json!(["cat", "/all/of/user/note"]);
    let mut changes = writes.clone();
    changes["name"] = "changes".into();
    changes["args"] = json!(["write", "/all/note", "changed"]);
    user["spec"]["initContainers"] = json!([writes, reads, changes]);
    person.apply(&user);
    person.is("pod/user", "{.status.phase}", "Running").await;
    assert_eq!(person.ok("logs user -c reads"), "/all/of/user/note=part\n");
    assert!(!person.ok("logs user -c changes").contains("done"));
    let mut lacks = pod("lacks", "data", &["sleep"]);
    lacks["spec"]["containers"][0]["volumeMounts"][0]["subPathExpr"] = "of/$(NOBODY)".into();
    person.apply(&lacks);
    let state = "{.status.containerStatuses[0].state.waiting.reason}";
    person
        .is("pod/lacks", state, "CreateContainerConfigError")
        .await;
    let told = person.ok("describe pod lacks");
    assert!(told.contains("missing value for \"NOBODY\""), "{told}");
    person.ok("delete pod lacks");

    let name = person.volume_of("data");
    person.ok("delete pvc data --wait=false");
    let shown = person.ok("get pvc data");
    assert!(shown.contains("Terminating"), "{shown}");
    person.apply(&pod("late", "data", &["sleep"]));
    person
        .told("late", "persistentvolumeclaim \"data\" is being deleted")
        .await;
    person.is("pod/user", "{.status.phase}", "Running").await;
    person.ok("delete pod user");
    person.gone("pvc/data").await;
    person.gone(&format!("pv/{name}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_refused_with_the_reason() {
    let person = Person::new();
    person.claim("shared", &json!({"accessModes": ["ReadWriteMany"]}));
    person.told("shared", "ProvisioningFailed: failed to provision volume with StorageClass \"local\": local.osier.dev does not serve ReadWriteMany").await;
    person.apply(&pod("waits", "shared", &["sleep"]));
    let none =
        "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.";
    person.told("waits", none).await;
    person.apply(&pod("astray", "missing", &["sleep"]));
    person
        .told(
            "astray",
            "0/1 nodes are available: persistentvolumeclaim \"missing\" not found.",
        )
        .await;
    // It is tried again when the claim comes.
    person.claim("missing", &json!({"accessModes": ["ReadWriteOncePod"]}));
    person.is("pod/astray", "{.status.phase}", "Running").await;
    person.apply(&pod("second", "missing", &["sleep"]));
    person.told("second", "ReadWriteOncePod access mode").await;
    person.ok("delete pod astray");
    person.is("pod/second", "{.status.phase}", "Running").await;

    let hard = json!({"requests.storage": "3Gi", "local.storageclass.storage.k8s.io/persistentvolumeclaims": "5"});
    person.apply(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "disk"}, "spec": {"hard": hard}}));
    person
        .is("quota/disk", r"{.status.used.requests\.storage}", "2Gi")
        .await;
    let big =
        json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}});
    let big = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "big"}, "spec": big});
    let args = ["apply", "-f", "-"];
    let text = big.to_string();
    let told = person
        .kubectl
        .fails(&person.node.kubeconfig(), &args, Some(&text))
        .unwrap();
    assert!(
        told.contains("exceeded quota: disk") && told.contains("requests.storage"),
        "{told}"
    );
    let told = person.refused(r#"patch sc local -p {"reclaimPolicy":"Retain"}"#);
    assert!(
        told.contains("updates to reclaimPolicy are forbidden"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_that_people_make_are_bound_released_and_free_again() {
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir(disk.path().join("big")).unwrap();
    std::fs::create_dir(disk.path().join("small")).unwrap();
    std::fs::write(disk.path().join("small/note"), "made by hand").unwrap();
    let allowed = disk.path().to_str().unwrap().to_owned();
    let person = Person::with(vec!["--host-path".to_owned(), allowed]);
    let volume = |name: &str, size: &str, source: Value| {
        let mut spec = json!({"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual"});
        for (field, value) in source.as_object().unwrap() {
            spec[field] = value.clone();
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "labels": {"kind": name}}, "spec": spec})
    };
    person.apply(&volume(
        "big",
        "9Gi",
        json!({"hostPath": {"path": disk.path().join("big")}}),
    ));
    let node = person.ok("get nodes -o jsonpath={.items[0].metadata.name}");
    let ask = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
    let here = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [ask]}]}});
    let local = json!({"local": {"path": disk.path().join("small")}, "nodeAffinity": here});
    person.apply(&volume("small", "2Gi", local));
    person.is("pv/big", "{.status.phase}", "Available").await;
    person.claim("data", &json!({"storageClassName": "manual"}));
    person.is("pvc/data", "{.status.phase}", "Bound").await;
    person.is("pv/small", "{.status.phase}", "Bound").await;
    let told = person
        .runs(&pod("reader", "data", &["cat", "/data/note"]), "Succeeded")
        .await;
    assert_eq!(told, "/data/note=made by hand\n");
    person.claim(
        "chosen",
        &json!({"storageClassName": "manual", "selector": {"matchLabels": {"kind": "big"}}}),
    );
    person.is("pvc/chosen", "{.spec.volumeName}", "big").await;
    person.claim(
        "waits",
        &json!({"storageClassName": "manual", "volumeName": "small"}),
    );
    person
        .told(
            "waits",
            "FailedBinding: volume \"small\" already bound to a different claim.",
        )
        .await;
    let told = person.refused("delete pv small --timeout=2s");
    assert!(told.contains("timed out"), "{told}");
    person.ok("delete pvc data");
    person.gone("pv/small").await;
    assert!(disk.path().join("small/note").is_file());
    person.ok("delete pvc chosen");
    person.is("pv/big", "{.status.phase}", "Released").await;
    person.ok("patch pv big --type=json -p [{\"op\":\"remove\",\"path\":\"/spec/claimRef\"}]");
    person.is("pv/big", "{.status.phase}", "Available").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joined_node_makes_volumes_on_its_own_disk() {
    let person = Person::new();
    let second = person.node.joined("second").unwrap();
    person.claim("data", &json!({}));
    let mut first = pod("first", "data", &["write", "/data/note", "over there"]);
    first["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "second"});
    let told = person.runs(&first, "Succeeded").await;
    assert_eq!(told, "write done\n");
    let folder: PathBuf = second
        .data_dir()
        .join("claims")
        .join(person.volume_of("data"));
    assert!(folder.join("note").is_file());
    // The next one goes where the volume is, whatever else it would like.
    let mut next = pod("next", "data", &["cat", "/data/note"]);
    let away = json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["second"]}]});
    next["spec"]["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": away}]}});
    assert_eq!(
        person.runs(&next, "Succeeded").await,
        "/data/note=over there\n"
    );
    person.ok("cordon second");
    person.apply(&pod("waits", "data", &["cat", "/data/note"]));
    person
        .told(
            "waits",
            "1 node(s) didn't match PersistentVolume's node affinity",
        )
        .await;
    person.ok("uncordon second");
    person.is("pod/waits", "{.status.phase}", "Succeeded").await;
    person.ok("delete pod waits");
    person.ok("delete pvc data");
    until_gone(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_stateful_set_find_their_own_claims_again() {
    let person = Person::new();
    let template = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}});
    let env = json!([{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    let mounts = json!([{"name": "data", "mountPath": "/data"}]);
    let container = |name: &str, args: Value| json!({"name": name, "image": "program:1.0", "args": args, "env": env, "volumeMounts": mounts});
    let spec = json!({"initContainers": [container("before", json!(["cat", "/data/note"])), container("writes", json!(["write", "/data/note", "I am $(WHO)"]))],
        "containers": [container("main", json!(["sleep"]))]});
    let labels = json!({"app": "web"});
    person.apply(&json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"}, "spec": {
        "replicas": 2, "serviceName": "web", "selector": {"matchLabels": labels}, "volumeClaimTemplates": [template],
        "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Retain"},
        "template": {"metadata": {"labels": labels}, "spec": spec}}}));
    person.ok("rollout status statefulset/web --timeout=90s");
    assert_eq!(
        person.ok("get pvc -l app=web -o jsonpath={.items[*].metadata.name}"),
        "data-web-0 data-web-1"
    );
    assert_eq!(person.ok("logs web-1 -c before"), "/data/note: NotFound\n");
    person.ok("delete pod web-1");
    person.ok("rollout status statefulset/web --timeout=90s");
    assert_eq!(person.ok("logs web-1 -c before"), "/data/note=I am web-1\n");
    person.ok("scale statefulset/web --replicas=1");
    person.gone("pvc/data-web-1").await;
    person.ok("delete statefulset web");
    person.gone("pod/web-0").await;
    person
        .is("pvc/data-web-0", "{.status.phase}", "Bound")
        .await;
}
