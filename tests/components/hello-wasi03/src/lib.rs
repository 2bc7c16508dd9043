//! What `examples/hello` does, on WASI 0.3: the benchmark serves it by the peer.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

struct Hello;

wasip3::http::service::export!(Hello);

impl wasip3::exports::http::handler::Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = [("content-type".to_owned(), b"text/plain".to_vec())];
        let headers = Fields::from_list(&headers).map_err(|_| ErrorCode::InternalError(None))?;
        let (mut body, content) = wit_stream::new();
        let (_, no_trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(content), no_trailers);
        wit_bindgen::spawn_local(async move {
            // The caller may be gone by now; that is no fault of ours.
            let _unsent = body.write_all(b"Hello, mesh!\n".to_vec()).await;
        });
        Ok(response)
    }
}
