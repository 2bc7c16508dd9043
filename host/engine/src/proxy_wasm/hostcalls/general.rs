//! Logs, time, contexts, streams, properties and local replies.

use super::{ENV, Guest};
use crate::proxy_wasm::abi::{Fault, Status, answer};
use crate::proxy_wasm::memory::{Place, Span, hand, read, text, write, write_u32};
use crate::proxy_wasm::state::{ROOT, State};
use crate::proxy_wasm::stream::{LocalReply, Side, Stream};
use bytes::Bytes;
use http::StatusCode;
use osier_abi::Order;
use osier_abi::headers::{Headers, decode};
use osier_abi::property;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime::Linker;

/// Ticks come no closer than this.
const SHORTEST_TICK: Duration = Duration::from_millis(1);
/// Bytes of one logged line.
const MOST_LINE: usize = 16 << 10;
/// Lines that one VM may log in a second.
const MOST_LINES: u32 = 200;
/// Properties that guests set on one stream, and bytes of each.
const MOST_PROPERTIES: usize = 256;
const MOST_PROPERTY: usize = 64 << 10;
/// The levels that guests may log at: everything from Info on.
const INFO: u32 = 2;

/// Keeps a guest from flooding the log.
#[derive(Default)]
pub(in crate::proxy_wasm) struct Lines {
    second: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Lines {
    /// True if a line may be written now; how many were not written since the last one.
    fn may(&mut self, now: Instant) -> Option<u64> {
        let begun = self
            .second
            .is_some_and(|second| now - second < Duration::from_secs(1));
        if !begun {
            (self.second, self.said) = (Some(now), 0);
        }
        if self.said >= MOST_LINES {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_log",
        |mut g: Guest<'_>, level: u32, a: u32, n: u32| answer(log(&mut g, level, Span(a, n))),
    )?;
    linker.func_wrap(ENV, "proxy_get_log_level", |mut g: Guest<'_>, out: u32| {
        answer(write_u32(&mut g, out, INFO).map_err(Fault::from))
    })?;
    linker.func_wrap(
        ENV,
        "proxy_get_current_time_nanoseconds",
        |mut g: Guest<'_>, out: u32| answer(now(&mut g, out)),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_tick_period_milliseconds",
        |mut g: Guest<'_>, period: u32| answer(tick(&mut g, period)),
    )?;
    linker.func_wrap(ENV, "proxy_done", |mut g: Guest<'_>| answer(done(&mut g)))?;
    linker.func_wrap(
        ENV,
        "proxy_set_effective_context",
        |mut g: Guest<'_>, context: u32| answer(effective(&mut g, context)),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_continue_stream",
        |mut g: Guest<'_>, kind: u32| answer(resume(&mut g, kind)),
    )?;
    linker.func_wrap(ENV, "proxy_close_stream", |mut g: Guest<'_>, kind: u32| {
        answer(close(&mut g, kind))
    })?;
    link_properties(linker)
}

fn link_properties(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_get_property",
        |mut g: Guest<'_>, a: u32, n: u32, at: u32, len: u32| {
            answer(property(&mut g, Span(a, n), Place(at, len)))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_property",
        |mut g: Guest<'_>, a: u32, n: u32, v: u32, vn: u32| {
            answer(set_property(&mut g, Span(a, n), Span(v, vn)))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_send_local_response",
        |mut g: Guest<'_>,
         status: u32,
         details: u32,
         details_len: u32,
         body: u32,
         body_len: u32,
         headers: u32,
         headers_len: u32,
         _grpc_status: i32| {
            let spans = (
                Span(details, details_len),
                Span(body, body_len),
                Span(headers, headers_len),
            );
            answer(respond(&mut g, status, spans))
        },
    )?;
    Ok(())
}

fn log(guest: &mut Guest<'_>, level: u32, message: Span) -> Result<(), Fault> {
    let message = text(
        guest,
        Span(
            message.0,
            message.1.min(u32::try_from(MOST_LINE).unwrap_or(0)),
        ),
    )?;
    if level > 5 {
        return Err(Status::BadArgument.into());
    }
    logged(guest.data_mut(), level, &message);
    Ok(())
}

/// Writes a line of a guest to the node's log, at the level that it wants.
pub(in crate::proxy_wasm) fn logged(state: &mut State, level: u32, message: &str) {
    if level < INFO {
        tracing::debug!(target: "osier::proxy_wasm", plugin = state.terms.name, "{message}");
        return;
    }
    let Some(unsaid) = state.lines.may(Instant::now()) else {
        return;
    };
    let plugin = &state.terms.name;
    if unsaid > 0 {
        tracing::warn!(target: "osier::proxy_wasm", plugin, unsaid, "the plugin logs too much");
    }
    match level {
        INFO => tracing::info!(target: "osier::proxy_wasm", plugin, "{message}"),
        3 => tracing::warn!(target: "osier::proxy_wasm", plugin, "{message}"),
        _ => tracing::error!(target: "osier::proxy_wasm", plugin, "{message}"),
    }
}

fn now(guest: &mut Guest<'_>, out: u32) -> Result<(), Fault> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    Ok(write(guest, out, &now.to_le_bytes())?)
}

fn tick(guest: &mut Guest<'_>, period: u32) -> Result<(), Fault> {
    let period = Duration::from_millis(u64::from(period));
    let period = (!period.is_zero()).then(|| period.max(SHORTEST_TICK));
    Ok(guest.data_mut().order(Order::Tick(period))?)
}

/// The guest is done with a stream that it held back when it was over.
fn done(guest: &mut Guest<'_>) -> Result<(), Fault> {
    let state = guest.data_mut();
    let context = state.effective;
    if !state.stream()?.over {
        return Err(Status::NotFound.into());
    }
    state.finished.push(context);
    Ok(())
}

fn effective(guest: &mut Guest<'_>, context: u32) -> Result<(), Fault> {
    let state = guest.data_mut();
    if context != ROOT && !state.streams.contains_key(&context) {
        return Err(Status::BadArgument.into());
    }
    state.effective = context;
    Ok(())
}

fn side(kind: u32) -> Result<Side, Status> {
    match kind {
        0 => Ok(Side::Request),
        1 => Ok(Side::Response),
        // Raw connections.
        2 | 3 => Err(Status::Unimplemented),
        _ => Err(Status::BadArgument),
    }
}

fn resume(guest: &mut Guest<'_>, kind: u32) -> Result<(), Fault> {
    let side = side(kind)?;
    let state = guest.data_mut();
    let context = state.effective;
    state.stream()?.message(side).resumed = true;
    Ok(state.order(Order::Resumed(context))?)
}

/// Ends a stream at once. The caller sees that there was no answer.
fn close(guest: &mut Guest<'_>, kind: u32) -> Result<(), Fault> {
    side(kind)?;
    let reply = LocalReply {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        details: "the filter closed the stream".to_owned(),
    };
    reply_with(guest.data_mut(), reply)
}

fn reply_with(state: &mut State, reply: LocalReply) -> Result<(), Fault> {
    let context = state.effective;
    let stream = state.stream()?;
    // The first one counts, as in Envoy: the stream ends with it.
    if stream.reply.is_none() {
        stream.reply = Some(reply);
        state.order(Order::Resumed(context))?;
    }
    Ok(())
}

fn respond(
    guest: &mut Guest<'_>,
    status: u32,
    (details, body, headers): (Span, Span, Span),
) -> Result<(), Fault> {
    let status = u16::try_from(status).ok();
    let status = status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or(Status::BadArgument)?;
    let wire = read(guest, headers)?;
    let reply = LocalReply {
        status,
        headers: Headers::of_plain(&decode(&wire)?)?,
        body: read(guest, body)?.into(),
        details: text(guest, details)?,
    };
    reply_with(guest.data_mut(), reply)
}

fn property(guest: &mut Guest<'_>, name: Span, out: Place) -> Result<(), Fault> {
    let path = property::path(&read(guest, name)?);
    let found = find(guest.data_mut(), &path).ok_or(Status::NotFound)?;
    hand(guest, &found, out)
}

fn find(state: &mut State, path: &str) -> Option<Vec<u8>> {
    let terms = &state.terms;
    let own = match path {
        "plugin_name" => Some(terms.name.clone()),
        "plugin_root_id" => Some(terms.root_id.clone()),
        "plugin_vm_id" => Some(terms.name.clone()),
        _ => None,
    };
    if let Some(own) = own {
        return Some(own.into_bytes());
    }
    let stream = state.stream().ok()?;
    stream
        .own
        .get(path)
        .cloned()
        .or_else(|| of_stream(stream, path))
}

fn of_stream(stream: &Stream, path: &str) -> Option<Vec<u8>> {
    let number = |number: u64| {
        i64::try_from(number)
            .unwrap_or(i64::MAX)
            .to_le_bytes()
            .to_vec()
    };
    match path {
        "request.size" => return Some(number(stream.request.seen)),
        "response.size" => return Some(number(stream.response.seen)),
        "request.duration" => {
            return Some(property::Value::Duration(stream.began.elapsed()).encode());
        }
        _ => {}
    }
    let (request, response) = (&stream.request.headers, &stream.response.headers);
    let in_message = match path.split_once('.') {
        Some(("request", name)) => request
            .as_ref()
            .and_then(|head| property::of_request(head, name)),
        Some(("response", name)) => response
            .as_ref()
            .and_then(|head| property::of_response(head, name)),
        _ => None,
    };
    in_message.or_else(|| stream.properties.get(path))
}

fn set_property(guest: &mut Guest<'_>, name: Span, value: Span) -> Result<(), Fault> {
    let path = property::path(&read(guest, name)?);
    let value = read(guest, value)?;
    let stream = guest.data_mut().stream()?;
    let full = stream.own.len() >= MOST_PROPERTIES && !stream.own.contains_key(&path);
    if full || value.len() > MOST_PROPERTY || path.is_empty() {
        return Err(Status::InternalFailure.into());
    }
    stream.own.insert(path, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let said = (0..MOST_LINES * 2)
            .filter(|_| lines.may(start).is_some())
            .count();
        assert_eq!(said, MOST_LINES as usize);
        let later = start + Duration::from_secs(2);
        assert_eq!(lines.may(later), Some(u64::from(MOST_LINES)));
        assert_eq!(lines.may(later), Some(0));
    }
}
