//! `tls` of a server of Istio's Gateway.

use std::sync::Arc;

use crate::fields::Fields;
use crate::tls::{Credential, Taken, TlsMode, TlsSpec, TlsVersion};

/// TLS, if it can be served, and whether plain requests are sent to `https`.
pub fn server_tls(tls: &mut Fields<'_>, namespace: &str) -> (Option<TlsSpec>, bool) {
    let redirect = tls.flag("httpsRedirect").unwrap_or(false);
    let mode = match tls.text("mode").unwrap_or("PASSTHROUGH") {
        "PASSTHROUGH" => Some(TlsMode::Passthrough),
        "SIMPLE" => Some(TlsMode::Simple),
        "MUTUAL" => Some(TlsMode::Mutual),
        "OPTIONAL_MUTUAL" => Some(TlsMode::OptionalMutual),
        other => {
            let detail = format!("{other}; its server is not opened");
            tls.not_applied("mode", detail);
            None
        }
    };
    let credentials = credentials(tls, namespace);
    let mut said = |key| texts(tls, key);
    let (ciphers, names) = (said("cipherSuites"), said("subjectAltNames"));
    let (keys, certificates) = (said("verifyCertificateSpki"), said("verifyCertificateHash"));
    let spec = mode.map(|mode| TlsSpec {
        authorities: authorities(&credentials),
        taken: Taken {
            names,
            certificates,
            keys,
        },
        ciphers,
        least: version(tls, "minProtocolVersion"),
        greatest: version(tls, "maxProtocolVersion"),
        ..TlsSpec::new(mode, credentials)
    });
    files(tls);
    unasked(tls, spec.as_ref());
    passed_through(tls, spec.as_ref());
    let usable = |spec: &TlsSpec| spec.mode == TlsMode::Passthrough || !spec.credentials.is_empty();
    (spec.filter(usable), redirect)
}

fn texts(tls: &mut Fields<'_>, key: &'static str) -> Vec<Arc<str>> {
    let texts = tls.texts(key).into_iter();
    texts.map(|(_, text)| text.into()).collect()
}

/// Who shows nothing cannot be chosen by what is shown.
fn unasked(tls: &Fields<'_>, spec: Option<&TlsSpec>) {
    let asks = |mode| matches!(mode, TlsMode::Mutual | TlsMode::OptionalMutual);
    let unasked = spec.filter(|spec| !asks(spec.mode) && spec.taken != Taken::default());
    if unasked.is_some() {
        let detail = "says MUTUAL or OPTIONAL_MUTUAL where subjectAltNames, verifyCertificateSpki or verifyCertificateHash \
            choose among clients; they are ignored";
        tls.invalid("mode", detail);
    }
}

/// What is passed through as it comes is agreed on by its ends.
fn passed_through(tls: &Fields<'_>, spec: Option<&TlsSpec>) {
    let passed = spec.filter(|spec| spec.mode == TlsMode::Passthrough);
    if passed.is_some_and(|spec| !spec.ciphers.is_empty()) {
        let detail = "PASSTHROUGH ends no TLS: the suites are those that the client and the destination agree on";
        tls.not_applied("cipherSuites", detail);
    }
}

/// Files are not read: they would be others on each node, and none of them is told when one changes.
fn files(tls: &mut Fields<'_>) {
    let files = [
        ("serverCertificate", "tls.crt"),
        ("privateKey", "tls.key"),
        ("caCertificates", "ca.crt"),
        ("caCrl", "ca.crl"),
    ];
    for (key, name) in files {
        if tls.text(key).is_some_and(|path| !path.is_empty()) {
            let detail = format!(
                "files are not read: name a Secret in credentialName, which holds it as {name}"
            );
            tls.not_applied(key, detail);
        }
    }
}

fn credentials(tls: &mut Fields<'_>, namespace: &str) -> Vec<Credential> {
    let one = tls
        .text("credentialName")
        .map(|name| (tls.at("credentialName"), name));
    let several = tls.texts("credentialNames");
    let named = one.into_iter().chain(several);
    named
        .filter(|(_, name)| !name.is_empty())
        .map(|(field, name)| Credential {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            field,
        })
        .collect()
}

/// Istio keeps authorities beside the certificate, or in a Secret of the same name with `-cacert`.
fn authorities(credentials: &[Credential]) -> Vec<Credential> {
    let apart = |credential: &Credential| Credential {
        name: format!("{}-cacert", credential.name),
        ..credential.clone()
    };
    let first = credentials.first();
    first.cloned().into_iter().chain(first.map(apart)).collect()
}

fn version(tls: &mut Fields<'_>, key: &'static str) -> Option<TlsVersion> {
    match tls.text(key)? {
        "TLS_AUTO" => None,
        "TLSV1_2" => Some(TlsVersion::V1_2),
        "TLSV1_3" => Some(TlsVersion::V1_3),
        other => {
            let detail =
                format!("{other} is not spoken, it is not secure; TLSV1_2 and TLSV1_3 are");
            tls.not_applied(key, detail);
            None
        }
    }
}
