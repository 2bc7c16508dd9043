//! Conditions of gateways, listeners and routes, with the types and reasons of the Gateway API's specification
//! (<https://gateway-api.sigs.k8s.io/geps/gep-1364/>). Pure: who writes them adds the times.

use super::{
    Attachment, GatewayStanding, ListenerStanding, ParentStanding, PolicyFault, PolicyStanding,
};
use crate::finding::{Finding, FindingKind};
use crate::gateways::Refused;
use crate::listener::ListenerKey;

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

/// What became of a port that was asked for: where it is served, or why it is not; `None` while it is being opened.
pub type Opening = Option<Result<String, String>>;

/// What is said of a gateway.
#[derive(Debug)]
pub struct GatewayConditions {
    /// Of the gateway as a whole.
    pub gateway: Vec<Condition>,
    /// Of its listeners, in order.
    pub listeners: Vec<Vec<Condition>>,
}

impl Condition {
    fn new(kind: &'static str, holds: bool, reason: &'static str, message: String) -> Self {
        Self {
            kind,
            holds,
            reason,
            message,
        }
    }

    fn holds(kind: &'static str, reason: &'static str) -> Self {
        Self::new(kind, true, reason, String::new())
    }
}

impl GatewayStanding {
    /// What is said of the gateway, of which `findings` are.
    pub fn conditions(
        &self,
        findings: &[&Finding],
        opening: impl Fn(ListenerKey) -> Opening,
    ) -> GatewayConditions {
        let of = |listener: &ListenerStanding| listener.conditions(findings, &opening);
        let listeners: Vec<Vec<Condition>> = self.listeners.iter().map(of).collect();
        let count = |kind: &str| {
            let holds = |one: &&Condition| one.kind == kind && one.holds;
            listeners.iter().flatten().filter(holds).count()
        };
        let (accepted, programmed) = (count("Accepted"), count("Programmed"));
        let all = accepted == self.listeners.len() && count("ResolvedRefs") == accepted;
        let reason = if all { "Accepted" } else { "ListenersNotValid" };
        let message = unapplied(findings);
        let (holds, why, words) = match (programmed, accepted) {
            (0, 0) => (false, "Invalid", "no listener can be opened"),
            (0, _) => (false, "Pending", "no listener is open yet"),
            _ => (true, "Programmed", ""),
        };
        let gateway = vec![
            Condition::new("Accepted", accepted > 0, reason, message),
            Condition::new("Programmed", holds, why, words.to_owned()),
        ];
        GatewayConditions { gateway, listeners }
    }
}

/// What is asked and not done.
fn unapplied(findings: &[&Finding]) -> String {
    let unapplied = findings.iter();
    let unapplied = unapplied.filter(|finding| finding.kind == FindingKind::NotApplied);
    told(unapplied.copied())
}

impl ListenerStanding {
    fn conditions(
        &self,
        findings: &[&Finding],
        opening: impl Fn(ListenerKey) -> Opening,
    ) -> Vec<Condition> {
        let opening = self.key.and_then(opening);
        let own = self.findings(findings);
        let accepted = self.accepted(&own, &opening);
        let (resolved, certified) = resolved(&own, self.refused);
        let conflicted = self.conflicted(&own);
        let programmed = match opening {
            Some(Ok(place)) if certified => Condition::new("Programmed", true, "Programmed", place),
            None if accepted.holds && certified => {
                let message = "the port is being opened".to_owned();
                Condition::new("Programmed", false, "Pending", message)
            }
            _ => {
                let faults = [&accepted, &resolved].into_iter().find(|one| !one.holds);
                let message = faults.map_or("", |one| &one.message).to_owned();
                Condition::new("Programmed", false, "Invalid", message)
            }
        };
        vec![accepted, resolved, conflicted, programmed]
    }

    fn findings<'a>(&self, findings: &[&'a Finding]) -> Vec<(&'a str, &'a Finding)> {
        let own = findings.iter().filter_map(|finding| {
            let rest = finding.field.strip_prefix(&*self.field)?;
            Some((rest.strip_prefix('.')?, *finding))
        });
        own.collect()
    }

    fn accepted(&self, own: &[(&str, &Finding)], opening: &Opening) -> Condition {
        let refuse =
            |reason, message: &str| Condition::new("Accepted", false, reason, message.to_owned());
        let conflict = own
            .iter()
            .find(|(field, finding)| *field == "port" && finding.kind == FindingKind::Conflict);
        match (self.refused, opening) {
            (Some(Refused::Unsupported), _) => {
                refuse("UnsupportedProtocol", "the protocol is not served")
            }
            (Some(Refused::Protocol), _) => refuse("ProtocolConflict", ""),
            (Some(Refused::Hostname), _) => refuse("HostnameConflict", ""),
            (_, Some(Err(error))) => refuse("PortUnavailable", error),
            _ => match conflict {
                Some((_, finding)) => refuse("PortUnavailable", &finding.detail),
                None => Condition::holds("Accepted", "Accepted"),
            },
        }
    }

    fn conflicted(&self, own: &[(&str, &Finding)]) -> Condition {
        let of_hosts = |(field, finding): &&(&str, &Finding)| {
            *field == "hosts" && finding.kind == FindingKind::Conflict
        };
        let (reason, message) = match self.refused {
            Some(Refused::Protocol) => (
                "ProtocolConflict",
                "another listener uses the port with another protocol",
            ),
            Some(Refused::Hostname) => (
                "HostnameConflict",
                "another listener takes the same host on the port",
            ),
            _ => match own.iter().find(of_hosts) {
                Some((_, finding)) => ("HostnameConflict", finding.detail.as_str()),
                None => ("NoConflicts", ""),
            },
        };
        let holds = reason != "NoConflicts";
        Condition::new("Conflicted", holds, reason, message.to_owned())
    }
}

/// Whether what a listener names is there, and whether it has certificates if it needs some.
fn resolved(own: &[(&str, &Finding)], refused: Option<Refused>) -> (Condition, bool) {
    let fault = |reason, message| Condition::new("ResolvedRefs", false, reason, message);
    let of_tls = own.iter().filter(|(field, finding)| {
        field.starts_with("tls") && finding.kind != FindingKind::NotApplied
    });
    let of_tls: Vec<&Finding> = of_tls.map(|(_, finding)| *finding).collect();
    if let Some(first) = of_tls.first() {
        let reason = match first.kind {
            FindingKind::NotPermitted => "RefNotPermitted",
            _ => "InvalidCertificateRef",
        };
        return (fault(reason, told(of_tls.iter().copied())), false);
    }
    if refused == Some(Refused::Certificates) {
        let message = "the listener names no certificate".to_owned();
        return (fault("InvalidCertificateRef", message), false);
    }
    let of_kinds = |(field, _): &&(&str, &Finding)| field.starts_with("allowedRoutes.kinds");
    let resolved = match own.iter().find(of_kinds) {
        Some((_, finding)) => fault("InvalidRouteKinds", finding.detail.clone()),
        None => Condition::holds("ResolvedRefs", "ResolvedRefs"),
    };
    (resolved, true)
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
            Some(PolicyFault::TargetNotFound) => ("TargetNotFound", "none of its Services exists"),
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

fn told<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
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
