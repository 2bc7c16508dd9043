//! What there is to see: the directories that the container mounts, and paths in them.

use std::io::{Error, ErrorKind};

/// Where the container's volumes are mounted, sorted.
pub(crate) fn mounted() -> Vec<String> {
    #[cfg(target_arch = "wasm32")]
    {
        let all = wasip2::filesystem::preopens::get_directories();
        let mut paths: Vec<String> = all.into_iter().map(|(_, path)| path).collect();
        paths.sort();
        paths
    }
    #[cfg(not(target_arch = "wasm32"))]
    Vec::new()
}

/// The names below a directory that is no volume but holds some; none for all others.
pub(crate) fn between(path: &str, mounted: &[String]) -> Vec<String> {
    let above = format!("{}/", path.trim_end_matches('/'));
    let below = mounted
        .iter()
        .filter_map(|mount| mount.strip_prefix(&above));
    let mut names: Vec<String> = below
        .filter_map(|rest| rest.split('/').next())
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    names.dedup();
    names
}

/// The absolute path of what is named in a directory, without `.` and `..`.
pub(crate) fn whole(directory: &str, named: &str) -> String {
    let begin = if named.starts_with('/') {
        ""
    } else {
        directory
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in begin.split('/').chain(named.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Why something cannot be done with a path, and where it could be.
pub(crate) fn failure(path: &str, error: &Error) -> String {
    let mounted = mounted();
    let inside = mounted.iter().any(|mount| {
        path.strip_prefix(mount.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let read_only = "permission denied: the volume is read-only";
    let words = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied if inside => read_only.to_owned(),
        _ => error.to_string(),
    };
    if inside || cfg!(not(target_arch = "wasm32")) {
        return format!("{path}: {words}");
    }
    match mounted.as_slice() {
        [] => format!(
            "{path}: {words}: the container mounts no volume, and a component has no other files"
        ),
        mounted => format!(
            "{path}: {words}: the container sees only its volumes, at {}",
            mounted.join(", ")
        ),
    }
}
