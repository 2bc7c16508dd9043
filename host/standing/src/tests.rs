//! What gateways say of themselves; each row names the page of the specification that it is from,
//! <https://gateway-api.sigs.k8s.io/reference/spec/>.

use osier_routing::kind::Kind;

use super::*;

const GATEWAY: Kind = Kind::new("gateway.networking.k8s.io", "Gateway");
const ADDRESS: &str = "192.0.2.1";

fn listener(name: &str, refused: Option<Refused>) -> ListenerStanding {
    ListenerStanding {
        name: name.to_owned(),
        field: format!("spec.listeners[{name}]"),
        kinds: Vec::new(),
        key: refused.is_none().then_some(ListenerKey::Port(80)),
        refused,
        attached: 0,
        overlapping: false,
        clients: None,
    }
}

fn gateway(listeners: Vec<ListenerStanding>) -> GatewayStanding {
    GatewayStanding {
        subject: Subject {
            resource: GATEWAY,
            namespace: "n".to_owned(),
            name: "g".to_owned(),
            generation: 1,
        },
        listeners,
        addresses: Vec::new(),
        insecure: false,
    }
}

fn said(conditions: &[Condition], kind: &str) -> Option<(bool, &'static str)> {
    let found = conditions.iter().find(|one| one.kind == kind);
    found.map(|one| (one.holds, one.reason))
}

fn of(gateway: &GatewayStanding, findings: &[Finding]) -> GatewayConditions {
    let findings: Vec<&Finding> = findings.iter().collect();
    gateway.conditions(&findings, ADDRESS, |_| Some(Ok("here".to_owned())))
}

fn finding(field: &str, kind: FindingKind) -> Finding {
    Finding {
        resource: GATEWAY,
        namespace: "n".to_owned(),
        name: "g".to_owned(),
        field: field.to_owned(),
        kind,
        detail: "x".to_owned(),
    }
}

#[test]
fn addresses_are_given_or_told() {
    let wish = |kind: &str, value: Option<&str>| AddressWish {
        kind: kind.to_owned(),
        value: value.map(ToOwned::to_owned),
    };
    let fine = (true, "Programmed");
    for (wish, accepted, programmed) in [
        (wish("IPAddress", Some(ADDRESS)), (true, "Accepted"), fine),
        (wish("IPAddress", None), (true, "Accepted"), fine),
        (
            wish("IPAddress", Some("192.0.2.2")),
            (true, "Accepted"),
            (false, "AddressNotUsable"),
        ),
        (
            wish("Hostname", Some("a.test")),
            (false, "UnsupportedAddress"),
            (false, "AddressNotUsable"),
        ),
    ] {
        let gateway = GatewayStanding {
            addresses: vec![wish],
            ..gateway(vec![listener("a", None)])
        };
        let told = of(&gateway, &[]);
        let wish = &gateway.addresses;
        assert_eq!(said(&told.gateway, "Accepted"), Some(accepted), "{wish:?}");
        assert_eq!(
            said(&told.gateway, "Programmed"),
            Some(programmed),
            "{wish:?}"
        );
    }
}

#[test]
fn a_gateway_names_the_listeners_that_do_not_hold() {
    let unsupported = listener("udp", Some(Refused::Unsupported));
    let told = of(&gateway(vec![listener("a", None), unsupported]), &[]);
    assert_eq!(
        said(&told.gateway, "Accepted"),
        Some((true, "ListenersNotValid"))
    );
    let accepted = told.gateway.iter().find(|one| one.kind == "Accepted");
    assert!(
        accepted.is_some_and(|one| one.message.ends_with(" udp")),
        "{told:?}"
    );
    assert_eq!(
        said(&told.gateway, "ResolvedRefs"),
        Some((true, "ResolvedRefs"))
    );
    let told = of(
        &gateway(vec![listener("a", Some(Refused::Parameters))]),
        &[],
    );
    assert_eq!(
        said(&told.gateway, "Accepted"),
        Some((false, "InvalidParameters"))
    );
    assert_eq!(said(&told.gateway, "Programmed"), Some((false, "Invalid")));
}

/// GatewayInvalidTLSBackendConfiguration: the gateway serves all the same.
#[test]
fn what_is_wrong_with_what_backends_are_shown_is_told_of_the_gateway() {
    for (kind, expected) in [
        (
            FindingKind::Reference,
            (false, "InvalidClientCertificateRef"),
        ),
        (
            FindingKind::UnknownKind,
            (false, "InvalidClientCertificateRef"),
        ),
        (FindingKind::NotPermitted, (false, "RefNotPermitted")),
        (FindingKind::NotApplied, (true, "ResolvedRefs")),
    ] {
        let found = [finding("spec.tls.backend.clientCertificateRef", kind)];
        let told = of(&gateway(vec![listener("a", None)]), &found);
        assert_eq!(said(&told.gateway, "ResolvedRefs"), Some(expected));
        assert_eq!(said(&told.gateway, "Accepted"), Some((true, "Accepted")));
        assert_eq!(
            said(&told.gateway, "Programmed"),
            Some((true, "Programmed"))
        );
    }
}

#[test]
fn what_is_wrong_with_the_authorities_of_clients_is_told_at_the_listener() {
    for (kind, reason) in [
        (FindingKind::Reference, "InvalidCACertificateRef"),
        (FindingKind::UnknownKind, "InvalidCACertificateKind"),
        (FindingKind::NotPermitted, "RefNotPermitted"),
    ] {
        let field = "spec.tls.frontend.default.validation";
        let refused = ListenerStanding {
            clients: Some(field.to_owned()),
            ..listener("a", Some(Refused::Authorities))
        };
        let found = [finding(&format!("{field}.caCertificateRefs[0]"), kind)];
        let told = of(&gateway(vec![refused, listener("b", None)]), &found);
        let [own, other] = &told.listeners[..] else {
            unreachable!("two listeners")
        };
        assert_eq!(said(own, "Accepted"), Some((false, "NoValidCACertificate")));
        assert_eq!(said(own, "ResolvedRefs"), Some((false, reason)));
        assert_eq!(said(own, "Programmed"), Some((false, "Invalid")));
        assert_eq!(said(other, "ResolvedRefs"), Some((true, "ResolvedRefs")));
        assert_eq!(
            said(&told.gateway, "ResolvedRefs"),
            Some((false, "ListenersNotResolved"))
        );
    }
}

#[test]
fn what_is_only_told_when_it_is_so_is_else_left_out() {
    let told = of(&gateway(vec![listener("a", None)]), &[]);
    assert_eq!(said(&told.listeners[0], "OverlappingTLSConfig"), None);
    assert_eq!(said(&told.gateway, "InsecureFrontendValidationMode"), None);
    let overlapping = ListenerStanding {
        overlapping: true,
        ..listener("a", None)
    };
    let gateway = GatewayStanding {
        insecure: true,
        ..gateway(vec![overlapping])
    };
    let told = of(&gateway, &[]);
    let overlaps = said(&told.listeners[0], "OverlappingTLSConfig");
    assert_eq!(overlaps, Some((true, "OverlappingHostnames")));
    let insecure = said(&told.gateway, "InsecureFrontendValidationMode");
    assert_eq!(insecure, Some((true, "ConfigurationChanged")));
}
