//! Discovery, OpenAPI, version, health.

use serde_json::json;

use crate::server::{Server, request};

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

#[tokio::test]
async fn every_resource_is_found_in_both_forms() {
    let server = Server::new().await;
    let aggregated = [
        server.accepting("/api", AGGREGATED).await.json(),
        server.accepting("/apis", AGGREGATED).await.json(),
    ];
    let groups: Vec<_> = aggregated
        .iter()
        .flat_map(|list| list["items"].as_array().unwrap())
        .collect();
    for resource in osier_api::resources::all() {
        for version in resource.versions {
            let path = match resource.group {
                "" => format!("/api/{version}"),
                group => format!("/apis/{group}/{version}"),
            };
            let legacy = server.get(&path).await.good();
            let named = |list: &serde_json::Value, field: &str| {
                // A custom metric is listed as a part of what it is a metric of.
                let names = list.as_array().unwrap().iter();
                let mut names = names.filter_map(|entry| entry[field].as_str());
                names.any(|name| name.split('/').next() == Some(resource.plural))
            };
            assert!(
                named(&legacy["resources"], "name"),
                "{path} {}",
                resource.plural
            );
            let group = groups
                .iter()
                .find(|group| group["metadata"]["name"] == resource.group)
                .unwrap();
            let versions = group["versions"].as_array().unwrap();
            let found = versions
                .iter()
                .find(|entry| entry["version"] == *version)
                .unwrap();
            assert!(
                named(&found["resources"], "resource"),
                "{path} {}",
                resource.plural
            );
        }
    }
}

#[tokio::test]
async fn discovery_says_its_form_and_is_not_sent_twice() {
    let server = Server::new().await;
    let first = server.accepting("/apis", AGGREGATED).await;
    assert_eq!(
        first.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(first.headers["vary"], "Accept");
    let mut again = request("GET", "/apis", "", "");
    again
        .headers_mut()
        .insert("accept", AGGREGATED.parse().unwrap());
    again
        .headers_mut()
        .insert("if-none-match", first.headers["etag"].clone());
    let again = server.send(again).await;
    assert_eq!((again.code, again.text.as_str()), (304, ""));
    let beta = server
        .accepting(
            "/api",
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        )
        .await;
    assert_eq!(beta.json()["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    assert_eq!(server.get("/apis").await.json()["kind"], "APIGroupList");
    assert_eq!(
        server.get("/apis/policy.osier.dev").await.json()["kind"],
        "APIGroup"
    );
    assert_eq!(server.get("/apis/nobody.example").await.code, 404);
}

#[tokio::test]
async fn openapi_has_a_document_with_paths_for_each_version() {
    let server = Server::new().await;
    let index = server.get("/openapi/v3").await.good();
    for (path, entry) in index["paths"].as_object().unwrap() {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let answer = server.get(url).await;
        assert_eq!(
            answer.headers["cache-control"], "public, immutable",
            "{path}"
        );
        let text = &answer.text;
        let document = answer.json();
        for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{path} refers to {name}"
            );
        }
    }
    let core = server.get("/openapi/v3/api/v1").await.good();
    let patch = &core["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
    assert!(
        patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "", "version": "v1", "kind": "Pod"})
    );
    assert_eq!(server.get("/openapi/v3/apis/none/v1").await.code, 404);
}

#[tokio::test]
async fn openapi_v2_is_protobuf() {
    let server = Server::new().await;
    let request = request("GET", "/openapi/v2", "", "");
    let user = osier_apiserver::User::new("admin", ["system:masters"]);
    let answer = server.api.call(&user, request).await;
    assert_eq!(
        answer.headers()["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    let bytes = osier_process::body::read(answer.into_body(), usize::MAX)
        .await
        .unwrap();
    assert!(bytes.starts_with(b"\x0a\x032.0"));
}

#[tokio::test]
async fn version_and_health() {
    let server = Server::new().await;
    let version = server.get("/version/").await.good();
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1."));
    for path in ["/healthz", "/livez", "/readyz", "/readyz/store"] {
        assert_eq!(server.get(path).await.text, "ok", "{path}");
    }
    assert!(
        server
            .get("/readyz?verbose")
            .await
            .text
            .contains("[+]store ok")
    );
}
