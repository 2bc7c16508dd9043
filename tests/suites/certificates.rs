//! Certificates of people: asked for, approved by who may, and used, all with kubectl.

#![expect(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_identity::{Request, Subject};
use osier_tests::Node;
use osier_tests::deadline::until_blocking;
use osier_tests::kubectl::{Kubectl, installed};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

struct Person {
    kubectl: Kubectl,
    node: Node,
}

impl Person {
    fn ok(&self, line: &str) -> String {
        self.as_told_by(&self.node.kubeconfig(), line).unwrap()
    }

    fn fails(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.fails(&kubeconfig, &args, None).unwrap()
    }

    fn as_told_by(&self, kubeconfig: &Path, line: &str) -> anyhow::Result<String> {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.kubectl.ok(kubeconfig, &args, None)
    }

    /// Asks for a certificate; the words of kubectl.
    fn asks(&self, name: &str, groups: &[&str]) -> (Request, anyhow::Result<String>) {
        let subject = Subject {
            common_name: name.to_owned(),
            organizations: groups.iter().map(|group| (*group).to_owned()).collect(),
            names: Vec::new(),
            spiffe: None,
        };
        let made = osier_identity::request(&subject).unwrap();
        let object = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": name}, "spec": {"request": STANDARD.encode(&made.request_pem),
            "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}});
        let (kubeconfig, args) = (self.node.kubeconfig(), ["create", "-f", "-"]);
        let told = self
            .kubectl
            .ok(&kubeconfig, &args, Some(&object.to_string()));
        (made, told)
    }

    fn certificate(&self, name: &str) -> String {
        let line = format!("get csr {name} -o jsonpath={{.status.certificate}}");
        let issued = || Ok(Some(self.ok(&line)).filter(|text| !text.is_empty()));
        until_blocking("the certificate is issued", LIMIT, issued).unwrap()
    }

    /// The kubeconfig of who has this key and this certificate.
    fn kubeconfig_of(&self, folder: &Path, key: &str, certificate: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.node.kubeconfig()).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        config["users"][0]["user"] = json!({"client-certificate-data": certificate, "client-key-data": STANDARD.encode(key)});
        let path = folder.join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }
}

#[test]
fn who_was_approved_is_a_user() {
    let Some(kubectl) = installed() else {
        println!("skipped: no kubectl on the path: `apt-get install kubernetes-client` has one");
        return;
    };
    let node = Node::start().unwrap();
    let person = Person { kubectl, node };
    let (ann, told) = person.asks("ann", &["team"]);
    assert!(told.unwrap().contains("ann created"));

    // To change a request is not to approve for its signer.
    person.ok("create clusterrole half --verb=get,list,update --resource=certificatesigningrequests,certificatesigningrequests/approval");
    person.ok("create clusterrolebinding half --clusterrole=half --user=bob");
    let refused = person.fails("certificate approve ann --as=bob");
    let words = "user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client\"";
    assert!(refused.contains(words), "{refused}");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "signer"},
        "rules": [{"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "verbs": ["approve"],
            "resourceNames": ["kubernetes.io/kube-apiserver-client"]}]});
    person.node.apply_text(&role.to_string()).unwrap();
    person.ok("create clusterrolebinding signer --clusterrole=signer --user=bob");
    person.ok("certificate approve ann --as=bob");
    let certificate = person.certificate("ann");
    assert!(person.ok("get csr ann").contains("Approved,Issued"));

    let folder = tempfile::tempdir().unwrap();
    let own = person.kubeconfig_of(folder.path(), &ann.key_pem, &certificate);
    let refused = person.as_told_by(&own, "get configmaps").unwrap_err();
    assert!(
        format!("{refused:#}").contains("User \"ann\" cannot list resource \"configmaps\""),
        "{refused:#}"
    );
    person.ok("create rolebinding team --clusterrole=view --group=team");
    person.as_told_by(&own, "get configmaps").unwrap();

    // Nobody becomes one who may do everything, and who was denied stays so.
    let (_, told) = person.asks("eve", &["system:masters"]);
    let refused = format!("{:#}", told.unwrap_err());
    assert!(
        refused.contains("signer with system:masters group is not allowed"),
        "{refused}"
    );
    person.asks("carl", &[]).1.unwrap();
    person.ok("certificate deny carl");
    assert!(person.ok("get csr carl").contains("Denied"));
}
