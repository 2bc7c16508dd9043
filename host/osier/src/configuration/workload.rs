//! What the proxy of a workload needs to know.

use super::{Faults, Images, Joined, Naming, Offered};
use crate::arguments::Proxy;
use anyhow::{anyhow, bail};
use osier_api::companion;
use std::net::{IpAddr, SocketAddr};

/// Resolved arguments of `osier proxy`.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// What it has in common with a joined node.
    pub(crate) joined: Joined,
    /// The WorkloadEntry, as namespace and name.
    pub(crate) entry: (String, String),
    /// The WorkloadGroup that it is made by, in the same namespace.
    pub(crate) group: Option<String>,
    /// The address of the explicit proxy.
    pub(crate) outbound_listen: SocketAddr,
    /// The address of redirected connections.
    pub(crate) redirect_listen: Option<SocketAddr>,
    /// Where the workload listens.
    pub(crate) workload_address: IpAddr,
}

/// Resolves the arguments of `osier proxy`.
///
/// # Errors
/// [`Faults`] with every fault that was found.
pub(crate) fn resolve_proxy(proxy: &Proxy) -> Result<Beside, Faults> {
    let mut faults = Faults::default();
    let server = faults.server(&proxy.join);
    let spoken = spoken(proxy).unwrap_or_else(|error| {
        faults.0.push(error.to_string());
        Spoken::default()
    });
    let mut address = |flag: &str, given: &str| faults.address(flag, &None, &None, given);
    let redirect = proxy.redirect_listen.as_deref();
    let beside = Beside {
        redirect_listen: redirect.map(|given| address("redirect-listen", given)),
        outbound_listen: address("outbound-listen", &proxy.outbound_listen),
        workload_address: proxy.workload_address,
        joined: Joined {
            mesh_listen: address("mesh-listen", &proxy.mesh_listen),
            admin_listen: address("admin-listen", &proxy.admin_listen),
            naming: Naming::of(&proxy.naming, Default::default(), &mut faults),
            data_dir: faults.data_dir(proxy.data_dir.as_deref()),
            node_name: spoken.node,
            server,
            token: proxy.token.clone(),
            pin: proxy.ca_cert_hash.clone(),
            // No pod runs here.
            offered: Offered::default(),
            images: Images::of(&proxy.pulling, Default::default()),
            sharing: faults.sharing(&proxy.counting, Default::default()),
        },
        entry: spoken.entry,
        group: spoken.group,
    };
    faults.none(beside)
}

/// Whom a proxy speaks for.
#[derive(Default)]
struct Spoken {
    entry: (String, String),
    group: Option<String>,
    /// What the proxy is called.
    node: String,
}

fn spoken(proxy: &Proxy) -> anyhow::Result<Spoken> {
    let Some(group) = &proxy.group else {
        let workload = proxy.workload.as_deref().unwrap_or_default();
        let entry = entry(workload).map_err(|error| anyhow!("--workload {error}"))?;
        return Ok(Spoken {
            node: companion::name((entry.0.as_str(), entry.1.as_str())),
            entry,
            group: None,
        });
    };
    let (namespace, group) = self::group(group).map_err(|error| anyhow!("--group {error}"))?;
    let member = match &proxy.member {
        Some(name) => name.clone(),
        None => machine(),
    };
    let whole = format!("{namespace}/{member}.{group}");
    let entry = entry(&whole).map_err(|error| anyhow!("--member {error}"))?;
    Ok(Spoken {
        node: companion::grouped((entry.0.as_str(), entry.1.as_str())),
        entry,
        group: Some(group),
    })
}

/// The machine's own name, without its domain.
fn machine() -> String {
    let name = super::host_name();
    let first = name.split('.').next().unwrap_or_default();
    first.to_ascii_lowercase()
}

/// Reads `NAMESPACE/NAME` of a WorkloadGroup that members can join.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn group(text: &str) -> anyhow::Result<(String, String)> {
    let (namespace, name) = entry(text)?;
    if name.contains('.') {
        bail!("{text:?}: a WorkloadGroup with a dot in its name has no members that join");
    }
    Ok((namespace, name))
}

/// Reads `NAMESPACE/NAME`, or `NAME` in the namespace `default`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn entry(text: &str) -> anyhow::Result<(String, String)> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    let plain = |text: &str, more: &str| {
        let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !text.is_empty() && text.chars().all(|c| usual(c) || more.contains(c))
    };
    if !plain(namespace, "") || !plain(name, ".") {
        bail!("{text:?}: expected NAMESPACE/NAME, such as shop/vm");
    }
    Ok((namespace.to_owned(), name.to_owned()))
}
