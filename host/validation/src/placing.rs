//! What a pod asks of nodes and neighbours: affinity and topology spread constraints.

use super::at::At;
use super::{metadata, names};
use osier_api::Fault;

const NODE_OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The rules of a pod's spec.
pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let affinity = spec.at("affinity");
    let mut faults = node_affinity(&affinity.at("nodeAffinity"));
    for side in ["podAffinity", "podAntiAffinity"] {
        let side = affinity.at(side);
        faults.extend(side.at(REQUIRED).items().iter().flat_map(pod_term));
        for one in side.at(PREFERRED).items() {
            faults.extend(weight(&one));
            faults.extend(pod_term(&one.at("podAffinityTerm")));
        }
    }
    faults.extend(spreads(&spec.at("topologySpreadConstraints")));
    faults
}

fn weight(of: &At<'_>) -> Option<Fault> {
    let weight = of.at("weight");
    let fits = weight
        .int()
        .is_some_and(|number| (1..=100).contains(&number));
    (!fits).then(|| weight.invalid("must be in the range 1-100"))
}

fn node_affinity(affinity: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let required = affinity.at(REQUIRED);
    let terms = required.at("nodeSelectorTerms");
    if required.is_present() && !terms.is_set() {
        faults.push(terms.required("must have at least one node selector term"));
    }
    faults.extend(terms.items().iter().flat_map(node_term));
    for one in affinity.at(PREFERRED).items() {
        faults.extend(weight(&one));
        faults.extend(node_term(&one.at("preference")));
    }
    faults
}

fn node_term(term: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for ask in term.at("matchExpressions").items() {
        faults.extend(ask.at("key").name(names::qualified));
        faults.extend(operator(&ask, &NODE_OPERATORS));
    }
    for ask in term.at("matchFields").items() {
        faults.extend(ask.at("key").one_of(&["metadata.name"]));
        faults.extend(operator(&ask, &["In", "NotIn"]));
    }
    faults
}

fn operator(ask: &At<'_>, operators: &[&str]) -> Vec<Fault> {
    let (operator, values) = (ask.at("operator"), ask.at("values"));
    let count = values.items().len();
    let wrong = match operator.text() {
        "In" | "NotIn" if count == 0 => {
            return vec![values.required("must be specified when `operator` is 'In' or 'NotIn'")];
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            Some("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        }
        "Gt" | "Lt" if count != 1 => {
            Some("must be specified single value when `operator` is 'Lt' or 'Gt'")
        }
        _ => None,
    };
    let mut faults: Vec<Fault> = operator.one_of(operators).into_iter().collect();
    if !operator.is_set() {
        faults.push(operator.required(""));
    }
    faults.extend(wrong.map(|words| values.forbidden(words)));
    faults
}

fn pod_term(term: &At<'_>) -> Vec<Fault> {
    let mut faults = label_key(&term.at("topologyKey"));
    for selector in ["labelSelector", "namespaceSelector"] {
        faults.extend(metadata::selector(&term.at(selector)));
    }
    for namespace in term.at("namespaces").items() {
        faults.extend(namespace.name(names::label));
    }
    faults
}

fn label_key(key: &At<'_>) -> Vec<Fault> {
    match key.is_set() {
        true => key.name(names::qualified),
        false => vec![key.required("can not be empty")],
    }
}

fn spreads(list: &At<'_>) -> Vec<Fault> {
    let (mut faults, mut seen) = (Vec::new(), Vec::new());
    for one in list.items() {
        for (field, needed) in [("maxSkew", true), ("minDomains", false)] {
            let number = one.at(field);
            if (needed || number.is_present()) && number.int().is_none_or(|number| number <= 0) {
                faults.push(number.invalid("must be greater than zero"));
            }
        }
        let (key, when) = (one.at("topologyKey"), one.at("whenUnsatisfiable"));
        faults.extend(label_key(&key));
        if !when.is_set() {
            faults.push(when.required(""));
        }
        faults.extend(when.one_of(&["DoNotSchedule", "ScheduleAnyway"]));
        if one.at("minDomains").is_present() && when.text() == "ScheduleAnyway" {
            let words =
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway";
            faults.push(one.at("minDomains").invalid(words));
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            faults.extend(one.at(policy).one_of(&["Honor", "Ignore"]));
        }
        faults.extend(metadata::selector(&one.at("labelSelector")));
        if seen.contains(&(key.text(), when.text())) {
            faults.push(one.duplicate());
        }
        seen.push((key.text(), when.text()));
    }
    faults
}
