//! What a program with kube-rs does with the API: objects, patches, watches, apply, discovery, a kind of its own, subresources.
//! Ends with a line, or with an error that names the step.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, pin_mut};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::core::ObjectMeta;
use kube::discovery::{Discovery, Scope};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, CustomResource, CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const SPACE: &str = "kube-rs";
const SOON: Duration = Duration::from_secs(60);

/// A kind of the program's own.
#[derive(CustomResource, Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.com", version = "v1", kind = "Document", namespaced)]
#[kube(status = "DocumentStatus", shortname = "doc")]
#[kube(scale(
    spec_replicas_path = ".spec.copies",
    status_replicas_path = ".status.copies"
))]
struct DocumentSpec {
    title: String,
    #[serde(default)]
    copies: i32,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
struct DocumentStatus {
    copies: i32,
}

fn named<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

fn map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([("app".to_owned(), "x".to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(data.collect()),
        ..ConfigMap::default()
    }
}

/// The refusal that a call must end in.
fn refused<T>(code: u16, result: kube::Result<T>) -> Result<String> {
    match result {
        Err(kube::Error::Api(status)) if status.code == code => Ok(status.message.clone()),
        Err(other) => bail!("not refused with {code}: {other}"),
        Ok(_) => bail!("not refused with {code}"),
    }
}

async fn objects(client: &Client) -> Result<()> {
    let spaces: Api<Namespace> = Api::all(client.clone());
    let space = named(json!({"metadata": {"name": SPACE}}))?;
    spaces.create(&PostParams::default(), &space).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SPACE);
    let made = maps
        .create(&PostParams::default(), &map("m", &[("a", "1")]))
        .await?;
    ensure!(
        made.uid().is_some() && made.managed_fields()[0].operation.as_deref() == Some("Update")
    );
    refused(409, maps.create(&PostParams::default(), &made_anew()).await)?;
    let mut read = maps.get("m").await?;
    let mut old = read.clone();
    read.data
        .get_or_insert_default()
        .insert("b".to_owned(), "2".to_owned());
    maps.replace("m", &PostParams::default(), &read).await?;
    old.data = None;
    refused(409, maps.replace("m", &PostParams::default(), &old).await)?;
    refused(404, maps.get("nobody").await)?;
    ensure!(maps.get_opt("nobody").await?.is_none());
    Ok(())
}

async fn pages(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SPACE);
    for page in ["one", "two", "three"] {
        maps.create(&PostParams::default(), &map(page, &[])).await?;
    }
    let mut pages = ListParams::default().labels("app=x").limit(2);
    let first = maps.list(&pages).await?;
    pages = pages.continue_token(first.metadata.continue_.as_deref().context("a page")?);
    let second = maps.list(&pages).await?;
    ensure!(first.items.len() == 2 && second.items.len() == 2);
    let metadata = maps.list_metadata(&ListParams::default()).await?;
    ensure!(metadata.items.iter().any(|one| one.name_any() == "two"));
    maps.delete("two", &DeleteParams::default()).await?;
    Ok(())
}

fn made_anew() -> ConfigMap {
    map("m", &[])
}

async fn patches(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SPACE);
    let plain = PatchParams::default();
    let merge = Patch::Merge(json!({"data": {"b": null, "c": "3"}}));
    let merged = maps.patch("m", &plain, &merge).await?;
    ensure!(
        merged
            .data
            .as_ref()
            .is_some_and(|data| data.len() == 2 && data["c"] == "3")
    );
    let strategic =
        Patch::Strategic(json!({"metadata": {"labels": {"app": null, "tier": "gold"}}}));
    let labelled = maps.patch("m", &plain, &strategic).await?;
    ensure!(
        labelled
            .labels()
            .get("tier")
            .is_some_and(|tier| tier == "gold")
    );
    let rehearsed = maps
        .patch(
            "m",
            &plain.clone().dry_run(),
            &Patch::Merge(json!({"data": {"c": "4"}})),
        )
        .await?;
    ensure!(rehearsed.data.context("data")?["c"] == "4");
    ensure!(maps.get("m").await?.data.context("data")?["c"] == "3");
    Ok(())
}

async fn apply(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SPACE);
    let wish = |data: serde_json::Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data});
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    maps.patch(
        "applied",
        &one,
        &Patch::Apply(wish(json!({"a": "1", "b": "1"}))),
    )
    .await?;
    maps.patch("applied", &two, &Patch::Apply(wish(json!({"c": "1"}))))
        .await?;
    let other = Patch::Apply(wish(json!({"a": "2"})));
    let words = refused(409, maps.patch("applied", &two, &other).await)?;
    ensure!(words.contains("conflict with \"one\""), "{words}");
    maps.patch("applied", &two.clone().force(), &other).await?;
    let left = maps
        .patch("applied", &one, &Patch::Apply(wish(json!({}))))
        .await?;
    ensure!(
        left.data
            .context("data")?
            .into_iter()
            .eq([("a".to_owned(), "2".to_owned())])
    );
    Ok(())
}

async fn watches(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SPACE);
    let from = maps
        .list(&ListParams::default())
        .await?
        .metadata
        .resource_version;
    let params = WatchParams::default().fields("metadata.name=seen");
    let events = maps
        .watch(&params, &from.context("a version")?)
        .await?
        .boxed();
    maps.create(&PostParams::default(), &map("seen", &[]))
        .await?;
    let change = Patch::Merge(json!({"data": {"a": "1"}}));
    maps.patch("seen", &PatchParams::default(), &change).await?;
    maps.delete("seen", &DeleteParams::default()).await?;
    let told: Vec<WatchEvent<ConfigMap>> = events.take(3).try_collect().await?;
    ensure!(
        matches!(
            told.as_slice(),
            [
                WatchEvent::Added(_),
                WatchEvent::Modified(_),
                WatchEvent::Deleted(_)
            ]
        ),
        "{told:?}"
    );
    Ok(())
}

/// The two ways in which a mirror begins: a list and a watch, and a watch alone.
async fn mirrors(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SPACE);
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let stream = watcher(maps.clone(), config).applied_objects();
        pin_mut!(stream);
        let mut names = Vec::new();
        while !names.iter().any(|name| name == "applied") {
            names.push(
                stream
                    .try_next()
                    .await?
                    .context("the watch ended")?
                    .name_any(),
            );
        }
    }
    Ok(())
}

async fn discovery(client: &Client) -> Result<()> {
    let version = client.apiserver_version().await?;
    ensure!(version.major == "1", "{version:?}");
    for found in [
        Discovery::new(client.clone()).run().await?,
        Discovery::new(client.clone()).run_aggregated().await?,
    ] {
        let apps = found.get("apps").context("apps")?;
        let (resource, able) = apps.recommended_kind("Deployment").context("Deployment")?;
        ensure!(resource.plural == "deployments" && able.scope == Scope::Namespaced);
        ensure!(able.supports_operation("patch") && found.has_group("networking.istio.io"));
    }
    Ok(())
}

async fn own_kind(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = Document::crd_name();
    let apply = PatchParams::apply("kube-rs").force();
    definitions
        .patch(name, &apply, &Patch::Apply(Document::crd()))
        .await?;
    await_condition(definitions.clone(), name, conditions::is_crd_established()).await?;
    documents(client).await?;
    definitions.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

async fn documents(client: &Client) -> Result<()> {
    let documents: Api<Document> = Api::namespaced(client.clone(), SPACE);
    let spec = DocumentSpec {
        title: "one".to_owned(),
        copies: 1,
    };
    documents
        .create(&PostParams::default(), &Document::new("d", spec))
        .await?;
    let status = Patch::Merge(json!({"status": {"copies": 1}}));
    documents
        .patch_status("d", &PatchParams::default(), &status)
        .await?;
    let scale = Patch::Merge(json!({"spec": {"replicas": 3}}));
    documents
        .patch_scale("d", &PatchParams::default(), &scale)
        .await?;
    let read = documents.get("d").await?;
    ensure!(read.spec.copies == 3 && read.status.context("a status")?.copies == 1);
    let wrong = Patch::Merge(json!({"spec": {"copies": "many"}}));
    refused(
        422,
        documents.patch("d", &PatchParams::default(), &wrong).await,
    )?;
    let uid = documents.get("d").await?.uid().context("a uid")?;
    documents.delete("d", &DeleteParams::default()).await?;
    await_condition(documents, "d", conditions::is_deleted(&uid)).await?;
    Ok(())
}

async fn workloads(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), SPACE);
    let template = json!({"metadata": {"labels": {"app": "w"}},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "c", "image": "none"}]}});
    let wish = named(json!({"metadata": {"name": "w"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "w"}}, "template": template}}))?;
    deployments.create(&PostParams::default(), &wish).await?;
    let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments
        .patch_scale("w", &PatchParams::default(), &scale)
        .await?;
    ensure!(
        deployments
            .get_scale("w")
            .await?
            .spec
            .context("a spec")?
            .replicas
            == Some(1)
    );
    deployments.restart("w").await?;
    evicts(client).await?;
    deployments.delete("w", &DeleteParams::background()).await?;
    Ok(())
}

async fn evicts(client: &Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), SPACE);
    let config = watcher::Config::default().labels("app=w");
    let stream = watcher(pods.clone(), config).applied_objects();
    pin_mut!(stream);
    let pod = stream.try_next().await?.context("a pod")?.name_any();
    let evicted = pods.evict(&pod, &EvictParams::default()).await?;
    ensure!(evicted.is_success() && evicted.code == 201, "{evicted:?}");
    Ok(())
}

async fn tokens(client: &Client) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SPACE);
    let account = named(json!({"metadata": {"name": "robot"}}))?;
    accounts.create(&PostParams::default(), &account).await?;
    let request = named(json!({"spec": {"audiences": [], "expirationSeconds": 600}}))?;
    let token = accounts
        .create_token_request("robot", &PostParams::default(), &request)
        .await?;
    ensure!(token.status.is_some_and(|status| !status.token.is_empty()));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::try_default().await?;
    let steps = async {
        objects(&client).await.context("objects")?;
        pages(&client).await.context("pages")?;
        patches(&client).await.context("patches")?;
        apply(&client).await.context("apply")?;
        watches(&client).await.context("watches")?;
        mirrors(&client).await.context("mirrors")?;
        discovery(&client).await.context("discovery")?;
        own_kind(&client).await.context("own_kind")?;
        workloads(&client).await.context("workloads")?;
        tokens(&client).await.context("tokens")
    };
    tokio::time::timeout(SOON, steps)
        .await
        .context("it took too long")??;
    println!("all steps done");
    Ok(())
}
