//! The smallest HTTP service: says hello to whoever asks.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let Ok(headers) = Fields::from_list(&[("content-type".to_owned(), b"text/plain".to_vec())])
        else {
            return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
        };
        let response = OutgoingResponse::new(headers);
        let Ok(body) = response.body() else {
            return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
        };
        ResponseOutparam::set(out, Ok(response));
        // The caller may be gone by now; that is no fault of ours.
        if let Ok(stream) = body.write() {
            let _ = stream.blocking_write_and_flush(b"Hello, mesh!\n");
        }
        let _ = OutgoingBody::finish(body, None);
    }
}
