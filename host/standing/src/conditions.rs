//! Conditions of routes and of policies about Services, with the types and reasons of the Gateway API's specification
//! (<https://gateway-api.sigs.k8s.io/geps/gep-1364/>). Pure: who writes them adds the times.

use crate::finding::{Finding, FindingKind};
use crate::standings::{Attachment, ParentStanding, PolicyFault, PolicyStanding};

/// One condition of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted`, `ResolvedRefs`, …
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one of the specification's words.
    pub reason: &'static str,
    /// For a person; empty if there is nothing to say.
    pub message: String,
}

impl Condition {
    pub(crate) fn new(
        kind: &'static str,
        holds: bool,
        reason: &'static str,
        message: String,
    ) -> Self {
        Self {
            kind,
            holds,
            reason,
            message,
        }
    }

    pub(crate) fn holds(kind: &'static str, reason: &'static str) -> Self {
        Self::new(kind, true, reason, String::new())
    }
}

impl Attachment {
    /// The reason, and for a person.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Accepted => ("Accepted", ""),
            Self::NoMatchingParent => (
                "NoMatchingParent",
                "there is no such parent, or it has no such listener or port",
            ),
            Self::NotAllowed => (
                "NotAllowedByListeners",
                "no listener takes routes of this kind and namespace (allowedRoutes)",
            ),
            Self::NoMatchingHostname => (
                "NoMatchingListenerHostname",
                "no listener serves any of the route's hostnames",
            ),
        }
    }
}

impl ParentStanding {
    /// What is said of a route at this parent; `findings` are those of the route.
    pub fn conditions(&self, findings: &[&Finding]) -> Vec<Condition> {
        let (reason, message) = self.attachment.words();
        let accepted = self.attachment == Attachment::Accepted;
        let mut conditions = vec![
            Condition::new("Accepted", accepted, reason, message.to_owned()),
            references(findings),
        ];
        let unserved = findings.iter().filter(|finding| {
            matches!(finding.kind, FindingKind::NotApplied | FindingKind::Invalid)
        });
        let message = told(unserved.copied());
        if !message.is_empty() {
            conditions.push(Condition::new(
                "PartiallyInvalid",
                true,
                "UnsupportedValue",
                message,
            ));
        }
        conditions
    }
}

impl PolicyStanding {
    /// What is said of the policy, of which `findings` are.
    pub fn conditions(&self, findings: &[&Finding]) -> Vec<Condition> {
        let (reason, message) = match self.fault {
            Some(PolicyFault::TargetNotFound) => (
                "TargetNotFound",
                "none of its Services exists with the port that is named",
            ),
            Some(PolicyFault::Conflicted) => {
                ("Conflicted", "an older policy speaks of the same Services")
            }
            Some(PolicyFault::NoCertificate) => (
                "NoValidCACertificate",
                "no authority can be read: no server is believed",
            ),
            None if self.in_memory => (
                "Accepted",
                "pods are called in memory, where there is nothing to encrypt; it holds for addresses outside",
            ),
            None => ("Accepted", ""),
        };
        let accepted = self.fault.is_none();
        vec![
            Condition::new("Accepted", accepted, reason, message.to_owned()),
            authorities(findings),
        ]
    }
}

/// Whether the authorities that a policy names are there.
fn authorities(findings: &[&Finding]) -> Condition {
    let faults = findings
        .iter()
        .filter(|one| one.kind != FindingKind::NotApplied);
    let words = told(faults.clone().copied());
    let kind = faults
        .clone()
        .any(|one| one.kind == FindingKind::UnknownKind);
    match (words.is_empty(), kind) {
        (true, _) => Condition::holds("ResolvedRefs", "ResolvedRefs"),
        (_, true) => Condition::new("ResolvedRefs", false, "InvalidKind", words),
        _ => Condition::new("ResolvedRefs", false, "InvalidCACertificateRef", words),
    }
}

/// Whether what a route names is there.
fn references(findings: &[&Finding]) -> Condition {
    let reason = |finding: &Finding| match finding.kind {
        FindingKind::Reference => Some("BackendNotFound"),
        FindingKind::NotPermitted => Some("RefNotPermitted"),
        FindingKind::UnknownKind => Some("InvalidKind"),
        FindingKind::NotApplied | FindingKind::Invalid | FindingKind::Conflict => None,
    };
    let faults = findings.iter().filter(|finding| reason(finding).is_some());
    match findings.iter().find_map(|finding| reason(finding)) {
        Some(reason) => Condition::new("ResolvedRefs", false, reason, told(faults.copied())),
        None => Condition::holds("ResolvedRefs", "ResolvedRefs"),
    }
}

/// Findings named in one message; the rest is counted.
const NAMED: usize = 8;

pub(crate) fn told<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut parts: Vec<String> = findings
        .map(|finding| format!("{}: {}", finding.field, finding.detail))
        .collect();
    if parts.len() > NAMED {
        let more = parts.len() - NAMED;
        parts.truncate(NAMED);
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}
