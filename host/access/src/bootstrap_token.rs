//! Bootstrap tokens: what a machine has before it has an identity
//! (<https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>).
//!
//! A token is `ID.SECRET`; it is a Secret `bootstrap-token-ID` of type `bootstrap.kubernetes.io/token` in `kube-system`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use osier_api::{Object, resources};

use crate::Find;
use crate::user::User;

/// The type of such Secrets.
pub const TOKEN_TYPE: &str = "bootstrap.kubernetes.io/token";
/// Where they are.
pub const TOKEN_NAMESPACE: &str = "kube-system";
/// What their names begin with.
pub const TOKEN_PREFIX: &str = "bootstrap-token-";
const GROUP: &str = "system:bootstrappers";

/// Identifier and secret, if it looks like a bootstrap token.
pub(crate) fn parse(token: &str) -> Option<(&str, &str)> {
    let plain = |text: &str, length: usize| {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        text.len() == length && text.bytes().all(allowed)
    };
    let (id, secret) = token.split_once('.')?;
    (plain(id, 6) && plain(secret, 16)).then_some((id, secret))
}

/// Whose token it is.
///
/// # Errors
/// The reason if it is nobody's.
pub(crate) fn review(
    objects: Find<'_>,
    (id, secret): (&str, &str),
    now: Timestamp,
) -> Result<User, &'static str> {
    let name = format!("{TOKEN_PREFIX}{id}");
    let found = objects(&resources::SECRETS, TOKEN_NAMESPACE, &name);
    let found = found.filter(|found| found.text(&["type"]) == TOKEN_TYPE);
    let found = found.ok_or("there is no such bootstrap token")?;
    if found.deletion_timestamp().is_some() {
        return Err("the bootstrap token is being deleted");
    }
    if !same(&data(&found, "token-secret"), secret) || data(&found, "token-id") != id {
        return Err("the secret of the bootstrap token is wrong");
    }
    let expiration = data(&found, "expiration");
    if !expiration.is_empty()
        && expiration
            .parse::<Timestamp>()
            .map_or(true, |end| end <= now)
    {
        return Err("the bootstrap token has expired");
    }
    if data(&found, "usage-bootstrap-authentication") != "true" {
        return Err("the bootstrap token is not for authentication");
    }
    let extra = data(&found, "auth-extra-groups");
    let extra = extra.split(',').map(str::trim);
    // Only groups of bootstrappers: a Secret must not make anybody an administrator.
    let extra = extra.filter(|group| group.starts_with("system:bootstrappers:"));
    let groups = std::iter::once(GROUP).chain(extra);
    Ok(User::new(format!("system:bootstrap:{id}"), groups))
}

fn data(secret: &Object, key: &str) -> String {
    let bytes = STANDARD.decode(secret.text(&["data", key]));
    bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}

/// Compares in a time that does not depend on where they differ.
fn same(stored: &str, given: &str) -> bool {
    let pairs = stored.bytes().zip(given.bytes());
    let differing = pairs.fold(0, |differing, (one, other)| differing | (one ^ other));
    stored.len() == given.len() && differing == 0
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn reviewed(token: &str, changes: &[(&str, &str)]) -> Result<User, &'static str> {
        let mut secret = Object::new(
            &resources::SECRETS,
            TOKEN_NAMESPACE,
            "bootstrap-token-abcdef",
        );
        secret.set(&["type"], json!(TOKEN_TYPE));
        let usual = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            ("auth-extra-groups", "system:bootstrappers:x,system:masters"),
        ];
        for (key, value) in usual.iter().chain(changes) {
            secret.set(&["data", key], json!(STANDARD.encode(value)));
        }
        let find = move |_: &_, _: &str, name: &str| {
            (name == "bootstrap-token-abcdef").then(|| secret.clone())
        };
        let parts = parse(token).ok_or("no token")?;
        review(&find, parts, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_token_names_a_bootstrapper_and_nobody_else() {
        let user = reviewed("abcdef.0123456789abcdef", &[]).unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert_eq!(user.groups, [GROUP, "system:bootstrappers:x"]);
        for wrong in [
            "abcdef.0123456789abcdee",
            "abcdeg.0123456789abcdef",
            "abcdef.x",
            "Abcdef.0123456789abcdef",
        ] {
            assert!(reviewed(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_ended_or_is_for_something_else_is_refused() {
        let token = "abcdef.0123456789abcdef";
        let at = |time| reviewed(token, &[("expiration", time)]);
        assert!(at("2025-12-31T23:59:59Z").is_err());
        assert!(at("2026-01-01T00:00:01Z").is_ok());
        assert!(at("tomorrow").is_err());
        assert!(reviewed(token, &[("usage-bootstrap-authentication", "false")]).is_err());
    }
}
