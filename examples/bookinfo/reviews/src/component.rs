//! The `wasi:http` side: one route, and the call to ratings by its service name.

use super::{Identity, Ratings, reviews};
use serde_json::{Value, json};
use wstd::http::{Body, Client, Error, HeaderMap, Request, Response};
use wstd::time::Duration;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let path = request.uri().path();
    let (status, body) = match path {
        "/health" => (200, json!({"status": "Reviews is healthy"})),
        "/reviews/0" => (200, serve(request.headers()).await),
        _ => (
            404,
            json!({"error": format!("reviews has nothing at {path}; ask for /reviews/0 or /health")}),
        ),
    };
    println!("{} {path} {status}", request.method());
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body.to_string().into())?)
}

async fn serve(headers: &HeaderMap) -> Value {
    let identity = Identity {
        version: std::env::var("SERVICE_VERSION").unwrap_or_else(|_| "v1".into()),
        pod: std::env::var("POD_NAME").unwrap_or_default(),
    };
    let ratings = match identity.star_color() {
        None => Ratings::NotAsked,
        Some(_) => match ask_ratings(headers).await {
            Ok(ratings) => ratings,
            Err(error) => Ratings::Unavailable(format!("ratings cannot be reached: {error:#}")),
        },
    };
    if let Ratings::Unavailable(reason) = &ratings {
        eprintln!("serving without stars: {reason}");
    }
    reviews(&identity, &ratings)
}

async fn ask_ratings(headers: &HeaderMap) -> Result<Ratings, Error> {
    let address = std::env::var("RATINGS_ADDRESS").unwrap_or_else(|_| "http://ratings:9080".into());
    let mut request = Request::get(format!("{address}/ratings/0")).body(Body::empty())?;
    bookinfo_propagation::carry(headers, request.headers_mut());
    let mut client = Client::new();
    client.set_first_byte_timeout(Duration::from_secs(2));
    let response = client.send(request).await?;
    if !response.status().is_success() {
        return Ok(Ratings::Unavailable(format!(
            "ratings answered {}",
            response.status().as_u16()
        )));
    }
    Ok(Ratings::Given(response.into_body().json().await?))
}
