//! Gateways and DestinationRules.

use super::at::{At, unique};
use super::{export, metadata, names};
use osier_api::Fault;

pub(super) const PROTOCOLS: [&str; 10] = [
    "GRPC", "GRPC-WEB", "HTTP", "HTTP2", "HTTPS", "MONGO", "MYSQL", "REDIS", "TCP", "TLS",
];

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let servers = spec.at("servers");
    let mut faults = metadata::labels(&spec.at("selector"));
    if !servers.is_set() {
        faults.push(servers.required("gateway must have at least one server"));
    }
    faults.extend(servers.items().iter().flat_map(server));
    faults.extend(unique(
        servers
            .items()
            .iter()
            .map(|server| server.at("port").at("name")),
    ));
    faults
}

fn server(server: &At<'_>) -> Vec<Fault> {
    let (port, hosts, tls) = (server.at("port"), server.at("hosts"), server.at("tls"));
    let mut faults: Vec<Fault> = port.at("protocol").one_of(&PROTOCOLS).into_iter().collect();
    if hosts.is_present() && !hosts.is_set() {
        faults.push(hosts.required("server config must contain at least one host"));
    }
    for host in hosts.items() {
        let (namespace, name) = host.text().split_once('/').unwrap_or(("*", host.text()));
        let fits = matches!(namespace, "*" | ".") || names::label(namespace).is_empty();
        if !fits || !names::host(name).is_empty() {
            faults.push(host.invalid(
                "must be *, a DNS name, *. and a DNS name, or NAMESPACE/ and one of these",
            ));
        }
    }
    let secure = matches!(port.at("protocol").text(), "HTTPS" | "TLS");
    if secure && !tls.is_present() {
        faults.push(tls.required("server must have TLS settings for HTTPS/TLS protocols"));
    }
    faults.extend(certificates(&tls));
    faults
}

/// A listener that ends TLS needs a certificate.
fn certificates(tls: &At<'_>) -> Option<Fault> {
    let ends = matches!(
        tls.at("mode").text(),
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL"
    );
    let secret = tls.at("credentialName").is_set() || tls.at("credentialNames").is_set();
    let files = tls.at("serverCertificate").is_set() && tls.at("privateKey").is_set();
    let given = secret || files || tls.at("tlsCertificates").is_set();
    (ends && !given).then(|| {
        tls.at("credentialName")
            .required("name the Secret with the listener's certificate")
    })
}

pub(super) fn check_destination_rule(spec: &At<'_>) -> Vec<Fault> {
    let host = spec.at("host");
    let mut faults = if host.is_present() {
        host.name(names::host)
    } else {
        Vec::new()
    };
    faults.extend(export::check(&spec.at("exportTo")));
    faults.extend(traffic(&spec.at("trafficPolicy")));
    let subsets = spec.at("subsets").items();
    for subset in &subsets {
        faults.extend(subset.at("name").name(names::label));
        faults.extend(metadata::labels(&subset.at("labels")));
        faults.extend(traffic(&subset.at("trafficPolicy")));
    }
    faults.extend(unique(subsets.iter().map(|subset| subset.at("name"))));
    faults
}

fn traffic(policy: &At<'_>) -> Vec<Fault> {
    let mut faults = settings(policy);
    for port in policy.at("portLevelSettings").items() {
        if !port.at("port").at("number").is_present() {
            faults.push(port.at("port").required("say which port"));
        }
        faults.extend(settings(&port));
    }
    faults
}

fn settings(policy: &At<'_>) -> Vec<Fault> {
    let (balancer, pool, outliers) = (
        policy.at("loadBalancer"),
        policy.at("connectionPool"),
        policy.at("outlierDetection"),
    );
    let mut faults = Vec::new();
    if balancer.at("simple").is_set() && balancer.at("consistentHash").is_set() {
        faults.push(balancer.invalid("only one of simple and consistentHash may be set"));
    }
    let (tcp, http) = (pool.at("tcp"), pool.at("http"));
    let times = [
        balancer.at("warmupDurationSecs"),
        tcp.at("connectTimeout"),
        tcp.at("idleTimeout"),
        tcp.at("maxConnectionDuration"),
        http.at("idleTimeout"),
        outliers.at("interval"),
        outliers.at("baseEjectionTime"),
    ];
    faults.extend(times.iter().filter_map(At::duration));
    for field in [
        "http1MaxPendingRequests",
        "http2MaxRequests",
        "maxRequestsPerConnection",
        "maxRetries",
    ] {
        faults.extend(http.at(field).at_least(0));
    }
    faults.extend(tcp.at("maxConnections").at_least(0));
    faults
}
