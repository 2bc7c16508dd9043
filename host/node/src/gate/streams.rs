//! A module of proxy-wasm as the proxy knows it: heads with pseudo headers, bodies part by part.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use osier_engine::proxy_wasm::{Headers, Side};
use osier_process::Boxed;
use osier_proxy::{ChunkVerdict, Exchange, HeadVerdict};
use osier_snapshot::HeaderOperation;

use super::filters::{head, reply};

/// A stream of policy in the proxy's clothes.
pub(super) struct Streamed(pub(super) osier_policy::FilterStream);

impl osier_proxy::Filter for Streamed {
    fn label(&self) -> (Arc<str>, Arc<str>) {
        self.0.label()
    }

    fn on_request(&self, exchange: &Exchange<'_>, headers: &HeaderMap) -> HeadVerdict {
        let seen = Headers {
            pseudo: [
                (":authority", exchange.authority),
                (":path", exchange.path),
                (":method", exchange.method),
                (":scheme", exchange.scheme),
            ]
            .into_iter()
            .filter_map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?)))
            .collect(),
            map: without_host(headers),
        };
        head(self.0.on_head(Side::Request, seen, exchange.bodiless))
    }

    fn sees_responses(&self) -> bool {
        true
    }

    fn on_response(
        &self,
        exchange: &Exchange<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> HeadVerdict {
        let status = HeaderValue::from_str(status.as_str());
        let seen = Headers {
            pseudo: status
                .map(|status| vec![(":status", status)])
                .unwrap_or_default(),
            map: headers.clone(),
        };
        head(self.0.on_head(Side::Response, seen, exchange.bodiless))
    }

    fn sees_body(&self, response: bool) -> bool {
        self.0.sees_body(side(response))
    }

    fn on_chunk(&self, response: bool, part: Bytes, end: bool) -> ChunkVerdict {
        chunk(self.0.on_chunk(side(response), &part, end))
    }

    fn head_resumed(&self, response: bool) -> Boxed<'static, HeadVerdict> {
        let resumed = self.0.head_resumed(side(response));
        Box::pin(async move { head(resumed.await) })
    }

    fn body_resumed(&self, response: bool) -> Boxed<'static, ChunkVerdict> {
        let resumed = self.0.body_resumed(side(response));
        Box::pin(async move { chunk(resumed.await) })
    }

    fn rest(&self, _response: bool) -> Bytes {
        self.0.rest()
    }

    fn sees_trailers(&self) -> bool {
        [false, true]
            .into_iter()
            .any(|response| self.sees_body(response))
    }

    fn on_trailers(
        &self,
        _: &Exchange<'_>,
        response: bool,
        trailers: &HeaderMap,
    ) -> Result<Vec<HeaderOperation>, String> {
        let operations = self.0.on_trailers(side(response), trailers.clone())?;
        Ok(operations.into_iter().map(super::operation).collect())
    }
}

fn side(response: bool) -> Side {
    match response {
        true => Side::Response,
        false => Side::Request,
    }
}

/// Guests know the host as `:authority`.
fn without_host(headers: &HeaderMap) -> HeaderMap {
    let mut seen = headers.clone();
    seen.remove(http::header::HOST);
    seen
}

fn chunk(verdict: osier_policy::ChunkVerdict) -> ChunkVerdict {
    match verdict {
        osier_policy::ChunkVerdict::Proceed(bytes) => ChunkVerdict::Proceed(bytes),
        osier_policy::ChunkVerdict::Respond(own) => ChunkVerdict::Respond(reply(*own)),
        osier_policy::ChunkVerdict::Wait => ChunkVerdict::Wait,
    }
}
