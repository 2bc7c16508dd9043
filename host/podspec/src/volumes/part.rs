//! The part of a volume that a mount is about.

use std::collections::BTreeMap;

use osier_api::Object;
use serde_json::Value;

use super::{VolumeError, list, within};
use crate::environment::{self, Place, Sources};

/// The variables of a container by name.
pub(super) type Variables = BTreeMap<String, String>;

/// The variables of a container, if any of its mounts has them in its path.
pub(super) fn variables(
    (pod, container): (&Object, &Value),
    sources: &Sources,
    place: &Place,
) -> Result<Variables, VolumeError> {
    let mut mounts = list(&container["volumeMounts"]);
    let Some(mount) = mounts.find(|mount| mount["subPathExpr"].is_string()) else {
        return Ok(Variables::new());
    };
    let found = environment::variables(pod, container, sources, place);
    let found = found.map_err(|error| VolumeError::Value {
        volume: mount["name"].as_str().unwrap_or_default().to_owned(),
        error,
    })?;
    Ok(found.into_iter().collect())
}

/// The part of a volume that a mount asks for; all of it if this is empty.
pub(super) fn of(
    volume: &str,
    mount: &Value,
    variables: &Variables,
) -> Result<String, VolumeError> {
    let part = match mount["subPathExpr"].as_str().unwrap_or_default() {
        "" => mount["subPath"].as_str().unwrap_or_default().to_owned(),
        expression => expanded(volume, expression, variables)?,
    };
    if !part.is_empty() && !within(&part) {
        let (volume, path) = (volume.to_owned(), part);
        return Err(VolumeError::Path { volume, path });
    }
    Ok(part)
}

/// Unlike in arguments, every variable must be there: what is left of a name would be a directory for all pods alike.
fn expanded(volume: &str, text: &str, variables: &Variables) -> Result<String, VolumeError> {
    let mut missing = None;
    let path = environment::expand_noting(text, variables, &mut missing);
    match missing {
        None => Ok(path),
        Some(variable) => Err(VolumeError::Variable {
            volume: volume.to_owned(),
            variable,
        }),
    }
}
