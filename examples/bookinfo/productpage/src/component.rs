//! The `wasi:http` side: routes, and the two calls that every page makes at the same time.

use crate::backend::{self, Answer, Failure};
use crate::page::{self, Page};
use crate::session::{self, Wish};
use serde_json::json;
use wstd::http::{Body, Client, Error, HeaderMap, HeaderValue, Request, Response};
use wstd::runtime::spawn;
use wstd::time::Duration;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let response = match path.as_str() {
        "" => redirect("/productpage"),
        "/productpage" | "/login" => product_page(&request).await,
        "/logout" => redirect("/productpage?u="),
        "/api/v1/products" => json_response(200, &backend::products()),
        "/api/v1/products/0" => relay(&request, "details", "/details/0").await,
        "/api/v1/products/0/reviews" => relay(&request, "reviews", "/reviews/0").await,
        "/api/v1/products/0/ratings" => relay(&request, "ratings", "/ratings/0").await,
        "/static/cover.svg" | "/favicon.ico" => respond(200, "image/svg+xml", page::COVER.into()),
        "/health" => json_response(200, &json!({"status": "Product page is healthy"})),
        _ => json_response(
            404,
            &json!({"error": format!("productpage has nothing at {path}; try /productpage or /api/v1/products")}),
        ),
    }?;
    println!("{} {path} {}", request.method(), response.status().as_u16());
    Ok(response)
}

async fn product_page(request: &Request<Body>) -> Result<Response<Body>, Error> {
    let wish = session::wish(request.uri().query());
    let user = match &wish {
        Wish::SignIn(name) => Some(name.clone()),
        Wish::SignOut => None,
        Wish::Stay | Wish::Refused => signed_in(request.headers()),
    };
    let headers = outgoing_headers(request.headers(), user.as_deref())?;
    let details = spawn(ask("details", "/details/0", headers.clone()));
    let reviews = ask("reviews", "/reviews/0", headers).await;
    let html = page::render(&Page {
        user,
        refused_name: wish == Wish::Refused,
        details: details.await,
        reviews,
        pod: std::env::var("POD_NAME").unwrap_or_default(),
        request_id: header(request.headers(), "x-request-id"),
    });
    let mut response = respond(200, "text/html; charset=utf-8", html.into())?;
    let cookie = match wish {
        Wish::SignIn(name) => session::sign_in(&name),
        Wish::SignOut => session::sign_out(),
        Wish::Stay | Wish::Refused => return Ok(response),
    };
    response
        .headers_mut()
        .insert("set-cookie", HeaderValue::try_from(cookie)?);
    Ok(response)
}

/// Asks one backend for the API caller and passes on its body, or its status with a reason.
async fn relay(
    request: &Request<Body>,
    service: &'static str,
    path: &'static str,
) -> Result<Response<Body>, Error> {
    let user = signed_in(request.headers());
    let headers = outgoing_headers(request.headers(), user.as_deref())?;
    match ask(service, path, headers).await {
        Ok(body) => json_response(200, &body),
        Err(failure) => json_response(
            failure.status(),
            &json!({"error": failure.explain(service)}),
        ),
    }
}

async fn ask(service: &'static str, path: &'static str, headers: HeaderMap) -> Answer {
    let answer = call(service, path, headers).await;
    answer.unwrap_or_else(|error| {
        eprintln!("{service} failed: {error:#}");
        Err(Failure::Unreachable(format!("{error:#}")))
    })
}

async fn call(service: &str, path: &str, headers: HeaderMap) -> Result<Answer, Error> {
    let variable = format!("{}_ADDRESS", service.to_uppercase());
    let address = std::env::var(variable).unwrap_or_else(|_| format!("http://{service}:9080"));
    let mut request = Request::get(format!("{address}{path}")).body(Body::empty())?;
    *request.headers_mut() = headers;
    let mut client = Client::new();
    client.set_first_byte_timeout(Duration::from_secs(5));
    let response = client.send(request).await?;
    let status = response.status().as_u16();
    Ok(backend::answer(
        status,
        response.into_body().contents().await?,
    ))
}

/// The carried headers, with `end-user` set from the session when somebody is signed in.
fn outgoing_headers(incoming: &HeaderMap, user: Option<&str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    bookinfo_propagation::carry(incoming, &mut headers);
    if let Some(user) = user {
        headers.insert("end-user", HeaderValue::try_from(user)?);
    }
    Ok(headers)
}

fn signed_in(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all("cookie").into_iter();
    session::from_cookies(cookies.filter_map(|value| value.to_str().ok()))
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn redirect(location: &str) -> Result<Response<Body>, Error> {
    Ok(Response::builder()
        .status(302)
        .header("location", location)
        .body(Body::empty())?)
}

fn json_response(status: u16, body: &serde_json::Value) -> Result<Response<Body>, Error> {
    respond(status, "application/json", body.to_string().into())
}

fn respond(status: u16, kind: &str, body: Body) -> Result<Response<Body>, Error> {
    Ok(Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(body)?)
}
