//! An HTTP service of WASI 0.3: requests that meet, stream, call on, and go wrong.
#![expect(
    clippy::unwrap_used,
    reason = "a guest of the tests: a step that fails shall trap"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme, Trailers};
use wasip3::wit_bindgen::rt::async_support::{FutureReader, StreamReader};
use wasip3::{wit_bindgen, wit_future, wit_stream};

const MILLISECOND: u64 = 1_000_000;

struct Service;

wasip3::http::service::export!(Service);

type Ends = FutureReader<Result<Option<Trailers>, ErrorCode>>;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let words: Vec<&str> = path.trim_start_matches('/').splitn(2, '/').collect();
        match words[..] {
            ["meet", count] => Ok(text(meet(count.parse().unwrap()).await)),
            ["echo"] => Ok(echo(request)),
            ["drip", count] => Ok(drip(count.parse().unwrap())),
            ["call", authority] => call(authority).await,
            ["refuse"] => Err(ErrorCode::ConnectionRefused),
            ["trap"] => std::process::abort(),
            ["spin"] => spin(),
            ["hang"] => hang().await,
            ["file"] => Ok(text(
                std::fs::read_to_string("/etc/passwd").is_ok().to_string(),
            )),
            _ => Ok(text(format!("{path}\n"))),
        }
    }
}

/// Waits until as many requests are here at the same time, and says how many came before this one.
async fn meet(count: u32) -> String {
    static HERE: AtomicU32 = AtomicU32::new(0);
    let before = HERE.fetch_add(1, Ordering::Relaxed);
    while HERE.load(Ordering::Relaxed) < count {
        wait_for(MILLISECOND).await;
    }
    before.to_string()
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number + 1);
    }
}

async fn hang() -> ! {
    loop {
        wait_for(1000 * MILLISECOND).await;
    }
}

fn answer(body: StreamReader<u8>, ends: Ends) -> Response {
    let headers = [("x-wasi".to_owned(), b"0.3".to_vec())];
    Response::new(Fields::from_list(&headers).unwrap(), Some(body), ends).0
}

fn text(said: String) -> Response {
    let (mut sender, body) = wit_stream::new();
    let (_, ends) = wit_future::new(|| Ok(None));
    wit_bindgen::spawn_local(async move {
        // The caller may be gone.
        let _unsent = sender.write_all(said.into_bytes()).await;
    });
    answer(body, ends)
}

/// The request's own body and trailers.
fn echo(request: Request) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (body, ends) = Request::consume_body(request, done);
    answer(body, ends)
}

/// A piece now and then, and trailers that say how many there were.
fn drip(count: u32) -> Response {
    let (mut sender, body) = wit_stream::new();
    let (trailers, ends) = wit_future::new(|| Ok(None));
    wit_bindgen::spawn_local(async move {
        for number in 0..count {
            let piece = format!("{number}\n").into_bytes();
            if !sender.write_all(piece).await.is_empty() {
                return;
            }
            wait_for(MILLISECOND).await;
        }
        drop(sender);
        let said = [("x-count".to_owned(), count.to_string().into_bytes())];
        let _heard = trailers
            .write(Ok(Some(Fields::from_list(&said).unwrap())))
            .await;
    });
    answer(body, ends)
}

/// Asks somebody else, and hands on what comes.
async fn call(authority: &str) -> Result<Response, ErrorCode> {
    let (_, ends) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, ends, None);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some("/called")).unwrap();
    let response = client::send(request).await?;
    let (_, done) = wit_future::new(|| Ok(()));
    let (body, ends) = Response::consume_body(response, done);
    Ok(answer(body, ends))
}
