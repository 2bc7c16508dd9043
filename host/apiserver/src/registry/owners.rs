//! Who owns which field, where the versions of a kind differ in their fields: each manager's are in the words of its own version.

use osier_api::managed::{self, ApplyError, Conflict, Form};
use osier_api::{Object, Status};

use super::{Registry, Write};

impl Registry {
    /// Takes from managers of other versions what a write took from them, as is seen where the object is converted to those. An
    /// apply that does not insist is refused then.
    pub(super) async fn follow_versions(
        &self,
        write: &Write<'_>,
        old: &Object,
        mut new: Object,
    ) -> Result<Object, Status> {
        if write.address.conversion().is_none() {
            return Ok(new);
        }
        let mut conflicts = Vec::new();
        for version in managed::other_versions(&new, &write.address.api_version()) {
            match self.follow_version(write, &version, (old, &mut new)).await {
                Ok(found) => conflicts.extend(found),
                Err(failed) if write.applied => return Err(failed),
                // No controller waits for a program that it does not need.
                Err(failed) => {
                    tracing::debug!(%failed, version, "what its managers own is not known to be theirs still");
                }
            }
        }
        if conflicts.is_empty() || !write.applied || write.force {
            return Ok(new);
        }
        let causes: Vec<_> = conflicts.iter().map(managed::cause).collect();
        let message = ApplyError::Conflicts(conflicts).to_string();
        Err(Status::apply_conflict(&message, causes.into_iter()))
    }

    async fn follow_version(
        &self,
        write: &Write<'_>,
        version: &str,
        (old, new): (&Object, &mut Object),
    ) -> Result<Vec<Conflict>, Status> {
        let address = write.address;
        let (_, name) = version.rsplit_once('/').unwrap_or(("", version));
        let catalogue = self.catalogue.load();
        let served = catalogue.by_plural(address.resource.group, name, address.resource.plural);
        let custom = served.and_then(|served| served.custom);
        let (Some(custom), Some(conversion)) = (custom, address.conversion()) else {
            // Nobody speaks that version any more.
            return Ok(Vec::new());
        };
        let both = vec![old.clone(), new.clone()];
        let mut both = self.converted(conversion, both, version).await?.into_iter();
        let (Some(mut before), Some(mut after)) = (both.next(), both.next()) else {
            return Ok(Vec::new());
        };
        custom.prune(&mut before);
        custom.prune(&mut after);
        let form = Form {
            resource: custom.resource,
            document: Some(&custom.document),
            differs: true,
        };
        let followed = managed::follow(form, version, (&before, &after), new);
        followed.map_err(|fault| Status::bad_request(fault.to_string()))
    }
}
