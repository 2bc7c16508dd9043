//! Why a pod fits nowhere, in kube-scheduler's words. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::taints::Taint;

/// Why a pod cannot run on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason<'a> {
    /// It is cordoned.
    Unschedulable,
    /// It has a taint that the pod does not tolerate.
    Taint(&'a Taint),
    /// It does not say that it is ready.
    NotReady,
    /// It is not what the pod's selector or affinity asks for.
    NodeAffinity,
    /// It has as many pods as it takes.
    Pods,
    /// Its CPU is asked for.
    Cpu,
    /// Its memory is asked for.
    Memory,
    /// Its disk is asked for.
    Storage,
    /// What it has of an extended resource is asked for, if it has any.
    Extended(&'a str),
    /// It lacks the label by which the pod is to be spread.
    SpreadLabel,
    /// Its part of the cluster would have too many more of the pods than another part.
    Spread,
    /// It is not near the pods that the pod wants to be near.
    Affinity,
    /// It is near pods that the pod does not want to be near.
    AntiAffinity,
    /// It is near pods that do not want to be near this one.
    Guarded,
    /// A volume of the pod cannot be had from there.
    VolumeAffinity,
    /// A claim of the pod gets no volume there.
    NoVolume,
    /// Somebody who has a say does not want the pod there.
    Opinion(&'a str),
}

/// Reasons of one node: the first one, or every resource that it lacks.
pub(crate) type Reasons<'a> = [Option<Reason<'a>>; 5];

/// One reason.
pub(crate) fn one(reason: Reason<'_>) -> Reasons<'_> {
    [Some(reason), None, None, None, None]
}

impl Reason<'_> {
    /// The node may be right for the pod when other pods leave it.
    pub(crate) fn yields_to_preemption(self) -> bool {
        matches!(
            self,
            Self::Pods
                | Self::Cpu
                | Self::Memory
                | Self::Storage
                | Self::Extended(_)
                | Self::Spread
                | Self::AntiAffinity
                | Self::Guarded
        )
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unschedulable => "node(s) were unschedulable",
            Self::Taint(Taint { key, value, .. }) => {
                return write!(f, "node(s) had untolerated taint {{{key}: {value}}}");
            }
            Self::NotReady => "node(s) were not ready",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Pods => "Too many pods",
            Self::Cpu => "Insufficient cpu",
            Self::Memory => "Insufficient memory",
            Self::Storage => "Insufficient ephemeral-storage",
            Self::Extended(name) => return write!(f, "Insufficient {name}"),
            Self::SpreadLabel => {
                "node(s) didn't match pod topology spread constraints (missing required label)"
            }
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::Affinity => "node(s) didn't match pod affinity rules",
            Self::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::Guarded => "node(s) didn't satisfy existing pods anti-affinity rules",
            Self::VolumeAffinity => "node(s) didn't match PersistentVolume's node affinity",
            Self::NoVolume => "node(s) didn't find available persistent volumes to bind",
            Self::Opinion(why) => why,
        })
    }
}

/// Why a pod fits nowhere: reasons with the number of nodes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// How many nodes there are.
    pub nodes: usize,
    /// Nodes by the reason why the pod does not fit them.
    pub reasons: BTreeMap<String, usize>,
    /// Why nobody is pushed out for it, in kube-scheduler's words; empty if that was not asked.
    pub preemption: String,
}

/// Counts reasons without writing each of them down.
#[derive(Debug, Default)]
pub(crate) struct Tally<'a> {
    nodes: usize,
    counts: HashMap<Reason<'a>, usize>,
}

impl<'a> Tally<'a> {
    pub(crate) fn add(&mut self, reasons: Reasons<'a>) {
        self.nodes += 1;
        for reason in reasons.into_iter().flatten() {
            *self.counts.entry(reason).or_default() += 1;
        }
    }

    pub(crate) fn refusal(self) -> Refusal {
        let mut reasons = BTreeMap::new();
        for (reason, count) in self.counts {
            // Two taints of the same words are one reason.
            *reasons.entry(reason.to_string()).or_default() += count;
        }
        Refusal {
            nodes: self.nodes,
            reasons,
            preemption: String::new(),
        }
    }
}

impl Refusal {
    /// Why a pod fits none of so many nodes, whatever they are like.
    #[must_use]
    pub fn everywhere(nodes: usize, why: String) -> Self {
        Self {
            nodes,
            reasons: [(why, 0)].into(),
            preemption: String::new(),
        }
    }
}

/// `0/3 nodes are available: 1 this, 2 that.` A reason that concerns no node has no number.
pub(crate) fn sentence(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    let mut words: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| match count {
            0 => reason.clone(),
            count => format!("{count} {reason}"),
        })
        .collect();
    words.sort();
    format!("0/{nodes} nodes are available: {}.", words.join(", "))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        f.write_str(&sentence(self.nodes, &self.reasons))?;
        if self.preemption.is_empty() {
            return Ok(());
        }
        write!(f, " preemption: {}", self.preemption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_reads_as_kube_schedulers() {
        let reasons = [
            ("node(s) were unschedulable".to_owned(), 1),
            ("Insufficient memory".to_owned(), 2),
        ];
        let mut refusal = Refusal {
            nodes: 3,
            reasons: reasons.into(),
            preemption: String::new(),
        };
        let words = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory.";
        assert_eq!(refusal.to_string(), words);
        "not eligible due to preemptionPolicy=Never.".clone_into(&mut refusal.preemption);
        let more = format!("{words} preemption: not eligible due to preemptionPolicy=Never.");
        assert_eq!(refusal.to_string(), more);
        let none = Refusal::everywhere(2, "it waits".to_owned()).to_string();
        assert_eq!(none, "0/2 nodes are available: it waits.");
        assert_eq!(
            Refusal::default().to_string(),
            "no nodes available to schedule pods"
        );
    }
}
