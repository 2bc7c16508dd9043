//! What Osier reads from outside, as functions of bytes: a fuzzer looks for bytes that one of them does not stand (`cargo xtask fuzz`), and
//! `tests/replay.rs` holds all of them to the bytes in `corpus`.
//!
//! A target calls the product's own function, and fails by a panic. Targets know no fuzzer: that is `libfuzzer`, which is built with
//! instruments and a lock of its own.

#![expect(clippy::expect_used, reason = "a target fails by a panic")]

mod api;
mod beginnings;
mod expressions;
mod gateway;
mod images;
#[cfg(feature = "modules")]
mod modules;
mod streams;
mod tokens;

/// Reads bytes, and panics at a fault of the product.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its folder below `corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("api_request", api::request),
    ("cel", expressions::cel),
    ("client_hello", beginnings::client_hello),
    ("gateway", gateway::http),
    ("gateway_tls", gateway::tls),
    ("manifest", images::manifest),
    #[cfg(feature = "modules")]
    ("module", modules::module),
    ("patch", api::patch),
    ("protobuf", api::protobuf),
    ("proxy_protocol", beginnings::proxy_protocol),
    ("selector", api::selector),
    ("spdy", streams::spdy),
    ("token", tokens::token),
    ("websocket", streams::websocket),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target)
}
