//! The first-party plugins that the build put into the binary.

use osier_images::Bundled;

/// Name and component of each, sorted by name.
static PLUGINS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// What `builtin://NAME` finds.
pub(crate) struct Plugins;

impl Bundled for Plugins {
    fn component(&self, name: &str) -> Option<&'static [u8]> {
        PLUGINS
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, component)| *component)
    }

    fn names(&self) -> Vec<&'static str> {
        PLUGINS.iter().map(|(name, _)| *name).collect()
    }
}
