//! Calls to upstreams, and what is not offered: gRPC and foreign functions.

use super::{ENV, Guest};
use crate::proxy_wasm::abi::{Fault, Status, answer};
use crate::proxy_wasm::memory::{Place, Span, hand, read, text, write_u32};
use crate::proxy_wasm::state::{MOST_CALLS, State};
use osier_abi::headers::{Headers, decode};
use osier_abi::{Call, Order};
use std::time::Duration;
use wasmtime::Linker;

/// No call waits longer for its answer.
const LONGEST: Duration = Duration::from_secs(300);

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_calls(linker)?;
    refuse(linker)
}

fn link_calls(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_http_call",
        |mut g: Guest<'_>,
         upstream: u32,
         upstream_len: u32,
         headers: u32,
         headers_len: u32,
         body: u32,
         body_len: u32,
         trailers: u32,
         trailers_len: u32,
         timeout: u32,
         token: u32| {
            let parts = Parts {
                upstream: Span(upstream, upstream_len),
                headers: Span(headers, headers_len),
                body: Span(body, body_len),
                trailers: Span(trailers, trailers_len),
            };
            let timeout = Duration::from_millis(u64::from(timeout)).min(LONGEST);
            answer(call(&mut g, &parts, timeout, token))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_status",
        |mut g: Guest<'_>, code: u32, at: u32, len: u32| {
            answer(status(&mut g, code, Place(at, len)))
        },
    )?;
    Ok(())
}

/// What is not offered.
fn refuse(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // As Envoy answers a name that nobody registered.
    linker.func_wrap(
        ENV,
        "proxy_call_foreign_function",
        |_: Guest<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| Status::NotFound as u32,
    )?;
    let refused = Status::Unimplemented as u32;
    linker.func_wrap(
        ENV,
        "proxy_grpc_call",
        move |_: Guest<'_>,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32| refused,
    )?;
    linker.func_wrap(
        ENV,
        "proxy_grpc_stream",
        move |_: Guest<'_>,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32,
              _: u32| refused,
    )?;
    linker.func_wrap(
        ENV,
        "proxy_grpc_send",
        move |_: Guest<'_>, _: u32, _: u32, _: u32, _: u32| refused,
    )?;
    linker.func_wrap(ENV, "proxy_grpc_cancel", move |_: Guest<'_>, _: u32| {
        refused
    })?;
    linker.func_wrap(ENV, "proxy_grpc_close", move |_: Guest<'_>, _: u32| refused)?;
    Ok(())
}

/// What a request is made of, in the guest's memory.
struct Parts {
    upstream: Span,
    headers: Span,
    body: Span,
    trailers: Span,
}

fn call(guest: &mut Guest<'_>, parts: &Parts, timeout: Duration, out: u32) -> Result<(), Fault> {
    let upstream = text(guest, parts.upstream)?;
    if !guest.data().terms.may_call(&upstream) {
        let detail = format!("{upstream} is not granted; name it in spec.grants.http");
        super::logged(guest.data_mut(), 3, &detail);
        return Err(Status::BadArgument.into());
    }
    let wire = read(guest, parts.headers)?;
    let headers = Headers::of_request(&decode(&wire)?)?;
    // As in Envoy, these three make a request.
    let needed = [":method", ":path", ":authority"];
    if needed.iter().any(|name| headers.pseudo(name).is_none()) {
        return Err(Status::BadArgument.into());
    }
    let body = read(guest, parts.body)?.into();
    let wire = read(guest, parts.trailers)?;
    let trailers = Headers::of_plain(&decode(&wire)?)?;
    let state = guest.data_mut();
    if state.calls.len() >= MOST_CALLS {
        return Err(Status::InternalFailure.into());
    }
    state.last_token = state.last_token.wrapping_add(1).max(1);
    let token = state.last_token;
    state.order(Order::Call(Box::new(Call {
        token,
        upstream: crate::proxy_wasm::state::place(&upstream),
        headers,
        body,
        trailers,
        timeout,
    })))?;
    state.calls.insert(token, state.effective);
    Ok(write_u32(guest, out, token)?)
}

/// The status of the last gRPC message: there never is one.
fn status(guest: &mut Guest<'_>, code: u32, out: Place) -> Result<(), Fault> {
    write_u32(guest, code, 0)?;
    hand(guest, &[], out)
}
