//! `sessionPersistence` of a rule (<https://gateway-api.sigs.k8s.io/geps/gep-1619/>).

use http::HeaderName;
use osier_balancing::hash_of;
use osier_routing::session::{Bearer, Session};
use osier_traffic::Fields;

/// Reads how a rule of this name keeps callers with their endpoint. What is no name of a cookie or header is said, and nobody is kept.
pub(super) fn read(rule: &mut Fields<'_>, name: &str) -> Option<Session> {
    let mut fields = rule.object("sessionPersistence")?;
    let mut time = |key| fields.duration(key).filter(|time| !time.is_zero());
    let (longest, idle) = (time("absoluteTimeout"), time("idleTimeout"));
    let lifetime = fields.object("cookieConfig");
    let lifetime = lifetime.and_then(|mut config| config.text("lifetimeType"));
    let own = fields.text("sessionName").filter(|name| !name.is_empty());
    // Rules that say no name do not take each other's tokens.
    let usual = format!("osier-{:016x}", hash_of(name.as_bytes()));
    let token = HeaderName::try_from(own.unwrap_or(&usual));
    let bearer = match (fields.text("type"), token) {
        (_, Err(_)) => {
            fields.invalid(
                "sessionName",
                "no name of a cookie or header; it is ignored",
            );
            return None;
        }
        (Some("Header"), Ok(name)) => Bearer::Header(name),
        (_, Ok(_)) => Bearer::Cookie {
            name: own.unwrap_or(&usual).into(),
            path: "/".into(),
            permanent: lifetime == Some("Permanent"),
        },
    };
    Some(Session {
        bearer,
        longest,
        idle,
    })
}
