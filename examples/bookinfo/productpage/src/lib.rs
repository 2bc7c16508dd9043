//! Bookinfo's front page: asks `details` and `reviews` at the same time and draws one page from what they say.
//!
//! A backend that fails costs its own part of the page and nothing else. `page` draws, `session` knows who is signed in, `backend` turns
//! answers into what the page needs; all three are plain functions over values. Only `component` speaks `wasi:http`.

pub mod backend;
pub mod page;
pub mod session;
pub mod stars;

#[cfg(target_family = "wasm")]
mod component;
