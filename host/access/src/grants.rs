//! Nobody gives a right that they do not have, except who may `escalate` roles or `bind` them.

use crate::rbac::{Action, Rule, uncovered};
use osier_api::{Object, Resource, Status, resources};

use crate::rules::{RoleName, Rules, list};
use crate::user::User;

/// Refuses a new state of a role or binding by which its author would give more than they have. Other kinds pass.
///
/// # Errors
/// 403 that names every right that is missing; 404 for a role that is not there.
pub fn check_grant(
    rules: &Rules,
    user: &User,
    resource: &'static Resource,
    (old, new): (Option<&Object>, &Object),
) -> Result<(), Status> {
    let grant = Grant {
        rules,
        user,
        resource,
        old,
    };
    if *resource == resources::ROLES || *resource == resources::CLUSTER_ROLES {
        grant.check_role(new)
    } else if *resource == resources::ROLE_BINDINGS || *resource == resources::CLUSTER_ROLE_BINDINGS
    {
        grant.check_binding(new)
    } else {
        Ok(())
    }
}

/// A write of a role or binding.
struct Grant<'a> {
    rules: &'a Rules,
    user: &'a User,
    resource: &'static Resource,
    old: Option<&'a Object>,
}

impl Grant<'_> {
    fn check_role(&self, new: &Object) -> Result<(), Status> {
        let unchanged = |field: &str| {
            self.old
                .is_some_and(|old| old.get(&[field]) == new.get(&[field]))
        };
        if unchanged("rules") && unchanged("aggregationRule")
            || self.may("escalate", self.resource, new)
        {
            return Ok(());
        }
        let held = self.rules.held(self.user, new.namespace());
        let sums = new.get(&["aggregationRule"]).is_some() && !unchanged("aggregationRule");
        if sums && !uncovered(&held, &[everything()]).is_empty() {
            let words = "must have cluster-admin privileges to use the aggregationRule";
            return Err(Status::forbidden(self.resource, new.name(), words));
        }
        let missing = uncovered(&held, &list::<Rule>(new, &["rules"]));
        self.refuse(new, &missing)
    }

    fn check_binding(&self, new: &Object) -> Result<(), Status> {
        let same = |old: &Object| {
            ["roleRef", "subjects"]
                .iter()
                .all(|field| old.get(&[field]) == new.get(&[field]))
        };
        if self.old.is_some_and(same) {
            return Ok(());
        }
        let role = RoleName::of(new);
        let kind = if role.is_cluster() {
            &resources::CLUSTER_ROLES
        } else {
            &resources::ROLES
        };
        let named = Object::new(kind, new.namespace(), role.name());
        if self.may("bind", kind, &named) {
            return Ok(());
        }
        let Some(rules) = self.rules.of(&role, new.namespace()) else {
            return Err(Status::not_found(kind, role.name()));
        };
        let held = self.rules.held(self.user, new.namespace());
        self.refuse(new, &uncovered(&held, &rules))
    }

    fn may(&self, verb: &str, resource: &Resource, object: &Object) -> bool {
        let action = Action::Resource {
            verb,
            group: resource.group,
            resource: resource.plural,
            subresource: "",
            namespace: object.namespace(),
            name: object.name(),
        };
        self.rules.allow(self.user, &action)
    }

    fn refuse(&self, object: &Object, missing: &[Rule]) -> Result<(), Status> {
        if missing.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = missing.iter().map(described).collect();
        let words = format!(
            "user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            self.user.groups,
            lines.join("\n")
        );
        Err(Status::forbidden(self.resource, object.name(), &words))
    }
}

fn everything() -> Rule {
    let all = || vec!["*".to_owned()];
    Rule {
        verbs: all(),
        api_groups: all(),
        resources: all(),
        ..Rule::default()
    }
}

/// A right as upstream prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
fn described(rule: &Rule) -> String {
    let fields = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("ResourceNames", &rule.resource_names),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("Verbs", &rule.verbs),
    ];
    let parts = fields
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| format!("{name}:{list:?}"));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}
