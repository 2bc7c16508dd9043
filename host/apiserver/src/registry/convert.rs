//! Objects of kinds whose versions differ in more than their names: a program outside makes one of the other.
//!
//! Such objects are read, changed and judged in the version of the request; only what is stored is in the version that the definition
//! marks so. A program that fails costs the requests that need it, and nothing else.

use std::time::Duration;

use osier_api::{Object, Status};
use osier_custom::Conversion;

use super::Registry;
use crate::objects;
use crate::target::Address;
use crate::webhooks::WebhookCall;
use osier_store::Entry;

/// How long one conversion may take, as upstream.
const LONGEST: Duration = Duration::from_secs(30);
/// Objects that are converted by one call.
const AT_ONCE: usize = 500;

impl Registry {
    /// The object of an entry, in the version of the request where versions differ.
    pub(super) async fn read(&self, address: &Address, entry: &Entry) -> Result<Object, Status> {
        self.presented(address, objects::read(entry)?).await
    }

    /// An object in the version of the request, where versions differ.
    pub(super) async fn presented(
        &self,
        address: &Address,
        object: Object,
    ) -> Result<Object, Status> {
        if address.conversion().is_none() {
            return Ok(object);
        }
        let mut all = self.all_presented(address, vec![object]).await?;
        all.pop()
            .ok_or_else(|| Status::internal("a conversion lost its object"))
    }

    /// Objects in the version of the request, where versions differ.
    pub(super) async fn all_presented(
        &self,
        address: &Address,
        objects: Vec<Object>,
    ) -> Result<Vec<Object>, Status> {
        let (Some(conversion), Some(custom)) = (address.conversion(), &address.custom) else {
            return Ok(objects);
        };
        let wanted = address.api_version();
        let mut converted = self.converted(conversion, objects, &wanted).await?;
        for object in &mut converted {
            custom.prune(object);
        }
        Ok(converted)
    }

    /// The object as it is stored, where that differs from how it is judged.
    pub(super) async fn to_store(
        &self,
        address: &Address,
        object: &Object,
    ) -> Result<Option<Object>, Status> {
        let Some(conversion) = address.conversion() else {
            return Ok(None);
        };
        let stored = address.storage_api_version();
        let made = self
            .converted(conversion, vec![object.clone()], &stored)
            .await?;
        Ok(made.into_iter().next())
    }

    pub(super) async fn converted(
        &self,
        conversion: &Conversion,
        mut objects: Vec<Object>,
        wanted: &str,
    ) -> Result<Vec<Object>, Status> {
        let others = |object: &Object| object.api_version() != wanted;
        let places: Vec<usize> = (0..objects.len())
            .filter(|at| others(&objects[*at]))
            .collect();
        for places in places.chunks(AT_ONCE) {
            let some: Vec<Object> = places.iter().map(|at| objects[*at].clone()).collect();
            let made = self.call(conversion, some, wanted).await;
            let made = made.map_err(|words| failed(&objects, wanted, &words))?;
            for (place, object) in places.iter().zip(made) {
                objects[*place] = object;
            }
        }
        Ok(objects)
    }

    async fn call(
        &self,
        conversion: &Conversion,
        objects: Vec<Object>,
        wanted: &str,
    ) -> Result<Vec<Object>, String> {
        let uid = uuid::Uuid::new_v4().to_string();
        let question = conversion.question(&uid, wanted, &objects);
        let call = WebhookCall::to(&conversion.target, self, (&question, LONGEST))?;
        let target = &conversion.target;
        let answered = self.webhooks.call(call).await;
        let bytes = answered.map_err(|words| format!("Post \"{target}\": {words}"))?;
        osier_custom::converted(&bytes, (&uid, wanted), objects)
    }
}

/// As upstream says it.
fn failed(objects: &[Object], wanted: &str, words: &str) -> Status {
    let of = objects.iter().find(|object| object.api_version() != wanted);
    let (version, kind) = of.map_or(("", ""), |one| (one.api_version(), one.kind()));
    Status::new(
        500,
        "InternalError",
        format!("conversion webhook for {version}, Kind={kind} failed: {words}"),
    )
}
