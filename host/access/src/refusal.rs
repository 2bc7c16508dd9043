//! What a caller is told who may not.

use crate::rbac::Action;
use osier_api::{Details, Status};

use crate::user::User;

/// The refusal of an action, in upstream's words.
pub fn refusal(user: &User, action: &Action<'_>) -> Status {
    let caller = &user.name;
    let mut details = Details::default();
    let words = match action {
        Action::Url { verb, path } => {
            format!("forbidden: User {caller:?} cannot {verb} path {path:?}")
        }
        Action::Resource {
            verb,
            group,
            resource,
            subresource,
            namespace,
            name,
        } => {
            details.name = (*name).to_owned();
            details.group = (*group).to_owned();
            details.kind = (*resource).to_owned();
            let qualified = match *group {
                "" => (*resource).to_owned(),
                group => format!("{resource}.{group}"),
            };
            let object = match *name {
                "" => qualified,
                name => format!("{qualified} {name:?}"),
            };
            let part = match *subresource {
                "" => (*resource).to_owned(),
                part => format!("{resource}/{part}"),
            };
            let place = match *namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            format!(
                "{object} is forbidden: User {caller:?} cannot {verb} resource {part:?} in API group {group:?} {place}"
            )
        }
    };
    Status::new(403, "Forbidden", words).on(details)
}
