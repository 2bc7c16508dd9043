//! C headers of a world: `plugin.h` with its types and functions, `plugin.c`, and an object that carries the world into the module.

use crate::Error;
use std::path::Path;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::{Resolve, WorldId};

/// Generated files by name.
pub type Generated = Vec<(String, Vec<u8>)>;

/// Makes the bindings of the world `plugin` of a project's `wit` folder.
///
/// # Errors
/// If the folder holds no such world, or not what it refers to.
pub fn bindings(wit: &Path) -> Result<Generated, Error> {
    let (mut resolve, world) = world(wit)?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator
        .generate(&mut resolve, world, &mut files)
        .map_err(Error::wit)?;
    let owned = |(name, bytes): (&str, &[u8])| (name.to_owned(), bytes.to_vec());
    Ok(files.iter().map(owned).collect())
}

/// The world `plugin` of a project's `wit` folder.
pub(crate) fn world(wit: &Path) -> Result<(Resolve, WorldId), Error> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).map_err(Error::wit)?;
    let world = resolve.select_world(&[package], Some("plugin"));
    Ok((resolve, world.map_err(Error::wit)?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_world_becomes_a_header_and_a_world_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("plugin.wit"), text).unwrap();
        write(
            "package local:plugin;\nworld plugin { export answer: func(text: string) -> bool; }\n",
        );
        let made = bindings(folder.path()).unwrap();
        let text = |name: &str| {
            let (_, bytes) = made.iter().find(|(known, _)| known == name).unwrap();
            String::from_utf8_lossy(bytes).into_owned()
        };
        assert!(text("plugin.h").contains("bool exports_plugin_answer(plugin_string_t *text)"));
        assert!(
            made.iter()
                .any(|(name, _)| name == "plugin_component_type.o")
        );
        write("package local:plugin;\nworld other {}\n");
        let error = bindings(folder.path()).unwrap_err().to_string();
        assert!(error.contains("plugin"), "{error}");
    }
}
