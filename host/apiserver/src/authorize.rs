//! What a request wants to do, and whether its caller may.

use http::Method;
use http::request::Parts;
use osier_access::rbac::Action;
use osier_access::{Rules, User, refusal};
use osier_api::Status;

use crate::query::Query;
use crate::target::{Address, Target};

/// Refuses what no rule allows.
pub(crate) fn authorize(
    rules: &Rules,
    user: &User,
    target: &Target,
    head: &Parts,
) -> Result<(), Status> {
    let method = head.method.as_str().to_lowercase();
    let action = match target {
        Target::Resource(address) => of_resource(address, head),
        _ => Action::Url {
            verb: &method,
            path: head.uri.path(),
        },
    };
    if rules.allow(user, &action) {
        return Ok(());
    }
    Err(refusal(user, &action))
}

/// What a request does to a resource.
pub(crate) fn of_resource<'a>(address: &'a Address, head: &Parts) -> Action<'a> {
    Action::Resource {
        verb: verb(address, head),
        group: address.resource.group,
        resource: address.resource.plural,
        subresource: &address.subresource,
        namespace: &address.namespace,
        name: &address.name,
    }
}

pub(crate) fn verb(address: &Address, head: &Parts) -> &'static str {
    let whole = address.name.is_empty();
    // A session is begun, whatever the method: who may only read shall not run things by a GET that becomes a WebSocket (upstream since 1.35).
    if ["exec", "attach", "portforward"].contains(&address.subresource.as_str()) {
        return "create";
    }
    let watch = || Query::parse(head.uri.query().unwrap_or_default()).flag("watch");
    match head.method {
        Method::GET | Method::HEAD if address.subresource.is_empty() && watch() => "watch",
        Method::GET | Method::HEAD if whole => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ if whole => "deletecollection",
        _ => "delete",
    }
}
