//! Built-in admission of pods, as upstream's plugins ServiceAccount, Priority, DefaultTolerationSeconds and LimitRanger: who a pod acts
//! as, how important it is, how long it bears a lost node, and what its namespace lets it ask for. All in one step, since what a
//! step changes is completed and checked again.

use osier_api::{Object, Status, resources};
use osier_limits::limit_range;
use osier_process::Boxed;
use osier_scheduling::{priority, taints};
use serde_json::Value;

use super::{Admit, Admitted, Operation, Review};

/// The account that every namespace has, made by a controller: pods that come before it need not wait.
const DEFAULT_ACCOUNT: &str = "default";

/// The step.
pub(crate) struct Pods;

impl Admit for Pods {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(std::future::ready(admit(review)))
    }
}

fn admit(review: &Review<'_>) -> Result<Admitted, Status> {
    if review.subresource.is_some() {
        return Ok(Admitted::default());
    }
    if *review.resource == resources::PRIORITY_CLASSES {
        return class(review).map(|()| Admitted::default());
    }
    let Some(new) = review.new.filter(|_| *review.resource == resources::PODS) else {
        return Ok(Admitted::default());
    };
    let mut pod = new.clone();
    if review.operation == Operation::Create {
        complete(review, &mut pod)?;
    }
    taints::bear(&mut pod);
    Ok(Admitted {
        object: (pod != *new).then_some(pod),
        warnings: Vec::new(),
    })
}

fn complete(review: &Review<'_>, pod: &mut Object) -> Result<(), Status> {
    let refused = |words: String| Status::forbidden(review.resource, pod.name(), &words);
    let account = account(review, pod).map_err(refused)?;
    let objects = review.objects;
    let found = |name: &str| objects.get(&resources::PRIORITY_CLASSES, "", name);
    let default = || priority::default_class(objects.list(&resources::PRIORITY_CLASSES, ""));
    let mut changed = pod.clone();
    priority::prioritize(&mut changed, found, default).map_err(refused)?;
    if let Some(secrets) = account {
        changed.set(&["spec", "imagePullSecrets"], secrets);
    }
    let ranges = objects.list(&resources::LIMIT_RANGES, pod.namespace());
    limit_range::apply_defaults(&ranges, &mut changed);
    match limit_range::check_pod(&ranges, &changed).as_slice() {
        [] => {}
        [only] => return Err(refused(only.clone())),
        several => return Err(refused(format!("[{}]", several.join(", ")))),
    }
    *pod = changed;
    Ok(())
}

/// The secrets that the pod's account brings along for pulling images, where the pod brings none; a pod acts as nobody who is not there.
fn account(review: &Review<'_>, pod: &Object) -> Result<Option<Value>, String> {
    let (namespace, name) = (pod.namespace(), pod.text(&["spec", "serviceAccountName"]));
    let account = review
        .objects
        .get(&resources::SERVICE_ACCOUNTS, namespace, name);
    let Some(account) = account else {
        return match name {
            "" | DEFAULT_ACCOUNT => Ok(None),
            name => Err(format!(
                "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
            )),
        };
    };
    let filled = |object: &Object, path: &[&str]| {
        let list = object.get(path).and_then(Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    };
    let own = filled(pod, &["spec", "imagePullSecrets"]);
    let secrets = account.get(&["imagePullSecrets"]).cloned();
    Ok(secrets.filter(|_| !own && filled(&account, &["imagePullSecrets"])))
}

/// One class at most is that of pods that name none, and those of the system stay.
fn class(review: &Review<'_>) -> Result<(), Status> {
    let refused = |words: &str| Err(Status::forbidden(review.resource, review.name, words));
    let Some(new) = review.new else {
        return match priority::is_system_class(review.name) {
            true => refused("this is a system priority class and cannot be deleted"),
            false => Ok(()),
        };
    };
    let marked = |class: &Object| class.get(&["globalDefault"]) == Some(&Value::Bool(true));
    if !marked(new) {
        return Ok(());
    }
    let mut all = review.objects.list(review.resource, "");
    all.retain(|one| marked(one) && one.name() != new.name());
    match all.first() {
        None => Ok(()),
        Some(other) => refused(&format!(
            "PriorityClass {} is already marked as default. Only one default can exist",
            other.name()
        )),
    }
}
