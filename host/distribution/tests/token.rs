//! The token flow of registries, against a registry that asks for a token and a token service that asks for a password.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use osier_distribution::{Credentials, Fault, Reference, Registries, Settings};
use osier_process::Tasks;
use osier_process::body::{self, Body, BodyError};
use tokio::net::TcpListener;

const COMPONENT: &[u8] = b"\0asm-component";
/// `u:p`.
const LOGIN: &str = "Basic dTpw";

async fn answer(host: String, request: Request<Incoming>) -> Result<Response<Body>, BodyError> {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let (_, manifest) =
        osier_distribution::describe(COMPONENT, (&[], &[]), jiff::Timestamp::UNIX_EPOCH);
    let path = request.uri().path_and_query().unwrap().as_str();
    let response = Response::builder();
    if path.starts_with("/token") {
        assert_eq!(path, "/token?service=here&scope=repository%3Aweb%3Apull");
        let known = authorization.as_deref() == Some(LOGIN);
        let status = if known { 200 } else { 403 };
        return Ok(response
            .status(status)
            .body(body::full(r#"{"token":"t1"}"#))?);
    }
    if path.starts_with("/elsewhere") {
        assert_eq!(
            authorization, None,
            "credentials are for the registry alone"
        );
        return Ok(response.body(body::full(COMPONENT))?);
    }
    if authorization.as_deref() != Some("Bearer t1") {
        let challenge = format!(
            r#"Bearer realm="http://{host}/token",service="here",scope="repository:web:pull""#
        );
        return Ok(response
            .status(401)
            .header(WWW_AUTHENTICATE, challenge)
            .body(body::empty())?);
    }
    if path.starts_with("/v2/web/blobs/") {
        // Another name for the same server: another authority.
        let port = host.rsplit(':').next().unwrap();
        let place = format!("http://localhost:{port}/elsewhere");
        return Ok(response
            .status(307)
            .header("location", place)
            .body(body::empty())?);
    }
    assert_eq!(path, "/v2/web/manifests/1");
    Ok(response.body(body::full(manifest))?)
}

async fn serve(tasks: &Tasks) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (name, connections) = (host.clone(), tasks.clone());
    tasks.spawn("registry", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let name = name.clone();
            let service = service_fn(move |request| answer(name.clone(), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connections.spawn("connection", async move { drop(connection.await) });
        }
    });
    host
}

#[tokio::test]
async fn a_token_is_fetched_and_shown_to_the_registry_alone() {
    let tasks = Tasks::new();
    let host = serve(&tasks).await;
    let port = host.rsplit(':').next().unwrap();
    let settings = Settings {
        insecure: vec![host.clone(), format!("localhost:{port}")],
        keys: Vec::new(),
    };
    let registries = Registries::new(settings, tasks.clone());
    let reference = Reference::parse(&format!("{host}/web:1")).unwrap();
    let config = format!(r#"{{"auths":{{"{host}":{{"auth":"dTpw"}}}}}}"#);
    let credentials = Credentials::docker_config(config.as_bytes()).unwrap();
    let mut pull = registries.pull(&reference, &credentials);
    let artifact = pull.resolve().await.unwrap();
    let quiet: osier_distribution::Progress = Arc::new(|_, _| ());
    let component = pull.fetch(&artifact.layer, &quiet).await.unwrap();
    assert_eq!(component, COMPONENT);

    let refused = registries
        .pull(&reference, &Credentials::default())
        .resolve()
        .await;
    let fault = refused.unwrap_err().fault;
    assert!(
        matches!(fault, Fault::Unauthorized { code: 403, .. }),
        "{fault}"
    );
    tasks.stop();
}
