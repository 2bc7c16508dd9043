//! How it is said: the field, and why it has no effect.

use osier_validation::At;

/// Says why a field has no effect, if it is used.
pub(crate) fn said<'a>(
    found: &mut Vec<String>,
    field: At<'a>,
    used: impl Fn(&At<'a>) -> bool,
    why: &str,
) {
    if used(&field) {
        found.push(no_effect(&field, why));
    }
}

pub(crate) fn no_effect(field: &At<'_>, why: &str) -> String {
    format!("{}: has no effect: {why}", field.path)
}

pub(crate) fn unmountable(found: &mut Vec<String>, field: &At<'_>, remedy: &str) {
    if field.is_present() {
        let path = &field.path;
        found.push(format!(
            "{path}: cannot be mounted in this version, and a container that mounts it waits with CreateContainerConfigError: {remedy}"
        ));
    }
}
