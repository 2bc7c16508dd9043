//! The VMs of a plugin that is a module of proxy-wasm: a few that many streams share, and what they ask of the world.
//!
//! A VM is behind a lock which one callback holds, for at most its deadline. New streams go where nobody is; a stream stays with its VM. A VM
//! that failed is dropped, and with it the streams that it carried: the next one starts afresh.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri};
use osier_capabilities::{Caller, Callout, CalloutAnswer, CalloutBounds, Callouts};
use osier_engine::CallError;
use osier_engine::proxy_wasm::{Answer, Call, Headers, Module, Order, Refusal, Terms, Vm};
use osier_process::Crowded;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Plugin;
use super::binding::Unanswered;
use super::pool::NoInstance;

/// A callback waits this long for another one of the same VM.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of an answer to a guest's call.
const MOST_ANSWER: usize = 1 << 20;

/// The VMs of one plugin.
pub(crate) struct Vms {
    module: Module,
    terms: Arc<Terms>,
    slots: Box<[Slot]>,
    callouts: Arc<Callouts>,
}

/// A place for one VM.
#[derive(Default)]
struct Slot {
    vm: Mutex<Option<Box<Vm>>>,
    /// Counts the VMs that were here, so that a stream knows its own.
    life: AtomicU64,
    /// Counts what the guest said about ticks: a ticker ends when it changes.
    ticker: AtomicU64,
    /// Streams that wait for the guest.
    waiting: Mutex<HashMap<u32, Arc<Notify>>>,
}

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    slot: usize,
    life: u64,
}

impl Vms {
    pub(super) fn new(
        module: Module,
        terms: Terms,
        instances: usize,
        callouts: Arc<Callouts>,
    ) -> Self {
        Self {
            module,
            terms: Arc::new(terms),
            slots: (0..instances).map(|_| Slot::default()).collect(),
            callouts,
        }
    }

    /// Starts the first VM, so that a module that cannot start never meets a call.
    pub(super) fn probe(&self) -> Result<(), NoInstance> {
        let vm = self.start()?;
        if let Some(slot) = self.slots.first() {
            *slot.vm.lock() = Some(vm);
        }
        Ok(())
    }

    fn start(&self) -> Result<Box<Vm>, NoInstance> {
        self.module
            .start(&self.terms)
            .map(Box::new)
            .map_err(|why| match why {
                Refusal::Call(CallError::Overloaded) => NoInstance::Busy,
                Refusal::Call(error) => NoInstance::Call(error),
                Refusal::Refused(callback) => {
                    NoInstance::Refused(format!("{callback} said no; see the plugin's log lines"))
                }
            })
    }

    /// True if the module has a callback.
    pub(crate) fn has(&self, callback: &str) -> bool {
        self.module.has(callback)
    }

    /// VMs that exist.
    pub(super) fn live(&self) -> usize {
        let busy_or_there = |slot: &&Slot| slot.vm.try_lock().is_none_or(|vm| vm.is_some());
        self.slots.iter().filter(busy_or_there).count()
    }

    /// Bytes of linear memory of the idle ones.
    pub(super) fn memory(&self) -> u64 {
        let idle = self.slots.iter().filter_map(|slot| slot.vm.try_lock());
        idle.filter_map(|vm| vm.as_ref().map(|vm| vm.memory()))
            .sum()
    }

    /// Remembers who waits for a stream.
    pub(crate) fn wait(&self, seat: Seat, stream: u32, notify: Arc<Notify>) {
        if let Some(slot) = self.slots.get(seat.slot) {
            slot.waiting.lock().insert(stream, notify);
        }
    }

    /// Nobody waits any more.
    pub(crate) fn wait_no_more(&self, seat: Seat, stream: u32) {
        if let Some(slot) = self.slots.get(seat.slot) {
            slot.waiting.lock().remove(&stream);
        }
    }
}

impl Plugin {
    /// Begins what the first VM asked for when it started: its ticks, its calls.
    pub(crate) fn begin(self: &Arc<Self>) {
        let Some(vms) = self.vms() else { return };
        let orders = vms.slots.first().and_then(|slot| {
            let mut vm = slot.vm.lock();
            vm.as_mut().map(|vm| vm.take_orders())
        });
        let seat = Seat { slot: 0, life: 0 };
        self.carry_out(vms, seat, orders.unwrap_or_default());
    }

    /// Calls into a VM that is free, or into a new one.
    pub(crate) fn enter_any<R: Send>(
        self: &Arc<Self>,
        vms: &Vms,
        call: impl FnOnce(&mut Vm) -> Result<R, CallError> + Send,
    ) -> Result<(R, Seat), Unanswered> {
        self.run(|| self.enter_free(vms, call))
            .unwrap_or_else(|Crowded| Err(self.no_instance(NoInstance::Busy)))
    }

    fn enter_free<R>(
        self: &Arc<Self>,
        vms: &Vms,
        call: impl FnOnce(&mut Vm) -> Result<R, CallError>,
    ) -> Result<(R, Seat), Unanswered> {
        let count = vms.slots.len();
        let home = home();
        let mut empty = None;
        for turn in 0..count {
            let place = (home + turn) % count;
            let slot = &vms.slots[place];
            let Some(mut vm) = slot.vm.try_lock() else {
                continue;
            };
            if vm.is_some() {
                return self.entered(vms, place, &mut vm, call);
            }
            empty = empty.or(Some(place));
        }
        let place = empty.unwrap_or(home % count.max(1));
        let slot = &vms.slots[place];
        let Some(mut vm) = slot.vm.try_lock_for(PATIENCE) else {
            return Err(self.no_instance(NoInstance::Busy));
        };
        if vm.is_none() {
            *vm = Some(vms.start().map_err(|reason| self.no_instance(reason))?);
        }
        self.entered(vms, place, &mut vm, call)
    }

    /// Calls into the VM that carries a stream.
    pub(crate) fn enter<R: Send>(
        self: &Arc<Self>,
        vms: &Vms,
        seat: Seat,
        call: impl FnOnce(&mut Vm) -> Result<R, CallError> + Send,
    ) -> Result<R, Unanswered> {
        // What waits for the VM waits aside, too: the call that it waits for takes long.
        self.run(|| self.enter_seat(vms, seat, call))
            .unwrap_or_else(|Crowded| Err(self.no_instance(NoInstance::Busy)))
    }

    fn enter_seat<R>(
        self: &Arc<Self>,
        vms: &Vms,
        seat: Seat,
        call: impl FnOnce(&mut Vm) -> Result<R, CallError>,
    ) -> Result<R, Unanswered> {
        let slot = &vms.slots[seat.slot];
        let Some(mut vm) = slot.vm.try_lock_for(PATIENCE) else {
            return Err(self.no_instance(NoInstance::Busy));
        };
        if vm.is_none() || slot.life.load(Ordering::Relaxed) != seat.life {
            return Err(Unanswered(
                "the VM of this stream has failed meanwhile".to_owned(),
            ));
        }
        self.entered(vms, seat.slot, &mut vm, call)
            .map(|(answer, _)| answer)
    }

    /// One callback, counted and timed. After any error the VM is dropped and its streams are told.
    fn entered<R>(
        self: &Arc<Self>,
        vms: &Vms,
        place: usize,
        vm: &mut Option<Box<Vm>>,
        call: impl FnOnce(&mut Vm) -> Result<R, CallError>,
    ) -> Result<(R, Seat), Unanswered> {
        let slot = &vms.slots[place];
        let seat = Seat {
            slot: place,
            life: slot.life.load(Ordering::Relaxed),
        };
        let Some(guest) = vm.as_mut() else {
            return Err(Unanswered("there is no VM".to_owned()));
        };
        let called = self.timed(|| call(guest));
        let orders = guest.take_orders();
        match called {
            Ok(answer) => {
                self.carry_out(vms, seat, orders);
                Ok((answer, seat))
            }
            Err(error) => {
                *vm = None;
                slot.life.fetch_add(1, Ordering::Relaxed);
                slot.ticker.fetch_add(1, Ordering::Relaxed);
                let waiting = std::mem::take(&mut *slot.waiting.lock());
                waiting.into_values().for_each(|notify| notify.notify_one());
                Err(self.broken(&error))
            }
        }
    }

    fn carry_out(self: &Arc<Self>, vms: &Vms, seat: Seat, orders: Vec<Order>) {
        if orders.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let slot = &vms.slots[seat.slot];
        for order in orders {
            match order {
                Order::Resumed(stream) => {
                    if let Some(notify) = slot.waiting.lock().get(&stream) {
                        notify.notify_one();
                    }
                }
                Order::Call(call) => self.send(vms, seat, *call),
                Order::Tick(period) => {
                    let number = slot.ticker.fetch_add(1, Ordering::Relaxed) + 1;
                    if let Some(period) = period {
                        let own = Arc::downgrade(self);
                        let stopping = self.tasks.stopping();
                        self.tasks.spawn("proxy-wasm-tick", async move {
                            tokio::select! {
                                () = tick(own, seat, number, period) => {}
                                () = stopping.cancelled() => {}
                            }
                        });
                    }
                }
                Order::Queue(queue) => {
                    let own = Arc::clone(self);
                    self.tasks
                        .spawn("proxy-wasm-queue", async move { own.queue_ready(queue) });
                }
            }
        }
    }

    /// Sends a guest's request, and calls back with the answer.
    fn send(self: &Arc<Self>, vms: &Vms, seat: Seat, call: Call) {
        let own = Arc::clone(self);
        let callout = vms.callouts.way();
        let stopping = self.tasks.stopping();
        self.tasks.spawn("proxy-wasm-call", async move {
            let token = call.token;
            let answer = tokio::select! {
                answer = own.sent(callout, call) => answer,
                () = stopping.cancelled() => Err("the node stops".to_owned()),
            };
            if let Err(reason) = &answer {
                tracing::debug!(plugin = %own.label, "a call of a plugin has no answer: {reason}");
            }
            if let Some(vms) = own.vms() {
                // A VM that is gone asks for nothing.
                let _ = own.enter(vms, seat, |vm| vm.answer(token, answer.ok()));
            }
        });
    }

    async fn sent(&self, callout: Option<Arc<dyn Callout>>, call: Call) -> Result<Answer, String> {
        let callout = callout.ok_or("there is no network here")?;
        let bounds = CalloutBounds {
            timeout: call.timeout,
            body: MOST_ANSWER,
        };
        let request = request(call)?;
        let caller = Caller {
            namespace: &self.key.namespace,
            name: &self.key.name,
        };
        let sent = callout.send(caller, request, bounds);
        let answer = tokio::time::timeout(bounds.timeout, sent).await;
        answer
            .map_err(|_| "no answer in time".to_owned())?
            .map(told)
            .map_err(|error| error.to_string())
    }

    /// Tells a VM that registered a queue of a message in it.
    fn queue_ready(self: Arc<Self>, queue: u32) {
        let Some(vms) = self.vms() else { return };
        for place in 0..vms.slots.len() {
            let slot = &vms.slots[place];
            let Some(mut vm) = slot.vm.try_lock_for(PATIENCE) else {
                continue;
            };
            if vm.as_ref().is_some_and(|vm| vm.has_queue(queue)) {
                let _ = self.entered(vms, place, &mut vm, |vm| vm.queue_ready(queue));
                return;
            }
        }
    }
}

/// Calls a VM again and again, until it is gone, or says otherwise.
async fn tick(plugin: Weak<Plugin>, seat: Seat, number: u64, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        let Some(plugin) = plugin.upgrade() else {
            return;
        };
        let Some(vms) = plugin.vms() else { return };
        if vms.slots[seat.slot].ticker.load(Ordering::Relaxed) != number {
            return;
        }
        if plugin.enter(vms, seat, Vm::tick).is_err() {
            return;
        }
    }
}

/// A guest's request as the mesh takes it: the upstream says where it goes.
fn request(call: Call) -> Result<Request<Bytes>, String> {
    let pseudo = |name: &str| {
        let value = call
            .headers
            .pseudo(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let uri = Uri::builder()
        .scheme("http")
        .authority(call.upstream.as_str())
        .path_and_query(pseudo(":path"))
        .build()
        .map_err(|error| format!("{}{}: {error}", call.upstream, pseudo(":path")))?;
    let mut request = Request::builder()
        .method(pseudo(":method").as_str())
        .uri(uri)
        .body(call.body)
        .map_err(|error| error.to_string())?;
    *request.headers_mut() = call.headers.map;
    Ok(request)
}

fn told(answer: CalloutAnswer) -> Answer {
    let status = HeaderValue::from_str(answer.status.as_str());
    Answer {
        headers: Headers {
            pseudo: status
                .map(|status| vec![(":status", status)])
                .unwrap_or_default(),
            map: answer.headers,
        },
        body: answer.body,
        trailers: answer.trailers,
    }
}

/// Where a thread starts to look.
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    HOME.with(|home| *home)
}

/// Headers that frame a message are the host's. A guest that sets them gets what it wants by the body that it gives; only the length may go.
pub(crate) fn is_framing(name: &HeaderName) -> bool {
    [
        http::header::TRANSFER_ENCODING,
        http::header::CONNECTION,
        http::header::UPGRADE,
    ]
    .contains(name)
}
