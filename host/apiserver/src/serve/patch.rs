//! Patches: the new object is made from the stored one and the patch, again for each try.

use http::Response;
use osier_api::patch::{self, PatchError};
use osier_api::{Details, Fault, Object, Resource, Status};
use osier_process::body::Body;
use serde_json::Value;

use super::Exchange;
use crate::decode::{self, Document, Format};
use crate::draft;
use crate::query;
use crate::registry::{Change, Part};

/// The ways to say what shall change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, which knows lists as maps.
    Strategic,
}

/// The type of an apply's body.
pub(super) const APPLY: &str = "application/apply-patch+yaml";

impl Way {
    pub(super) fn of(resource: &Resource, media: &str) -> Result<Self, Status> {
        const JSON: &str = "application/json-patch+json";
        const MERGE: &str = "application/merge-patch+json";
        const STRATEGIC: &str = "application/strategic-merge-patch+json";
        match media.split(';').next().unwrap_or_default().trim() {
            JSON => Ok(Self::Json),
            MERGE => Ok(Self::Merge),
            STRATEGIC if resource.strategic() => Ok(Self::Strategic),
            _ if resource.strategic() => Err(Status::unsupported_media_type(&[
                JSON, MERGE, STRATEGIC, APPLY,
            ])),
            _ => Err(Status::unsupported_media_type(&[JSON, MERGE, APPLY])),
        }
    }

    pub(super) fn apply(
        self,
        resource: &'static Resource,
        target: &Value,
        change: &Value,
    ) -> Result<Value, Status> {
        let patched = match self {
            Self::Json => patch::json(target, change),
            Self::Merge => patch::merge(target, change),
            Self::Strategic => patch::strategic(resource, target, change),
        };
        patched.map_err(|error| refusal(resource, &error))
    }
}

fn refusal(resource: &Resource, error: &PatchError) -> Status {
    match error {
        PatchError::Malformed(words) => Status::bad_request(words),
        PatchError::Unprocessable(words) => Status::new(422, "Invalid", words),
        PatchError::Unsupported(words) => {
            let details = Details {
                kind: resource.plural.to_owned(),
                ..Details::default()
            };
            Status::new(415, "UnsupportedMediaType", words).on(details)
        }
    }
}

/// Reads a patch, which is JSON or, from people's own clients, YAML.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Status> {
    let parsed = decode::parse(bytes, Format::Json)
        .or_else(|json| decode::parse(bytes, Format::Yaml).map_err(|_| json));
    parsed.map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
}

impl Exchange<'_> {
    pub(super) async fn patch(mut self) -> Result<Response<Body>, Status> {
        if self.applies() {
            return self.apply(Part::Main).await;
        }
        let (object, warnings) = self.patch_part(Part::Main).await?;
        self.show(200, object, &warnings)
    }

    pub(super) async fn patch_part(&mut self, part: Part) -> Result<(Object, Vec<String>), Status> {
        if query::force(&self.incoming.query)?.is_some() {
            let words = "may not be specified for non-apply patch";
            return Err(query::invalid_options(&Fault::forbidden("force", words)));
        }
        let mut write = self.write()?;
        let (address, wish) = (self.address, write.options.validation);
        let way = Way::of(address.resource, &self.incoming.media())?;
        let document = read(&self.incoming.bytes().await?)?;
        let make = |old: &Object, warnings: &mut Vec<String>| {
            let patched = way.apply(address.resource, &old.to_value(), &document.value)?;
            let mut object = draft::as_object(address, patched)?;
            draft::check_fields(address, &mut object, &document.duplicates, wish, warnings)?;
            Ok(object)
        };
        let stored = self
            .server
            .registry
            .update(&mut write, Change { part, make: &make })
            .await?;
        Ok((stored, write.warnings))
    }
}
