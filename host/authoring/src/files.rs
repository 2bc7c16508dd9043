//! The texts of `wit` and `sdk` in the repository, by their paths.

/// Every file that a project may be made of.
pub(crate) static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The text of one.
pub(crate) fn text(path: &str) -> Option<&'static str> {
    let found = FILES.iter().find(|(known, _)| *known == path);
    found.map(|(_, text)| *text)
}

/// Those in a folder, or the one of that name: the rest of their paths, and their texts.
pub(crate) fn below(from: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES
        .iter()
        .filter_map(move |(path, text)| Some((path.strip_prefix(from)?, *text)))
}
