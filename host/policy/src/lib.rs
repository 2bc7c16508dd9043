//! Policy: who may call what, decided by plugins inside the host that carries the call.
//!
//! Attributes (Mixer's vocabulary) flow through expressions (CEL) into templates (WIT interfaces, recognised by shape), which plugins
//! (components) answer. This crate compiles policies, keeps plugins and their instances, and answers `PolicySet::check`. It is not a proxy and
//! not an API: it sees borrowed attributes and gives verdicts. It never imports the proxy, the API's types, or a Wasm engine other than
//! `osier_engine::plugin`.

mod fault;
mod hook;
mod host;
mod inspect;
mod key;
mod output;
mod plugin;
mod policy;
mod set;
mod template;
mod verdict;

pub use fault::{FailurePolicy, Fault, LoadError, Unavailable};
pub use hook::{
    Admission, Candidate, Choice, Endpoint, NodeView, Opinion, PodView, Rejection,
    Request as ChoiceRequest, Review, WriteOperation,
};
pub use host::PolicyHost;
pub use inspect::{Import, Inspection, TemplateShape, inspect};
pub use key::ObjectKey;
pub use osier_capabilities::{
    Caller, Callout, CalloutAnswer, CalloutBounds, CalloutError, LOG_TARGET, caller_name,
};
pub use osier_expressions::{
    Api, AttributeInfo, Attributes, Authentication, Checked, Connection, Context, Destination,
    Extra, Generated, Peer, Request, Response, Vocabulary,
};
pub use osier_expressions::{CompileError, Condition, nanoseconds};
pub use osier_expressions::{EvaluationError, Texts, Type};
pub use osier_spec::signers;
pub use output::Output;
pub use plugin::{Plugin, PluginStatus};
pub use policy::{
    BodyVerdict, Carried, CarriedExchange, Change, ChunkVerdict, CompiledPolicy, Direction,
    Exchange, Filter, FilterMiddleware, FilterStream, HeadVerdict, Mode, Reply, RolloutState,
    Sought,
};
pub use set::{FilterKind, PolicySet, Scope};
pub use template::Rehearsal;
pub use verdict::{Approval, Decision, Denial, HeaderOperation, Outcome, Verdict};
