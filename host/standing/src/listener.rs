//! A listener of a gateway: the conditions that say whether it is served, and why not
//! (<https://gateway-api.sigs.k8s.io/reference/spec/#listenerconditiontype>).

use crate::conditions::{Condition, told};
use crate::finding::{Finding, FindingKind};
use crate::opening::{ListenerKey, Opening, Refused};
use crate::standings::ListenerStanding;

impl Refused {
    /// The reason of the condition `Accepted`, and for a person; `None` where the listener is accepted all the same.
    fn unaccepted(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Protocol => Some(("ProtocolConflict", ANOTHER_PROTOCOL)),
            Self::Hostname => Some(("HostnameConflict", SAME_HOST)),
            Self::Unsupported => Some(("UnsupportedProtocol", "the protocol is not served")),
            Self::Authorities => Some((
                "NoValidCACertificate",
                "no authority that clients are checked against can be used: no connection is taken",
            )),
            Self::Parameters => Some((
                "Invalid",
                "the Gateway is not accepted: spec.infrastructure.parametersRef",
            )),
            Self::Certificates => None,
        }
    }
}

const ANOTHER_PROTOCOL: &str = "another listener uses the port with another protocol";
const SAME_HOST: &str = "another listener takes the same host on the port";
const OVERLAPS: &str = "another listener has TLS on this port for some of the same hosts: a client that \
                        uses a connection again may send one's requests over the other's; they are answered with 421";

/// A listener's own findings, each with the rest of its field's path.
type Own<'a> = Vec<(&'a str, &'a Finding)>;

impl ListenerStanding {
    pub(crate) fn conditions(
        &self,
        findings: &[&Finding],
        opening: impl Fn(ListenerKey) -> Opening,
    ) -> Vec<Condition> {
        let opening = self.key.and_then(opening);
        let own = below(&self.field, findings);
        let accepted = self.accepted(&own, &opening);
        let (resolved, certified) = self.resolved(&own, findings);
        let conflicted = self.conflicted(&own);
        let programmed = programmed(opening, certified, [&accepted, &resolved]);
        let mut conditions = vec![accepted, resolved, conflicted, programmed];
        if self.overlapping {
            let reason = "OverlappingHostnames";
            let overlaps = Condition::new("OverlappingTLSConfig", true, reason, OVERLAPS.into());
            conditions.push(overlaps);
        }
        conditions
    }

    fn accepted(&self, own: &Own<'_>, opening: &Opening) -> Condition {
        let refuse =
            |reason, message: &str| Condition::new("Accepted", false, reason, message.to_owned());
        let mut own = own.iter();
        let conflict =
            own.find(|(field, finding)| *field == "port" && finding.kind == FindingKind::Conflict);
        match (self.refused.and_then(Refused::unaccepted), opening) {
            (Some((reason, message)), _) => refuse(reason, message),
            (None, Some(Err(error))) => refuse("PortUnavailable", error),
            (None, _) => match conflict {
                Some((_, finding)) => refuse("PortUnavailable", &finding.detail),
                None => Condition::holds("Accepted", "Accepted"),
            },
        }
    }

    fn conflicted(&self, own: &Own<'_>) -> Condition {
        let of_hosts = |(field, finding): &&(&str, &Finding)| {
            *field == "hosts" && finding.kind == FindingKind::Conflict
        };
        let (reason, message) = match self.refused {
            Some(Refused::Protocol) => ("ProtocolConflict", ANOTHER_PROTOCOL),
            Some(Refused::Hostname) => ("HostnameConflict", SAME_HOST),
            _ => match own.iter().find(of_hosts) {
                Some((_, finding)) => ("HostnameConflict", finding.detail.as_str()),
                None => ("NoConflicts", ""),
            },
        };
        let holds = reason != "NoConflicts";
        Condition::new("Conflicted", holds, reason, message.to_owned())
    }

    /// Whether what it names is there, and whether it has what TLS needs, if it needs some.
    fn resolved(&self, own: &Own<'_>, findings: &[&Finding]) -> (Condition, bool) {
        let fault = |reason, message| Condition::new("ResolvedRefs", false, reason, message);
        let of_tls = own.iter().filter(|(field, _)| field.starts_with("tls"));
        let of_tls = faults(of_tls.map(|(_, finding)| *finding));
        if let Some(first) = of_tls.first() {
            let reason = match first.kind {
                FindingKind::NotPermitted => "RefNotPermitted",
                _ => "InvalidCertificateRef",
            };
            return (fault(reason, told(of_tls.iter().copied())), false);
        }
        if self.refused == Some(Refused::Certificates) {
            let message = "the listener names no certificate".to_owned();
            return (fault("InvalidCertificateRef", message), false);
        }
        let of_clients = self.clients.iter().flat_map(|field| below(field, findings));
        let of_clients = faults(of_clients.map(|(_, finding)| finding));
        if let Some(first) = of_clients.first() {
            let reason = match first.kind {
                FindingKind::NotPermitted => "RefNotPermitted",
                FindingKind::UnknownKind => "InvalidCACertificateKind",
                _ => "InvalidCACertificateRef",
            };
            let usable = self.refused != Some(Refused::Authorities);
            return (fault(reason, told(of_clients.iter().copied())), usable);
        }
        let of_kinds = |(field, _): &&(&str, &Finding)| field.starts_with("allowedRoutes.kinds");
        let resolved = match own.iter().find(of_kinds) {
            Some((_, finding)) => fault("InvalidRouteKinds", finding.detail.clone()),
            None => Condition::holds("ResolvedRefs", "ResolvedRefs"),
        };
        (resolved, true)
    }
}

fn programmed(
    opening: Opening,
    certified: bool,
    [accepted, resolved]: [&Condition; 2],
) -> Condition {
    match opening {
        Some(Ok(place)) if certified => Condition::new("Programmed", true, "Programmed", place),
        None if accepted.holds && certified => {
            let message = "the port is being opened".to_owned();
            Condition::new("Programmed", false, "Pending", message)
        }
        _ => {
            let faults = [accepted, resolved].into_iter().find(|one| !one.holds);
            let message = faults.map_or("", |one| &one.message).to_owned();
            Condition::new("Programmed", false, "Invalid", message)
        }
    }
}

/// The findings below a field, each with the rest of its path.
fn below<'a>(field: &str, findings: &[&'a Finding]) -> Own<'a> {
    let own = findings.iter().filter_map(|finding| {
        let rest = finding.field.strip_prefix(field)?;
        Some((rest.strip_prefix('.')?, *finding))
    });
    own.collect()
}

/// What is wrong, not only left undone.
fn faults<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<&'a Finding> {
    findings
        .filter(|finding| finding.kind != FindingKind::NotApplied)
        .collect()
}
