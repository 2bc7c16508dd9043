//! Images from and to a real registry: pushed and pulled with TLS and a password, by pods and plugins, signed, and refused with words.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use osier_tests::artifacts::{self, component};
use osier_tests::objects;
use osier_tests::registry::Registry;
use osier_tests::{Node, Options, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn pod(name: &str, image: &str, spec: &Value) -> String {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod.to_string()
}

/// Runs `osier ARGS`, with an empty home or that of a login, and returns what it printed on success, or what it complained of.
fn osier(args: &[&str], home: &Path, authority: Option<&Path>) -> Result<String, String> {
    let mut command = Command::new(artifacts::binary().unwrap());
    command
        .args(args)
        .env("HOME", home)
        .env_remove("DOCKER_CONFIG");
    if let Some(authority) = authority {
        command.env("SSL_CERT_FILE", authority);
    }
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

fn login(home: &Path, registry: &str) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode("osier:secret");
    let config = json!({"auths": {registry: {"auth": auth}}}).to_string();
    std::fs::create_dir_all(home.join(".docker")).unwrap();
    std::fs::write(home.join(".docker/config.json"), &config).unwrap();
    config
}

/// The message of the container's waiting state, once its reason is this.
async fn waiting(node: &Node, name: &str, reason: &str) -> Result<String> {
    let path = format!("/api/v1/namespaces/default/pods/{name}");
    until(reason, LIMIT, || async {
        let pod = objects::get(node, &path).await?;
        let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        ensure!(state["reason"] == reason, "{}", pod["status"]);
        Ok(state["message"].as_str().map(str::to_owned))
    })
    .await
}

async fn events(node: &Node, name: &str) -> Result<Vec<(String, String)>> {
    let path = "/api/v1/namespaces/default/events";
    let list = objects::get(node, path).await?;
    let list = list["items"].as_array().context("a list of events")?;
    let about = list
        .iter()
        .filter(|event| event["involvedObject"]["name"] == name);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(about
        .map(|event| (text(&event["reason"]), text(&event["message"])))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_what_was_pushed_with_tls_and_a_password() {
    let registry = Registry::closed().unwrap();
    let home = tempfile::tempdir().unwrap();
    let ticker = component("tests/ticker").unwrap();
    let image = format!("{}/tests/ticker:1", registry.address());
    let authority = registry.authority();
    let push = ["plugin", "push", ticker.to_str().unwrap(), &image];

    let refused = osier(&push, home.path(), None).unwrap_err();
    assert!(
        refused.contains("does not speak TLS that this machine trusts"),
        "{refused}"
    );
    let refused = osier(&push, home.path(), Some(&authority)).unwrap_err();
    assert!(
        refused.contains("without credentials") && refused.contains("docker login"),
        "{refused}"
    );
    let config = login(home.path(), registry.address());
    let pushed = osier(&push, home.path(), Some(&authority)).unwrap();
    let digest = pushed.split_whitespace().last().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"), "{pushed}");

    let node = Node::start_with(&Options {
        env: vec![(
            "SSL_CERT_FILE".into(),
            authority.to_string_lossy().into_owned(),
        )],
        ..Options::default()
    })
    .unwrap();
    node.apply_text(&pod("anonymous", &image, &json!({})))
        .unwrap();
    let said = waiting(&node, "anonymous", "ImagePullBackOff")
        .await
        .unwrap();
    assert!(said.contains("imagePullSecret"), "{said}");

    let secret = base64::engine::general_purpose::STANDARD.encode(config);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": secret},
    });
    node.apply_text(&secret.to_string()).unwrap();
    let with = json!({"imagePullSecrets": [{"name": "login"}]});
    let pinned = format!("{}/tests/ticker@{digest}", registry.address());
    node.apply_text(&pod("ticker", &pinned, &with)).unwrap();
    objects::ready(&node, "app=ticker", 1).await.unwrap();
    // Events come after the fact.
    let told = || async {
        let told = events(&node, "ticker").await?;
        let has = |reason: &str, words: &str| {
            let mut all = told.iter();
            all.any(|(known, message)| known == reason && message.contains(words))
        };
        let all = has("Pulling", &pinned) && has("Pulled", "Successfully pulled image");
        ensure!(all, "{told:?}");
        Ok(Some(()))
    };
    until("the events of the pull", LIMIT, told).await.unwrap();

    // What is here needs no registry.
    drop(registry);
    node.apply_text(&pod("again", &pinned, &json!({}))).unwrap();
    objects::ready(&node, "app=again", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insecure_registry_must_be_named_and_a_missing_image_is_told() {
    let registry = Registry::open().unwrap();
    let home = tempfile::tempdir().unwrap();
    let (host, ticker) = (registry.address(), component("tests/ticker").unwrap());
    let image = format!("{host}/tests/ticker:1");
    let push = ["plugin", "push", ticker.to_str().unwrap(), &image];
    let refused = osier(&push, home.path(), None).unwrap_err();
    assert!(
        refused.contains(&format!("--insecure-registry {host}")),
        "{refused}"
    );
    let insecure = ["--insecure-registry", host];
    osier(&[&push[..], &insecure].concat(), home.path(), None).unwrap();

    let data = home.path().join("data");
    let place = ["--data-dir", data.to_str().unwrap()];
    let pull = [&["image", "pull", &image][..], &insecure, &place].concat();
    assert!(osier(&pull, home.path(), None).unwrap().contains(" bytes)"));
    assert!(
        osier(&pull, home.path(), None)
            .unwrap()
            .contains("(was here)")
    );
    let list = [&["image", "list"][..], &place].concat();
    assert!(osier(&list, home.path(), None).unwrap().contains(&image));
    let inspect = [&["image", "inspect", &image][..], &place].concat();
    let shown: Value = serde_json::from_str(&osier(&inspect, home.path(), None).unwrap()).unwrap();
    let exports = shown["exports"].as_array().unwrap();
    assert!(
        exports
            .iter()
            .any(|name| name.as_str().unwrap().starts_with("wasi:cli/run@")),
        "{shown}"
    );
    let copy = format!("{host}/copies/ticker:2");
    let push = [&["image", "push", &image, &copy][..], &insecure, &place].concat();
    osier(&push, home.path(), None).unwrap();
    let prune = [&["image", "prune", "--pulled"][..], &place].concat();
    assert!(osier(&prune, home.path(), None).unwrap().contains(&image));
    assert!(!osier(&list, home.path(), None).unwrap().contains(&image));

    let node = Node::start_with(&Options {
        args: vec!["--insecure-registry".into(), host.to_owned()],
        ..Options::default()
    })
    .unwrap();
    node.apply_text(&pod("copy", &copy, &json!({}))).unwrap();
    objects::ready(&node, "app=copy", 1).await.unwrap();
    let missing = format!("{host}/tests/none:1");
    node.apply_text(&pod("none", &missing, &json!({}))).unwrap();
    let said = waiting(&node, "none", "ImagePullBackOff").await.unwrap();
    assert!(
        said.contains("no such image") && said.contains("manifest unknown"),
        "{said}"
    );
    let never =
        json!({"containers": [{"name": "main", "image": missing, "imagePullPolicy": "Never"}]});
    node.apply_text(&pod("never", &missing, &never)).unwrap();
    let said = waiting(&node, "never", "ErrImageNeverPull").await.unwrap();
    let words = format!("Container image \"{missing}\" is not present with pull policy of Never");
    assert!(said.starts_with(&words), "{said}");
    let told = || async {
        let told = events(&node, "never").await?;
        let has = |reason: &str, message: &str| {
            let mut all = told.iter();
            all.any(|(known, words)| known == reason && words.starts_with(message))
        };
        let all = has("ErrImageNeverPull", &words) && has("Failed", "Error: ErrImageNeverPull");
        ensure!(all, "{told:?}");
        Ok(Some(()))
    };
    until("why it waits is told", LIMIT, told).await.unwrap();
    // Whoever imports it sees it run.
    let own =
        json!({"containers": [{"name": "main", "image": "own:1", "imagePullPolicy": "Never"}]});
    node.apply_text(&pod("own", "own:1", &own)).unwrap();
    let said = waiting(&node, "own", "ErrImageNeverPull").await.unwrap();
    assert!(said.contains("`osier image import own:1 FILE`"), "{said}");
    node.import("own:1", &ticker).unwrap();
    objects::ready(&node, "app=own", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_signed_images_run_where_a_key_is_asked_for() {
    let registry = Registry::open().unwrap();
    let home = tempfile::tempdir().unwrap();
    let host = registry.address();
    let (image, digest) = pushed_ticker(host, home.path());
    let (key, asked) = asking(host, home.path());
    let args = [insecure(host), asked].concat();
    let node = Node::start_with(&Options {
        args,
        ..Options::default()
    })
    .unwrap();
    node.apply_text(&pod("ticker", &image, &json!({}))).unwrap();
    let said = waiting(&node, "ticker", "ImagePullBackOff").await.unwrap();
    assert!(said.contains("no signature of the key"), "{said}");

    sign(host, &digest, &key).await;
    objects::ready(&node, "app=ticker", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_by_hand_only_if_the_given_key_signed_it() {
    let registry = Registry::open().unwrap();
    let home = tempfile::tempdir().unwrap();
    let host = registry.address();
    let (image, digest) = pushed_ticker(host, home.path());
    let (key, asked) = asking(host, home.path());
    let data = home.path().join("data");
    let place = ["--data-dir", data.to_str().unwrap()];
    let pull = |keys: &[&str]| {
        let plain = ["image", "pull", &image, "--insecure-registry", host];
        osier(&[&plain[..], keys, &place].concat(), home.path(), None)
    };
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let refused = pull(&asked).unwrap_err();
    assert!(refused.contains("no signature of the key"), "{refused}");
    let list = [&["image", "list"][..], &place].concat();
    let list = || osier(&list, home.path(), None).unwrap();
    assert!(!list().contains(&image));

    let public = home.path().join("cosign.pub");
    let elsewhere = format!("{host}/other={}", public.display());
    let refused = pull(&["--image-key", &elsewhere]).unwrap_err();
    assert!(refused.contains("none of the keys is for"), "{refused}");

    sign(host, &digest, &key).await;
    let other = tempfile::tempdir().unwrap();
    asking(host, other.path());
    let strange = other.path().join("cosign.pub");
    let both = ["--image-key", strange.to_str().unwrap()];
    let refused = pull(&[&asked[..], &both].concat()).unwrap_err();
    assert!(refused.contains("none of the 1 signatures"), "{refused}");
    pull(&asked).unwrap();
    assert!(list().contains(&image));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_names_keys_loads_only_if_one_of_them_signed_it() {
    let registry = Registry::open().unwrap();
    let home = tempfile::tempdir().unwrap();
    let host = registry.address();
    let node = Node::start_with(&Options {
        args: insecure(host),
        ..Options::default()
    })
    .unwrap();
    // Beside the image whose signatures are made here.
    let image = format!("{host}/tests/ticker:denier");
    let file = component("plugins/denier").unwrap();
    let push = [
        "plugin",
        "push",
        file.to_str().unwrap(),
        &image,
        "--insecure-registry",
        host,
    ];
    let digest = osier(&push, home.path(), None).unwrap();
    let digest = digest.split_whitespace().last().unwrap().to_owned();
    let (key, _) = asking(host, home.path());
    let public = std::fs::read_to_string(home.path().join("cosign.pub")).unwrap();
    let other = tempfile::tempdir().unwrap();
    asking(host, other.path());
    let strange = std::fs::read_to_string(other.path().join("cosign.pub")).unwrap();
    let plugin = |image: &str, keys: &Value| {
        json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "denier"},
            "spec": {"image": image, "verify": {"cosignKeys": keys}}})
    };
    let refused = |image: &str, keys: Value, words: &str| {
        let said = node.apply_text(&plugin(image, &keys).to_string());
        let said = format!("{:#}", said.unwrap_err());
        assert!(said.contains(words), "{said}");
    };
    let name = format!("oci://{image}");
    refused(&name, json!([public.clone()]), "there is no tag");
    sign(host, &digest, &key).await;
    refused(&name, json!([strange.clone()]), "none of the 1 signatures");
    refused(&name, json!(["x"]), "spec.verify.cosignKeys[0]");
    refused(&name, json!([]), "must name 1 to 16");
    refused(
        "builtin://denier",
        json!([public.clone()]),
        "comes from no registry",
    );
    node.apply_text(&plugin(&name, &json!([strange, public])).to_string())
        .unwrap();
    let loaded = || async {
        let path = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins/denier";
        let object = objects::get(&node, path).await?;
        Ok((objects::condition(&object, "Ready") == Some("True")).then_some(()))
    };
    until("the plugin is loaded", LIMIT, loaded).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joined_node_with_a_key_takes_nothing_unsigned_from_the_node_that_it_joined() {
    let registry = Registry::open().unwrap();
    let home = tempfile::tempdir().unwrap();
    let host = registry.address();
    let (image, digest) = pushed_ticker(host, home.path());
    let (key, asked) = asking(host, home.path());
    let control = Node::start_with(&Options {
        args: [
            insecure(host),
            ["--node-name", "first"].map(str::to_owned).to_vec(),
        ]
        .concat(),
        ..Options::default()
    })
    .unwrap();
    let on = |node: &str, policy: &str| json!({"nodeName": node, "containers": [{"name": "main", "image": image, "imagePullPolicy": policy}]});
    // The control plane's node asks for no key: its store has the image from here on.
    let first = on("first", "IfNotPresent");
    control.apply_text(&pod("first", &image, &first)).unwrap();
    objects::ready(&control, "app=first", 1).await.unwrap();

    let _plain = control.joined_with("plain", &insecure(host)).unwrap();
    let given = on("plain", "Never");
    control.apply_text(&pod("given", &image, &given)).unwrap();
    objects::ready(&control, "app=given", 1).await.unwrap();

    let careful = [insecure(host), asked].concat();
    let _careful = control.joined_with("careful", &careful).unwrap();
    let refused = on("careful", "Never");
    control
        .apply_text(&pod("refused", &image, &refused))
        .unwrap();
    let said = waiting(&control, "refused", "ErrImageNeverPull")
        .await
        .unwrap();
    assert!(said.contains("must be signed (--image-key)"), "{said}");
    let nowhere = json!({"nodeName": "plain", "containers": [{"name": "main", "image": "own:1", "imagePullPolicy": "Never"}]});
    control.apply_text(&pod("own", "own:1", &nowhere)).unwrap();
    let said = waiting(&control, "own", "ErrImageNeverPull").await.unwrap();
    assert!(
        said.starts_with("Container image \"own:1\" is not present with pull policy of Never"),
        "{said}"
    );

    sign(host, &digest, &key).await;
    let signed = on("careful", "IfNotPresent");
    control.apply_text(&pod("signed", &image, &signed)).unwrap();
    objects::ready(&control, "app=signed", 1).await.unwrap();
}

/// An image in a registry, and the digest of its manifest.
fn pushed_ticker(host: &str, home: &Path) -> (String, String) {
    let image = format!("{host}/tests/ticker:1");
    let ticker = component("tests/ticker").unwrap();
    let push = [
        "plugin",
        "push",
        ticker.to_str().unwrap(),
        &image,
        "--insecure-registry",
        host,
    ];
    let pushed = osier(&push, home, None).unwrap();
    let digest = pushed.split_whitespace().last().unwrap().to_owned();
    (image, digest)
}

fn insecure(host: &str) -> Vec<String> {
    ["--insecure-registry", host].map(str::to_owned).to_vec()
}

/// A key, and the arguments that ask for its signature.
fn asking(host: &str, home: &Path) -> (PathBuf, Vec<String>) {
    let (key, public) = (home.join("cosign.key"), home.join("cosign.pub"));
    let (private, shown) = (key.to_str().unwrap(), public.to_str().unwrap());
    let curve = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
    openssl(&[&curve[..], &["-out", private]].concat());
    openssl(&["ec", "-in", private, "-pubout", "-out", shown]);
    let asked = format!("{host}/tests={shown}");
    (key, ["--image-key".to_owned(), asked].to_vec())
}

fn openssl(args: &[&str]) {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What `cosign sign --key` leaves in a registry.
async fn sign(host: &str, digest: &str, key: &Path) {
    let payload = json!({"critical": {
        "identity": {"docker-reference": ""}, "image": {"docker-manifest-digest": digest}, "type": "cosign container image signature",
    }, "optional": null})
    .to_string();
    let (file, signature) = (key.with_extension("payload"), key.with_extension("sig"));
    std::fs::write(&file, &payload).unwrap();
    openssl(&[
        "dgst",
        "-sha256",
        "-sign",
        key.to_str().unwrap(),
        "-out",
        signature.to_str().unwrap(),
        file.to_str().unwrap(),
    ]);
    let signature =
        base64::engine::general_purpose::STANDARD.encode(std::fs::read(signature).unwrap());
    let layer = upload(host, &payload);
    let config = upload(host, "{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": layer, "size": payload.len(),
            "annotations": {"dev.cosignproject.cosign/signature": signature},
        }],
    });
    let url = format!(
        "http://{host}/v2/tests/ticker/manifests/{}.sig",
        digest.replace(':', "-")
    );
    let manifest = manifest.to_string();
    curl(&[
        "-X",
        "PUT",
        "-H",
        "content-type: application/vnd.oci.image.manifest.v1+json",
        "--data-binary",
        &manifest,
        &url,
    ]);
}

fn upload(host: &str, text: &str) -> String {
    let sum = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" | sha256sum | cut -d' ' -f1",
            "sh",
            text,
        ])
        .output()
        .unwrap();
    let digest = format!("sha256:{}", String::from_utf8(sum.stdout).unwrap().trim());
    let begun = curl(&[
        "-X",
        "POST",
        "-D",
        "-",
        "-o",
        "/dev/null",
        &format!("http://{host}/v2/tests/ticker/blobs/uploads/"),
    ]);
    let location = begun
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap()
        .trim()
        .to_owned();
    let url = format!("{location}&digest={digest}");
    curl(&[
        "-X",
        "PUT",
        "-H",
        "content-type: application/octet-stream",
        "--data-binary",
        text,
        &url,
    ]);
    digest
}

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--fail", "--max-time", "30"])
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "curl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
