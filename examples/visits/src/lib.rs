//! An HTTP service that counts who was here: the count lives in a bucket, its greeting in the configuration, and it says what it does in its log.

use bindings::wasi::config::store as config;
use bindings::wasi::keyvalue::atomics::increment;
use bindings::wasi::keyvalue::store::{Error, open};
use bindings::wasi::logging::logging::{Level, log};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/wasi/keyvalue", "../../wit/wasi/config", "../../wit/wasi/logging"],
        inline: "package example:visits;
            world visits {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:config/store@0.2.0-rc.1;
                import wasi:logging/logging@0.1.0-draft;
            }",
        world: "example:visits/visits",
        generate_all,
    });
}

struct Visits;

wasip2::http::proxy::export!(Visits);

impl Guest for Visits {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let page = request.path_with_query().unwrap_or_default();
        let (status, text) = match count(&page) {
            Ok(number) => {
                log(
                    Level::Info,
                    "visits",
                    &format!("{page} was seen {number} times"),
                );
                (200, format!("{} {number}\n", greeting()))
            }
            Err(error) => {
                log(
                    Level::Error,
                    "visits",
                    &format!("{page} was not counted: {error:?}"),
                );
                (500, "the visit was not counted\n".to_owned())
            }
        };
        answer(out, status, &text);
    }
}

/// Every instance, and every pod that shares the volume, counts in the same bucket.
fn count(page: &str) -> Result<u64, Error> {
    let bucket = open("visits")?;
    increment(&bucket, page, 1)
}

/// Asked for each time: a change of the ConfigMap needs no restart.
fn greeting() -> String {
    let greeting = config::get("greeting").ok().flatten();
    greeting.unwrap_or_else(|| "You are visitor".to_owned())
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let Ok(body) = response.body() else {
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
    };
    let _ = response.set_status_code(status);
    ResponseOutparam::set(out, Ok(response));
    // The caller may be gone by now; that is no fault of ours.
    if let Ok(stream) = body.write() {
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}
