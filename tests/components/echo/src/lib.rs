//! A `wasi:http` component for tests: answers with what it was asked. `?ms=N` answers that much later.

/// The milliseconds that a query asks to wait.
pub fn delay(query: Option<&str>) -> u64 {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.strip_prefix("ms=")?.parse().ok())
        .next()
        .unwrap_or(0)
}

#[cfg(target_family = "wasm")]
mod component {
    //! The `wasi:http` side.
    use serde_json::{Value, json};
    use wstd::http::{Body, Error, Request, Response};
    use wstd::time::Duration;

    #[wstd::http_server]
    async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
        println!("{} {}", request.method(), request.uri().path());
        let delay = super::delay(request.uri().query());
        if delay > 0 {
            wstd::task::sleep(Duration::from_millis(delay)).await;
        }
        let headers = request.headers().iter().map(|(name, value)| {
            (
                name.to_string(),
                Value::from(String::from_utf8_lossy(value.as_bytes())),
            )
        });
        let body = json!({
            "method": request.method().as_str(),
            "path": request.uri().path(),
            "headers": headers.collect::<serde_json::Map<_, _>>(),
            "pod": std::env::var("POD_NAME").unwrap_or_default(),
        });
        Ok(Response::builder()
            .header("content-type", "application/json")
            .body(body.to_string().into())?)
    }
}
