//! What of a container's spec has no effect for components.

use osier_validation::At;
use serde_json::Value;

use crate::said::{no_effect, said};

/// Of a container; those that come first are init containers.
pub(crate) fn container(container: &At<'_>, first: bool, found: &mut Vec<String>) {
    security(&container.at("securityContext"), found);
    resources(&container.at("resources"), found);
    let own = |path: &At<'_>| path.is_set() && path.text() != "/dev/termination-log";
    let why = "nothing is read from a file when a container ends; why it ended is in its status";
    said(found, container.at("terminationMessagePath"), own, why);
    said(
        found,
        container.at("volumeDevices"),
        At::is_set,
        "a component is given directories, not block devices",
    );
    said(
        found,
        container.at("workingDir"),
        At::is_set,
        "WASI has no working directory; name files by their whole path",
    );
    ends(container, first, found);
    container
        .at("volumeMounts")
        .items()
        .iter()
        .for_each(|one| mount(one, found));
    container
        .at("ports")
        .items()
        .iter()
        .for_each(|one| port(one, found));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let probe = container.at(probe);
        let why = "the container's own grace is kept, which its pod states";
        said(
            found,
            probe.at("terminationGracePeriodSeconds"),
            At::is_present,
            why,
        );
        call(&probe, found);
    }
    for hook in ["postStart", "preStop"] {
        let hook = container.at("lifecycle").at(hook);
        let why = "no version of Kubernetes does anything for it: use exec, httpGet or sleep";
        said(found, hook.at("tcpSocket"), At::is_present, why);
        call(&hook, found);
    }
    for variable in container.at("env").items() {
        let file = variable.at("valueFrom").at("fileKeyRef");
        if file.is_present() {
            found.push(format!(
                "{}: cannot be read in this version, and the container waits with CreateContainerConfigError: use a ConfigMap or a Secret",
                file.path
            ));
        }
    }
    let signal = container.at("lifecycle").at("stopSignal");
    let why = "a component knows no signals: use preStop";
    said(found, signal, At::is_set, why);
}

/// How it ends, and what follows.
fn ends(container: &At<'_>, first: bool, found: &mut Vec<String>) {
    let from_logs = |policy: &At<'_>| policy.text() == "FallbackToLogsOnError";
    let why = "why it ended is in its status, and what it wrote in `kubectl logs --previous`";
    let policy = container.at("terminationMessagePolicy");
    said(found, policy, from_logs, why);
    let why = "containers restart by the policy of their pod";
    if !first {
        said(found, container.at("restartPolicy"), At::is_set, why);
    }
    said(found, container.at("restartPolicyRules"), At::is_set, why);
    let why = "what a container may use changes with a new pod";
    said(found, container.at("resizePolicy"), At::is_set, why);
}

fn mount(mount: &At<'_>, found: &mut Vec<String>) {
    let private = |field: &At<'_>| field.is_set() && field.text() != "None";
    let why = "a component sees what is in its directory and mounts nothing itself";
    said(found, mount.at("mountPropagation"), private, why);
    let why = "a component is given a directory and runs nothing that lies in it";
    said(found, mount.at("bindMountOptions"), At::is_set, why);
}

fn port(port: &At<'_>, found: &mut Vec<String>) {
    let positive = |port: &At<'_>| port.int().is_some_and(|number| number > 0);
    let why = "reach the pod through a Service or a Gateway";
    said(found, port.at("hostPort"), positive, why);
    said(found, port.at("hostIP"), At::is_set, why);
    let sctp = |protocol: &At<'_>| protocol.text() == "SCTP";
    let why = "components have sockets of TCP and UDP";
    said(found, port.at("protocol"), sctp, why);
}

/// What probes and hooks cannot ask for: they call the container itself, in memory.
fn call(handler: &At<'_>, found: &mut Vec<String>) {
    let why = "the container itself is asked, and nobody else";
    for kind in ["httpGet", "tcpSocket"] {
        said(found, handler.at(kind).at("host"), At::is_set, why);
    }
    let secure = |scheme: &At<'_>| scheme.text() == "HTTPS";
    let why = "a component is called in memory, without TLS";
    said(found, handler.at("httpGet").at("scheme"), secure, why);
    said(found, handler.at("httpGet").at("protocol"), At::is_set, why);
    let secure = |mode: &At<'_>| mode.text() == "TLS";
    said(found, handler.at("grpc").at("mode"), secure, why);
}

/// What is counted of a node: its processors, memory and disk, its places for pods, and what its Node says besides.
fn resources(resources: &At<'_>, found: &mut Vec<String>) {
    let given = ["cpu", "memory", "ephemeral-storage"];
    for bound in ["requests", "limits"] {
        let all = resources.at(bound).entries().into_iter();
        let devices = all.filter(|(name, _)| !given.contains(name));
        found.extend(devices.map(|(_, amount)| {
            let path = &amount.path;
            format!("{path}: is counted when the pod is placed, but a component is given no device")
        }));
    }
    let why = "nodes have no devices to give away";
    said(found, resources.at("claims"), At::is_set, why);
}

/// Everything in a security context is about processes and files of a kernel, which a component has none of.
pub(crate) fn security(context: &At<'_>, found: &mut Vec<String>) {
    for (_, field) in context.entries() {
        let off = field.value == &Value::Bool(false);
        if field.is_set() && !off {
            found.push(no_effect(
                &field,
                "a component has no user, no capabilities and no kernel below it",
            ));
        }
    }
}
