//! What volumes hold.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::Ipv4Addr;

use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn pod(volume: Value) -> Object {
    object(
        json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web", "tier": "a\"b"}},
        "spec": {"volumes": [volume]}}),
    )
}

fn read(volume: Value) -> Result<Vec<Mounted>, VolumeError> {
    let config = object(
        json!({"metadata": {"name": "c"}, "data": {"a.conf": "1", "b.conf": "2"},
        "binaryData": {"raw": "/w=="}}),
    );
    let secret = object(json!({"metadata": {"name": "s"}, "data": {"token": "c2VjcmV0"}}));
    let sources = [
        ((SourceKind::ConfigMap, "c".to_owned()), config),
        ((SourceKind::Secret, "s".to_owned()), secret),
    ]
    .into();
    let place = Place {
        pod_ip: Ipv4Addr::new(10, 244, 0, 9),
        host_ip: "127.0.0.1".to_owned(),
        allocatable_cpu: 2000,
        allocatable_memory: 1 << 30,
    };
    let container = json!({"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let wish = Wish {
        audience: "vault".to_owned(),
        seconds: 600,
    };
    let tokens = [(wish, "signed".to_owned())].into();
    mounts(&pod(volume), &container, (&sources, &tokens), &place)
}

fn files(volume: Value) -> Vec<(String, Vec<u8>)> {
    match read(volume).unwrap().remove(0).content {
        Content::Files(files) => files.into_iter().collect(),
        Content::Empty | Content::Host { .. } | Content::Claim(_) => Vec::new(),
    }
}

fn file(path: &str, text: &str) -> (String, Vec<u8>) {
    (path.to_owned(), text.as_bytes().to_vec())
}

#[test]
fn an_object_is_a_file_for_each_key_or_for_those_that_are_named() {
    assert_eq!(
        files(json!({"name": "v", "configMap": {"name": "c"}})),
        [
            file("a.conf", "1"),
            file("b.conf", "2"),
            ("raw".to_owned(), vec![0xff])
        ]
    );
    let some = json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "b.conf", "path": "sub/b"}]}});
    assert_eq!(files(some), [file("sub/b", "2")]);
    let secret = json!({"name": "v", "secret": {"secretName": "s"}});
    assert_eq!(files(secret), [file("token", "secret")]);
}

#[test]
fn a_projection_joins_its_sources() {
    let projected = json!({"name": "v", "projected": {"sources": [
        {"secret": {"name": "s"}},
        {"configMap": {"name": "none", "optional": true}},
        {"downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "ip", "fieldRef": {"fieldPath": "status.podIP"}},
        ]}},
    ]}});
    assert_eq!(
        files(projected),
        [
            file("ip", "10.244.0.9"),
            file("labels", "app=\"web\"\ntier=\"a\\\"b\""),
            file("token", "secret"),
        ]
    );
}

#[test]
fn a_projection_holds_the_token_that_it_asks_for() {
    let asked = json!({"audience": "vault", "expirationSeconds": 600, "path": "tokens/vault"});
    let volume = json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": asked}]}});
    assert_eq!(files(volume.clone()), [file("tokens/vault", "signed")]);
    let container = json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let wished = super::tokens(&pod(volume.clone()), &container);
    assert_eq!(wished.len(), 1);
    assert!(
        super::tokens(&pod(volume.clone()), &json!({})).is_empty(),
        "what is not mounted is not asked for"
    );
    assert!(follows(&pod(volume)), "it is renewed");
}

#[test]
fn what_is_missing_or_not_possible_is_told() {
    let told = |volume: Value| read(volume).unwrap_err().to_string();
    let missing = json!({"name": "v", "configMap": {"name": "none"}});
    assert_eq!(told(missing), "volume \"v\": ConfigMap \"none\" not found");
    let key =
        json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "x", "path": "x"}]}});
    assert_eq!(
        told(key),
        "volume \"v\": references non-existent key \"x\" of Secret \"s\""
    );
    let disk = json!({"name": "v", "nfs": {"path": "/etc"}});
    assert!(told(disk).contains("nfs cannot be mounted"));
    let bundle =
        json!({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "t"}}]}});
    assert!(told(bundle).contains("clusterTrustBundle cannot be mounted"));
    for path in ["../x", "/etc/x", "a/../../x", "..data", ""] {
        let out = json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "a.conf", "path": path}]}});
        assert!(told(out).contains("is not a path in a volume"), "{path}");
    }
}

#[test]
fn only_an_empty_directory_is_written() {
    let empty = read(json!({"name": "v", "emptyDir": {}})).unwrap();
    assert_eq!(
        (empty[0].read_only, &empty[0].content),
        (false, &Content::Empty)
    );
    assert!(read(json!({"name": "v", "configMap": {"name": "c"}})).unwrap()[0].read_only);
}

#[test]
fn a_part_of_a_volume_is_mounted_if_it_is_a_directory_that_stays() {
    let none = Variables::new();
    let mount = |path: &str| part::of("v", &json!({"subPath": path}), &none);
    assert_eq!(mount("a/b").unwrap(), "a/b");
    assert_eq!(mount("").unwrap(), "");
    for bad in ["../x", "/x", "..data"] {
        assert!(mount(bad).is_err(), "{bad}");
    }
    let host = |kind: &str| host("v", &json!({"path": "/data", "type": kind}));
    let path = "/data".to_owned();
    assert_eq!(
        host("DirectoryOrCreate").unwrap(),
        Content::Host { path, make: true }
    );
    assert!(host("Socket").is_err());
}

#[test]
fn single_files_of_a_pod_have_a_directory_for_each_container() {
    let config = object(json!({"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}));
    let sources = [((SourceKind::ConfigMap, "c".to_owned()), config)].into();
    let place = Place {
        pod_ip: Ipv4Addr::LOCALHOST,
        host_ip: String::new(),
        allocatable_cpu: 1,
        allocatable_memory: 1,
    };
    let mount = |at: &str, part: &str| json!({"name": "v", "mountPath": at, "subPath": part});
    let container = json!({"name": "main", "volumeMounts": [
        {"name": "v", "mountPath": "/all"}, mount("/etc/one", "a"), mount("/etc/two", "b")]});
    let pod = pod(json!({"name": "v", "configMap": {"name": "c"}}));
    let all = mounts(&pod, &container, (&sources, &Tokens::new()), &place).unwrap();
    let said: Vec<_> = all
        .iter()
        .map(|one| (one.path.as_str(), one.kept.as_deref()))
        .collect();
    assert_eq!(said, [("/all", None), ("/etc", Some("..main.1"))]);
    let both = [file("one", "1"), file("two", "2")].into();
    assert_eq!(all[1].content, Content::Files(both));
    assert!(all[1].read_only && all[1].within.is_empty());
}

#[test]
fn the_path_of_a_part_may_have_variables_that_are_there() {
    let pod = pod(json!({"name": "v", "emptyDir": {}}));
    let place = Place {
        pod_ip: Ipv4Addr::LOCALHOST,
        host_ip: String::new(),
        allocatable_cpu: 1,
        allocatable_memory: 1,
    };
    let mounted = |expression: &str, value: &str| {
        let env = json!([{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "DAY", "value": value}]);
        let mount = json!({"name": "v", "mountPath": "/v", "subPathExpr": expression});
        let container = json!({"name": "main", "env": env, "volumeMounts": [mount]});
        let given = (&Sources::new(), &Tokens::new());
        mounts(&pod, &container, given, &place).map(|mut all| all.remove(0).within)
    };
    assert_eq!(mounted("$(WHO)/$(DAY)", "monday").unwrap(), "web/monday");
    assert_eq!(mounted("a$$b", "").unwrap(), "a$b");
    let told = mounted("$(WHO)/$(NIGHT)", "x").unwrap_err().to_string();
    assert!(told.contains("missing value for \"NIGHT\""), "{told}");
    for out in ["../x", "/etc", ".."] {
        let told = mounted("$(DAY)", out).unwrap_err().to_string();
        assert!(told.contains("is not a path in a volume"), "{out}: {told}");
    }
}

#[test]
fn a_claim_is_where_its_volume_is() {
    let mut pod = pod(json!({"name": "v", "persistentVolumeClaim": {"claimName": "data"}}));
    pod.set(&["spec", "nodeName"], "a".into());
    let place = Place {
        pod_ip: Ipv4Addr::LOCALHOST,
        host_ip: String::new(),
        allocatable_cpu: 1,
        allocatable_memory: 1,
    };
    let container = json!({"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let key = (SourceKind::Claim, "data".to_owned());
    assert_eq!(references(&pod, &container), [key.clone()].into());
    let mounted = |spec: Option<Value>| {
        let volume = |spec| object(json!({"metadata": {"name": "pv"}, "spec": spec}));
        let sources: Sources = spec
            .map(|spec| (key.clone(), volume(spec)))
            .into_iter()
            .collect();
        let mounted = mounts(&pod, &container, (&sources, &Tokens::new()), &place);
        mounted
            .map(|mut all| all.remove(0))
            .map_err(|error| error.to_string())
    };
    let ours = |node: &str, mode: &str| {
        json!({"csi": osier_api::local_volume::source("pv"), "accessModes": [mode],
            "nodeAffinity": osier_api::local_volume::affinity(node)})
    };
    let here = mounted(Some(ours("a", "ReadWriteOnce"))).unwrap();
    assert_eq!(
        (here.content, here.read_only),
        (Content::Claim("pv".to_owned()), false)
    );
    assert!(mounted(Some(ours("a", "ReadOnlyMany"))).unwrap().read_only);
    assert!(
        mounted(Some(ours("b", "ReadWriteOnce")))
            .unwrap_err()
            .contains("on the node \"b\"")
    );
    let path = "/d".to_owned();
    let local = mounted(Some(json!({"local": {"path": "/d"}}))).unwrap();
    assert_eq!(local.content, Content::Host { path, make: false });
    assert!(
        mounted(Some(json!({"nfs": {}})))
            .unwrap_err()
            .contains("cannot be mounted")
    );
    let told = mounted(None).unwrap_err();
    assert!(
        told.contains("PersistentVolumeClaim \"data\" not found"),
        "{told}"
    );
}
