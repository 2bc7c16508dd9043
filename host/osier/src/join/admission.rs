//! Bad policy is refused when it is applied: a Plugin is fetched, compiled and configured, a Policy's expressions are
//! type-checked against the plugin's own interface, before either is stored.

use super::targets;
use crate::bundled::Plugins;
use osier_api::{Fault, FaultKind, Object, Status, resources};
use osier_apiserver::{Admit, Admitted, Operation, Read, Review};
use osier_applied::shown;
use osier_distribution::Credentials;
use osier_engine::ComponentError;
use osier_images::{PullFailure, PullPolicy, Puller};
use osier_policy::{FailurePolicy, LoadError, ObjectKey, Plugin, PolicyHost, Sought, Unavailable};
use osier_process::{Boxed, Tasks};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Plugins of this namespace serve every namespace.
pub(super) const ROOT_NAMESPACE: &str = "osier-system";

/// An apply waits this long for an image to be pulled; clients give up soon after.
const PULL: Duration = Duration::from_secs(25);

/// Checks Plugins and Policies on the node that answers the API.
pub(crate) struct PolicyAdmission {
    policy: PolicyHost,
    images: Arc<Puller>,
    tasks: Tasks,
}

impl PolicyAdmission {
    /// An admission step that loads plugins out of `images`.
    pub(crate) fn new((policy, images): (PolicyHost, Arc<Puller>), tasks: Tasks) -> Self {
        Self {
            policy,
            images,
            tasks,
        }
    }

    async fn plugin(&self, object: &Object) -> Result<Admitted, Status> {
        match self.load(object.clone()).await? {
            Ok(_) => Ok(Admitted::default()),
            Err(faults) => {
                let faults = shown(faults, object);
                Err(Status::invalid(&resources::PLUGINS, object.name(), &faults))
            }
        }
    }

    async fn policy(&self, object: &Object, objects: &dyn Read) -> Result<Admitted, Status> {
        let mut plugins = BTreeMap::new();
        let (names, canary) = (plugin_names(object), canary(object));
        for name in names.into_iter().chain(canary.clone()) {
            let found = [object.namespace(), ROOT_NAMESPACE]
                .iter()
                .find_map(|namespace| objects.get(&resources::PLUGINS, namespace, &name));
            let loaded = match found {
                None => Err(format!(
                    "Plugin {}/{name} does not exist",
                    object.namespace()
                )),
                Some(plugin) => self.load(plugin).await?.map_err(|faults| words(&faults)),
            };
            plugins.insert(name, loaded);
        }
        let spec = object.get(&["spec"]).cloned().unwrap_or(Value::Null);
        let known = |name: &str| {
            let unknown = || Err(format!("Plugin {name} does not exist"));
            // Only the types matter here: what happens to calls is the node's business.
            let unavailable = |reason| Unavailable {
                reason,
                failure: FailurePolicy::Fail,
            };
            plugins
                .get(name)
                .cloned()
                .unwrap_or_else(unknown)
                .map_err(unavailable)
        };
        let manifests = objects.list(&resources::ATTRIBUTE_MANIFESTS, "");
        let (policy, _) = self.policy.knowing(manifests.iter().map(declared));
        match policy.enforce_policy(&key_of(object), &spec, &known) {
            Ok(compiled) => {
                let mut warnings = warnings(object, plugins, canary.as_deref());
                let there = |sought: Sought<'_>| targets::there(objects, sought);
                let unattached = compiled.unattached(ROOT_NAMESPACE, &there);
                if !unattached.is_empty() {
                    warnings.push(format!("{}: {}", unattached.join("; "), targets::MEANWHILE));
                }
                Ok(Admitted {
                    object: None,
                    warnings,
                })
            }
            Err(faults) => {
                let faults: Vec<Fault> = faults
                    .into_iter()
                    .map(|fault| invalid(&fault.field, fault.detail))
                    .collect();
                let faults = shown(faults, object);
                Err(Status::invalid(
                    &resources::POLICIES,
                    object.name(),
                    &faults,
                ))
            }
        }
    }

    /// A manifest must agree with all others.
    fn manifest(&self, object: &Object, objects: &dyn Read) -> Result<Admitted, Status> {
        let mut manifests = objects.list(&resources::ATTRIBUTE_MANIFESTS, "");
        manifests.retain(|other| other.name() != object.name());
        let all = manifests.iter().chain([object]).map(declared);
        let (_, faults) = self.policy.knowing(all);
        let own = faults
            .into_iter()
            .filter(|(name, _)| *name == object.name());
        let faults: Vec<Fault> = own
            .map(|(_, fault)| Fault {
                value: declaration(object, &fault.field).cloned(),
                ..invalid(&fault.field, fault.detail)
            })
            .collect();
        if faults.is_empty() {
            return Ok(Admitted::default());
        }
        let resource = &resources::ATTRIBUTE_MANIFESTS;
        Err(Status::invalid(resource, object.name(), &faults))
    }

    /// Brings the image, as it was signed if somebody must have.
    async fn pull(&self, image: &str, signers: Option<Vec<String>>) -> Result<(), PullFailure> {
        let policy = PullPolicy::IfNotPresent;
        match signers {
            Some(keys) => self.images.pull_signed(image, &keys).await,
            None => self
                .images
                .pull(image, policy, Credentials::default())
                .await
                .map(drop),
        }
    }

    /// Fetches, compiles and configures a Plugin off the request's thread; a repeated load is a lookup.
    async fn load(&self, object: Object) -> Result<Result<Arc<Plugin>, Vec<Fault>>, Status> {
        let image = object.text(&["spec", "image"]).to_owned();
        let mut spec = object.get(&["spec"]).cloned().unwrap_or(Value::Null);
        let signers = match osier_policy::signers(&spec) {
            Ok(signers) => signers,
            Err(fault) => return Ok(Err(vec![invalid(&fault.field, fault.detail)])),
        };
        // Whoever loads it refuses what nobody verified.
        if let (Some(_), Some(fields)) = (&signers, spec.as_object_mut()) {
            fields.remove("verify");
        }
        let pulling = self.pull(&image, signers);
        match tokio::time::timeout(PULL, pulling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Ok(Err(vec![invalid("spec.image", error.to_string())])),
            Err(_) => {
                let late = format!(
                    "{image} was not pulled after {} s; run `osier image pull {image}` first",
                    PULL.as_secs()
                );
                return Ok(Err(vec![invalid("spec.image", late)]));
            }
        }
        let (policy, images) = (self.policy.clone(), self.images.store().clone());
        let loading = self.tasks.spawn_blocking("plugin admission", move || {
            let wasm = images
                .resolve(&image, &Plugins)
                .map_err(|error| vec![invalid("spec.image", error.to_string())])?;
            policy
                .load(&key_of(&object), &spec, &wasm)
                .map_err(|error| faults_of(&error))
        });
        loading
            .await
            .map_err(|error| Status::internal(format!("the plugin was not checked: {error}")))
    }
}

impl Admit for PolicyAdmission {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(async move {
            if let (Operation::Delete, Some(old)) = (review.operation, review.old) {
                let is_plugin = *review.resource == resources::PLUGINS;
                let warnings = is_plugin.then(|| targets::users(review.objects, old));
                return Ok(Admitted {
                    object: None,
                    warnings: warnings.unwrap_or_default(),
                });
            }
            let (Some(new), None) = (review.new, review.subresource) else {
                return Ok(Admitted::default());
            };
            let unchanged = review
                .old
                .is_some_and(|old| old.get(&["spec"]) == new.get(&["spec"]));
            if unchanged {
                return Ok(Admitted::default());
            }
            match (review.resource.group, review.resource.plural) {
                ("policy.osier.dev", "plugins") => self.plugin(new).await,
                ("policy.osier.dev", "policies") => self.policy(new, review.objects).await,
                ("policy.osier.dev", "attributemanifests") => self.manifest(new, review.objects),
                _ => Ok(Admitted::default()),
            }
        })
    }
}

/// What stands at `spec.attributes[NAME]`, or below it.
fn declaration<'o>(manifest: &'o Object, path: &str) -> Option<&'o Value> {
    let (name, below) = path.strip_prefix("spec.attributes[")?.split_once(']')?;
    let declared = manifest.get(&["spec", "attributes", name])?;
    match below.strip_prefix('.') {
        Some(field) => declared.get(field),
        None => Some(declared),
    }
}

/// Name and `spec` of an AttributeManifest.
pub(super) fn declared(manifest: &Object) -> (&str, &Value) {
    let spec = manifest.get(&["spec"]).unwrap_or(&Value::Null);
    (manifest.name(), spec)
}

fn key_of(object: &Object) -> ObjectKey {
    ObjectKey::new(object.namespace(), object.name())
}

fn plugin_names(policy: &Object) -> Vec<String> {
    let actions = policy
        .get(&["spec", "actions"])
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut names: Vec<String> = actions
        .iter()
        .filter_map(|action| action.get("plugin").and_then(Value::as_str))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The plugin that `spec.rollout` names.
fn canary(policy: &Object) -> Option<String> {
    let name = policy.text(&["spec", "rollout", "plugin"]);
    (!name.is_empty()).then(|| name.to_owned())
}

/// A plugin that is not there does not refuse the policy, so that manifests may come in any order; but it is said. So is a rollout of nothing.
fn warnings(
    policy: &Object,
    plugins: BTreeMap<String, Result<Arc<Plugin>, String>>,
    canary: Option<&str>,
) -> Vec<String> {
    let lost = plugins.into_iter().filter_map(|(name, loaded)| {
        let reason = loaded.err()?;
        let meanwhile = match canary == Some(name.as_str()) {
            true => "no call goes to the rollout",
            false => "calls that this policy matches go by its failure policy",
        };
        Some(format!("{reason}: until it is there, {meanwhile}"))
    });
    let mut warnings: Vec<String> = lost.collect();
    let percent = policy.get(&["spec", "rollout", "percent"]);
    if let Some(canary) =
        canary.filter(|_| percent.and_then(Value::as_u64).unwrap_or_default() == 0)
    {
        warnings.push(format!(
            "spec.rollout.percent is 0: no call goes to plugin {canary}; raise it to 1 or more"
        ));
    }
    warnings
}

fn faults_of(error: &LoadError) -> Vec<Fault> {
    match error {
        LoadError::Spec { faults, .. } => faults
            .iter()
            .map(|fault| invalid(&fault.field, fault.detail.clone()))
            .collect(),
        LoadError::Digest { .. } => vec![invalid("spec.digest", error.to_string())],
        LoadError::Refused { reason, .. } => vec![invalid("spec.config", reason.clone())],
        LoadError::Probe { .. } => vec![invalid("spec.limits", error.to_string())],
        LoadError::Component {
            source: source @ ComponentError::Limit { .. },
            ..
        } => vec![invalid("spec.limits.memory", source.to_string())],
        LoadError::Component { .. } | LoadError::NoTemplate { .. } | LoadError::Hook { .. } => {
            vec![invalid("spec.image", error.to_string())]
        }
    }
}

fn words(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(|fault| format!("{}: {}", fault.field, fault.detail))
        .collect::<Vec<_>>()
        .join("; ")
}

fn invalid(field: &str, detail: String) -> Fault {
    Fault {
        field: field.to_owned(),
        kind: FaultKind::Invalid,
        detail,
        value: None,
    }
}
