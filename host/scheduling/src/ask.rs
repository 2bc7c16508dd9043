//! What a pod asks for, read once for a decision. Pure.

use osier_api::Object;
use osier_api::selector::Labels;
use serde_json::Value;

use crate::demand::Demand;
use crate::node_affinity::Required;
use crate::taints::{self, Taint};
use crate::terms::{Affinity, Spread};

static NOTHING: Value = Value::Null;

/// A pod that wants a node.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) uid: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) labels: Labels<'a>,
    pub(crate) spec: &'a Value,
    pub(crate) required: Required<'a>,
    pub(crate) demand: Demand,
    pub(crate) priority: i32,
    pub(crate) affinity: Affinity,
    pub(crate) spreads: Vec<Spread>,
}

impl<'a> Ask<'a> {
    pub(crate) fn of(pod: &'a Object) -> Self {
        let spec = pod.get(&["spec"]).unwrap_or(&NOTHING);
        let labels = pod.labels();
        Self {
            uid: pod.uid(),
            namespace: pod.namespace(),
            spec,
            required: Required::of(spec),
            demand: Demand::of(pod),
            priority: priority(pod),
            affinity: Affinity::of(spec, pod.namespace(), &labels),
            spreads: Spread::all(spec, &labels),
            labels,
        }
    }

    pub(crate) fn tolerates(&self, taint: &Taint) -> bool {
        taints::tolerated(taints::tolerations(self.spec), taint)
    }
}

/// How important a pod is: `spec.priority`, 0 if it does not say.
pub(crate) fn priority(pod: &Object) -> i32 {
    let priority = pod.get(&["spec", "priority"]).and_then(Value::as_i64);
    priority.and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
}
