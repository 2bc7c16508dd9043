//! The API server: Kubernetes' HTTP API over a durable store.
//!
//! Any resource of `osier_api` is served by the same code: a JSON value with a schema, one global revision, one watch
//! log. What differs between kinds is a handful of lines in `strategy`. It authenticates and admits, it does not act:
//! controllers and node agents do, through this API like everybody else. It never imports the engine, a controller or
//! the proxy; node agents and admission come in through the small traits here.

mod admit;
mod agents;
mod audit;
mod authorize;
mod bootstrap;
mod catalogue;
mod decode;
mod definitions;
mod draft;
mod images;
mod listener;
mod notes;
mod objects;
mod own_service;
mod query;
mod reading;
mod registry;
mod serve;
mod server;
mod strategy;
mod target;
mod typechecks;
mod webhooks;

pub use admit::{Admit, Admitted, Operation, Read, Review};
pub use agents::NodeAgents;
pub use audit::{AuditPolicy, AuditSettings};
pub use images::{Image, Images};
pub use listener::Listener;
pub use notes::Notes;
pub use osier_access::User;
pub use osier_store::{
    BadLocation, ClientConfig, Contents as BackupContents, Limits as StoreLimits, Location,
    Sealing, SealingRule, StoreError, StoreKind, check_backup, is_guarded as store_is_guarded,
    restore as restore_store,
};
pub use server::{ApiServer, NodeDoors, OpenError, Settings, StorePlace};
pub use webhooks::{WebhookCall, Webhooks};
