//! Plugins and policies. Expressions are type-checked where the plugin's interface is known, not here.

use std::time::Duration;

use serde_json::Value;

use super::at::{At, unique};
use super::{metadata, names};
use osier_api::{Fault, duration, quantity};

const LEAST_MEMORY: u64 = 64 * 1024;
const MOST_MEMORY: u64 = 1024 * 1024 * 1024;
const LONGEST_CALL: Duration = Duration::from_secs(10);

pub(super) fn check_plugin(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = image(&spec.at("image"));
    let digest = spec.at("digest");
    if digest.is_set() && !is_digest(digest.text()) {
        faults.push(digest.invalid("must be sha256: and 64 hexadecimal digits in lower case"));
    }
    let grants = spec.at("grants");
    faults.extend(grants.at("http").items().iter().filter_map(origin));
    for (name, _) in grants.at("env").entries() {
        faults.extend(
            names::variable(name)
                .into_iter()
                .map(|words| Fault::invalid(grants.at("env").path, name, words)),
        );
    }
    faults.extend(
        grants
            .at("keyvalue")
            .items()
            .iter()
            .flat_map(|bucket| bucket.name(names::subdomain)),
    );
    faults.extend(
        grants
            .at("logs")
            .items()
            .iter()
            .flat_map(|stream| stream.name(names::subdomain)),
    );
    faults.extend(memory(&spec.at("limits").at("memory")));
    faults.extend(deadline(&spec.at("limits").at("deadline")));
    faults
}

/// `oci://`, `file://`, `builtin://`, or a name imported into the node.
fn image(image: &At<'_>) -> Vec<Fault> {
    if !image.is_present() {
        return Vec::new();
    }
    let text = image.text();
    let words = match text.split_once("://") {
        Some(("oci", rest)) if reference(rest) && rest.contains('/') => return Vec::new(),
        Some(("oci", _)) => "must be oci://REGISTRY/NAME[:TAG|@DIGEST]",
        Some(("file", path)) if inside(path) => return Vec::new(),
        Some(("file", _)) => "must be a path below the node's data directory, without '..'",
        Some(("builtin", name)) if names::label(name).is_empty() => return Vec::new(),
        Some(("builtin", _)) => "must be builtin:// and the name of a bundled plugin",
        Some(_) => {
            "must begin with oci://, file:// or builtin://, or be the name of an imported image"
        }
        None if reference(text) => return Vec::new(),
        None => {
            "must be the name of an imported image (see `osier image import`), or begin with oci://, file:// or builtin://"
        }
    };
    match image.is_set() {
        true => vec![image.invalid(words)],
        false => vec![image.required(words)],
    }
}

/// Letters, digits and `._-/:@`, beginning with a letter or digit.
fn reference(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c))
}

fn inside(path: &str) -> bool {
    !path.trim_matches('/').is_empty() && path.split('/').all(|part| part != "..")
}

fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:")
        .is_some_and(|digits| digits.len() == 64 && digits.chars().all(hex))
}

/// `http[s]://host[:port]`, without a path.
fn origin(origin: &At<'_>) -> Option<Fault> {
    let rest = origin
        .text()
        .strip_prefix("https://")
        .or_else(|| origin.text().strip_prefix("http://"));
    let fits = rest.is_some_and(|rest| {
        let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
        names::host(host).is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    (!fits).then(|| {
        origin.invalid("must be an origin such as https://limits.example:8443, without a path")
    })
}

fn memory(memory: &At<'_>) -> Option<Fault> {
    let bytes = quantity::bytes(memory.value.as_str()?);
    let fits = bytes.is_ok_and(|bytes| (LEAST_MEMORY..=MOST_MEMORY).contains(&bytes));
    (!fits).then(|| memory.invalid("must be from 64Ki to 1Gi"))
}

fn deadline(deadline: &At<'_>) -> Option<Fault> {
    let text = deadline.value.as_str()?;
    match duration::parse(text) {
        Err(error) => Some(deadline.invalid(error.to_string())),
        Ok(time) if time.is_zero() || time > LONGEST_CALL => {
            Some(deadline.invalid("must be more than 0 and at most 10s"))
        }
        Ok(_) => None,
    }
}

pub(super) fn check_policy(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (targets, selector) = (spec.at("targetRefs"), spec.at("selector"));
    if targets.is_set() && selector.is_present() {
        faults.push(selector.forbidden(
            "targetRefs and selector exclude each other: name objects or select workloads",
        ));
    }
    faults.extend(unique(targets.items()));
    for target in targets.items() {
        faults.extend(present_name(&target.at("name"), names::subdomain));
    }
    faults.extend(metadata::selector(&selector));
    let condition = spec.at("match");
    if condition
        .value
        .as_str()
        .is_some_and(|text| text.trim().is_empty())
    {
        faults.push(
            condition.invalid("must be an expression; leave the field out to match every call"),
        );
    }
    let headers = ["requestHeaders", "responseHeaders"].map(|field| spec.at(field));
    let actions = spec.at("actions");
    if !actions.is_present() && headers.iter().all(|list| list.items().is_empty()) {
        faults.push(actions.required("name at least one plugin and template or hook"));
    }
    for action in spec.at("actions").items() {
        faults.extend(self::action(&action));
    }
    faults.extend(rollout(&spec.at("rollout")));
    faults
}

/// The schema says that it is required; here only its form.
fn present_name(at: &At<'_>, rule: fn(&str) -> Vec<String>) -> Vec<Fault> {
    if at.is_present() {
        at.name(rule)
    } else {
        Vec::new()
    }
}

fn action(action: &At<'_>) -> Vec<Fault> {
    let template = action.at("template");
    let mut faults = present_name(&action.at("plugin"), names::subdomain);
    let hook = action.at("hook");
    if template.is_present() && hook.is_present() {
        faults.push(hook.forbidden("template and hook exclude each other"));
    }
    if !template.is_present() && !hook.is_present() {
        faults.push(template.required("name a template, such as quota, or a hook, such as filter"));
    }
    if template.is_present() && !is_interface(template.text()) {
        faults.push(template.invalid("must be a template's name such as quota, or an interface such as acme:checks/tier@1.0.0"));
    }
    for (name, field) in action.at("fields").entries() {
        if name.is_empty() || field.text().trim().is_empty() {
            faults.push(field.invalid("must be a field name with an expression"));
        }
    }
    for (name, value) in action.at("attributes").entries() {
        if name.is_empty() || value.text().trim().is_empty() {
            faults.push(value.invalid("must be the name of an attribute with an expression"));
        }
    }
    let amount = action.at("amount");
    if amount
        .value
        .as_str()
        .is_some_and(|text| text.trim().is_empty())
    {
        faults.push(amount.invalid("must be an expression; leave the field out for 1"));
    }
    faults
}

/// `name`, or `namespace:package/name@version`.
fn is_interface(text: &str) -> bool {
    let (name, version) = text.split_once('@').unwrap_or((text, "0"));
    let word = |part: &str| !part.is_empty() && names::label(part).is_empty();
    let path = match name.split_once('/') {
        None => word(name),
        Some((package, interface)) => {
            word(interface)
                && package
                    .split_once(':')
                    .is_some_and(|(space, package)| word(space) && word(package))
        }
    };
    path && version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
        && !version.is_empty()
}

fn rollout(rollout: &At<'_>) -> Vec<Fault> {
    let mut faults = present_name(&rollout.at("plugin"), names::subdomain);
    let abort = rollout.at("abortOn");
    let rate = abort.at("errorRate");
    let percent = |text: &str| {
        text.strip_suffix('%')
            .and_then(|number| number.parse::<f64>().ok())
    };
    if rate.value != &Value::Null
        && !percent(rate.text()).is_some_and(|share| (0.0..=100.0).contains(&share))
    {
        faults.push(rate.invalid("must be a percentage such as 1%"));
    }
    faults.extend(abort.at("p99").duration());
    faults
}
