//! A gateway as a whole: its addresses, and the conditions that sum up its listeners
//! (<https://gateway-api.sigs.k8s.io/reference/spec/#gatewayconditiontype>).

use crate::conditions::{Condition, told};
use crate::finding::{Finding, FindingKind};
use crate::opening::{ListenerKey, Opening, Refused};
use crate::standings::{AddressWish, GatewayStanding, ListenerStanding};

/// What is said of a gateway.
#[derive(Debug)]
pub struct GatewayConditions {
    /// Of the gateway as a whole.
    pub gateway: Vec<Condition>,
    /// Of its listeners, in order.
    pub listeners: Vec<Vec<Condition>>,
}

impl GatewayConditions {
    /// Whether the gateway takes traffic.
    pub fn programmed(&self) -> bool {
        let mut all = self.gateway.iter();
        all.any(|one| one.kind == "Programmed" && one.holds)
    }

    /// The listeners of which a condition does not hold, by their names.
    fn without<'a>(&self, kind: &str, of: &'a [ListenerStanding]) -> Vec<&'a str> {
        let listeners = of.iter().zip(&self.listeners);
        let without = listeners.filter(|(_, said)| {
            let mut all = said.iter();
            !all.any(|one| one.kind == kind && one.holds)
        });
        without.map(|(listener, _)| &*listener.name).collect()
    }
}

impl GatewayStanding {
    /// What is said of the gateway, of which `findings` are; `address` is where the node takes outside traffic.
    pub fn conditions(
        &self,
        findings: &[&Finding],
        address: &str,
        opening: impl Fn(ListenerKey) -> Opening,
    ) -> GatewayConditions {
        let of = |listener: &ListenerStanding| listener.conditions(findings, &opening);
        let mut said = GatewayConditions {
            gateway: Vec::new(),
            listeners: self.listeners.iter().map(of).collect(),
        };
        said.gateway = vec![
            self.accepted(&said, findings),
            self.programmed(&said, address),
            self.resolved(&said, findings),
        ];
        if self.insecure {
            let message = "clients are not asked for certificates (AllowInsecureFallback)";
            let (kind, reason) = ("InsecureFrontendValidationMode", "ConfigurationChanged");
            let insecure = Condition::new(kind, true, reason, message.to_owned());
            said.gateway.push(insecure);
        }
        said
    }

    fn accepted(&self, said: &GatewayConditions, findings: &[&Finding]) -> Condition {
        let refuse = |reason, message| Condition::new("Accepted", false, reason, message);
        let unfit = self.listeners.iter();
        if unfit
            .clone()
            .any(|one| one.refused == Some(Refused::Parameters))
        {
            let message = "spec.infrastructure.parametersRef: gateways take no parameters";
            return refuse("InvalidParameters", message.to_owned());
        }
        if let Some(wish) = self.addresses.iter().find(|wish| wish.kind != IP_ADDRESS) {
            let message = format!(
                "spec.addresses: an address of type {} cannot be given, only {IP_ADDRESS}",
                wish.kind
            );
            return refuse("UnsupportedAddress", message);
        }
        let unaccepted = said.without("Accepted", &self.listeners);
        let mut invalid = said.without("ResolvedRefs", &self.listeners);
        invalid.extend(&unaccepted);
        invalid.sort_unstable();
        invalid.dedup();
        let holds = unaccepted.len() < self.listeners.len();
        if invalid.is_empty() {
            return Condition::new("Accepted", holds, "Accepted", unapplied(findings));
        }
        let mut message = format!("see the conditions of listeners {}", invalid.join(", "));
        let unapplied = unapplied(findings);
        if !unapplied.is_empty() {
            message = format!("{message}; {unapplied}");
        }
        Condition::new("Accepted", holds, "ListenersNotValid", message)
    }

    fn programmed(&self, said: &GatewayConditions, address: &str) -> Condition {
        let refuse = |reason, message: String| Condition::new("Programmed", false, reason, message);
        let count = |kind| self.listeners.len() - said.without(kind, &self.listeners).len();
        match (count("Programmed"), count("Accepted")) {
            (0, 0) => refuse("Invalid", "no listener can be opened".to_owned()),
            (0, _) => refuse("Pending", "no listener is open yet".to_owned()),
            _ => match self.addresses.iter().find(|wish| !wish.is(address)) {
                None => Condition::holds("Programmed", "Programmed"),
                Some(wish) => refuse(
                    "AddressNotUsable",
                    format!(
                        "spec.addresses: {} {} is not an address of this gateway, which is reached at {address}; ask for that one, \
                         or for none",
                        wish.kind,
                        wish.value.as_deref().unwrap_or_default()
                    ),
                ),
            },
        }
    }

    /// Whether what it names for its backends is there; and a summary of the listeners.
    fn resolved(&self, said: &GatewayConditions, findings: &[&Finding]) -> Condition {
        let of_backends = findings.iter().filter(|finding| {
            finding.field.starts_with("spec.tls.backend") && finding.kind != FindingKind::NotApplied
        });
        if let Some(first) = of_backends.clone().next() {
            let reason = match first.kind {
                FindingKind::NotPermitted => "RefNotPermitted",
                _ => "InvalidClientCertificateRef",
            };
            let message = told(of_backends.copied());
            return Condition::new("ResolvedRefs", false, reason, message);
        }
        let unresolved = said.without("ResolvedRefs", &self.listeners);
        if unresolved.is_empty() {
            return Condition::holds("ResolvedRefs", "ResolvedRefs");
        }
        let message = format!("see the conditions of listeners {}", unresolved.join(", "));
        Condition::new("ResolvedRefs", false, "ListenersNotResolved", message)
    }
}

const IP_ADDRESS: &str = "IPAddress";

impl AddressWish {
    /// Whether this address is what is asked for.
    fn is(&self, address: &str) -> bool {
        let value = self.value.as_deref();
        self.kind == IP_ADDRESS && value.is_none_or(|value| value == address)
    }
}

/// What is asked and not done.
fn unapplied(findings: &[&Finding]) -> String {
    let unapplied = findings.iter();
    let unapplied = unapplied.filter(|finding| finding.kind == FindingKind::NotApplied);
    told(unapplied.copied())
}
