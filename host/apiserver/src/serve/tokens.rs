//! `serviceaccounts/NAME/token`: a token for the account, bound and ending.

use http::Response;
use osier_access::{ISSUER, Wanted, bindable};
use osier_api::{Fault, Object, Status};
use osier_process::body::Body;
use serde_json::{Value, json};

use super::Exchange;
use crate::admit::Read;
use osier_answers::respond;
use osier_protobuf as protobuf;

/// How long a token lasts if nobody says so, in seconds.
const USUAL: i64 = 3600;
/// No token lasts shorter.
const SHORTEST: i64 = 600;
/// No token lasts longer.
const LONGEST: i64 = 1 << 32;

impl Exchange<'_> {
    /// Answers a TokenRequest.
    pub(super) async fn token(mut self) -> Result<Response<Body>, Status> {
        let account = self.server.registry.get(self.address).await?;
        let mut request = if self.incoming.media().starts_with(protobuf::MEDIA) {
            let bytes = self.incoming.bytes().await?;
            protobuf::decode(&bytes)?
        } else {
            self.plain_body().await?
        };
        let spec = request.get("spec").cloned().unwrap_or_default();
        let wanted = self.wanted(&account, &spec)?;
        let dry = crate::query::dry_run(&self.incoming.query)?;
        let (token, end) = self.server.tokens.issue(&wanted)?;
        let token = if dry { "" } else { &token };
        request["apiVersion"] = json!("authentication.k8s.io/v1");
        request["kind"] = json!("TokenRequest");
        request["metadata"] = json!({"name": account.name(), "namespace": account.namespace(), "creationTimestamp": null});
        request["spec"]["audiences"] = json!(wanted.audiences);
        request["spec"]["expirationSeconds"] = json!(wanted.seconds);
        request["status"] = json!({"token": token, "expirationTimestamp": end});
        Ok(respond::json(201, &request))
    }

    fn wanted<'a>(&self, account: &'a Object, spec: &Value) -> Result<Wanted<'a>, Status> {
        let seconds = seconds(&spec["expirationSeconds"])?;
        let named = spec["audiences"].as_array().into_iter().flatten();
        let mut audiences: Vec<String> =
            named.filter_map(Value::as_str).map(str::to_owned).collect();
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        Ok(Wanted {
            account,
            audiences,
            seconds,
            bound: self.bound(account, &spec["boundObjectRef"])?,
        })
    }

    /// What the token is to be bound to.
    fn bound(
        &self,
        account: &Object,
        reference: &Value,
    ) -> Result<Option<(&'static str, Object)>, Status> {
        if reference.is_null() {
            return Ok(None);
        }
        let text = |key: &str| reference[key].as_str().unwrap_or("");
        let Some((kind, resource)) = bindable(text("kind")) else {
            let words = format!("cannot bind token for object of type {}", text("kind"));
            return Err(Status::bad_request(words));
        };
        let home = if resource.namespaced {
            account.namespace()
        } else {
            ""
        };
        let found = Read::get(&*self.server.registry, resource, home, text("name"));
        let object = found.ok_or_else(|| Status::not_found(resource, text("name")))?;
        let uid = text("uid");
        if !uid.is_empty() && uid != object.uid() {
            let words = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(Status::conflict_because(resource, object.name(), &words));
        }
        let runs_as = match object.text(&["spec", "serviceAccountName"]) {
            "" => "default",
            name => name,
        };
        if kind == "pod" && runs_as != account.name() {
            let words = format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                account.name()
            );
            return Err(Status::bad_request(words));
        }
        Ok(Some((kind, object)))
    }
}

/// How long a token is to last.
fn seconds(asked: &Value) -> Result<i64, Status> {
    let seconds = match asked {
        Value::Null => USUAL,
        value => value.as_i64().unwrap_or(0),
    };
    let words = if seconds < SHORTEST {
        "may not specify a duration less than 10 minutes"
    } else if seconds > LONGEST {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(seconds);
    };
    Err(invalid(&Fault::invalid(
        "spec.expirationSeconds",
        seconds,
        words,
    )))
}

fn invalid(fault: &Fault) -> Status {
    let words = format!("TokenRequest.authentication.k8s.io \"\" is invalid: {fault}");
    Status::new(422, "Invalid", words)
}
