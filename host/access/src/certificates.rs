//! Which requests for certificates are granted. Pure: what the server knows of who asks, and what else matters, are arguments.

use std::collections::BTreeSet;
use std::time::Duration;

use osier_api::companion;

/// The certificate with which a node speaks to the API
/// (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).
pub const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Certificates with which people and programs speak to the API: who may approve does.
pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// The certificates with which nodes speak to each other for their pods.
pub const MESH: &str = "osier.dev/mesh";

/// Nobody gets into this group by a request.
pub const MASTERS: &str = "system:masters";
const NODES: &str = "system:nodes";
const NODE_PREFIX: &str = "system:node:";
const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// Serves the gateways.
const CONTROL_PLANE: &str = "osier:control-plane";
/// The account of gateways, in the root namespace.
const GATEWAY: &str = "/ns/osier-system/sa/gateway";
/// Behind a node's name, what its mesh listener is called. No address of the API ends so.
const MESH_DOMAIN: &str = ".nodes.osier.internal";

/// How long certificates hold if nobody asks for less.
const LIFE_KUBELET: Duration = Duration::from_secs(30 * 24 * 3600);
const LIFE_MESH: Duration = Duration::from_secs(24 * 3600);
const LIFE_CLIENT: Duration = Duration::from_secs(365 * 24 * 3600);
const SHORTEST: Duration = Duration::from_secs(600);

/// Whom a request for a certificate is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requested {
    /// `CN`.
    pub common_name: String,
    /// `O`.
    pub organizations: Vec<String>,
    /// DNS names and addresses.
    pub names: Vec<String>,
    /// The identity of a workload.
    pub spiffe: Option<String>,
}

/// A request, with what the server knows of who made it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Whose signature is wanted.
    pub signer: &'a str,
    /// Who asks.
    pub user: &'a str,
    /// The groups that they are in.
    pub groups: &'a [String],
    /// What the certificate is to be used for.
    pub usages: &'a [String],
    /// Seconds that were asked for.
    pub seconds: Option<u64>,
    /// Whether somebody approved it.
    pub approved: bool,
}

/// What else matters.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Nodes that live.
    pub ready: BTreeSet<String>,
    /// `NAMESPACE/ACCOUNT` of the pods that are bound to the node that asks, or of the WorkloadEntry that a companion speaks for.
    pub accounts: BTreeSet<(String, String)>,
    /// The trust domain.
    pub domain: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is granted, for this long.
    Approve(Duration),
    /// It is refused for good.
    Deny(String),
    /// Another signer's: nothing is said.
    Leave,
}

/// The node that a caller is.
pub fn node_of<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let is_node = asked.groups.iter().any(|group| group == NODES);
    asked
        .user
        .strip_prefix(NODE_PREFIX)
        .filter(|node| is_node && !node.is_empty())
}

/// Judges a request.
pub fn decide(asked: &Asked<'_>, requested: &Requested, facts: &Facts) -> Verdict {
    let (judged, most) = match asked.signer {
        KUBELET => (kubelet(asked, requested, facts), LIFE_KUBELET),
        MESH => (mesh(asked, requested, facts), LIFE_MESH),
        CLIENT if asked.approved => return client(asked, requested),
        _ => return Verdict::Leave,
    };
    let allowed = [
        "client auth",
        "server auth",
        "digital signature",
        "key encipherment",
    ];
    let unusual = asked
        .usages
        .iter()
        .find(|usage| !allowed.contains(&usage.as_str()));
    match (judged, unusual) {
        (Err(reason), _) => Verdict::Deny(reason),
        (Ok(()), Some(usage)) => Verdict::Deny(format!("usage {usage:?} is not given to nodes")),
        (Ok(()), None) => {
            let life = asked.seconds.map_or(most, Duration::from_secs);
            Verdict::Approve(life.min(most))
        }
    }
}

/// What a person approved is given, but for what no client has.
fn client(asked: &Asked<'_>, requested: &Requested) -> Verdict {
    const USAGES: [&str; 3] = ["client auth", "digital signature", "key encipherment"];
    let unusual = asked
        .usages
        .iter()
        .find(|usage| !USAGES.contains(&usage.as_str()));
    if let Some(usage) = unusual {
        return Verdict::Deny(format!("usage {usage:?} is not given to clients"));
    }
    if !asked.usages.iter().any(|usage| usage == USAGES[0]) {
        return Verdict::Deny("usages must have \"client auth\"".to_owned());
    }
    if requested.organizations.iter().any(|group| group == MASTERS) {
        return Verdict::Deny(format!("nobody gets into {MASTERS} by a request"));
    }
    if !requested.names.is_empty() || requested.spiffe.is_some() {
        return Verdict::Deny("a client certificate has no alternative names".to_owned());
    }
    let life = asked.seconds.map_or(LIFE_CLIENT, Duration::from_secs);
    Verdict::Approve(life.clamp(SHORTEST, LIFE_CLIENT))
}

/// A machine that joins asks with a bootstrap token, a node that has joined with the certificate that it has.
fn kubelet(asked: &Asked<'_>, requested: &Requested, facts: &Facts) -> Result<(), String> {
    let name = requested.common_name.strip_prefix(NODE_PREFIX);
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or("the common name must be system:node:NAME")?;
    if requested.organizations != [NODES] {
        return Err(format!("the only organization must be {NODES}"));
    }
    if !requested.names.is_empty() || requested.spiffe.is_some() {
        return Err("a client certificate of a node has no alternative names".to_owned());
    }
    if asked.user == requested.common_name && node_of(asked).is_some() {
        return Ok(());
    }
    if !asked.groups.iter().any(|group| group == BOOTSTRAPPERS) {
        return Err(format!(
            "{:?} may not ask for another's certificate",
            asked.user
        ));
    }
    bound(asked.groups, name)?;
    if companion::entry(name).is_some() {
        return Ok(());
    }
    if facts.ready.contains(name) {
        return Err(format!(
            "node {name:?} is in the cluster and lives; join under another --node-name, or delete the Node first"
        ));
    }
    Ok(())
}

/// Whether what a token is for lets its bearer become this node, or companion. One of a workload makes its companion and nothing
/// else, one of a group companions of its members, and no other makes those.
fn bound(groups: &[String], name: &str) -> Result<(), String> {
    let kinds = [companion::BOOTSTRAPPERS, companion::GROUP_BOOTSTRAPPERS];
    let has = |wanted: &str| groups.iter().any(|group| group == wanted);
    let [workload, group] = kinds;
    let (wanted, flag) = match (companion::group(name), companion::entry(name)) {
        (Some((namespace, of)), _) => (format!("{group}{namespace}:{of}"), "group"),
        (None, Some((namespace, entry))) => (format!("{workload}{namespace}:{entry}"), "workload"),
        (None, None) => {
            let is_for = |group: &String| kinds.iter().any(|kind| group.starts_with(kind));
            return match groups.iter().any(is_for) {
                false => Ok(()),
                true => Err("the token is for the proxy of a workload, not for a node".to_owned()),
            };
        }
    };
    match has(&wanted) {
        true => Ok(()),
        false => Err(format!(
            "the token is not for the {flag} that {name:?} speaks for; `osier token create --{flag}` makes one that is"
        )),
    }
}

/// A node asks for the identities of the pods that are bound to it, and for its own listener.
fn mesh(asked: &Asked<'_>, requested: &Requested, facts: &Facts) -> Result<(), String> {
    let node = node_of(asked).ok_or("only nodes have mesh certificates")?;
    if !requested.common_name.is_empty() || !requested.organizations.is_empty() {
        return Err("a mesh certificate has an empty subject: it is no user of the API".to_owned());
    }
    if requested.names != [format!("{node}{MESH_DOMAIN}")] {
        return Err(format!("the only name must be {node}{MESH_DOMAIN}"));
    }
    let Some(spiffe) = &requested.spiffe else {
        return Ok(());
    };
    let own = spiffe.strip_prefix(&format!("spiffe://{}", facts.domain));
    let own = own.ok_or_else(|| format!("{spiffe} is of another trust domain"))?;
    if own == GATEWAY {
        let serves = asked.groups.iter().any(|group| group == CONTROL_PLANE);
        return match serves {
            true => Ok(()),
            false => Err("this node serves no gateway".to_owned()),
        };
    }
    let account = own
        .strip_prefix("/ns/")
        .and_then(|rest| rest.split_once("/sa/"));
    let (namespace, account) = account.ok_or_else(|| format!("{spiffe} is no workload"))?;
    match facts
        .accounts
        .contains(&(namespace.to_owned(), account.to_owned()))
    {
        true => Ok(()),
        false => Err(format!(
            "no pod of {namespace}/{account} is bound to node {node:?}"
        )),
    }
}

#[cfg(test)]
mod tests;
