//! Manifests: which layer holds the component, and how a component is described when it is pushed. Pure.
//!
//! Read are the CNCF's layout for Wasm artifacts (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), the older
//! one of `wasm-to-oci`, and images as Docker builds them whose last layer has a `plugin.wasm`, which Envoy made usual.

use serde_json::{Value, json};

use crate::error::Fault;
use crate::reference::is_digest;

/// Manifest of one image.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What is accepted for a manifest.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// The type of the configuration of a Wasm artifact.
pub(crate) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The type of a component as a layer.
const WASM: &str = "application/wasm";
const OLDER: [&str; 2] = [
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];
/// Systems of Wasm images in an index.
const SYSTEMS: [&str; 4] = ["wasip2", "wasip3", "wasip1", "wasi"];

/// What a registry has under a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Digest of the manifest.
    pub digest: String,
    /// Where the component is.
    pub layer: Layer,
}

/// A layer that holds a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of the layer as it is in the registry.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// How the component is in it.
    pub kind: LayerKind,
}

/// How a component is in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// The layer is the component.
    Wasm,
    /// A tar archive.
    Tar,
    /// A tar archive, compressed by gzip.
    TarGzip,
}

/// What a manifest says.
#[derive(Debug, PartialEq, Eq)]
pub enum Manifest {
    /// Look at the manifest of this digest.
    Index(String),
    /// One image.
    Image(Layer),
}

impl Manifest {
    /// Reads the text of a manifest or an index.
    ///
    /// # Errors
    /// What keeps it from being that of a component.
    pub fn read(text: &[u8]) -> Result<Self, Fault> {
        let bad = |reason: &str| Fault::NotWasm(reason.to_owned());
        let manifest: Value =
            serde_json::from_slice(text).map_err(|error| Fault::NotWasm(error.to_string()))?;
        if let Some(children) = manifest["manifests"].as_array() {
            let child = SYSTEMS
                .iter()
                .find_map(|system| children.iter().find(|child| is_for(child, system)));
            let child = child.ok_or_else(|| {
                bad("none of its manifests is for the platform wasi/wasm; build it for Wasm")
            })?;
            return digest_of(child).map(Self::Index);
        }
        let layers = manifest["layers"]
            .as_array()
            .ok_or_else(|| bad("its manifest has no layers"))?;
        let found = layers
            .iter()
            .find_map(|layer| Some((layer, wasm(layer)?)))
            .or_else(|| {
                layers
                    .iter()
                    .rev()
                    .find_map(|layer| Some((layer, archive(layer)?)))
            });
        let Some((layer, kind)) = found else {
            let types: Vec<&str> = layers
                .iter()
                .filter_map(|layer| layer["mediaType"].as_str())
                .collect();
            return Err(Fault::NotWasm(format!(
                "its layers are of types {types:?}; push it as `application/wasm`, with `osier image push` or `wkg oci push`"
            )));
        };
        Ok(Self::Image(Layer {
            digest: digest_of(layer)?,
            size: layer["size"].as_u64().unwrap_or_default(),
            kind,
        }))
    }
}

fn is_for(child: &Value, system: &str) -> bool {
    child["platform"]["architecture"] == "wasm" && child["platform"]["os"] == system
}

fn digest_of(descriptor: &Value) -> Result<String, Fault> {
    let digest = descriptor["digest"].as_str().unwrap_or_default();
    if is_digest(digest) {
        return Ok(digest.to_owned());
    }
    Err(Fault::NotWasm(format!(
        "its manifest has the digest {digest:?}, and only sha256 is known"
    )))
}

fn wasm(layer: &Value) -> Option<LayerKind> {
    let kind = layer["mediaType"].as_str()?;
    (kind == WASM || OLDER.contains(&kind)).then_some(LayerKind::Wasm)
}

fn archive(layer: &Value) -> Option<LayerKind> {
    match layer["mediaType"].as_str()? {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/vnd.oci.image.layer.v1.tar+gzip" => Some(LayerKind::TarGzip),
        "application/vnd.oci.image.layer.v1.tar" => Some(LayerKind::Tar),
        _ => None,
    }
}

/// The configuration and the manifest of a component, as JSON text. `imports` and `exports` are its interfaces.
#[must_use]
pub fn describe(
    component: &[u8],
    (imports, exports): (&[String], &[String]),
    created: jiff::Timestamp,
) -> (String, String) {
    let digest = crate::digest(component);
    let config = json!({
        "created": created.to_string(), "architecture": "wasm", "os": "wasip2", "layerDigests": [digest],
        "component": {"imports": imports, "exports": exports, "target": null},
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": crate::digest(config.as_bytes()), "size": config.len()},
        "layers": [{"mediaType": WASM, "digest": digest, "size": component.len()}],
        "annotations": {"org.opencontainers.image.created": created.to_string()},
    })
    .to_string();
    (config, manifest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn layer(kind: &str) -> Value {
        json!({"mediaType": kind, "digest": crate::digest(kind.as_bytes()), "size": 3})
    }

    fn kind(layers: &Value) -> Result<LayerKind, Fault> {
        match Manifest::read(json!({"layers": layers}).to_string().as_bytes())? {
            Manifest::Image(layer) => Ok(layer.kind),
            Manifest::Index(_) => Err(Fault::NotWasm("an index".into())),
        }
    }

    #[test]
    fn all_layouts_are_read() {
        let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        assert_eq!(kind(&json!([layer(WASM)])).unwrap(), LayerKind::Wasm);
        assert_eq!(kind(&json!([layer(OLDER[0])])).unwrap(), LayerKind::Wasm);
        assert_eq!(kind(&json!([layer(docker)])).unwrap(), LayerKind::TarGzip);
        let said = kind(&json!([layer("text/plain")])).unwrap_err().to_string();
        assert!(said.contains("text/plain"), "{said}");
        assert!(Manifest::read(b"[]").is_err());
        let weak = json!([{"mediaType": WASM, "digest": "md5:1", "size": 1}]);
        assert!(kind(&weak).unwrap_err().to_string().contains("md5:1"));
    }

    #[test]
    fn the_wasm_image_of_an_index_is_taken() {
        let child = |os: &str, architecture: &str| json!({"digest": crate::digest(os.as_bytes()), "platform": {"os": os, "architecture": architecture}});
        let index = json!({"manifests": [child("linux", "amd64"), child("wasi", "wasm")]});
        let read = Manifest::read(index.to_string().as_bytes()).unwrap();
        assert_eq!(read, Manifest::Index(crate::digest(b"wasi")));
        let none = json!({"manifests": [child("linux", "amd64")]});
        assert!(Manifest::read(none.to_string().as_bytes()).is_err());
    }

    #[test]
    fn what_is_described_is_read() {
        let (_, manifest) = describe(b"\0asm", (&[], &[]), jiff::Timestamp::UNIX_EPOCH);
        let layer = Layer {
            digest: crate::digest(b"\0asm"),
            size: 4,
            kind: LayerKind::Wasm,
        };
        assert_eq!(
            Manifest::read(manifest.as_bytes()).unwrap(),
            Manifest::Image(layer)
        );
    }
}
