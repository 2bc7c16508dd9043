//! Discovery, OpenAPI, version, health.

use osier_apiserver::User;
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
    let mut request = request("GET", "/openapi/v2", "", "");
    let asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    request
        .headers_mut()
        .insert("accept", asked.parse().unwrap());
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
    let verbose = server.get("/readyz?verbose").await.text;
    assert_eq!(verbose, "[+]ping ok\n[+]store ok\nreadyz check passed\n");
    let verbose = server.get("/livez?verbose").await.text;
    assert_eq!(verbose, "[+]ping ok\nlivez check passed\n");
    let some = server.get("/readyz?verbose&exclude=store&exclude=x");
    let words = "[+]ping ok\n[+]store excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n";
    assert_eq!(some.await.text, words);
}

#[tokio::test]
async fn metrics_are_for_who_may_see_them() {
    let server = Server::new().await;
    let metrics = server.get("/metrics").await;
    assert!(metrics.text.ends_with("# EOF\n"), "{}", metrics.text);
    let ann = User::new("ann", ["dev"]);
    let asked = || request("GET", "/metrics", "application/json", "");
    let refused = server.send_as(&ann, asked()).await;
    assert_eq!(refused.code, 403, "{}", refused.text);
}

#[tokio::test]
async fn the_root_names_every_path_that_is_no_object() {
    let server = Server::new().await;
    let told = server.get("/").await.good();
    let paths: Vec<&str> = told["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|path| path.as_str())
        .collect();
    assert!(paths.is_sorted());
    for path in [
        "/api",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/healthz",
        "/openapi/v2",
        "/version",
    ] {
        assert!(paths.contains(&path), "{path}");
    }
    for path in paths {
        let code = server.accepting(path, "application/json, */*").await.code;
        assert_eq!(code, 200, "{path}");
    }
}

#[tokio::test]
async fn openapi_v2_is_json_for_who_asks_for_json() {
    let server = Server::new().await;
    for accept in ["application/json", "*/*"] {
        let answer = server.accepting("/openapi/v2", accept).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.good()["swagger"], "2.0");
    }
    assert_eq!(server.accepting("/openapi/v2", "text/html").await.code, 406);
}

#[tokio::test]
async fn a_head_is_a_get_and_a_path_that_watches_a_watch() {
    let server = Server::new().await;
    for path in ["/version", "/api/v1/namespaces/default", "/api/v1/pods"] {
        let head = server.send(request("HEAD", path, "", "")).await;
        let get = server.get(path).await;
        assert_eq!((head.code, &head.headers), (200, &get.headers), "{path}");
    }
    assert_eq!(
        server
            .send(request("HEAD", "/api/v1/namespaces/none", "", ""))
            .await
            .code,
        404
    );
    let watched = server
        .get("/api/v1/watch/namespaces/default?timeoutSeconds=1")
        .await
        .good();
    assert_eq!(
        (&watched["type"], &watched["object"]["kind"]),
        (&json!("ADDED"), &json!("Namespace"))
    );
}

#[tokio::test]
async fn the_parts_of_the_control_plane_are_told() {
    let server = Server::new().await;
    let list = server.get("/api/v1/componentstatuses").await;
    assert!(list.warnings()[0].contains("deprecated"));
    let list = list.good();
    assert_eq!(list["kind"], "ComponentStatusList");
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["metadata"]["name"])
        .collect();
    assert_eq!(names, ["controller-manager", "etcd-0", "scheduler"]);
    let one = server.get("/api/v1/componentstatuses/etcd-0").await.good();
    assert_eq!(one["conditions"][0]["status"], "True");
    assert_eq!(server.get("/api/v1/componentstatuses/none").await.code, 404);
    let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let table = server
        .accepting("/api/v1/componentstatuses", table)
        .await
        .good();
    assert_eq!(
        table["rows"][2]["cells"],
        json!(["scheduler", "Healthy", "ok", ""])
    );
}

#[tokio::test]
async fn the_api_is_a_service() {
    let server = Server::new().await;
    for port in [6443, 6443, 7443] {
        server
            .api
            .answer_at(([127, 0, 0, 1], port).into())
            .await
            .unwrap();
        let service = server
            .get("/api/v1/namespaces/default/services/kubernetes")
            .await
            .good();
        assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
        assert_eq!(
            service["metadata"]["annotations"]["networking.istio.io/exportTo"],
            "~"
        );
        assert_eq!(service["spec"]["ports"][0]["targetPort"], port);
        let endpoints = server
            .get("/api/v1/namespaces/default/endpoints/kubernetes")
            .await
            .good();
        assert_eq!(
            endpoints["subsets"],
            json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}])
        );
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=kubernetes";
        let slice = server.get(slices).await.good()["items"][0].clone();
        assert_eq!(
            (
                &slice["ports"][0]["port"],
                &slice["endpoints"][0]["addresses"]
            ),
            (&json!(port), &json!(["127.0.0.1"]))
        );
    }
}

#[tokio::test]
async fn a_backup_is_for_administrators() {
    let server = Server::new().await;
    let nobody = osier_apiserver::User::new("ann", ["system:authenticated"]);
    let refused = server
        .send_as(&nobody, request("GET", "/osier/v1/backup", "", ""))
        .await;
    assert_eq!(refused.code, 403);
    let backup = request("GET", "/osier/v1/backup", "", "");
    let answer = server
        .api
        .call(
            &osier_apiserver::User::new("admin", ["system:masters"]),
            backup,
        )
        .await;
    let bytes = osier_process::body::read(answer.into_body(), usize::MAX)
        .await
        .unwrap();
    let contents = osier_apiserver::check_backup(&bytes[..]).unwrap();
    assert!(contents.objects > 5 && contents.revision > contents.objects);
}
