//! Services: each gets an address of its own out of the cluster's range.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use osier_api::{Fault, Object, Status, resources};
use osier_store::{EventKind, Store};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Strategy;
use crate::objects;

/// The range for service addresses cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("service range \"{0}\" is not an IPv4 network of /8 to /29; write it like 10.96.0.0/12")]
pub struct BadRange(String);

/// The addresses in use.
#[derive(Debug)]
struct Pool {
    first: u32,
    /// One past the last.
    end: u32,
    taken: Mutex<Taken>,
}

/// Addresses that cannot be given out.
#[derive(Debug, Default)]
struct Taken {
    /// Stored services have them.
    stored: BTreeSet<u32>,
    /// Writes under way of this process hold them.
    claimed: BTreeSet<u32>,
}

impl Taken {
    fn has(&self, number: u32) -> bool {
        self.stored.contains(&number) || self.claimed.contains(&number)
    }
}

impl Pool {
    /// The network and broadcast addresses, and the first host (Kubernetes' own address by custom), are not given out.
    fn new(range: &str) -> Result<Self, BadRange> {
        let bad = || BadRange(range.to_owned());
        let (address, length) = range.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let length: u32 = length.parse().map_err(|_| bad())?;
        if !(8..=29).contains(&length) {
            return Err(bad());
        }
        let size = 1_u32 << (32 - length);
        let base = u32::from(address) & !(size - 1);
        Ok(Self {
            first: base + 2,
            end: base + size - 1,
            taken: Mutex::default(),
        })
    }

    fn lowest_free(&self) -> Option<u32> {
        let mut taken = self.taken.lock();
        let mut candidate = self.first;
        while taken.has(candidate) {
            candidate += 1;
        }
        if candidate >= self.end {
            return None;
        }
        taken.claimed.insert(candidate);
        Some(candidate)
    }
}

/// An address that is held for a write in progress; given back on drop, when a stored service has it or none does.
#[derive(Debug)]
pub(crate) struct Claim(Option<(Arc<Pool>, u32)>);

impl Claim {
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((pool, address)) = self.0.take() {
            pool.taken.lock().claimed.remove(&address);
        }
    }
}

pub(super) struct Services(Arc<Pool>);

impl Services {
    pub(super) fn new(range: &str) -> Result<Self, BadRange> {
        Ok(Self(Arc::new(Pool::new(range)?)))
    }

    /// The first host of the range, Kubernetes' own by custom.
    pub(super) fn own_address(&self) -> IpAddr {
        Ipv4Addr::from(self.0.first - 1).into()
    }

    /// Knows from now on which addresses stored services have.
    pub(super) fn follow(&self, store: &Store) {
        let pool = Arc::clone(&self.0);
        store.observe(&objects::prefix(&resources::SERVICES, ""), move |event| {
            let (before, now) = match &event.kind {
                EventKind::Put { value, previous } => (previous.as_ref(), Some(value)),
                EventKind::Delete { previous } => (Some(previous), None),
            };
            let mut taken = pool.taken.lock();
            if let Some(before) = before.and_then(|bytes| stored_address(bytes)) {
                taken.stored.remove(&before);
            }
            if let Some(now) = now.and_then(|bytes| stored_address(bytes)) {
                taken.stored.insert(now);
            }
        });
    }

    fn take(&self, object: &Object, wanted: &str) -> Result<Claim, Status> {
        let refuse = |why: String| {
            let words = format!("failed to allocate IP {wanted}: {why}");
            let fault = Fault::invalid("spec.clusterIPs", json!([wanted]), words);
            Status::invalid(&resources::SERVICES, object.name(), &[fault])
        };
        let parsed: Result<Ipv4Addr, _> = wanted.parse();
        let parsed = parsed.map_err(|_| refuse("it is not an IPv4 address".to_owned()))?;
        let number = u32::from(parsed);
        if !(self.0.first - 1..self.0.end).contains(&number) {
            let (first, last) = (
                Ipv4Addr::from(self.0.first - 1),
                Ipv4Addr::from(self.0.end - 1),
            );
            return Err(refuse(format!(
                "the provided IP is not in the valid range {first} to {last}"
            )));
        }
        let mut taken = self.0.taken.lock();
        if taken.has(number) {
            return Err(refuse("provided IP is already allocated".to_owned()));
        }
        taken.claimed.insert(number);
        Ok(Claim(Some((self.0.clone(), number))))
    }
}

impl Strategy for Services {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"loadBalancer": {}}));
    }

    fn prepare_update(&self, old: &Object, new: &mut Object) {
        if text(new, "type") == "ExternalName" {
            return;
        }
        for field in ["clusterIP", "clusterIPs"] {
            if let (None, Some(value)) = (new.get(&["spec", field]), old.get(&["spec", field])) {
                new.set(&["spec", field], value.clone());
            }
        }
    }

    fn claim(&self, old: Option<&Object>, object: &mut Object) -> Result<Claim, Status> {
        let wanted = text(object, "clusterIP").to_owned();
        if text(object, "type") == "ExternalName" || wanted == "None" {
            if wanted == "None" {
                object.set(&["spec", "clusterIPs"], json!(["None"]));
            }
            return Ok(Claim::none());
        }
        if old.is_some_and(|old| !wanted.is_empty() && text(old, "clusterIP") == wanted) {
            return Ok(Claim::none());
        }
        let claim = if wanted.is_empty() {
            let full = || Status::internal("failed to allocate a serviceIP: range is full");
            let found = self.0.lowest_free().ok_or_else(full)?;
            Claim(Some((self.0.clone(), found)))
        } else {
            self.take(object, &wanted)?
        };
        if let Some((_, number)) = &claim.0 {
            let address = Ipv4Addr::from(*number).to_string();
            object.set(&["spec", "clusterIPs"], json!([address]));
            object.set(&["spec", "clusterIP"], json!(address));
        }
        Ok(claim)
    }

    fn generations(&self) -> bool {
        false
    }
}

fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .get(&["spec", field])
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The little of a stored service that is read here.
#[derive(Deserialize)]
struct Stored {
    spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
}

fn stored_address(bytes: &[u8]) -> Option<u32> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    let address: Ipv4Addr = stored.spec?.cluster_ip?.parse().ok()?;
    Some(u32::from(address))
}
