//! What the host keeps for one VM.

use super::abi::{Map, Status};
use super::stream::{Message, Stream};
use super::{Edit, Headers};
use crate::memory::Meter;
use crate::plugin::PluginLimits;
use crate::watch::Watch;
use bytes::Bytes;
use osier_abi::{Answer, Order};
use osier_capabilities::SharedSpace;
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::{Memory, TypedFunc};

/// The context of the plugin itself.
pub(super) const ROOT: u32 = 1;
/// Calls of one VM that have no answer yet.
pub(super) const MOST_CALLS: usize = 1_024;
/// Orders that one callback may leave behind.
const MOST_ORDERS: usize = 4_096;

/// What a VM is given by its owner.
#[derive(Clone)]
pub struct Terms {
    /// Named in logs: `NAMESPACE/NAME`.
    pub name: String,
    /// `plugin_root_id`: which of the root contexts of a module this is; usually empty.
    pub root_id: String,
    /// Configuration of the plugin.
    pub configuration: Bytes,
    /// Configuration of the VM.
    pub vm_configuration: Bytes,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Upstreams that may be called: hosts, or `host:port`.
    pub upstreams: Vec<String>,
    /// What one VM or callback may cost.
    pub limits: PluginLimits,
    /// What the VMs of the plugin share.
    pub space: Arc<SharedSpace>,
}

impl Terms {
    /// True if the plugin may call an upstream. Istio's names of clusters (`outbound|80||host`) mean the host and port in them.
    pub(super) fn may_call(&self, upstream: &str) -> bool {
        let place = place(upstream);
        let host = place
            .rsplit_once(':')
            .map_or(place.as_str(), |(host, _)| host);
        self.upstreams
            .iter()
            .any(|granted| *granted == place || granted == host)
    }
}

/// Host and port of an upstream's name.
pub(super) fn place(upstream: &str) -> String {
    let parts: Vec<&str> = upstream.split('|').collect();
    match parts.as_slice() {
        ["outbound" | "inbound", port, _, host] => format!("{host}:{port}"),
        _ => upstream.to_owned(),
    }
}

/// Data of a VM's store.
pub(super) struct State {
    pub(super) terms: Arc<Terms>,
    pub(super) meter: Meter,
    pub(super) watch: Watch,
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    pub(super) streams: HashMap<u32, Stream>,
    /// Streams that are over and that the guest held back until now.
    pub(super) finished: Vec<u32>,
    /// Context that host functions are about.
    pub(super) effective: u32,
    pub(super) orders: Vec<Order>,
    /// Contexts that wait for answers, by token.
    pub(super) calls: HashMap<u32, u32>,
    pub(super) last_token: u32,
    /// The answer that is being told.
    pub(super) answer: Option<Answer>,
    /// Queues that this VM registered.
    pub(super) queues: Vec<u32>,
    /// What the guest wrote of a line to standard output or error.
    pub(super) line: Vec<u8>,
    pub(super) lines: super::hostcalls::Lines,
}

impl State {
    pub(super) fn new(terms: Arc<Terms>, meter: Meter, watch: Watch) -> Self {
        Self {
            terms,
            meter,
            watch,
            memory: None,
            allocate: None,
            streams: HashMap::new(),
            finished: Vec::new(),
            effective: ROOT,
            orders: Vec::new(),
            calls: HashMap::new(),
            last_token: 0,
            answer: None,
            queues: Vec::new(),
            line: Vec::new(),
            lines: super::hostcalls::Lines::default(),
        }
    }

    /// Leaves something to be done.
    pub(super) fn order(&mut self, order: Order) -> Result<(), Status> {
        if self.orders.len() >= MOST_ORDERS {
            return Err(Status::InternalFailure);
        }
        self.orders.push(order);
        Ok(())
    }

    /// The stream that host functions are about; there is none in the root context.
    pub(super) fn stream(&mut self) -> Result<&mut Stream, Status> {
        self.streams
            .get_mut(&self.effective)
            .ok_or(Status::BadArgument)
    }

    /// A map, to be read.
    pub(super) fn map(&mut self, map: Map) -> Result<Headers, Status> {
        let found = match map {
            Map::CallHeaders => self.answer.as_ref().map(|answer| answer.headers.clone()),
            Map::CallTrailers => {
                let answer = self.answer.as_ref();
                answer.map(|answer| Headers::plain(answer.trailers.clone()))
            }
            Map::RequestHeaders => self.stream()?.request.headers.clone(),
            Map::RequestTrailers => self.stream()?.request.trailers.clone(),
            Map::ResponseHeaders => self.stream()?.response.headers.clone(),
            Map::ResponseTrailers => self.stream()?.response.trailers.clone(),
        };
        found.ok_or(Status::BadArgument)
    }

    /// A value of a map, without a copy of the map.
    pub(super) fn value(&mut self, map: Map, name: &[u8]) -> Result<Bytes, Status> {
        let get = |headers: Option<&Headers>| {
            let headers = headers.ok_or(Status::BadArgument)?;
            let value = headers.get(name).ok_or(Status::NotFound)?;
            Ok(Bytes::copy_from_slice(value.as_bytes()))
        };
        match map {
            Map::RequestHeaders => get(self.stream()?.request.headers.as_ref()),
            Map::RequestTrailers => get(self.stream()?.request.trailers.as_ref()),
            Map::ResponseHeaders => get(self.stream()?.response.headers.as_ref()),
            Map::ResponseTrailers => get(self.stream()?.response.trailers.as_ref()),
            Map::CallHeaders | Map::CallTrailers => get(Some(&self.map(map)?)),
        }
    }

    /// Changes a map and notes what was changed.
    pub(super) fn edit(
        &mut self,
        map: Map,
        change: impl FnOnce(&mut Headers) -> Result<Vec<Edit>, Status>,
    ) -> Result<(), Status> {
        let stream = self.stream()?;
        let (message, trailers): (&mut Message, bool) = match map {
            Map::RequestHeaders => (&mut stream.request, false),
            Map::RequestTrailers => (&mut stream.request, true),
            Map::ResponseHeaders => (&mut stream.response, false),
            Map::ResponseTrailers => (&mut stream.response, true),
            // The answer to a call is only read.
            Map::CallHeaders | Map::CallTrailers => return Err(Status::BadArgument),
        };
        let headers = match trailers {
            true => &mut message.trailers,
            false => &mut message.headers,
        };
        let edits = change(headers.as_mut().ok_or(Status::BadArgument)?)?;
        message.edited(trailers, edits);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_granted_by_host_or_by_host_and_port() {
        let terms = Terms {
            name: String::new(),
            root_id: String::new(),
            configuration: Bytes::new(),
            vm_configuration: Bytes::new(),
            env: Vec::new(),
            upstreams: vec!["auth.default".into(), "limits:8080".into()],
            limits: PluginLimits::default(),
            space: Arc::default(),
        };
        for (upstream, may) in [
            ("auth.default", true),
            ("auth.default:9000", true),
            ("outbound|80||auth.default", true),
            ("limits:8080", true),
            ("outbound|8080||limits", true),
            ("limits", false),
            ("limits:80", false),
            ("other", false),
            ("", false),
        ] {
            assert_eq!(terms.may_call(upstream), may, "{upstream}");
        }
    }
}
