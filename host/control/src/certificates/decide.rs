//! Which requests for certificates are granted. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Requested;

/// The certificate with which a node speaks to the API
/// (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).
pub(super) const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// The certificates with which nodes speak to each other for their pods.
pub(super) const MESH: &str = "osier.dev/mesh";

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

/// A request, with what the server knows of who made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) signer: &'a str,
    pub(super) user: &'a str,
    pub(super) groups: &'a [String],
    pub(super) usages: &'a [String],
    /// Seconds that were asked for.
    pub(super) seconds: Option<u64>,
}

/// What else matters.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Nodes that live.
    pub(super) ready: BTreeSet<String>,
    /// `NAMESPACE/ACCOUNT` of the pods that are bound to the node that asks.
    pub(super) accounts: BTreeSet<(String, String)>,
    /// The trust domain.
    pub(super) domain: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is granted, for this long.
    Approve(Duration),
    /// It is refused for good.
    Deny(String),
    /// Another signer's: nothing is said.
    Leave,
}

/// The node that a caller is.
pub(super) fn node_of<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let is_node = asked.groups.iter().any(|group| group == NODES);
    asked
        .user
        .strip_prefix(NODE_PREFIX)
        .filter(|node| is_node && !node.is_empty())
}

/// Judges a request.
pub(super) fn decide(asked: &Asked<'_>, requested: &Requested, facts: &Facts) -> Verdict {
    let (judged, most) = match asked.signer {
        KUBELET => (kubelet(asked, requested, facts), LIFE_KUBELET),
        MESH => (mesh(asked, requested, facts), LIFE_MESH),
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
    if facts.ready.contains(name) {
        return Err(format!(
            "node {name:?} is in the cluster and lives; join under another --node-name, or delete the Node first"
        ));
    }
    Ok(())
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
mod tests {
    use super::*;

    fn asked<'a>(signer: &'a str, user: &'a str, groups: &'a [String]) -> Asked<'a> {
        Asked {
            signer,
            user,
            groups,
            usages: &[],
            seconds: None,
        }
    }

    fn groups(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn node(name: &str) -> Requested {
        Requested {
            common_name: format!("{NODE_PREFIX}{name}"),
            organizations: groups(&[NODES]),
            ..Requested::default()
        }
    }

    fn workload(spiffe: Option<&str>) -> Requested {
        Requested {
            names: vec!["b.nodes.osier.internal".to_owned()],
            spiffe: spiffe.map(ToOwned::to_owned),
            ..Requested::default()
        }
    }

    fn facts() -> Facts {
        Facts {
            ready: BTreeSet::from(["a".to_owned()]),
            accounts: BTreeSet::from([("shop".to_owned(), "web".to_owned())]),
            domain: "cluster.local".to_owned(),
        }
    }

    fn denied(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Deny(_))
    }

    #[test]
    fn a_token_joins_a_new_node_and_no_living_one() {
        let (boot, none) = (groups(&[BOOTSTRAPPERS]), groups(&[]));
        let join = |requested: &Requested| {
            decide(
                &asked(KUBELET, "system:bootstrap:x", &boot),
                requested,
                &facts(),
            )
        };
        assert_eq!(join(&node("b")), Verdict::Approve(LIFE_KUBELET));
        assert!(denied(join(&node("a"))), "a lives");
        assert!(denied(join(&Requested {
            organizations: groups(&["system:masters"]),
            ..node("b")
        })));
        assert!(denied(join(&Requested {
            common_name: "admin".to_owned(),
            ..node("b")
        })));
        assert!(denied(join(&Requested {
            names: groups(&["localhost"]),
            ..node("b")
        })));
        let stranger = asked(KUBELET, "somebody", &none);
        assert!(denied(decide(&stranger, &node("b"), &facts())));
    }

    #[test]
    fn a_node_renews_its_own_certificate_only() {
        let nodes = groups(&[NODES]);
        let renew = |requested| {
            decide(
                &asked(KUBELET, "system:node:a", &nodes),
                &requested,
                &facts(),
            )
        };
        assert_eq!(renew(node("a")), Verdict::Approve(LIFE_KUBELET));
        assert!(denied(renew(node("b"))));
    }

    #[test]
    fn identities_go_to_the_nodes_whose_pods_have_them() {
        let (nodes, edge) = (groups(&[NODES]), groups(&[NODES, CONTROL_PLANE]));
        let ask = |groups: &[String], spiffe| {
            let user = asked(MESH, "system:node:b", groups);
            decide(&user, &workload(spiffe), &facts())
        };
        let web = Some("spiffe://cluster.local/ns/shop/sa/web");
        let gateway = Some("spiffe://cluster.local/ns/osier-system/sa/gateway");
        assert_eq!(ask(&nodes, web), Verdict::Approve(LIFE_MESH));
        assert_eq!(ask(&nodes, None), Verdict::Approve(LIFE_MESH));
        assert!(denied(ask(
            &nodes,
            Some("spiffe://cluster.local/ns/shop/sa/other")
        )));
        assert!(denied(ask(
            &nodes,
            Some("spiffe://elsewhere/ns/shop/sa/web")
        )));
        assert!(denied(ask(&nodes, gateway)));
        assert_eq!(ask(&edge, gateway), Verdict::Approve(LIFE_MESH));
        let other = asked(MESH, "system:node:c", &nodes);
        assert!(
            denied(decide(&other, &workload(None), &facts())),
            "the name of another node"
        );
    }

    #[test]
    fn the_life_asked_for_is_given_up_to_a_bound_and_other_signers_are_left_alone() {
        let nodes = groups(&[NODES]);
        let mut one = asked(KUBELET, "system:node:a", &nodes);
        one.seconds = Some(600);
        assert_eq!(
            decide(&one, &node("a"), &facts()),
            Verdict::Approve(Duration::from_secs(600))
        );
        one.seconds = Some(u64::MAX);
        assert_eq!(
            decide(&one, &node("a"), &facts()),
            Verdict::Approve(LIFE_KUBELET)
        );
        one.signer = "example.com/other";
        assert_eq!(decide(&one, &node("a"), &facts()), Verdict::Leave);
    }
}
