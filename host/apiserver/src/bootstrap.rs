//! What a server makes sure of when it starts: namespaces, roles, bindings, classes.

use futures::future::try_join_all;
use osier_access::{User, bindings, missing_rules, roles};
use osier_api::resources::{gateway_api, networking};
use osier_api::{Object, Resource, Status, local_volume, resources};
use osier_scheduling::priority;
use serde_json::{Value, json};

use crate::query::{FieldValidation, WriteOptions};
use crate::registry::{Change, Part, Write};
use crate::server::ApiServer;
use crate::target::Address;

/// Namespaces that are there from the start.
const NAMESPACES: [&str; 5] = [
    "default",
    "kube-system",
    "kube-node-lease",
    "kube-public",
    "osier-system",
];
/// The class of gateways that are served here, of the Gateway API and of Ingress alike.
const CLASS: &str = "osier";

/// Who serves the class `osier`.
const CONTROLLER: &str = "osier.dev/gateway-controller";

/// Who serves the class `osier` of ingresses.
const INGRESS_CONTROLLER: &str = "osier.dev/ingress-controller";

/// Marks the class of ingresses that name none.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// Marks the class of claims that name none.
const DEFAULT_STORAGE: &str = "storageclass.kubernetes.io/is-default-class";

/// Sums of roles can be in sums of roles, not deeper than this.
const DEEPEST: usize = 8;
/// The name under which sums are written.
const AGGREGATOR: &str = "clusterrole-aggregation-controller";

const OPTIONS: WriteOptions = WriteOptions {
    dry_run: false,
    validation: FieldValidation::Strict,
};

fn myself() -> User {
    User::new("system:apiserver", ["system:masters"])
}

fn address(resource: &'static Resource, name: &str) -> Address {
    Address {
        name: name.to_owned(),
        ..Address::of(resource)
    }
}

/// The class of claims that name none: directories on the disk of the node that the first pod comes to.
fn storage_class() -> Object {
    let mut class = Object::new(&resources::STORAGE_CLASSES, "", local_volume::CLASS);
    class.set(&["metadata", "annotations", DEFAULT_STORAGE], "true".into());
    class.set(&["provisioner"], local_volume::DRIVER.into());
    class.set(&["reclaimPolicy"], "Delete".into());
    class.set(&["volumeBindingMode"], "WaitForFirstConsumer".into());
    class.set(&["allowVolumeExpansion"], true.into());
    class
}

impl ApiServer {
    /// Makes what has to be there.
    pub(crate) async fn bootstrap(&self) -> Result<(), Status> {
        let namespaces = NAMESPACES.map(|name| Object::new(&resources::NAMESPACES, "", name));
        try_join_all(
            namespaces
                .into_iter()
                .map(|namespace| self.ensure(&resources::NAMESPACES, namespace)),
        )
        .await?;
        let roles = roles().into_iter();
        try_join_all(roles.map(|role| self.ensure(&resources::CLUSTER_ROLES, role))).await?;
        let bindings = bindings().into_iter();
        try_join_all(
            bindings.map(|binding| self.ensure(&resources::CLUSTER_ROLE_BINDINGS, binding)),
        )
        .await?;
        self.ensure_classes().await?;
        self.aggregate().await
    }

    /// The classes of gateways, of ingresses, of volumes and of important pods.
    async fn ensure_classes(&self) -> Result<(), Status> {
        let mut class = Object::new(&gateway_api::GATEWAY_CLASSES, "", CLASS);
        class.set(&["spec", "controllerName"], CONTROLLER.into());
        self.ensure(&gateway_api::GATEWAY_CLASSES, class).await?;
        let mut class = Object::new(&networking::INGRESS_CLASSES, "", CLASS);
        class.set(&["spec", "controller"], INGRESS_CONTROLLER.into());
        // Ingresses that name no class are meant for who is there.
        class.set(&["metadata", "annotations", DEFAULT_CLASS], "true".into());
        self.ensure(&networking::INGRESS_CLASSES, class).await?;
        for class in priority::system_classes() {
            self.ensure(&resources::PRIORITY_CLASSES, class).await?;
        }
        self.ensure(&resources::STORAGE_CLASSES, storage_class())
            .await
    }

    /// Creates an object that is not there; a role that is gets the rules that it lacks.
    async fn ensure(&self, resource: &'static Resource, object: Object) -> Result<(), Status> {
        let user = myself();
        let at = address(resource, object.name());
        let found = match self.registry.get(&at).await {
            Ok(found) => found,
            Err(missing) if missing.is("NotFound") => {
                let collection = address(resource, "");
                let mut write = Write::new(&user, &collection, OPTIONS);
                let created = self.registry.create(&mut write, object, &[]).await;
                return match created {
                    // Another server of the same store starts too.
                    Err(there) if there.is("AlreadyExists") => Ok(()),
                    created => created.map(drop),
                };
            }
            Err(error) => return Err(error),
        };
        if *resource != resources::CLUSTER_ROLES {
            return Ok(());
        }
        match missing_rules(&found, &object) {
            Some(updated) => self.rewrite(&at, user.name.as_str(), &updated).await,
            None => Ok(()),
        }
    }

    /// Puts other rules into a role.
    async fn rewrite(&self, at: &Address, manager: &str, rules: &Value) -> Result<(), Status> {
        let user = myself();
        let make = |old: &Object, _: &mut Vec<String>| {
            let mut new = old.clone();
            new.set(&["rules"], rules.clone());
            Ok(new)
        };
        let change = Change {
            part: Part::Main,
            make: &make,
        };
        let mut write = Write::new(&user, at, OPTIONS);
        write.manager = manager.to_owned();
        match self.registry.update(&mut write, change).await {
            Err(gone) if gone.is("NotFound") => Ok(()),
            written => written.map(drop),
        }
    }

    /// Gives every role that is the sum of others their rules.
    pub(crate) async fn aggregate(&self) -> Result<(), Status> {
        for _ in 0..DEEPEST {
            let due = self.rules.to_aggregate();
            if due.is_empty() {
                break;
            }
            for (name, rules) in due {
                let at = address(&resources::CLUSTER_ROLES, &name);
                self.rewrite(&at, AGGREGATOR, &json!(rules)).await?;
            }
        }
        Ok(())
    }
}
