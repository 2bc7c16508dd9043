//! A plugin that answers questions, or fails in the way that the function's name says.
#![expect(unsafe_code, reason = "exports and custom sections have no safe form")]
#![expect(
    missing_docs,
    reason = "generated bindings; the WIT files are documented"
)]

wit_bindgen::generate!({ path: ["../../../wit/policy", "wit"], world: "osier:fixture/fixture", generate_all });

use exports::osier::fixture::ask::{Guest, Question, Reply};
use osier::policy::counters;
use std::cell::RefCell;

/// Found by the host without running the plugin.
#[unsafe(link_section = "osier.config_schema")]
#[used]
static SCHEMA: [u8; 17] = *b"{\"type\":\"object\"}";

thread_local! {
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

struct Fixture;

export!(Fixture);

impl Guest for Fixture {
    fn check(question: Question) -> Reply {
        if question.name == "mallory" {
            Reply::Deny(format!(
                "{} wants {} with {} tags",
                question.name,
                question.amount,
                question.tags.len()
            ))
        } else {
            Reply::Allow
        }
    }

    fn spin() {
        let mut n = 0u64;
        loop {
            n = std::hint::black_box(n + 1);
        }
    }

    fn fail() {
        std::process::abort();
    }

    fn grow(mib: u32) -> u32 {
        HOARD.with_borrow_mut(|hoard| {
            hoard.extend((0..mib).map(|_| vec![1u8; 1 << 20]));
            u32::try_from(hoard.len()).unwrap_or(u32::MAX)
        })
    }

    fn shout(bytes: u32) -> String {
        "a".repeat(bytes as usize)
    }

    fn count(key: String) -> Result<i64, String> {
        counters::increment("visits", &key, 1, None).map_err(|error| format!("{error:?}"))
    }

    fn print(text: String) {
        eprintln!("{text}");
    }
}
