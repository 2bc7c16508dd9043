//! What pods are granted is judged when they are applied: annotations that grant nothing are refused, and of images that are on this node,
//! or were run by any other, it is told at once what their components import and may not have. Of other images the pod's status tells it
//! when they are somewhere.

use osier_api::{Fault, FaultKind, Object, Status};
use osier_apiserver::{Admit, Admitted, Operation, Review};
use osier_client::Client;
use osier_images::{Bundled, ImageStore};
use osier_podspec::{GrantError, Grants};
use osier_process::{Boxed, Tasks};
use osier_wasm::{Capability, ComponentError};

use crate::told::Told;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// Components whose imports are remembered.
const REMEMBERED: usize = 256;

/// What one component imports.
type Imports = Arc<[String]>;

/// Judges pods, and whatever has a template of pods.
pub struct GrantAdmission {
    images: ImageStore,
    bundled: Arc<dyn Bundled>,
    tasks: Tasks,
    /// What nodes have told; nothing before the API can be asked.
    told: OnceLock<Told>,
    /// By the digest of the component.
    known: Mutex<VecDeque<(String, Imports)>>,
}

/// Pods that an object is, or makes.
struct Pods {
    /// With metadata and spec.
    pod: Object,
    /// Where it is in the object, with a dot at its end unless it is the object itself.
    at: &'static str,
}

impl GrantAdmission {
    /// An admission step that knows the components in `images`.
    pub fn new(images: ImageStore, bundled: Arc<dyn Bundled>, tasks: Tasks) -> Self {
        Self {
            images,
            bundled,
            tasks,
            told: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    /// From now on it knows too what nodes tell of the images that they run.
    pub fn follow(&self, client: &Client, tasks: &Tasks) {
        // A second time changes nothing.
        let _known = self.told.set(Told::follow(client, tasks));
    }

    async fn judged(&self, review: &Review<'_>) -> Result<Admitted, Status> {
        let Some(pods) = review.new.and_then(|new| pods(review, new)) else {
            return Ok(Admitted::default());
        };
        let before = review.old.and_then(|old| self::pods(review, old));
        let said = |pod: &Object| {
            let parts = [&["metadata", "annotations"][..], &["spec"]];
            parts.map(|part| pod.get(part).cloned())
        };
        if before.is_some_and(|before| said(&before.pod) == said(&pods.pod)) {
            return Ok(Admitted::default());
        }
        let grants = Grants::of(&pods.pod).map_err(|error| {
            let name = review.new.map(Object::name).unwrap_or_default();
            Status::invalid(review.resource, name, &[fault(&pods, error)])
        })?;
        // Of pods that a controller makes the template was judged, and nobody would read it.
        if pods.pod.controller_of().is_some() {
            return Ok(Admitted::default());
        }
        Ok(Admitted {
            object: None,
            warnings: self.warnings(&pods, &grants).await,
        })
    }

    /// What the containers' components import and may not have.
    async fn warnings(&self, pods: &Pods, grants: &Grants) -> Vec<String> {
        let mut found = Vec::new();
        for list in ["initContainers", "containers"] {
            let containers = pods.pod.get(&["spec", list]).and_then(Value::as_array);
            for (index, container) in containers.into_iter().flatten().enumerate() {
                let image = container["image"].as_str().unwrap_or_default();
                let Some(imports) = self.imports(image).await else {
                    continue;
                };
                let unmet = osier_wasm::unmet(&imports, |capability| given(grants, capability));
                let field = format!("{}spec.{list}[{index}].image", pods.at);
                found.extend(unmet.map(|error| words(&field, image, (&error, pods.at))));
            }
        }
        found
    }

    /// What an image imports, if it is here; or what a node told of it.
    async fn imports(&self, image: &str) -> Option<Imports> {
        let digest = self.images.digest(image);
        let remembered = |digest: &String| {
            let known = self.known.lock();
            let mut known = known.iter();
            let (_, imports) = known.find(|(known, _)| known == digest)?;
            Some(Arc::clone(imports))
        };
        if let Some(imports) = digest.as_ref().and_then(remembered) {
            return Some(imports);
        }
        let (images, name) = (self.images.clone(), image.to_owned());
        let bundled = Arc::clone(&self.bundled);
        let reading = self.tasks.spawn_blocking("imports", move || {
            let component = images.resolve(&name, bundled.as_ref()).ok()?;
            osier_wasm::needed(&component).ok()
        });
        // What is no component is told when the pod starts.
        let Some(imports) = reading.await.ok().flatten() else {
            return self.told.get()?.imports(image);
        };
        let imports: Imports = imports.into();
        if let Some(digest) = digest {
            let mut known = self.known.lock();
            known.push_back((digest, Arc::clone(&imports)));
            if known.len() > REMEMBERED {
                known.pop_front();
            }
        }
        Some(imports)
    }
}

impl std::fmt::Debug for GrantAdmission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrantAdmission").finish_non_exhaustive()
    }
}

impl Admit for GrantAdmission {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(async move {
            match review.operation == Operation::Delete || review.subresource.is_some() {
                true => Ok(Admitted::default()),
                false => self.judged(review).await,
            }
        })
    }
}

fn given(grants: &Grants, capability: Capability) -> bool {
    match capability {
        Capability::KeyValue => !grants.buckets.is_empty(),
        Capability::Configuration => !grants.configuration.is_empty(),
        Capability::Logging => grants.logging.is_some(),
    }
}

fn words(field: &str, image: &str, (error, at): (&ComponentError, &str)) -> String {
    let place = match (error, at) {
        (ComponentError::Grant { .. }, at) if !at.is_empty() => {
            format!(" (in {at}metadata.annotations)")
        }
        _ => String::new(),
    };
    format!("{field} {image:?}: {error}{place}; until then the container does not start")
}

fn fault(pods: &Pods, error: GrantError) -> Fault {
    Fault {
        field: format!("{}metadata.annotations[{}]", pods.at, error.annotation),
        kind: FaultKind::Invalid,
        detail: error.detail,
        value: Some(Value::String(error.value)),
    }
}

/// The pods that an object is or makes.
fn pods(review: &Review<'_>, object: &Object) -> Option<Pods> {
    let (path, at): (&[&str], _) = match (review.resource.group, review.resource.plural) {
        ("", "pods") => {
            let pod = object.clone();
            return Some(Pods { pod, at: "" });
        }
        ("", "replicationcontrollers") | ("batch", "jobs") => {
            (&["spec", "template"], "spec.template.")
        }
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") => {
            (&["spec", "template"], "spec.template.")
        }
        ("batch", "cronjobs") => (
            &["spec", "jobTemplate", "spec", "template"],
            "spec.jobTemplate.spec.template.",
        ),
        _ => return None,
    };
    let mut template = object.get(path)?.clone();
    claimed(object, &mut template);
    // Judged is who a person writes, not who a controller made of it.
    if let Some(owner) = object.get(&["metadata", "ownerReferences"]) {
        template["metadata"]["ownerReferences"] = owner.clone();
    }
    let pod = Object::from_value(template).ok()?;
    Some(Pods { pod, at })
}

/// Pods of a StatefulSet have a volume for each template of a claim.
fn claimed(object: &Object, template: &mut Value) {
    let claims = object.get(&["spec", "volumeClaimTemplates"]);
    for claim in claims.and_then(Value::as_array).into_iter().flatten() {
        let name = &claim["metadata"]["name"];
        let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
        match template["spec"]["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => template["spec"]["volumes"] = json!([volume]),
        }
    }
}
