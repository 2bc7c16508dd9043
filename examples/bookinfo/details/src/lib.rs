//! Bookinfo's details service: `GET /details/0` answers with the facts about one book.
//!
//! It calls nobody and keeps no state. `answer` is the whole service as a function; the component below only joins it to `wasi:http`.

use serde_json::{Value, json};

/// The answer to one request: a status and a JSON body.
pub fn answer(path: &str, pod: &str) -> (u16, Value) {
    match path {
        "/health" => (200, json!({"status": "Details is healthy"})),
        "/details/0" => (200, book(pod)),
        _ if path.starts_with("/details/") => (
            404,
            json!({"error": format!("there is no book at {path}; this shop sells one: /details/0")}),
        ),
        _ => (
            404,
            json!({"error": format!("details has nothing at {path}; ask for /details/0 or /health")}),
        ),
    }
}

fn book(pod: &str) -> Value {
    json!({
        "id": 0,
        "title": "The Wind in the Willows",
        "author": "Kenneth Grahame",
        "year": 1908,
        "type": "hardcover",
        "pages": 302,
        "publisher": "Methuen & Co., London",
        "language": "English",
        "podname": pod,
        "version": "v1",
    })
}

#[cfg(target_family = "wasm")]
mod component {
    //! The `wasi:http` side.
    use wstd::http::{Body, Error, Request, Response};

    #[wstd::http_server]
    async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
        let pod = std::env::var("POD_NAME").unwrap_or_default();
        let path = request.uri().path();
        let (status, body) = super::answer(path, &pod);
        println!("{} {path} {status}", request.method());
        Ok(Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(body.to_string().into())?)
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn knows_one_book_and_says_so() {
        let (status, book) = answer("/details/0", "details-v1-x");
        assert_eq!(
            (status, book["podname"].as_str()),
            (200, Some("details-v1-x"))
        );
        let (status, fault) = answer("/details/7", "");
        assert_eq!(status, 404);
        assert!(
            fault["error"]
                .as_str()
                .is_some_and(|text| text.contains("/details/0"))
        );
    }
}
