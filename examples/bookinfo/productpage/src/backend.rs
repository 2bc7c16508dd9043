//! What the backends said, and what it means for the page.

use serde_json::Value;

/// The answer of one backend.
pub type Answer = Result<Value, Failure>;

/// Why a backend's part of the page is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It answered, but with this status.
    Status(u16),
    /// It did not answer, or not with JSON; the text says how.
    Unreachable(String),
}

impl Failure {
    /// A sentence's end for a reader of the page.
    pub fn explain(&self, service: &str) -> String {
        match self {
            Failure::Status(403) => format!("A policy refused the call to {service} (403)."),
            Failure::Status(429) => format!("{service} is asked too often just now (429)."),
            Failure::Status(status) => format!("{service} answered {status}."),
            Failure::Unreachable(reason) => format!("{service} cannot be reached: {reason}."),
        }
    }

    /// The status with which an API caller hears of it.
    pub fn status(&self) -> u16 {
        match self {
            Failure::Status(status) => *status,
            Failure::Unreachable(_) => 503,
        }
    }
}

/// Turns a status and a body into an answer.
pub fn answer(status: u16, body: &[u8]) -> Answer {
    if !(200..300).contains(&status) {
        return Err(Failure::Status(status));
    }
    serde_json::from_slice(body)
        .map_err(|error| Failure::Unreachable(format!("its answer is not JSON ({error})")))
}

/// The products this shop sells, as `/api/v1/products` lists them.
pub fn products() -> Value {
    serde_json::json!([{"id": 0, "title": TITLE, "description": SUMMARY}])
}

/// The book's title.
pub const TITLE: &str = "The Wind in the Willows";
/// What the book is about.
pub const SUMMARY: &str = "A mole gives up his spring-cleaning, finds a river, and is taught by a water rat how to do nothing in a boat. \
     Friends, picnics, a wild wood, and a toad who should not be allowed near motor-cars.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_with_success_is_an_answer() {
        assert_eq!(answer(200, b"{\"id\":0}"), Ok(serde_json::json!({"id": 0})));
        assert_eq!(answer(429, b"{}"), Err(Failure::Status(429)));
        assert!(
            matches!(answer(200, b"<html>"), Err(Failure::Unreachable(reason)) if reason.contains("not JSON"))
        );
    }

    #[test]
    fn an_api_caller_hears_the_backends_status() {
        assert_eq!(Failure::Status(403).status(), 403);
        assert_eq!(Failure::Unreachable("refused".into()).status(), 503);
    }
}
