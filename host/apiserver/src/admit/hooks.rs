//! Admission webhooks: programs outside that people register to change and to judge writes
//! (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>).
//!
//! Those that change are asked one after the other, those that judge all at once and last. How long each may take is bounded by its
//! own timeout, and how many questions are under way by who carries them.

use std::sync::Arc;

use futures::future::join_all;
use osier_access::Rules;
use osier_admission::{Answer, Facts, Refusal, Webhook};
use osier_api::{Details, Object, Status};
use osier_process::Boxed;
use serde_json::Value;

use super::policies::Asks;
use super::registered::{One, Registered};
use super::written::Written;
use super::{Admit, Admitted, Review};
use crate::webhooks::{WebhookCall, Webhooks};

/// Who is asked, and how.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) registered: Arc<Registered>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) webhooks: Arc<dyn Webhooks>,
}

/// The step that lets webhooks change objects.
pub(crate) struct Mutating(pub(crate) Hooks);

/// The step that asks webhooks whether a write is to be.
pub(crate) struct Validating(pub(crate) Hooks);

impl Admit for Mutating {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(self.0.change(review))
    }
}

impl Admit for Validating {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(self.0.judge(review))
    }
}

impl Hooks {
    async fn change(&self, review: &Review<'_>) -> Result<Admitted, Status> {
        let configurations = self.registered.mutating.all();
        if configurations.is_empty() || review.is_own() {
            return Ok(Admitted::default());
        }
        let written = Written::of(review);
        let mut admitted = Admitted::default();
        let mut object = written.attributes().object.clone();
        // Who asked for it is asked again when a later one changed what it had seen.
        let (all, mut seen) = (flat(&configurations), 0);
        for (index, webhook) in all.iter().enumerate() {
            let changed = self.changed(&written, webhook, &object, &mut admitted);
            if let Some(changed) = changed.await?.filter(|changed| *changed != object) {
                (object, seen) = (changed, index);
            }
        }
        for webhook in all.iter().take(seen) {
            if !webhook.again {
                continue;
            }
            let changed = self.changed(&written, webhook, &object, &mut admitted);
            object = changed.await?.unwrap_or(object);
        }
        let differs = object != *written.attributes().object;
        if differs {
            admitted.object = Some(Object::from_value(object).map_err(Status::internal)?);
        }
        Ok(admitted)
    }

    /// What one webhook makes of an object, in the version of the request.
    async fn changed(
        &self,
        written: &Written<'_>,
        webhook: &Webhook,
        object: &Value,
        admitted: &mut Admitted,
    ) -> Result<Option<Value>, Status> {
        let Some(answer) = self.asked(written, webhook, (object, true)).await? else {
            return Ok(None);
        };
        admitted.warnings.extend(answer.warnings);
        Ok(answer.changed)
    }

    async fn judge(&self, review: &Review<'_>) -> Result<Admitted, Status> {
        let configurations = self.registered.validating.all();
        if configurations.is_empty() || review.is_own() {
            return Ok(Admitted::default());
        }
        let written = Written::of(review);
        let object = written.attributes().object;
        let mut asked = Vec::new();
        for webhook in flat(&configurations) {
            asked.push(self.asked(&written, webhook, (object, false)));
        }
        let mut admitted = Admitted::default();
        for answer in join_all(asked).await {
            admitted
                .warnings
                .extend(answer?.into_iter().flat_map(|answer| answer.warnings));
        }
        Ok(admitted)
    }

    /// Asks one webhook, if the write matters to it; a refusal is an error, and so is a failure unless it is to be ignored.
    async fn asked(
        &self,
        written: &Written<'_>,
        webhook: &Webhook,
        (object, changes): (&Value, bool),
    ) -> Result<Option<Answer>, Status> {
        let old = written.attributes().old;
        let asked = written.of_objects(object, old);
        let Some(version) = webhook.wants(&asked, written.namespace.as_ref()) else {
            return Ok(None);
        };
        let answer = match self.wanted(written, webhook, object) {
            Ok(false) => return Ok(None),
            Ok(true) => {
                self.answer(written, (webhook, version), (object, changes))
                    .await
            }
            Err(words) => Err(words),
        };
        match answer {
            Ok(answer) => {
                for (key, text) in answer.annotations.clone() {
                    written.review.notes.add(key, text);
                }
                match &answer.refused {
                    Some(refusal) => Err(refused(refusal)),
                    None => Ok(Some(answer)),
                }
            }
            Err(words) if webhook.fails => Err(failed(webhook, &words)),
            Err(words) => {
                tracing::warn!(
                    webhook = webhook.name,
                    words,
                    "a webhook could not be asked and is ignored"
                );
                Ok(None)
            }
        }
    }

    /// Whether the conditions of a webhook hold.
    fn wanted(
        &self,
        written: &Written<'_>,
        webhook: &Webhook,
        object: &Value,
    ) -> Result<bool, String> {
        let old = written.attributes().old;
        let request = written
            .of_objects(object, old)
            .request("", written.review.version);
        let asks = Asks {
            rules: &self.rules,
            user: written.review.user,
        };
        webhook.holds(Facts {
            object,
            old,
            request: &request,
            params: &Value::Null,
            namespace: &Value::Null,
            authorizer: &asks,
        })
    }

    async fn answer(
        &self,
        written: &Written<'_>,
        (webhook, version): (&Webhook, &str),
        (object, changes): (&Value, bool),
    ) -> Result<Answer, String> {
        let uid = uuid::Uuid::new_v4().to_string();
        let old = written.attributes().old;
        let (object, old) = match version == written.review.version {
            true => (object.clone(), old.clone()),
            false => (written.other(object, version), written.other(old, version)),
        };
        let question = webhook.question(&written.of_objects(&object, &old), &uid, version);
        let asked = (&question, webhook.timeout);
        let call = WebhookCall::to(&webhook.target, written.review.objects, asked)?;
        let bytes = self.webhooks.call(call).await?;
        let mut answer = webhook.answer(&bytes, &uid, (&object, changes))?;
        answer.changed = answer
            .changed
            .map(|changed| written.other(&changed, written.review.version));
        Ok(answer)
    }
}

fn flat(configurations: &[One<Vec<Webhook>>]) -> Vec<&Webhook> {
    let all = configurations.iter();
    all.flat_map(|configuration| configuration.made()).collect()
}

fn refused(refusal: &Refusal) -> Status {
    Status::new(refusal.code, &refusal.reason, &refusal.message)
}

/// As upstream says that a webhook could not be asked.
fn failed(webhook: &Webhook, words: &str) -> Status {
    let (name, target) = (&webhook.name, &webhook.target);
    let message = format!(
        "failed calling webhook {name:?}: failed to call webhook: Post \"{target}\": {words}"
    );
    let details = Details {
        causes: vec![osier_api::Cause {
            message: message.clone(),
            ..Default::default()
        }],
        ..Details::default()
    };
    Status::new(
        500,
        "InternalError",
        format!("Internal error occurred: {message}"),
    )
    .on(details)
}
