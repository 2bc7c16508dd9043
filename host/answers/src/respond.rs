//! Responses: documents, Status errors, warnings.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use osier_api::Status;
use osier_process::body::{self, Body};
use serde::Serialize;

/// The type of nearly every answer.
pub const JSON: &str = "application/json";

/// All warnings of one response together are cut at this many bytes.
const WARNING_BYTES: usize = 4096;

/// A response with a body of this type.
pub fn bytes(code: u16, content_type: &'static str, data: impl Into<Bytes>) -> Response<Body> {
    streamed(code, content_type, body::full(data))
}

/// A response whose body flows.
pub fn streamed(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON document.
pub fn json(code: u16, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(data) => bytes(code, JSON, data),
        Err(error) => status(&Status::internal(format!(
            "the answer could not be written: {error}"
        ))),
    }
}

/// A Status, with `Retry-After` where it asks for one.
pub fn status(status: &Status) -> Response<Body> {
    let data = serde_json::to_vec(&status.to_object()).unwrap_or_default();
    let mut response = bytes(status.code, JSON, data);
    let asked = status.details.as_ref();
    let asked = asked.and_then(|details| details.retry_after_seconds);
    let unavailable = matches!(status.code, 503 | 504).then_some(1);
    if let Some(seconds) = asked.or(unavailable) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds one `Warning:` line for each text, within a bound.
pub fn warn(response: &mut Response<Body>, warnings: &[String]) {
    let mut room = WARNING_BYTES;
    for text in warnings {
        let clean: String = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let line = format!(
            "299 - \"{}\"",
            clean.replace('\\', "\\\\").replace('"', "\\\"")
        );
        let Some(left) = room.checked_sub(line.len()) else {
            return;
        };
        room = left;
        if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_bounded() {
        let mut response = bytes(200, JSON, "{}");
        warn(
            &mut response,
            &[
                "unknown field \"spec.x\"\n".to_owned(),
                "y".repeat(WARNING_BYTES),
            ],
        );
        let lines: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(lines, ["299 - \"unknown field \\\"spec.x\\\" \""]);
    }
}
