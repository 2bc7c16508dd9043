//! Built-in admission of volumes and claims, as upstream's plugins DefaultStorageClass, StorageObjectInUseProtection, LimitRanger and
//! PersistentVolumeClaimResize: claims that name no class get the default one, nothing that is in use can be taken away, claims ask for
//! what their namespace lets them, and only what can grow may be asked to.

use osier_api::{Object, Status, quantity, resources};
use osier_limits::limit_range;
use osier_process::Boxed;
use serde_json::{Value, json};

use super::{Admit, Admitted, Operation, Review};

const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const RESIZE_WORDS: &str = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";

/// Completes volumes and claims.
pub(crate) struct Storage;

impl Admit for Storage {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(std::future::ready(admit(review)))
    }
}

fn admit(review: &Review<'_>) -> Result<Admitted, Status> {
    let Some(new) = review.new.filter(|_| review.subresource.is_none()) else {
        return Ok(Admitted::default());
    };
    let claim = *review.resource == resources::PERSISTENT_VOLUME_CLAIMS;
    let volume = *review.resource == resources::PERSISTENT_VOLUMES;
    if claim {
        within_limits(review, new)?;
    }
    match review.operation {
        Operation::Create if claim => {
            let mut made = protected(new, "kubernetes.io/pvc-protection");
            classify(review, &mut made);
            Ok(changed(made))
        }
        Operation::Create if volume => Ok(changed(protected(new, "kubernetes.io/pv-protection"))),
        Operation::Update if claim && grows(review.old, new) => may_grow(review, new),
        _ => Ok(Admitted::default()),
    }
}

fn within_limits(review: &Review<'_>, claim: &Object) -> Result<(), Status> {
    let ranges = review
        .objects
        .list(&resources::LIMIT_RANGES, claim.namespace());
    let faults = limit_range::check_claim(&ranges, claim);
    let words = match faults.as_slice() {
        [] => return Ok(()),
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Err(Status::forbidden(review.resource, claim.name(), &words))
}

fn changed(object: Object) -> Admitted {
    Admitted {
        object: Some(object),
        warnings: Vec::new(),
    }
}

fn protected(object: &Object, finalizer: &str) -> Object {
    let mut object = object.clone();
    let mut all = object.finalizers();
    if !all.contains(&finalizer) {
        all.push(finalizer);
        let all = json!(all);
        object.set(&["metadata", "finalizers"], all);
    }
    object
}

/// A claim that says nothing of a class is of the default one; of several, of the newest, as upstream.
fn classify(review: &Review<'_>, claim: &mut Object) {
    if claim.get(&["spec", "storageClassName"]).is_some() {
        return;
    }
    let classes = review.objects.list(&resources::STORAGE_CLASSES, "");
    let defaults = classes
        .iter()
        .filter(|class| class.annotation(DEFAULT) == Some("true"));
    let age = |class: &&Object| class.creation_timestamp().map(ToOwned::to_owned);
    if let Some(class) = defaults.max_by_key(age) {
        claim.set(&["spec", "storageClassName"], class.name().into());
    }
}

fn grows(old: Option<&Object>, new: &Object) -> bool {
    let asked = |claim: &Object| {
        claim
            .text(&["spec", "resources", "requests", "storage"])
            .to_owned()
    };
    let more = |old| quantity::compare(&asked(new), &asked(old)) == Ok(std::cmp::Ordering::Greater);
    old.is_some_and(more)
}

fn may_grow(review: &Review<'_>, claim: &Object) -> Result<Admitted, Status> {
    let name = claim.text(&["spec", "storageClassName"]);
    let class = review.objects.get(&resources::STORAGE_CLASSES, "", name);
    let grows = |class: Object| class.get(&["allowVolumeExpansion"]) == Some(&Value::Bool(true));
    if class.is_some_and(grows) {
        return Ok(Admitted::default());
    }
    Err(Status::forbidden(
        review.resource,
        claim.name(),
        RESIZE_WORDS,
    ))
}
