//! The component of a layer: the layer itself, or `plugin.wasm` of an archive. Nothing is written to disk, and no path of the
//! archive is followed.

use std::io::Read;

use bytes::Bytes;

use crate::LARGEST;
use crate::error::Fault;
use crate::manifest::LayerKind;

/// Entries of an archive that are looked at.
const ENTRIES: usize = 10_000;

/// The component in a layer.
///
/// # Errors
/// There is none in it, several, or one that is too large.
pub fn in_layer(kind: LayerKind, layer: &Bytes) -> Result<Bytes, Fault> {
    match kind {
        LayerKind::Wasm => Ok(layer.clone()),
        LayerKind::Tar => in_archive(layer.as_ref()),
        LayerKind::TarGzip => in_archive(flate2::read::GzDecoder::new(layer.as_ref())),
    }
}

/// `plugin.wasm`; without one, the only file that ends in `.wasm`.
fn in_archive(archive: impl Read) -> Result<Bytes, Fault> {
    let bad = |error: std::io::Error| Fault::NotWasm(format!("its layer is no archive: {error}"));
    // Bounds what a small archive may grow to.
    let mut archive = tar::Archive::new(archive.take(2 * LARGEST));
    let (mut found, mut names) = (None, Vec::new());
    for entry in archive.entries().map_err(bad)?.take(ENTRIES) {
        let mut entry = entry.map_err(bad)?;
        let path = entry.path().map_err(bad)?.into_owned();
        if !entry.header().entry_type().is_file() || path.extension() != Some("wasm".as_ref()) {
            continue;
        }
        if entry.size() > LARGEST {
            return Err(Fault::TooLarge {
                what: "the component",
                limit: LARGEST,
            });
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(bad)?;
        if path.file_name() == Some("plugin.wasm".as_ref()) {
            return Ok(bytes.into());
        }
        names.push(path.display().to_string());
        found = Some(bytes);
    }
    match (found, names.as_slice()) {
        (Some(bytes), [_]) => Ok(bytes.into()),
        (_, []) => Err(Fault::NotWasm(
            "its last layer has no plugin.wasm; `COPY` the component there under that name".into(),
        )),
        (_, many) => Err(Fault::NotWasm(format!(
            "its last layer has no plugin.wasm, and several others: {}",
            many.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write as _;

    fn archive(files: &[(&str, &[u8])]) -> Bytes {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap().into()
    }

    #[test]
    fn the_plugin_of_an_archive_is_found() {
        let tar = archive(&[("etc/x", b"1"), ("a.wasm", b"2"), ("plugin.wasm", b"\0asm")]);
        assert_eq!(in_layer(LayerKind::Tar, &tar).unwrap(), b"\0asm".as_slice());
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&archive(&[("app/web.wasm", b"\0asm")]))
            .unwrap();
        let zip = zip.finish().unwrap().into();
        assert_eq!(
            in_layer(LayerKind::TarGzip, &zip).unwrap(),
            b"\0asm".as_slice()
        );
        let said = |layer: &Bytes| in_layer(LayerKind::Tar, layer).unwrap_err().to_string();
        assert!(said(&archive(&[("x", b"1")])).contains("no plugin.wasm"));
        assert!(said(&archive(&[("a.wasm", b"1"), ("b.wasm", b"2")])).contains("a.wasm, b.wasm"));
        assert!(in_layer(LayerKind::TarGzip, &Bytes::from_static(b"no")).is_err());
    }
}
