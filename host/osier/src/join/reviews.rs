//! The hook `admit`: plugins judge the writes that policies send to them. The API server starts before the node agent, which knows the policies;
//! until it has published them, nobody's writes but the system's own pass.
//!
//! Plugins and Policies are never reviewed (the policy compiler refuses to select them), so whoever locks himself out removes the policy.

use osier_api::{Fault, FaultKind, Object, Status, patch};
use osier_apiserver::{Admit, Admitted, Operation, Review};
use osier_node::Policies;
use osier_policy::{PolicySet, Rejection, WriteOperation};
use osier_process::Boxed;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// Rounds of patches that one write may get, so that two plugins cannot patch each other for ever.
const ROUNDS: usize = 16;
/// What plugins are never asked about.
const OWN_GROUP: &str = "policy.osier.dev";
/// Who must be able to write before the policies are known: the node agent and the controllers, ...
const SYSTEM: [&str; 2] = ["system:nodes", "osier:components"];
/// ... and the API server, which creates its own objects before anything else is up.
const SERVER: &str = "system:apiserver";

/// Asks the plugins of this node.
#[derive(Default)]
pub(crate) struct PluginReviews {
    policies: OnceLock<Policies>,
}

impl PluginReviews {
    /// Joins the node's policies. A second call changes nothing.
    pub(crate) fn join(&self, policies: Policies) {
        let _first_wins = self.policies.set(policies);
    }

    /// The policies in force; none until the node has published them.
    pub(crate) fn policies(&self) -> Option<Arc<PolicySet>> {
        self.policies.get().and_then(Policies::current)
    }

    fn current(&self, review: &Review<'_>) -> Result<Option<Arc<PolicySet>>, Status> {
        let current = self.policies();
        let system = || {
            let groups = &review.user.groups;
            review.user.name == SERVER
                || groups.iter().any(|group| SYSTEM.contains(&group.as_str()))
        };
        match current {
            None if !system() => Err(Status::unavailable(
                "the node's policies are not loaded yet; try again",
            )),
            current => Ok(current.filter(|policies| policies.has_admits())),
        }
    }
}

impl Admit for PluginReviews {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(async move {
            if review.resource.group == OWN_GROUP || review.subresource.is_some() {
                return Ok(Admitted::default());
            }
            match self.current(review)? {
                Some(policies) => judged(&policies, review),
                None => Ok(Admitted::default()),
            }
        })
    }
}

/// Asks the plugins in turn; each sees the object as the one before it left it.
fn judged(policies: &PolicySet, review: &Review<'_>) -> Result<Admitted, Status> {
    let Some(object) = review.new.or(review.old) else {
        return Ok(Admitted::default());
    };
    let (mut admitted, mut changed, mut after) = (Admitted::default(), None::<Object>, 0);
    for _ in 0..ROUNDS {
        let seen = changed.as_ref().unwrap_or(object);
        let (admission, next) = ask(policies, review, seen, after)?;
        admitted.warnings.extend(admission.warnings);
        after = next;
        let Some(patch) = admission.patch.filter(|_| review.new.is_some()) else {
            if next == usize::MAX {
                break;
            }
            continue;
        };
        changed = Some(patched(seen, &patch, &admission.policy, review)?);
    }
    admitted.object = changed;
    Ok(admitted)
}

fn ask(
    policies: &PolicySet,
    review: &Review<'_>,
    object: &Object,
    after: usize,
) -> Result<(osier_policy::Admission, usize), Status> {
    let text = object.to_value().to_string();
    let old = review
        .old
        .filter(|_| review.new.is_some())
        .map(|old| old.to_value().to_string());
    let question = osier_policy::Review {
        group: review.resource.group,
        kind: review.resource.kind,
        namespace: object.namespace(),
        name: object.name(),
        operation: match review.operation {
            Operation::Create => WriteOperation::Create,
            Operation::Update => WriteOperation::Update,
            Operation::Delete => WriteOperation::Delete,
        },
        user: &review.user.name,
        groups: &review.user.groups,
        object: &text,
        old_object: old.as_deref(),
    };
    policies
        .admit(&question, after)
        .map_err(|rejection| refused(&rejection, review, object))
}

/// The Status that the one who writes gets: with the field if the plugin names one.
fn refused(rejection: &Rejection, review: &Review<'_>, object: &Object) -> Status {
    let (policy, plugin) = (&rejection.policy, &rejection.plugin);
    if rejection.failed {
        let reason = &rejection.reason;
        return Status::internal(format!(
            "policy {policy}: plugin {plugin} gave no answer and its failure policy is Fail: {reason}; \
             mend the plugin or remove the policy"
        ));
    }
    let detail = format!("policy {policy}: {}", rejection.reason);
    if rejection.field.is_empty() {
        return Status::forbidden(review.resource, object.name(), &detail);
    }
    let fault = Fault {
        field: rejection.field.clone(),
        kind: FaultKind::Forbidden,
        detail,
        value: None,
    };
    Status::invalid(review.resource, object.name(), &[fault])
}

/// The object with a plugin's patch. Who the object is stays as it was.
fn patched(
    object: &Object,
    text: &str,
    policy: &str,
    review: &Review<'_>,
) -> Result<Object, Status> {
    let broken = |why: String| {
        Status::internal(format!(
            "policy {policy}: the plugin's patch of {} {} cannot be used: {why}",
            review.resource.kind,
            object.name()
        ))
    };
    let operations: Value =
        serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    let value =
        patch::json(&object.to_value(), &operations).map_err(|error| broken(error.to_string()))?;
    let changed = Object::from_value(value).map_err(|error| broken(error.to_string()))?;
    let same = changed.name() == object.name()
        && changed.namespace() == object.namespace()
        && changed.uid() == object.uid();
    if !same {
        return Err(broken("it changes the name, namespace or uid".to_owned()));
    }
    Ok(changed)
}
