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
        // The toolbox is a program that `kubectl exec` runs: whoever mistypes a plugin did not mean it.
        let names = PLUGINS.iter().map(|(name, _)| *name);
        names.filter(|name| *name != "toolbox").collect()
    }
}
