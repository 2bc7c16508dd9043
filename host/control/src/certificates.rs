//! Certificates of nodes and workloads: requests are judged, signed by the cluster's authority, and forgotten.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_access::Requested;
use osier_access::certificates::{self, Asked, Facts, Verdict, decide, node_of};
use osier_api::resources::{CERTIFICATE_SIGNING_REQUESTS, NODES, PODS, WORKLOAD_ENTRIES};
use osier_api::{Object, companion};
use osier_client::{Backoff, Client, ClientError, DeleteOptions, Informer, Part, WorkQueue};
use osier_process::clock;
use serde_json::{Value, json};

use crate::conditions::{self, Condition};
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use crate::{Context, facts};

const WORKERS: usize = 2;
/// A request is kept this long, for people to see what became of it.
const KEPT: Duration = Duration::from_secs(3600);
const RESOURCE: &osier_api::Resource = &CERTIFICATE_SIGNING_REQUESTS;

/// The cluster's authority.
pub trait Signer: Send + Sync {
    /// Reads a request (PEM), whose signature is verified.
    ///
    /// # Errors
    /// What is wrong with it.
    fn requested(&self, request_pem: &str) -> Result<Requested, String>;

    /// A certificate (PEM) for the key of the request that says exactly `subject`.
    ///
    /// # Errors
    /// What is wrong with it.
    fn certify(
        &self,
        request_pem: &str,
        subject: &Requested,
        life: Duration,
    ) -> Result<String, String>;
}

struct Certificates {
    client: Client,
    signer: Arc<dyn Signer>,
    domain: String,
    requests: Arc<Informer>,
    nodes: Arc<Informer>,
    pods: Arc<Informer>,
    entries: Arc<Informer>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context, signer: Arc<dyn Signer>, domain: &str) {
    let of = |resource| context.informers.of(resource).cloned();
    let (Some(requests), Some(nodes)) = (of(RESOURCE), of(&NODES)) else {
        return;
    };
    let (Some(pods), Some(entries)) = (of(&PODS), of(&WORKLOAD_ENTRIES)) else {
        return;
    };
    let this = Arc::new(Certificates {
        client: context.client.clone(),
        signer,
        domain: domain.to_owned(),
        requests: Arc::clone(&requests),
        nodes,
        pods,
        entries,
    });
    let queue = WorkQueue::new(Backoff::new(
        Duration::from_millis(50),
        Duration::from_secs(10),
    ));
    let own = queue.clone();
    requests.on_change(move |change| own.add(Key::of(change.object())));
    let run = (WORKERS, &context.tasks);
    reconcile::run("certificates", &queue, run, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl Certificates {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        let Some(request) = self.requests.get("", &key.name) else {
            return Ok(Outcome::Done);
        };
        let age = clock::now().duration_since(facts::created(&request));
        let age = Duration::try_from(age).unwrap_or_default();
        if age >= KEPT {
            let options = DeleteOptions::exactly(&request);
            gone_is_fine(self.client.delete(RESOURCE, key.pair(), &options).await)?;
            return Ok(Outcome::Done);
        }
        let is = |kind| facts::is_true(&request, kind);
        let signed = !request.text(&["status", "certificate"]).is_empty();
        if !signed && !is("Denied") && !is("Failed") {
            self.judge(&request).await?;
        }
        Ok(Outcome::Again(KEPT.saturating_sub(age)))
    }

    async fn judge(&self, request: &Object) -> Result<(), ClientError> {
        let list = |field: &str| -> Vec<String> {
            let list = request.get(&["spec", field]).and_then(Value::as_array);
            let texts = list.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let (groups, usages) = (list("groups"), list("usages"));
        let seconds = request.get(&["spec", "expirationSeconds"]);
        let asked = Asked {
            signer: request.text(&["spec", "signerName"]),
            user: request.text(&["spec", "username"]),
            groups: &groups,
            usages: &usages,
            seconds: seconds.and_then(Value::as_u64),
            approved: facts::is_true(request, "Approved"),
        };
        let pem = STANDARD.decode(request.text(&["spec", "request"])).ok();
        let pem = pem.and_then(|bytes| String::from_utf8(bytes).ok());
        let pem = pem.unwrap_or_default();
        let verdict = match self.signer.requested(&pem) {
            Err(reason) => (asked.approved
                || asked.signer == certificates::KUBELET
                || asked.signer == certificates::MESH)
                .then(|| (Verdict::Deny(reason), Requested::default())),
            Ok(requested) => {
                let facts = self.facts(&asked).await;
                Some((decide(&asked, &requested, &facts), requested))
            }
        };
        match verdict {
            None | Some((Verdict::Leave, _)) => Ok(()),
            Some((Verdict::Deny(reason), _)) => self.deny(request, reason).await,
            Some((Verdict::Approve(life), requested)) => {
                match self.signer.certify(&pem, &requested, life) {
                    Ok(certificate) => self.sign(request, &certificate).await,
                    Err(reason) => self.deny(request, reason).await,
                }
            }
        }
    }

    async fn facts(&self, asked: &Asked<'_>) -> Facts {
        self.nodes.synced().await;
        self.pods.synced().await;
        self.entries.synced().await;
        let nodes = self.nodes.list();
        let ready = nodes.iter().filter(|node| facts::is_true(node, "Ready"));
        let account_at = |pod: &Arc<Object>, field: &str| {
            let named = pod.text(&["spec", field]);
            let account = if named.is_empty() { "default" } else { named };
            (pod.namespace().to_owned(), account.to_owned())
        };
        let node = node_of(asked).unwrap_or_default();
        let pods = self.pods.list();
        let bound = pods.iter().filter(|pod| facts::node(pod) == node);
        let bound = bound.map(|pod| account_at(pod, "serviceAccountName"));
        let entry = companion::entry(node).and_then(|(of, name)| self.entries.get(of, name));
        let entry = entry.filter(|entry| companion::of_entry(entry) == node);
        let spoken_for = entry.map(|entry| account_at(&entry, "serviceAccount"));
        Facts {
            ready: ready.map(|node| node.name().to_owned()).collect(),
            accounts: bound.chain(spoken_for).collect(),
            domain: self.domain.clone(),
        }
    }

    async fn sign(&self, request: &Object, certificate: &str) -> Result<(), ClientError> {
        let mut status = json!({"certificate": STANDARD.encode(certificate)});
        if !facts::is_true(request, "Approved") {
            let approved = Condition {
                kind: "Approved",
                status: "True",
                reason: "AutoApproved",
                message: "nodes get what their pods need".to_owned(),
            };
            status["conditions"] = json!(said(request, approved));
        }
        self.tell(request, status).await
    }

    async fn deny(&self, request: &Object, reason: String) -> Result<(), ClientError> {
        tracing::warn!(
            request = request.name(),
            by = request.text(&["spec", "username"]),
            reason,
            "a certificate was refused"
        );
        let denied = Condition {
            kind: match facts::is_true(request, "Approved") {
                true => "Failed",
                false => "Denied",
            },
            status: "True",
            reason: "NotGranted",
            message: reason,
        };
        self.tell(request, json!({"conditions": said(request, denied)}))
            .await
    }

    async fn tell(&self, request: &Object, status: Value) -> Result<(), ClientError> {
        let (of, patch) = (("", request.name()), json!({"status": status}));
        gone_is_fine(self.client.patch(RESOURCE, of, patch, Part::Status).await)
    }
}

fn said(request: &Object, condition: Condition) -> Vec<Value> {
    let list = request.get(&["status", "conditions"]);
    let mut list = list.and_then(Value::as_array).cloned().unwrap_or_default();
    conditions::put(&mut list, condition, clock::now());
    list
}
