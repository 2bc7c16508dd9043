//! Reviews: questions about who may do what, answered where they are created. Nothing is stored.

use http::Response;
use osier_access::rbac::{Action, Rule};
use osier_access::{ISSUER, User};
use osier_api::{Fault, Object, Status, resources};
use osier_process::body::Body;
use serde_json::{Value, json};

use super::Exchange;
use crate::draft;
use osier_answers::respond;

const ONE_OF_TWO: &str =
    "exactly one of nonResourceAttributes or resourceAttributes must be specified";

impl Exchange<'_> {
    /// Answers the question in the body.
    pub(super) async fn review(mut self) -> Result<Response<Body>, Status> {
        let mut write = self.write()?;
        let bytes = self.incoming.bytes().await?;
        let (mut object, duplicates) = draft::read(self.address, &self.incoming.media(), &bytes)?;
        let (wish, warnings) = (write.options.validation, &mut write.warnings);
        draft::check_fields(self.address, &mut object, &duplicates, wish, warnings)?;
        if *self.address.resource == resources::POLICY_REVIEWS {
            let namespace = self.address.namespace.as_str();
            object.set(&["metadata", "namespace"], namespace.into());
            object = self.server.registry.answered(&mut write, object).await?;
        } else {
            let status = self.answer_to(&object)?;
            object.set(&["status"], status);
        }
        object.set(&["metadata", "creationTimestamp"], Value::Null);
        let mut response = respond::json(201, &object);
        respond::warn(&mut response, &write.warnings);
        Ok(response)
    }

    fn answer_to(&self, object: &Object) -> Result<Value, Status> {
        let asked = self.address.resource;
        if *asked == resources::SELF_SUBJECT_REVIEWS {
            Ok(json!({"userInfo": self.user.to_value()}))
        } else if *asked == resources::TOKEN_REVIEWS {
            self.token_review(object)
        } else if *asked == resources::SELF_SUBJECT_RULES_REVIEWS {
            self.rules_review(object)
        } else if *asked == resources::SELF_SUBJECT_ACCESS_REVIEWS {
            self.access_review(object, self.user)
        } else {
            let user = subject(object)?;
            self.check_place(object)?;
            self.access_review(object, &user)
        }
    }

    fn access_review(&self, object: &Object, user: &User) -> Result<Value, Status> {
        let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
        let (resource, url) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        let action = match (resource.is_object(), url.is_object()) {
            (true, false) => Action::Resource {
                verb: text(resource, "verb"),
                group: text(resource, "group"),
                resource: text(resource, "resource"),
                subresource: text(resource, "subresource"),
                namespace: text(resource, "namespace"),
                name: text(resource, "name"),
            },
            (false, true) => Action::Url {
                verb: text(url, "verb"),
                path: text(url, "path"),
            },
            _ => {
                let fault = Fault::invalid("spec.resourceAttributes", Value::Null, ONE_OF_TWO);
                return Err(self.invalid(object, fault));
            }
        };
        let allowed = self.server.rules.allow(user, &action);
        Ok(json!({"allowed": allowed}))
    }

    /// A local review is about its own namespace.
    fn check_place(&self, object: &Object) -> Result<(), Status> {
        let asked = object.text(&["spec", "resourceAttributes", "namespace"]);
        if self.address.namespace.is_empty() || asked == self.address.namespace {
            return Ok(());
        }
        let words = format!("must match metadata.namespace: {}", self.address.namespace);
        let fault = Fault::invalid("spec.resourceAttributes.namespace", asked, words);
        Err(self.invalid(object, fault))
    }

    fn rules_review(&self, object: &Object) -> Result<Value, Status> {
        let namespace = object.text(&["spec", "namespace"]);
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let held = self.server.rules.held(self.user, namespace);
        let (urls, resources): (Vec<Rule>, Vec<Rule>) = held
            .into_iter()
            .partition(|rule| !rule.non_resource_urls.is_empty());
        Ok(json!({"resourceRules": resources, "nonResourceRules": urls, "incomplete": false}))
    }

    fn token_review(&self, object: &Object) -> Result<Value, Status> {
        let token = object.text(&["spec", "token"]);
        if token.is_empty() {
            return Err(Status::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        let mut audiences = strings(object.get(&["spec", "audiences"]).unwrap_or(&Value::Null));
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        let find = self.server.registry.find();
        let reviewed = self.server.tokens.review(&find, token, &audiences);
        Ok(match reviewed {
            Ok((user, shared)) => {
                let user = user.complete().to_value();
                json!({"authenticated": true, "user": user, "audiences": shared})
            }
            Err(reason) => json!({"error": reason}),
        })
    }

    fn invalid(&self, object: &Object, fault: Fault) -> Status {
        Status::invalid(self.address.resource, object.name(), &[fault])
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// About whom a review asks.
fn subject(object: &Object) -> Result<User, Status> {
    let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
    let mut user = User::new(text(spec, "user"), strings(&spec["groups"]));
    if user.name.is_empty() && user.groups.is_empty() {
        return Err(Status::bad_request(
            "spec.user: Invalid value: \"\": at least one of user or group must be specified",
        ));
    }
    user.uid = text(spec, "uid").to_owned();
    let extra = spec["extra"].as_object().into_iter().flatten();
    user.extra
        .extend(extra.map(|(key, values)| (key.clone(), strings(values))));
    Ok(user)
}
