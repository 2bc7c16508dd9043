//! ValidatingAdmissionPolicies: rules in CEL that people bind to kinds, asked when everything else has changed the object
//! (<https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/>).

use std::sync::Arc;

use osier_access::rbac::Action as Wish;
use osier_access::{Rules, User};
use osier_admission::{Action, Binding, Denial, Facts, ParamRef, Policy, Verdict};
use osier_api::{Cause, Details, Object, Status};
use osier_cel::{Access, Authorizer};
use osier_process::Boxed;
use serde_json::{Value, json};

use super::registered::Registered;
use super::written::Written;
use super::{Admit, Admitted, Review};

/// More parameters than this of one binding are not judged by.
const MOST_PARAMS: usize = 100;
const FAILURES: &str = "validation.policy.admission.k8s.io/validation_failure";

/// The admission step that asks them.
pub(crate) struct Policies {
    pub(crate) registered: Arc<Registered>,
    pub(crate) rules: Arc<Rules>,
}

impl Admit for Policies {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(std::future::ready(self.judged(review)))
    }
}

/// What came of all policies.
#[derive(Default)]
struct Outcome {
    refused: Option<Status>,
    warnings: Vec<String>,
    /// For the audit log.
    failures: Vec<Value>,
}

impl Policies {
    fn judged(&self, review: &Review<'_>) -> Result<Admitted, Status> {
        let bindings = self.registered.bindings.all();
        if bindings.is_empty() || review.is_own() {
            return Ok(Admitted::default());
        }
        let written = Written::of(review);
        let mut outcome = Outcome::default();
        for binding in &bindings {
            let binding = binding.made();
            let Some(policy) = self.registered.policies.named(&binding.policy) else {
                continue;
            };
            // One that does not compile was refused when it came.
            let Some(policy) = policy.made() else {
                continue;
            };
            for verdict in self.verdicts(&written, policy, binding) {
                for (key, text) in verdict.annotations {
                    review.notes.add(key, text);
                }
                for denial in verdict.denials {
                    outcome.take(review, (policy, binding), denial);
                }
            }
        }
        if !outcome.failures.is_empty() {
            review
                .notes
                .add(FAILURES, json!(outcome.failures).to_string());
        }
        match outcome.refused {
            Some(refused) => Err(refused),
            None => Ok(Admitted {
                object: None,
                warnings: outcome.warnings,
            }),
        }
    }

    /// What a policy says, with each of the parameters that a binding gives it.
    fn verdicts(&self, written: &Written<'_>, policy: &Policy, binding: &Binding) -> Vec<Verdict> {
        let (asked, namespace) = (written.attributes(), written.namespace.as_ref());
        let version = policy.matcher.matches(&asked, namespace);
        let Some(version) =
            version.filter(|_| binding.matcher.matches(&asked, namespace).is_some())
        else {
            return Vec::new();
        };
        let params = match params(written.review, policy, binding.params.as_ref()) {
            Ok(params) => params,
            Err(words) if policy.fails => return vec![Verdict::failed(words)],
            Err(_) => return Vec::new(),
        };
        let seen = written.in_version(version);
        let request = asked.request("", version);
        let place = match written.review.resource.namespaced {
            true => namespace.map_or(Value::Null, Object::to_value),
            false => Value::Null,
        };
        let asks = Asks {
            rules: &self.rules,
            user: written.review.user,
        };
        let judge = |params: &Value| {
            policy.judge(Facts {
                object: &seen.object,
                old: &seen.old,
                request: &request,
                params,
                namespace: &place,
                authorizer: &asks,
            })
        };
        params.iter().map(judge).collect()
    }
}

impl Outcome {
    fn take(
        &mut self,
        review: &Review<'_>,
        (policy, binding): (&Policy, &Binding),
        denial: Denial,
    ) {
        let (name, bound) = (&policy.name, &binding.name);
        let message = &denial.message;
        for action in &binding.actions {
            match action {
                Action::Deny => {
                    let words = format!("ValidatingAdmissionPolicy '{name}' with binding '{bound}' denied request: {message}");
                    self.refused.get_or_insert_with(|| refusal(review, &denial.reason, words));
                }
                Action::Warn => self.warnings.push(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{bound}': {message}"
                )),
                Action::Audit => {
                    let actions: Vec<&str> = binding.actions.iter().map(|one| one.as_str()).collect();
                    self.failures.push(json!({"message": message, "policy": name, "binding": bound,
                        "expressionIndex": denial.index.unwrap_or_default().to_string(), "validationActions": actions}));
                }
            }
        }
    }
}

/// As upstream refuses: the words of a 403, with the reason that the policy gives.
fn refusal(review: &Review<'_>, reason: &str, words: String) -> Status {
    let name = review.new.or(review.old).map_or("", Object::name);
    let (code, reason) = match reason {
        "Unauthorized" => (401, "Unauthorized"),
        "Forbidden" => (403, "Forbidden"),
        "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
        _ => (422, "Invalid"),
    };
    let forbidden = Status::forbidden(review.resource, name, &words);
    let known = forbidden.details.map(|known| *known).unwrap_or_default();
    let details = Details {
        causes: vec![Cause {
            message: words,
            ..Cause::default()
        }],
        ..known
    };
    Status::new(code, reason, forbidden.message).on(details)
}

/// The parameters of a policy under a binding; one null where there are to be none.
fn params(
    review: &Review<'_>,
    policy: &Policy,
    wanted: Option<&ParamRef>,
) -> Result<Vec<Value>, String> {
    let (Some(kind), Some(wanted)) = (&policy.param_kind, wanted) else {
        return Ok(vec![Value::Null]);
    };
    let found = review.objects.kind(&kind.api_version, &kind.kind);
    let resource = found.ok_or_else(|| {
        format!("failed to configure policy: failed to find resource referenced by paramKind: '{}, Kind={}'", kind.api_version, kind.kind)
    })?;
    let own = wanted.namespace.as_deref();
    let namespace = match (resource.namespaced, own) {
        (false, Some(_)) => {
            return Err("failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
        }
        (false, None) => "",
        (true, own) => own.unwrap_or(review.namespace),
    };
    if resource.namespaced && namespace.is_empty() {
        return Err("failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned());
    }
    let found: Vec<Object> = match &wanted.name {
        Some(name) => review
            .objects
            .get(resource, namespace, name)
            .into_iter()
            .collect(),
        None => {
            let mut all = review.objects.list(resource, namespace);
            all.retain(|one| wanted.selector.selects(one));
            all.truncate(MOST_PARAMS);
            all
        }
    };
    let version = kind.api_version.as_str();
    let shown = |one| osier_answers::in_version(one, version).into_value();
    match (found.is_empty(), wanted.allow_missing) {
        (true, true) => Ok(Vec::new()),
        (true, false) => Err("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction".to_owned()),
        (false, _) => Ok(found.into_iter().map(shown).collect()),
    }
}

/// Answers what expressions ask of who may do what.
pub(super) struct Asks<'a> {
    pub(super) rules: &'a Rules,
    pub(super) user: &'a User,
}

impl Authorizer for Asks<'_> {
    fn allows(&self, access: &Access) -> bool {
        let account = access.account.as_ref().map(|(namespace, name)| {
            let groups = [
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ];
            User::new(format!("system:serviceaccount:{namespace}:{name}"), groups).complete()
        });
        let wish = match &access.path {
            Some(path) => Wish::Url {
                verb: &access.verb,
                path,
            },
            None => Wish::Resource {
                verb: &access.verb,
                group: &access.group,
                resource: &access.resource,
                subresource: &access.subresource,
                namespace: &access.namespace,
                name: &access.name,
            },
        };
        self.rules
            .allow(account.as_ref().unwrap_or(self.user), &wish)
    }
}
