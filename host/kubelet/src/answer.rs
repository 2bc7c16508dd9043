//! The answers of a node agent: what it has, or a Status that the API server hands on as it is.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use osier_api::Status;
use osier_process::body::{self, Body};
use serde::Serialize;

/// An answer of this type.
fn typed(code: u16, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media = HeaderValue::from_static(media);
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

/// A document.
pub fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(data) => typed(200, "application/json", body::full(data)),
        Err(error) => refusal(&Status::internal(error)),
    }
}

/// Text that flows.
pub fn text(body: Body) -> Response<Body> {
    typed(200, "text/plain", body)
}

/// Why not.
pub fn refusal(status: &Status) -> Response<Body> {
    let words = status.to_object().to_value().to_string();
    typed(status.code, "application/json", body::full(words))
}
