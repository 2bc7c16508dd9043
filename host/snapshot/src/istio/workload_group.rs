//! WorkloadGroup: of it the mesh reads the readiness probe, which checks the WorkloadEntries of the group.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use osier_api::Object;
use osier_balancing::{Check, Probe};

use super::GROUP;
use osier_routing::kind::Kind;
use osier_standing::{Finding, Findings};
use osier_traffic::Fields;

pub(crate) const NAME: &str = "WorkloadGroup";
const KIND: Kind = Kind::new(GROUP, NAME);

/// What one WorkloadGroup says.
#[derive(Debug)]
pub(crate) struct WorkloadGroup {
    pub(crate) check: Option<Arc<Check>>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads one WorkloadGroup.
pub(crate) fn compile(object: &Object) -> WorkloadGroup {
    let findings = Findings::about(KIND, object.namespace(), object.name());
    let mut check = None;
    if let Some(mut spec) = Fields::spec(object, &findings) {
        // They are for workloads that register themselves, which is said when the object is applied.
        let _for_registration = (spec.value("metadata"), spec.value("template"));
        let probe = spec.object("probe");
        check = probe.and_then(|mut probe| self::check(&mut probe));
    }
    let findings = findings.into_vec();
    let check = check.map(Arc::new);
    WorkloadGroup { check, findings }
}

fn check(fields: &mut Fields<'_>) -> Option<Check> {
    let seconds = |given: Option<u32>, otherwise: u32| {
        let seconds = given.filter(|seconds| *seconds > 0).unwrap_or(otherwise);
        Duration::from_secs(seconds.into())
    };
    let count = |given: Option<u32>, otherwise: u32| given.unwrap_or(otherwise).max(1);
    let delay = seconds(fields.number("initialDelaySeconds"), 0);
    let timeout = seconds(fields.number("timeoutSeconds"), 1);
    let period = seconds(fields.number("periodSeconds"), 10);
    let successes = count(fields.number("successThreshold"), 1);
    let failures = count(fields.number("failureThreshold"), 3);
    let probe = probe(fields)?;
    Some(Check {
        probe,
        delay,
        timeout,
        period,
        successes,
        failures,
    })
}

fn probe(fields: &mut Fields<'_>) -> Option<Probe> {
    if let Some(mut http) = fields.object("httpGet") {
        return self::http(&mut http);
    }
    if let Some(mut tcp) = fields.object("tcpSocket") {
        return Some(Probe::Tcp {
            port: port(&mut tcp)?,
        });
    }
    for other in ["exec", "grpc"] {
        if fields.value(other).is_some() {
            fields.not_applied(other, "only httpGet and tcpSocket check entries");
        }
    }
    None
}

fn port(fields: &mut Fields<'_>) -> Option<u16> {
    let port = fields.number("port");
    if port.is_none() {
        fields.invalid("port", "is missing; entries are not checked");
    }
    port
}

fn http(fields: &mut Fields<'_>) -> Option<Probe> {
    let path = fields.text("path").filter(|path| !path.is_empty());
    let Ok(path) = path.unwrap_or("/").parse() else {
        fields.invalid("path", "is no path; entries are not checked");
        return None;
    };
    let mut headers = Vec::new();
    for mut header in fields.objects("httpHeaders") {
        let name = header.text("name").map(HeaderName::try_from);
        let value = header.text("value").map(HeaderValue::try_from);
        match (name, value) {
            (Some(Ok(name)), Some(Ok(value))) => headers.push((name, value)),
            _ => header.invalid("name", "with its value is no header; it is not sent"),
        }
    }
    let port = port(fields)?;
    let scheme = fields.text("scheme").unwrap_or("HTTP");
    if !scheme.eq_ignore_ascii_case("HTTP") {
        fields.not_applied("scheme", "only HTTP is asked; entries are not checked");
        return None;
    }
    Some(Probe::Http {
        port,
        path,
        headers,
    })
}
