//! Policy: who may call what, decided by plugins inside the host that carries the call.
//!
//! Attributes (Mixer's vocabulary) flow through expressions (CEL) into templates (WIT interfaces, recognised by shape), which plugins
//! (components) answer. This crate compiles policies, keeps plugins and their instances, and answers `PolicySet::check`. It is not a proxy and
//! not an API: it sees borrowed attributes and gives verdicts. It never imports the proxy, the API types, or a wasm engine other than
//! `osier_engine::plugin`.

mod attributes;
mod expression;
