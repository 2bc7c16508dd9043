//! The first-party plugins that the build put into the binary.

/// Name and component of each, sorted by name.
static PLUGINS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The component of `builtin://NAME`.
pub fn plugin(name: &str) -> Option<&'static [u8]> {
    PLUGINS.iter().find(|(found, _)| *found == name).map(|(_, component)| *component)
}

/// The names that `builtin://` knows.
pub fn names() -> Vec<&'static str> {
    PLUGINS.iter().map(|(name, _)| *name).collect()
}
