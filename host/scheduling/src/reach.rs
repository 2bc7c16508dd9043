//! From where the volumes of a pod can be had. Pure.
//!
//! What is decided here is only which nodes will do: which volume a claim gets is for those who keep claims (crate claims).

use serde_json::Value;

use crate::node_affinity::{Site, selects};
use crate::refusal::Reason;

/// The nodes from which a pod's volumes can be had. By default it has none, and every node will do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reach {
    /// What each volume that the pod has already asks of the node: a required node selector, or null.
    pub bound: Vec<Value>,
    /// For each claim without a volume, what the volumes that it could get ask. One of them must be met.
    pub open: Vec<Vec<Value>>,
}

impl Reach {
    /// Why the volumes cannot be had from a node, if they cannot.
    pub(crate) fn refuses(&self, site: Site<'_>) -> Option<Reason<'static>> {
        if !self.bound.iter().all(|asked| selects(asked, site)) {
            return Some(Reason::VolumeAffinity);
        }
        let found = |could: &Vec<Value>| could.iter().any(|asked| selects(asked, site));
        (!self.open.iter().all(found)).then_some(Reason::NoVolume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_volume_must_be_there_and_every_claim_find_one() {
        let on = |name: &str| {
            let ask = json!({"key": "metadata.name", "operator": "In", "values": [name]});
            json!({"nodeSelectorTerms": [{"matchFields": [ask]}]})
        };
        let labels = std::collections::BTreeMap::new();
        let site = Site {
            name: "a",
            labels: &labels,
        };
        let judged = |bound: &[Value], open: &[&[Value]]| {
            let open = open.iter().map(|could| could.to_vec()).collect();
            let bound = bound.to_vec();
            Reach { bound, open }.refuses(site)
        };
        assert_eq!(judged(&[], &[]), None);
        assert_eq!(
            judged(&[on("a"), Value::Null], &[&[on("b"), on("a")]]),
            None
        );
        assert_eq!(
            judged(&[on("b")], &[&[]]),
            Some(Reason::VolumeAffinity),
            "the first reason is told"
        );
        assert_eq!(judged(&[on("a")], &[&[on("b")]]), Some(Reason::NoVolume));
    }
}
