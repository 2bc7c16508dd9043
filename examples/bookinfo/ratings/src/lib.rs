//! Bookinfo's ratings service: `GET /ratings/0` answers with the stars each reviewer gave.
//!
//! It calls nobody and keeps no state. `answer` is the whole service as a function; the component below only joins it to `wasi:http`.

use serde_json::{Value, json};

/// The answer to one request: a status and a JSON body.
pub fn answer(path: &str, pod: &str) -> (u16, Value) {
    match path {
        "/health" => (200, json!({"status": "Ratings is healthy"})),
        "/ratings/0" => (200, ratings(pod)),
        _ => (
            404,
            json!({"error": format!("ratings has nothing at {path}; ask for /ratings/0 or /health")}),
        ),
    }
}

fn ratings(pod: &str) -> Value {
    json!({
        "id": 0,
        "ratings": {"Mole": 5, "Rat": 4, "Badger": 3},
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
    fn rates_from_one_to_five() {
        let (status, body) = answer("/ratings/0", "ratings-v1-x");
        assert_eq!(status, 200);
        for (reviewer, stars) in body["ratings"].as_object().into_iter().flatten() {
            assert!(
                (1..=5).contains(&stars.as_u64().unwrap_or_default()),
                "{reviewer}"
            );
        }
        assert_eq!(answer("/ratings", "").0, 404);
    }
}
