//! `osier token`: what machines join with.

use super::connect;
use crate::arguments::{Connection, TokenCommand};
use crate::configuration;
use anyhow::{Context as _, bail};
use osier_api::resources::SECRETS;
use osier_api::{Object, Resource, companion};
use osier_client::{Client, DeleteOptions, Kubeconfig, Query};
use serde_json::json;
use std::io::Read as _;

const NAMESPACE: &str = "kube-system";
const PREFIX: &str = "bootstrap-token-";
const TYPE: &str = "bootstrap.kubernetes.io/token";
const RESOURCE: &Resource = &SECRETS;
/// What tokens are made of.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Runs a subcommand of `osier token`.
///
/// # Errors
/// What the API, the kubeconfig or the system's randomness refuses.
pub(crate) async fn run(command: &TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create {
            ttl_hours,
            workload,
            group,
            connection,
        } => {
            let bound = Bound::of(workload.as_deref(), group.as_deref())?;
            create(connection, *ttl_hours, bound).await
        }
        TokenCommand::List { connection } => list(&connect(connection)?).await,
        TokenCommand::Delete { token, connection } => delete(&connect(connection)?, token).await,
    }
}

/// For whom alone a token is.
struct Bound {
    flag: &'static str,
    /// What its bearer is in.
    bootstrapper: String,
    /// Namespace and name.
    whom: String,
}

impl Bound {
    fn of(workload: Option<&str>, group: Option<&str>) -> anyhow::Result<Option<Self>> {
        let (flag, prefix, named) = match (workload, group) {
            (Some(workload), _) => (
                "workload",
                companion::BOOTSTRAPPERS,
                configuration::entry(workload)?,
            ),
            (None, Some(group)) => (
                "group",
                companion::GROUP_BOOTSTRAPPERS,
                configuration::group(group)?,
            ),
            (None, None) => return Ok(None),
        };
        let (namespace, name) = named;
        Ok(Some(Self {
            flag,
            bootstrapper: format!("{prefix}{namespace}:{name}"),
            whom: format!("{namespace}/{name}"),
        }))
    }
}

async fn create(connection: &Connection, hours: u32, bound: Option<Bound>) -> anyhow::Result<()> {
    let (id, secret) = (random(6)?, random(16)?);
    let end = osier_process::clock::now() + lasting(hours.max(1));
    let mut object = Object::new(RESOURCE, NAMESPACE, &format!("{PREFIX}{id}"));
    object.set(&["type"], json!(TYPE));
    let mut data = json!({
        "token-id": id, "token-secret": secret,
        "expiration": osier_process::clock::seconds(end),
        "usage-bootstrap-authentication": "true",
        "description": "made by osier token create",
    });
    if let Some(bound) = &bound {
        data["auth-extra-groups"] = json!(bound.bootstrapper);
        data["description"] = json!(format!("for the proxy of {} {}", bound.flag, bound.whom));
    }
    object.set(&["stringData"], data);
    connect(connection)?.create(RESOURCE, &object).await?;
    let path = match &connection.kubeconfig {
        Some(path) => path.clone(),
        None => configuration::resolve_data_dir(None)?.join("kubeconfig"),
    };
    let kubeconfig = Kubeconfig::read(&path)?;
    let pin = osier_identity::pin(&kubeconfig.authority_pem)?;
    let server = &kubeconfig.server;
    let command = match &bound {
        Some(bound) => format!("proxy --{} {}", bound.flag, bound.whom),
        None => "node".to_owned(),
    };
    println!("osier {command} --join {server} --token {id}.{secret} --ca-cert-hash {pin}");
    Ok(())
}

fn lasting(hours: u32) -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(hours) * 3600)
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let found = client
        .list_all(RESOURCE, NAMESPACE, &Query::default())
        .await?;
    println!("{:8}   {:22}   DESCRIPTION", "ID", "EXPIRES");
    let tokens = found
        .items
        .iter()
        .filter(|object| object.text(&["type"]) == TYPE);
    for object in tokens {
        let text = |key: &str| decoded(object.text(&["data", key]));
        let (id, end) = (text("token-id"), text("expiration"));
        println!("{id:8}   {end:22}   {}", text("description"));
    }
    Ok(())
}

async fn delete(client: &Client, token: &str) -> anyhow::Result<()> {
    let id = token.split('.').next().unwrap_or(token);
    let name = format!("{PREFIX}{id}");
    let deleted = client
        .delete(RESOURCE, (NAMESPACE, &name), &DeleteOptions::default())
        .await;
    match deleted {
        Err(error) if error.is_not_found() => {
            bail!("there is no token {id:?}; `osier token list` shows them")
        }
        other => other?,
    }
    println!("token {id} deleted");
    Ok(())
}

fn decoded(text: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    bytes.map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

/// A text of that length from the system's randomness.
fn random(length: usize) -> anyhow::Result<String> {
    let mut bytes = vec![0; length];
    let source = std::fs::File::open("/dev/urandom").context("/dev/urandom")?;
    source.take(length as u64).read_exact(&mut bytes)?;
    let letter = |byte: u8| {
        LETTERS
            .get(usize::from(byte % 32))
            .copied()
            .map_or('a', char::from)
    };
    Ok(bytes.into_iter().map(letter).collect())
}
