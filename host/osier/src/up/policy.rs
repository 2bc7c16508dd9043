//! `--policy-listen`: Envoys that ask this node's policies.

use super::directory::reachable;
use super::rooms::open;
use crate::configuration::Settings;
use crate::exit::Failure;
use crate::join::judged;
use anyhow::Context as _;
use osier_envoy::{Judged, PolicyService, Rulebook};
use osier_identity::{Authority, IdentityError, Subject};
use osier_node::{Node, Policies};
use osier_policy::PolicySet;
use osier_process::Tasks;
use osier_process::serve::Security;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The policies of the node.
struct InForce(Policies);

impl Rulebook for InForce {
    fn current(&self) -> Option<Arc<PolicySet>> {
        self.0.current()
    }

    fn judged(&self, request: &Judged<'_>) {
        judged::remember(&self.0, request);
    }
}

/// Serves the listener, if there is one. What an Envoy says of its callers is believed: only this machine comes without a certificate of the mesh.
///
/// # Errors
/// [`Failure::Data`] when no certificate can be issued.
pub(super) fn serve(
    (listener, settings): (Option<TcpListener>, &Settings),
    authority: &Authority,
    node: &Node,
    tasks: &Tasks,
) -> Result<(), Failure> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let address = listener
        .local_addr()
        .context("the policy listener has no address")?;
    let security = match address.ip().is_loopback() {
        true => Security::Plain,
        false => mutual(address, &settings.node_name, authority)?,
    };
    let service = PolicyService::new(Arc::new(InForce(node.policies())), tasks.clone());
    open(tasks, "policy", (listener, security), service);
    Ok(())
}

fn mutual(
    address: SocketAddr,
    node_name: &str,
    authority: &Authority,
) -> Result<Security, Failure> {
    let broken = |error: IdentityError| Failure::Data(error.to_string());
    let server = Subject {
        common_name: "osier-policy".to_owned(),
        names: vec![
            node_name.to_owned(),
            "localhost".to_owned(),
            reachable(address).ip().to_string(),
        ],
        ..Subject::default()
    };
    let credential = authority.issue(&server).map_err(broken)?;
    let trusted = authority.certificate_pem();
    let config = osier_identity::mutual_config(trusted, &credential).map_err(broken)?;
    Ok(Security::Tls(config))
}
