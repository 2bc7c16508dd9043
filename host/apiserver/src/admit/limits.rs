//! Built-in admission of pods and claims: LimitRanges and priorities.

use osier_api::{Object, Status, resources};
use osier_limits::limit_range;
use osier_process::Boxed;
use serde_json::{Value, json};

use super::{Admit, Admitted, Operation, Review};

/// Classes that are there without being stored, with their values.
const SYSTEM: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// Fills in and checks what a namespace limits.
pub(crate) struct Limits;

impl Admit for Limits {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let result = admit(review);
        Box::pin(async move { result })
    }
}

fn admit(review: &Review<'_>) -> Result<Admitted, Status> {
    let Some(new) = review.new.filter(|_| review.subresource.is_none()) else {
        return Ok(Admitted::default());
    };
    let ranges = || {
        let objects = review.objects;
        objects.list(&resources::LIMIT_RANGES, new.namespace())
    };
    match (review.resource, review.operation) {
        (pods, Operation::Create) if *pods == resources::PODS => {
            let ranges = ranges();
            let mut pod = new.clone();
            prioritize(review, &mut pod)?;
            limit_range::apply_defaults(&ranges, &mut pod);
            refuse(review, &limit_range::check_pod(&ranges, &pod))?;
            Ok(Admitted {
                object: (pod != *new).then_some(pod),
                warnings: Vec::new(),
            })
        }
        (claims, _) if *claims == resources::PERSISTENT_VOLUME_CLAIMS => {
            refuse(review, &limit_range::check_claim(&ranges(), new))?;
            Ok(Admitted::default())
        }
        _ => Ok(Admitted::default()),
    }
}

fn refuse(review: &Review<'_>, faults: &[String]) -> Result<(), Status> {
    let name = review.new.map_or("", Object::name);
    match faults {
        [] => Ok(()),
        [only] => Err(Status::forbidden(review.resource, name, only)),
        several => {
            let words = format!("[{}]", several.join(", "));
            Err(Status::forbidden(review.resource, name, &words))
        }
    }
}

/// Puts the value of a pod's class into it.
fn prioritize(review: &Review<'_>, pod: &mut Object) -> Result<(), Status> {
    let name = pod.text(&["spec", "priorityClassName"]).to_owned();
    let system = SYSTEM.iter().find(|(class, _)| *class == name);
    let class = match (name.as_str(), system) {
        ("", _) => {
            let classes = review.objects.list(&resources::PRIORITY_CLASSES, "");
            let default =
                |class: &Object| class.get(&["globalDefault"]) == Some(&Value::Bool(true));
            classes.into_iter().find(default)
        }
        (_, Some((name, value))) => {
            let mut class = Object::new(&resources::PRIORITY_CLASSES, "", name);
            class.set(&["value"], json!(value));
            Some(class)
        }
        (name, None) => {
            let found = review.objects.get(&resources::PRIORITY_CLASSES, "", name);
            if found.is_none() {
                let words = format!("no PriorityClass with name {name} was found");
                return Err(Status::forbidden(review.resource, pod.name(), &words));
            }
            found
        }
    };
    let Some(class) = class else {
        return Ok(());
    };
    let value = class.get(&["value"]).cloned().unwrap_or(json!(0));
    let asked = pod.get(&["spec", "priority"]);
    if asked.is_some_and(|asked| *asked != value) {
        let words = format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name",
            asked.cloned().unwrap_or_default()
        );
        return Err(Status::forbidden(review.resource, pod.name(), &words));
    }
    pod.set(&["spec", "priorityClassName"], json!(class.name()));
    pod.set(&["spec", "priority"], value);
    let policy = match class.text(&["preemptionPolicy"]) {
        "" => "PreemptLowerPriority",
        policy => policy,
    };
    pod.set(&["spec", "preemptionPolicy"], json!(policy));
    Ok(())
}
