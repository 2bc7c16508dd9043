//! What registries answer with: manifests, and archives that hold a component.

use osier_distribution::{LayerKind, Manifest, in_layer};

/// Reads a manifest, and the same bytes as each kind of layer.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Ok(Manifest::Image(layer)) = Manifest::read(bytes) {
        assert!(layer.digest.starts_with("sha256:"), "{layer:?}");
    }
    for kind in [LayerKind::Tar, LayerKind::TarGzip] {
        let _component = in_layer(kind, &bytes.to_vec().into());
    }
}
