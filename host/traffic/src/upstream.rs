//! `connectionPool` and `tls` of a traffic policy: how much at once, and encrypted how.

use std::sync::Arc;

use osier_balancing::{
    ConnectionPool, Credential, Keepalive, Origination, ProxyVersion, Revoked, Speaks, Trust,
    Tunnel, Upstream,
};

use crate::fields::Fields;
use crate::secret::Secrets;

/// What a traffic policy says about connections; what it does not say stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UpstreamPolicy {
    pool: Option<ConnectionPool>,
    upgrade: bool,
    tls: Option<Tls>,
    proxy_protocol: Option<ProxyVersion>,
    tunnel: Option<Tunnel>,
    /// The paths of fields that speak of connections, which calls in memory do not have.
    pub of_connections: Vec<String>,
    /// The path of the field that names the Secret.
    pub names_secret: String,
}

#[derive(Clone, Debug)]
enum Tls {
    Disable,
    Originate(Origination),
    /// As who calls, with the identities of the mesh: between pods it is so anyway.
    Mesh(Origination),
    /// As above, with trust and credential from a Secret, `namespace/name`; whether the credential is asked for.
    Secret(Origination, String, bool),
}

impl UpstreamPolicy {
    /// Takes what another policy says, where it says anything.
    pub(crate) fn override_by(&mut self, other: &Self) {
        if other.pool.is_some() {
            (self.pool, self.upgrade) = (other.pool.clone(), other.upgrade);
        }
        if other.tls.is_some() {
            self.tls = other.tls.clone();
        }
        self.proxy_protocol = other.proxy_protocol.or(self.proxy_protocol);
        self.tunnel = other.tunnel.as_ref().or(self.tunnel.as_ref()).cloned();
    }

    /// The Secret that it names.
    pub fn secret(&self) -> Option<&str> {
        match &self.tls {
            Some(Tls::Secret(_, key, _)) => Some(key),
            _ => None,
        }
    }

    /// Changes how a port is spoken to; a Secret that is not usable is the error, and then nobody is believed.
    pub fn apply(&self, upstream: &mut Upstream, secrets: &Secrets) -> Result<(), String> {
        if let Some(pool) = &self.pool {
            upstream.pool = pool.clone();
        }
        upstream.proxy_protocol = self.proxy_protocol.or(upstream.proxy_protocol);
        upstream.tunnel = self.tunnel.clone().or(upstream.tunnel.take());
        let mut result = Ok(());
        match &self.tls {
            None => {}
            Some(Tls::Disable) => upstream.tls = None,
            Some(Tls::Originate(tls) | Tls::Mesh(tls)) => upstream.tls = Some(tls.clone()),
            Some(Tls::Secret(tls, key, mutual)) => {
                let read = with_secret(tls, (key, *mutual), secrets);
                upstream.tls = Some(read.unwrap_or_else(|reason| {
                    result = Err(reason);
                    let trust = Trust::Nobody;
                    Origination {
                        trust,
                        ..tls.clone()
                    }
                }));
            }
        }
        if self.upgrade && upstream.speaks == Speaks::Http1 {
            let chosen = upstream.tls.is_some();
            upstream.speaks = if chosen {
                Speaks::Negotiated
            } else {
                Speaks::Http2
            };
        }
        result
    }
}

fn with_secret(
    tls: &Origination,
    (key, mutual): (&str, bool),
    secrets: &Secrets,
) -> Result<Origination, String> {
    let absent = || format!("Secret {key} does not exist; no connection is made");
    let secret = secrets.get(key).ok_or_else(absent)?;
    let wrong = |reason: &String| format!("Secret {key} {reason}; no connection is made");
    let text = |bytes: &Arc<[u8]>| String::from_utf8_lossy(bytes).into_owned();
    let mut tls = tls.clone();
    match &secret.authorities {
        Ok(authorities) => tls.trust = Trust::Pem(text(authorities).into()),
        Err(reason) if !mutual && tls.trust != Trust::Anyone => return Err(wrong(reason)),
        Err(_) => {}
    }
    if let Some(revoked) = &secret.revoked {
        tls.revoked = Some(Revoked::Pem(text(revoked).into()));
    }
    if mutual {
        let pair = secret.pair.as_ref().map_err(wrong)?;
        tls.credential = Some(Credential::Pem {
            certificate: text(&pair.chain).into(),
            key: text(&pair.key).into(),
        });
    }
    Ok(tls)
}

/// Reads what a traffic policy of a namespace says.
pub(crate) fn read(policy: &mut Fields<'_>, namespace: &str) -> UpstreamPolicy {
    let mut said = UpstreamPolicy::default();
    if let Some(mut fields) = policy.object("connectionPool") {
        let (pool, upgrade) = pool(&mut fields);
        let without = ConnectionPool {
            max_requests: pool.max_requests,
            max_retries: pool.max_retries,
            ..ConnectionPool::default()
        };
        let speaks = pool != without || upgrade;
        said.of_connections.extend(speaks.then(|| fields.at("")));
        said.pool = Some(pool);
        said.upgrade = upgrade;
    }
    let secured = policy.object("tls");
    said.tls = secured.and_then(|mut fields| tls(&mut fields, namespace));
    if let Some(mut fields) = policy.object("proxyProtocol") {
        said.proxy_protocol = proxy_version(&mut fields);
        said.of_connections.push(fields.at(""));
    }
    if let Some(mut fields) = policy.object("tunnel") {
        said.tunnel = tunnel(&mut fields);
        said.of_connections.push(fields.at(""));
    }
    if matches!(said.tls, Some(Tls::Originate(_) | Tls::Secret(..))) {
        said.of_connections.push(policy.at("tls"));
    }
    said.names_secret = policy.at("tls.credentialName");
    said
}

/// `version` of `proxyProtocol`; Istio's default is the first.
fn proxy_version(fields: &mut Fields<'_>) -> Option<ProxyVersion> {
    match fields.text("version").unwrap_or("V1") {
        "V1" => Some(ProxyVersion::V1),
        "V2" => Some(ProxyVersion::V2),
        _ => {
            fields.invalid("version", "must be V1 or V2; no header is sent");
            None
        }
    }
}

/// `tunnel`: the forward proxy is asked by CONNECT unless POST is said.
fn tunnel(fields: &mut Fields<'_>) -> Option<Tunnel> {
    let host = fields.text("targetHost").map(str::to_ascii_lowercase);
    let port = fields.number("targetPort");
    let posts = match fields.text("protocol").unwrap_or("CONNECT") {
        "CONNECT" => false,
        "POST" => true,
        _ => {
            fields.invalid("protocol", "must be CONNECT or POST; nothing is tunnelled");
            return None;
        }
    };
    let (Some(host), Some(port)) = (host, port.filter(|port: &u16| *port > 0)) else {
        fields.invalid(
            "targetHost",
            "and targetPort say where the forward proxy connects; nothing is tunnelled",
        );
        return None;
    };
    // An address of version 6 stands in brackets before a port.
    let target = match host.contains(':') {
        true => format!("[{}]:{port}", host.trim_matches(['[', ']'])),
        false => format!("{host}:{port}"),
    };
    Some(Tunnel {
        target: target.into(),
        posts,
    })
}

fn pool(fields: &mut Fields<'_>) -> (ConnectionPool, bool) {
    let mut pool = ConnectionPool::default();
    if let Some(mut tcp) = fields.object("tcp") {
        set(
            &mut pool.max_connections,
            bound(tcp.number("maxConnections")),
        );
        set(&mut pool.connect_timeout, tcp.duration("connectTimeout"));
        pool.max_connection_duration = tcp.duration("maxConnectionDuration");
        set(&mut pool.idle_timeout, tcp.duration("idleTimeout"));
        let keepalive = tcp.object("tcpKeepalive");
        pool.keepalive = keepalive.map(|mut fields| self::keepalive(&mut fields));
    }
    let Some(mut http) = fields.object("http") else {
        return (pool, false);
    };
    set(
        &mut pool.max_pending,
        bound(http.number("http1MaxPendingRequests")),
    );
    set(
        &mut pool.max_requests,
        bound(http.number("http2MaxRequests")),
    );
    pool.max_requests_per_connection = bound(http.number("maxRequestsPerConnection"));
    set(&mut pool.max_retries, bound(http.number("maxRetries")));
    set(&mut pool.idle_timeout, http.duration("idleTimeout"));
    set(
        &mut pool.max_streams,
        bound(http.number("maxConcurrentStreams")),
    );
    (pool, http.text("h2UpgradePolicy") == Some("UPGRADE"))
}

/// Without its fields it asks for probes as the operating system makes them.
fn keepalive(fields: &mut Fields<'_>) -> Keepalive {
    let mut time = |key| fields.duration(key).filter(|time| !time.is_zero());
    Keepalive {
        time: time("time"),
        interval: time("interval"),
        probes: bound(fields.number("probes")),
    }
}

fn set<T>(field: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *field = said;
    }
}

/// In Istio 0 stands for the default.
fn bound(said: Option<u32>) -> Option<u32> {
    said.filter(|number| *number > 0)
}

fn tls(fields: &mut Fields<'_>, namespace: &str) -> Option<Tls> {
    let mode = fields.text("mode").unwrap_or("DISABLE");
    let mut path = |key| {
        fields
            .text(key)
            .filter(|text| !text.is_empty())
            .map(Arc::<str>::from)
    };
    let (certificate, key) = (path("clientCertificate"), path("privateKey"));
    let (authorities, sni) = (path("caCertificates"), path("sni"));
    let revoked = path("caCrl").map(Revoked::File);
    let secret = path("credentialName");
    let names = fields.texts("subjectAltNames").into_iter();
    let names = names.map(|(_, name)| name.into()).collect();
    let anyone = fields.flag("insecureSkipVerify") == Some(true);
    let trust = match authorities {
        _ if anyone => Trust::Anyone,
        Some(path) if &*path != "system" => Trust::File(path),
        _ => Trust::System,
    };
    let mutual = match mode {
        "DISABLE" => return Some(Tls::Disable),
        "ISTIO_MUTUAL" => {
            return Some(Tls::Mesh(Origination {
                sni,
                names,
                trust: Trust::Mesh,
                revoked,
                credential: None,
            }));
        }
        "SIMPLE" => false,
        "MUTUAL" => true,
        other => {
            fields.not_applied("mode", format!("{other}: connections are plain"));
            return None;
        }
    };
    let files = certificate.zip(key).filter(|_| mutual && secret.is_none());
    let credential = files.map(|(certificate, key)| Credential::Files { certificate, key });
    if mutual && secret.is_none() && credential.is_none() {
        fields.invalid(
            "clientCertificate",
            "MUTUAL needs clientCertificate and privateKey, or credentialName; none is shown",
        );
    }
    let origination = Origination {
        sni,
        names,
        trust,
        revoked,
        credential,
    };
    Some(match secret {
        Some(secret) => Tls::Secret(origination, format!("{namespace}/{secret}"), mutual),
        None => Tls::Originate(origination),
    })
}
