//! A middleware of `wasi:http`: it knows nothing of Osier. Requests that should never be made it answers itself, the others it sends on; responses get
//! the headers by which browsers protect their users, and lose those that tell what the server is made of. Bodies stream through.

/// Headers that every response gets, unless the service has set them.
pub const HEADERS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
];

/// Headers that no response keeps.
pub const TOLD: [&str; 2] = ["server", "x-powered-by"];

/// True for what is answered here.
pub fn is_refused(method: &str, path: &str) -> bool {
    method == "TRACE" || path.split('/').any(|part| part.starts_with(".git"))
}

#[cfg(target_family = "wasm")]
mod component {
    //! The `wasi:http` side.
    use wstd::http::{Body, Client, Error, HeaderValue, Request, Response};

    #[wstd::http_server]
    async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
        if super::is_refused(request.method().as_str(), request.uri().path()) {
            let refused = Response::builder().status(404);
            return Ok(refused.body("There is nothing here.\n".to_owned().into())?);
        }
        let mut response = Client::new().send(request).await?;
        let headers = response.headers_mut();
        for name in super::TOLD {
            headers.remove(name);
        }
        for (name, value) in super::HEADERS {
            if !headers.contains_key(name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_should_ask_for_is_refused() {
        for (method, path) in [
            ("TRACE", "/"),
            ("GET", "/.git/config"),
            ("GET", "/a/.gitignore"),
        ] {
            assert!(is_refused(method, path), "{method} {path}");
        }
        assert!(!is_refused("GET", "/git"));
    }
}
