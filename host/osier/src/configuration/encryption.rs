//! The file that says what is encrypted where it is stored, in Kubernetes' form
//! (<https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/#apiserver-config-k8s-io-v1-EncryptionConfiguration>).

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_apiserver::{Sealing, SealingRule};
use osier_identity::KeyRing;
use serde::Deserialize;

const API_VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configuration {
    api_version: String,
    kind: String,
    resources: Vec<Resources>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    resources: Vec<String>,
    providers: Vec<Provider>,
}

/// One of its fields is set.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Provider {
    aesgcm: Option<Keys>,
    identity: Option<Identity>,
    aescbc: Option<serde::de::IgnoredAny>,
    secretbox: Option<serde::de::IgnoredAny>,
    kms: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Identity {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    secret: String,
}

/// Reads the file.
///
/// # Errors
/// When it is not such a file, or names a provider that is not there. No message holds a key.
pub(super) fn read(text: &str) -> anyhow::Result<Sealing> {
    let read: Configuration = serde_saphyr::from_str(text).map_err(|error| {
        // The parser quotes what it read, which may be a key.
        let place = error.location();
        let place = place.map_or_else(String::new, |at| format!(" (line {})", at.line()));
        anyhow::anyhow!("not an {KIND} of {API_VERSION}{place}: expected resources, each with resources and providers")
    })?;
    ensure!(
        read.api_version == API_VERSION && read.kind == KIND,
        "expected apiVersion: {API_VERSION} and kind: {KIND}"
    );
    let rules = read
        .resources
        .into_iter()
        .enumerate()
        .map(|(place, one)| rule(one).with_context(|| format!("resources[{place}]")));
    Ok(Sealing {
        rules: rules.collect::<anyhow::Result<_>>()?,
    })
}

fn rule(read: Resources) -> anyhow::Result<SealingRule> {
    ensure!(
        !read.resources.is_empty(),
        "resources: name at least one, such as secrets"
    );
    ensure!(
        !read.providers.is_empty(),
        "providers: name at least one, aesgcm or identity"
    );
    let plain = read.providers[0].identity.is_some();
    let mut keys = Vec::new();
    for (place, provider) in read.providers.into_iter().enumerate() {
        let Provider {
            aesgcm,
            identity,
            aescbc,
            secretbox,
            kms,
        } = provider;
        let other = aescbc.is_some() || secretbox.is_some() || kms.is_some();
        ensure!(
            !other && (aesgcm.is_some() || identity.is_some()),
            "providers[{place}]: only aesgcm and identity are supported; aesgcm gives each object a data key of its own"
        );
        for Key { name, secret } in aesgcm.into_iter().flat_map(|given| given.keys) {
            let secret = STANDARD.decode(secret.trim());
            let secret =
                secret.map_err(|_| anyhow::anyhow!("key {name:?}: its secret is not base64"))?;
            keys.push((name, secret));
        }
    }
    Ok(SealingRule {
        resources: read.resources,
        keys: KeyRing::new(keys)?,
        plain,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file(providers: &str) -> String {
        format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\nresources:\n- resources: [secrets, '*.apps']\n  providers: {providers}\n"
        )
    }

    #[test]
    fn keys_are_read_in_their_order() {
        let secret = STANDARD.encode([7; 32]);
        let keys = format!(
            "{{aesgcm: {{keys: [{{name: k2, secret: {secret}}}, {{name: k1, secret: {secret}}}]}}}}"
        );
        let read = read(&file(&format!("[{keys}, {{identity: {{}}}}]"))).unwrap();
        assert_eq!(read.rules[0].resources, ["secrets", "*.apps"]);
        assert_eq!(read.rules[0].keys.first(), Some("k2"));
        assert!(!read.rules[0].plain);
        let read = super::read(&file(&format!("[{{identity: {{}}}}, {keys}]"))).unwrap();
        assert!(read.rules[0].plain);
    }

    #[test]
    fn what_is_wrong_is_told_and_no_key_is() {
        let secret = STANDARD.encode([7; 5]);
        let faults = [
            ("kind: Pod".to_owned(), "EncryptionConfiguration"),
            (file("[{kms: {name: a}}]"), "providers[0]: only aesgcm"),
            (file("[]"), "at least one"),
            (
                file("[{aesgcm: {keys: [{name: k, secret: '%%SECRET'}]}}]"),
                "not base64",
            ),
            (
                file(&format!(
                    "[{{aesgcm: {{keys: [{{name: k, secret: {secret}}}]}}}}]"
                )),
                "5 bytes",
            ),
            (file("[{aesgcm: {keys: [SECRET]}}]"), "line"),
        ];
        for (text, expected) in faults {
            let told = format!("{:#}", read(&text).unwrap_err());
            assert!(told.contains(expected), "{told}");
            assert!(
                !told.contains("SECRET") && !told.contains(&secret),
                "{told}"
            );
        }
    }
}
