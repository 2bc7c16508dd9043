//! What the types of kinds say of policies in CEL: told in the policies' status, as upstream does, right after they were written.

use osier_access::User;
use osier_admission::{Policy, Subject, type_of, warnings};
use osier_api::{Object, Status, resources, schema};
use osier_cel::Type;
use serde_json::{Value, json};

use crate::admit::Read;
use crate::query::{FieldValidation, WriteOptions};
use crate::registry::{Change, Part, Write};
use crate::server::ApiServer;
use crate::target::{Address, Served};

/// Kinds of one policy that are looked at.
const MOST: usize = 20;

impl ApiServer {
    /// Checks every policy that was not checked as it is now.
    pub(crate) async fn check_types(&self) -> Result<(), Status> {
        let policies = &resources::VALIDATING_ADMISSION_POLICIES;
        for policy in Read::list(&*self.registry, policies, "") {
            let seen = policy.get(&["status", "observedGeneration"]);
            if seen != Some(&json!(policy.generation())) {
                self.tell_types(&policy).await?;
            }
        }
        Ok(())
    }

    async fn tell_types(&self, policy: &Object) -> Result<(), Status> {
        let generation = policy.generation();
        let checked = Policy::compile(policy).ok();
        let told = checked.map(|compiled| self.types_of(&compiled));
        let user = User::new("system:apiserver", ["system:masters"]);
        let address = Address {
            name: policy.name().to_owned(),
            subresource: "status".to_owned(),
            ..Address::of(&resources::VALIDATING_ADMISSION_POLICIES)
        };
        let options = WriteOptions {
            dry_run: false,
            validation: FieldValidation::Ignore,
        };
        let make = |old: &Object, _: &mut Vec<String>| {
            let mut new = old.clone();
            new.set(&["status", "observedGeneration"], json!(generation));
            let checking = match told.as_deref() {
                None | Some([]) => json!({}),
                Some(told) => json!({"expressionWarnings": told}),
            };
            new.set(&["status", "typeChecking"], checking);
            Ok(new)
        };
        let change = Change {
            part: Part::Status,
            make: &make,
        };
        let mut write = Write::new(&user, &address, options);
        match self.registry.update(&mut write, change).await {
            Err(gone) if gone.is("NotFound") => Ok(()),
            written => written.map(drop),
        }
    }

    fn types_of(&self, policy: &Policy) -> Vec<Value> {
        let catalogue = self.registry.catalogue.load();
        let named = policy.matcher.concrete().into_iter().take(MOST);
        let subject = |(group, version, plural): (String, String, String)| {
            let served = catalogue.by_plural(&group, &version, &plural)?;
            Some(Subject {
                api_version: served.resource.api_version(&version),
                kind: served.resource.kind.to_owned(),
                of: typed(&served, &version),
            })
        };
        let subjects: Vec<Subject> = named.filter_map(subject).collect();
        let params = policy.param_kind.as_ref().and_then(|kind| {
            let (api_version, kind) = (&kind.api_version, &kind.kind);
            let resource = catalogue.by_kind(api_version, kind)?;
            let version = api_version.rsplit('/').next().unwrap_or_default();
            let served = catalogue.by_plural(resource.group, version, resource.plural)?;
            Some(typed(&served, version))
        });
        warnings(policy, &subjects, params.as_ref())
    }
}

fn typed(served: &Served, version: &str) -> Type {
    match &served.custom {
        Some(custom) => type_of(&custom.document),
        None => {
            let document = schema::definition(served.resource.schema_of(version));
            document.map_or(Type::Dyn, type_of)
        }
    }
}
