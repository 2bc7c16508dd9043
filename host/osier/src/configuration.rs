//! Configuration in two steps: raw (flags over file over defaults), then validated with all faults at once.

mod encryption;
mod file;
mod naming;
mod offered;
mod sharing;
mod store;
mod workload;

use crate::arguments::{Counting, LogFormat, Node, Pulling, StoreName, Up};
use anyhow::Context as _;
pub(crate) use naming::Naming;
pub(crate) use offered::Offered;
use osier_apiserver::AuditPolicy;
use osier_distribution::{Credentials, RequiredKey};
use osier_identity::VerifyingKey;
use serde::{Deserialize, Serialize};
pub(crate) use sharing::Sharing;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub(crate) use store::Stored;
pub(crate) use workload::{Beside, entry, group, resolve_proxy};

const API: &str = "127.0.0.1:6443";
const GATEWAY: &str = "0.0.0.0:8080";
const MESH: &str = "127.0.0.1:0";
/// How much of what was pulled the image store holds, unless it is said.
const IMAGE_MEGABYTES: u64 = 4096;
const ADMIN: &str = "127.0.0.1:15020";

/// The keys of the `--config` file; every one may be left out, an unknown one is refused.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    api_listen: Option<String>,
    gateway_listen: Option<String>,
    admin_listen: Option<String>,
    mesh_listen: Option<String>,
    policy_listen: Option<String>,
    dns_listen: Option<String>,
    dns_forward: Vec<String>,
    node_name: Option<String>,
    store: Option<StoreName>,
    etcd_cafile: Option<PathBuf>,
    etcd_certfile: Option<PathBuf>,
    etcd_keyfile: Option<PathBuf>,
    encryption_provider_config: Option<PathBuf>,
    cert_dir: Option<PathBuf>,
    log_format: Option<LogFormat>,
    log: Option<String>,
    drain_seconds: Option<u64>,
    max_pods: Option<u32>,
    store_history: Option<u32>,
    audit_log: Option<PathBuf>,
    audit_megabytes: Option<u64>,
    audit_policy_file: Option<PathBuf>,
    node_grace_seconds: Option<u64>,
    host_paths: Vec<PathBuf>,
    extended_resources: BTreeMap<String, u64>,
    insecure_registries: Vec<String>,
    image_keys: Vec<String>,
    registry_config: Option<PathBuf>,
    image_megabytes: Option<u64>,
    redis_url: Option<String>,
    redis_ca: Option<PathBuf>,
    redis_timeout_millis: Option<u64>,
}

/// A configuration that can be used.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// The API's address.
    pub(crate) api_listen: SocketAddr,
    /// The gateway's address.
    pub(crate) gateway_listen: SocketAddr,
    /// The address of metrics and health.
    pub(crate) admin_listen: SocketAddr,
    /// The address for joined nodes.
    pub(crate) mesh_listen: SocketAddr,
    /// The address for Envoys that ask the policies; nowhere if absent.
    pub(crate) policy_listen: Option<SocketAddr>,
    /// Where names are answered for workloads outside.
    #[serde(flatten)]
    pub(crate) naming: Naming,
    /// This node's name.
    pub(crate) node_name: String,
    /// Where objects are kept.
    #[serde(flatten)]
    pub(crate) stored: Stored,
    /// The form of log lines.
    pub(crate) log_format: LogFormat,
    /// Which log lines are written.
    pub(crate) log: String,
    /// How long a stop waits for requests in flight, in seconds.
    pub(crate) drain_seconds: u64,
    /// How many pods this node takes.
    pub(crate) max_pods: u32,
    /// How many revisions of history the store keeps for watches and chunked lists.
    pub(crate) store_history: u32,
    /// Where requests to the API are noted, one JSON line each; nowhere if absent. Relative to the data directory.
    pub(crate) audit_log: Option<PathBuf>,
    /// What is noted there, as an audit policy; the metadata of requests if absent.
    pub(crate) audit_policy_file: Option<PathBuf>,
    /// How large the audit log grows before it is put aside; two files are kept.
    pub(crate) audit_megabytes: u64,
    /// A node that does not renew its Lease for this long is lost, in seconds. Nodes renew every 10.
    pub(crate) node_grace_seconds: u64,
    /// What the node has for its pods.
    #[serde(flatten)]
    pub(crate) offered: Offered,
    /// How images are pulled.
    #[serde(flatten)]
    pub(crate) images: Images,
    /// Where plugins count.
    #[serde(flatten)]
    pub(crate) sharing: Sharing,
}

impl Settings {
    /// The drain deadline.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// Everything that is wrong with a configuration, and the file that it may come from.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>, Option<PathBuf>);

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(formatter, "{one}"),
            many => {
                write!(formatter, "the configuration has {} faults:", many.len())?;
                many.iter()
                    .try_for_each(|fault| write!(formatter, "\n  {fault}"))
            }
        }
    }
}

impl std::error::Error for Faults {}

/// Resolves the arguments of `osier up`.
///
/// # Errors
/// [`Faults`] with every fault that was found.
pub(crate) fn resolve(up: &Up) -> Result<Settings, Faults> {
    let given = up.config.as_deref();
    let file = given.map_or_else(|| Ok(File::default()), file::read)?;
    let mut faults = Faults(Vec::new(), up.config.clone());
    let data_dir = faults.data_dir(up.data_dir.as_deref().or(file.data_dir.as_deref()));
    let stored = Stored::of(&up.keeping, &file, (&data_dir, &mut faults));
    let images = (
        file.insecure_registries,
        file.image_keys,
        file.registry_config,
    );
    let offered = (file.host_paths, file.extended_resources);
    let settings = Settings {
        stored,
        data_dir,
        api_listen: faults.address("api-listen", &up.api_listen, &file.api_listen, API),
        gateway_listen: faults.address(
            "gateway-listen",
            &up.gateway_listen,
            &file.gateway_listen,
            GATEWAY,
        ),
        admin_listen: faults.address("admin-listen", &up.admin_listen, &file.admin_listen, ADMIN),
        mesh_listen: faults.address("mesh-listen", &up.mesh_listen, &file.mesh_listen, MESH),
        policy_listen: faults.wished("policy-listen", &up.policy_listen, &file.policy_listen),
        naming: Naming::of(&up.naming, (file.dns_listen, file.dns_forward), &mut faults),
        node_name: faults.node_name(up.node_name.as_ref(), file.node_name.as_ref()),
        log_format: up.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
        log: up.log.clone().or(file.log).unwrap_or_else(|| "info".into()),
        drain_seconds: faults.within("drainSeconds", file.drain_seconds.unwrap_or(30), 1..=3600),
        max_pods: faults.within("maxPods", file.max_pods.unwrap_or(1100), 1..=50_000),
        store_history: faults.within(
            "storeHistory",
            file.store_history.unwrap_or(10_000),
            100..=1_000_000,
        ),
        audit_log: file.audit_log,
        audit_policy_file: file.audit_policy_file,
        audit_megabytes: faults.within(
            "auditMegabytes",
            file.audit_megabytes.unwrap_or(100),
            1..=10_000,
        ),
        node_grace_seconds: faults.within(
            "nodeGraceSeconds",
            file.node_grace_seconds.unwrap_or(40),
            15..=3600,
        ),
        sharing: faults.sharing(
            &up.counting,
            (file.redis_url, file.redis_ca, file.redis_timeout_millis),
        ),
        offered: Offered::of(&up.offering, offered, &mut faults),
        images: Images {
            image_megabytes: faults.image_megabytes(file.image_megabytes),
            ..Images::of(&up.pulling, images)
        },
    };
    faults.none(settings)
}

/// The data directory of a subcommand that needs nothing else.
///
/// # Errors
/// [`Faults`] when none is given and there is no home directory.
pub(crate) fn resolve_data_dir(given: Option<&Path>) -> Result<PathBuf, Faults> {
    let mut faults = Faults::default();
    let directory = faults.data_dir(given);
    faults.none(directory)
}

/// How a node pulls images.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Images {
    /// Registries that are spoken to without TLS.
    pub(crate) insecure_registries: Vec<String>,
    /// `[HOST/PATH=]FILE`: images that must be signed, and the public key.
    pub(crate) image_keys: Vec<String>,
    /// A Docker configuration file with the node's own logins.
    pub(crate) registry_config: Option<PathBuf>,
    /// How much the image store may hold of what was pulled.
    pub(crate) image_megabytes: u64,
}

impl Images {
    fn of(
        given: &Pulling,
        (insecure, keys, logins): (Vec<String>, Vec<String>, Option<PathBuf>),
    ) -> Self {
        Self {
            insecure_registries: [given.insecure_registry.as_slice(), &insecure].concat(),
            image_keys: [given.image_key.as_slice(), &keys].concat(),
            registry_config: given.registry_config.clone().or(logins),
            image_megabytes: IMAGE_MEGABYTES,
        }
    }
}

/// What a joined node needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// The API.
    pub(crate) server: String,
    /// The bootstrap token.
    pub(crate) token: Option<String>,
    /// The pin of the authority.
    pub(crate) pin: Option<String>,
    /// The address for other nodes.
    pub(crate) mesh_listen: SocketAddr,
    /// The address of metrics and health.
    pub(crate) admin_listen: SocketAddr,
    /// Where names are answered.
    pub(crate) naming: Naming,
    /// This node's name.
    pub(crate) node_name: String,
    /// What the node has for its pods.
    pub(crate) offered: Offered,
    /// How images are pulled.
    pub(crate) images: Images,
    /// Where plugins count.
    pub(crate) sharing: Sharing,
}

/// Resolves the arguments of `osier node`.
///
/// # Errors
/// [`Faults`] with every fault that was found.
pub(crate) fn resolve_node(node: &Node) -> Result<Joined, Faults> {
    let mut faults = Faults::default();
    let server = faults.server(&node.join);
    let mut address = |flag: &str, given: &str| faults.address(flag, &None, &None, given);
    let joined = Joined {
        mesh_listen: address("mesh-listen", &node.mesh_listen),
        admin_listen: address("admin-listen", &node.admin_listen),
        naming: Naming::of(&node.naming, Default::default(), &mut faults),
        data_dir: faults.data_dir(node.data_dir.as_deref()),
        node_name: faults.node_name(node.node_name.as_ref(), None),
        server,
        token: node.token.clone(),
        pin: node.ca_cert_hash.clone(),
        offered: Offered::of(&node.offering, Default::default(), &mut faults),
        images: Images::of(&node.pulling, Default::default()),
        sharing: faults.sharing(&node.counting, Default::default()),
    };
    faults.none(joined)
}

/// The rules of an audit policy file.
pub(crate) fn audit_policy(path: &Path) -> anyhow::Result<AuditPolicy> {
    let place = || format!("auditPolicyFile {}", path.display());
    let text = std::fs::read_to_string(path).with_context(place)?;
    let value: serde_json::Value = serde_saphyr::from_str(&text).with_context(place)?;
    let read = AuditPolicy::from_value(value).map_err(anyhow::Error::msg);
    read.with_context(place)
}

/// The logins to registries of a Docker configuration file.
pub(crate) fn logins(path: &Path) -> anyhow::Result<Credentials> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    Credentials::docker_config(&text).with_context(|| path.display().to_string())
}

/// The key of `--image-key`, `[HOST/PATH=]FILE`.
pub(crate) fn key(text: &str) -> anyhow::Result<RequiredKey> {
    let (prefix, file) = text.split_once('=').unwrap_or(("", text));
    let pem = std::fs::read_to_string(file).with_context(|| format!("--image-key {text}"))?;
    let key = VerifyingKey::parse(&pem).with_context(|| format!("--image-key {text}"))?;
    Ok(RequiredKey {
        prefix: prefix.to_owned(),
        key,
    })
}

/// Each reads one setting; what cannot be read is noted, so that all faults are told together.
impl Faults {
    fn none<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// A key of the file, with the file.
    fn key(&self, key: &str) -> String {
        match &self.1 {
            Some(file) => format!("{}: {key}", file.display()),
            None => key.to_owned(),
        }
    }

    fn server(&mut self, given: &str) -> String {
        let server = given.trim_end_matches('/').to_owned();
        if !server.starts_with("https://") {
            let fault = format!(
                "--join {server}: expected the URL of the API, such as https://10.0.0.1:6443"
            );
            self.0.push(fault);
        }
        server
    }

    fn data_dir(&mut self, given: Option<&Path>) -> PathBuf {
        if let Some(given) = given {
            return std::path::absolute(given).unwrap_or_else(|_| given.to_path_buf());
        }
        std::env::home_dir().map_or_else(
            || {
                let fault = "--data-dir: no home directory to put .osier in; name a directory";
                self.0.push(fault.to_owned());
                PathBuf::new()
            },
            |home| home.join(".osier"),
        )
    }

    fn address(
        &mut self,
        flag: &str,
        given: &Option<String>,
        file: &Option<String>,
        default: &str,
    ) -> SocketAddr {
        let text = given.as_deref().or(file.as_deref()).unwrap_or(default);
        // `:8080` is how people of this field write "every address".
        let full = if text.starts_with(':') {
            format!("0.0.0.0{text}")
        } else {
            text.replace("localhost:", "127.0.0.1:")
        };
        full.parse().unwrap_or_else(|_| {
            let place = match (given, file) {
                (None, Some(_)) => format!("{}:", self.key(&file::key_of(flag))),
                _ => format!("--{flag}"),
            };
            self.0.push(format!(
                "{place} {text}: expected IP:PORT, such as 127.0.0.1:8080 or [::1]:8080"
            ));
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    /// An address that need not be there.
    fn wished(
        &mut self,
        flag: &str,
        given: &Option<String>,
        file: &Option<String>,
    ) -> Option<SocketAddr> {
        given.as_deref().or(file.as_deref())?;
        Some(self.address(flag, given, file, ""))
    }

    fn sharing(
        &mut self,
        given: &Counting,
        file: (Option<String>, Option<PathBuf>, Option<u64>),
    ) -> Sharing {
        Sharing::of(given, file).unwrap_or_else(|fault| {
            self.0.push(fault);
            Sharing::default()
        })
    }

    fn image_megabytes(&mut self, given: Option<u64>) -> u64 {
        let megabytes = given.unwrap_or(IMAGE_MEGABYTES);
        self.within("imageMegabytes", megabytes, 1..=1_000_000)
    }

    fn node_name(&mut self, given: Option<&String>, file: Option<&String>) -> String {
        let name = given.or(file).cloned().unwrap_or_else(host_name);
        if name.len() > 253 || !name.split('.').all(is_label) {
            let place = match (given, file) {
                (Some(_), _) => format!("--node-name {name}"),
                (None, Some(_)) => format!("{}: {name}", self.key("nodeName")),
                (None, None) => {
                    format!("--node-name {name} (the host's name); name the node with --node-name")
                }
            };
            self.0.push(format!(
                "{place}: expected lower-case letters, digits, `-` and `.`, as in a DNS name (RFC 1123)"
            ));
        }
        name
    }

    fn within<T: PartialOrd + fmt::Display + Copy>(
        &mut self,
        key: &str,
        value: T,
        range: std::ops::RangeInclusive<T>,
    ) -> T {
        if !range.contains(&value) {
            let (least, most) = (range.start(), range.end());
            let key = self.key(key);
            self.0
                .push(format!("{key}: {value} is not between {least} and {most}"));
        }
        value
    }
}

fn is_label(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 63
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_lowercase();
    if name.is_empty() || name == "(none)" {
        "osier".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn up() -> Up {
        Up {
            data_dir: Some("/d".into()),
            node_name: Some("n".into()),
            ..Up::default()
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("osier.yaml");
        std::fs::write(
            &path,
            "apiListen: 127.0.0.1:1\ngatewayListen: 127.0.0.1:2\nstore: redb\n",
        )
        .unwrap();
        let settings = resolve(&Up {
            config: Some(path),
            api_listen: Some("127.0.0.1:9".into()),
            ..up()
        })
        .unwrap();
        assert_eq!(settings.api_listen.port(), 9);
        assert_eq!(settings.gateway_listen.port(), 2);
        assert_eq!(settings.admin_listen.port(), 15020);
        assert_eq!(settings.stored.store, StoreName::Redb);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let wrong = Up {
            api_listen: Some("6443".into()),
            node_name: Some("Node_1".into()),
            ..up()
        };
        let told = resolve(&wrong).unwrap_err().to_string();
        assert!(
            told.contains("2 faults")
                && told.contains("--api-listen 6443")
                && told.contains("Node_1"),
            "{told}"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("osier.yaml");
        std::fs::write(&path, "apiListn: 127.0.0.1:1\n").unwrap();
        let told = resolve(&Up {
            config: Some(path),
            ..up()
        })
        .unwrap_err()
        .to_string();
        assert!(
            told.ends_with("unknown key apiListn: did you mean apiListen?"),
            "{told}"
        );
    }

    #[test]
    fn a_fault_of_the_file_names_the_file_and_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("osier.yaml");
        std::fs::write(&path, "apiListen: 5\ndrainSeconds: 0\n").unwrap();
        let place = path.display().to_string();
        let wrong = Up {
            config: Some(path),
            ..up()
        };
        let told = resolve(&wrong).unwrap_err().to_string();
        assert!(
            told.contains(&format!("{place}: apiListen: 5: expected IP:PORT")),
            "{told}"
        );
        assert!(
            told.contains(&format!("{place}: drainSeconds: 0 is not")),
            "{told}"
        );
    }

    #[test]
    fn a_bare_port_means_every_address() {
        let settings = resolve(&Up {
            gateway_listen: Some(":80".into()),
            ..up()
        })
        .unwrap();
        assert_eq!(settings.gateway_listen.to_string(), "0.0.0.0:80");
    }
}
