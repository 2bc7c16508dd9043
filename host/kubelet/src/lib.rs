//! What the API server asks of node agents, as kubelet's own API has it: the paths of the questions, the shape of the answers.
//!
//! Both sides import it, so that one definition says how a log is asked for and how use is told. It holds no connection
//! and asks nobody: who carries a question is the binary's business, who answers it the node agent's. It never imports the
//! API server, a node, the engine or a clock.

mod answer;
mod container;
mod exec;
mod logs;
mod metrics;
mod question;
mod rate;
mod summary;

pub use answer::{json, refusal, text};
pub use exec::ExecOptions;
pub use logs::LogOptions;
pub use metrics::Measured;
pub use question::{
    PodKey, Question, attach, decisions, exec, logs, port_forward, summary, unescaped,
};
pub use rate::{Rate, Reading, Use};
pub use summary::{
    ContainerStats, CpuStats, MemoryStats, NodeStats, PodReference, PodStats, Summary,
};
