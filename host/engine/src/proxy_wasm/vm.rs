//! A VM: one instance of a module with its callbacks, which many streams share.

use super::state::{ROOT, State};
use super::stream::Stream;
use super::{Edit, Headers, Properties, Side, Step, Terms};
use crate::cpu::thread_time;
use crate::engine::Side as EngineSide;
use crate::memory::{Budget, Meter};
use crate::ticker::Clock;
use crate::watch::Watch;
use crate::{CallError, trap};
use bytes::Bytes;
use osier_abi::{Answer, Order};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Instance, InstancePre, Store, TypedFunc, WasmParams, WasmResults};

/// Starting runs a language's start-up code and parses configuration, for which a callback's deadline would be too short.
const START: Duration = Duration::from_secs(2);
/// Streams that are over and that a guest holds back.
const MOST_HELD: usize = 256;

/// Why there is no VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A call failed.
    Call(CallError),
    /// The guest said no: which callback did.
    Refused(&'static str),
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Context, number of headers or bytes, end of the message; answers with an action.
type OnPart = Option<TypedFunc<(u32, u32, u32), u32>>;
/// Context, token, number of headers, bytes, number of trailers.
type OnAnswer = Option<TypedFunc<(u32, u32, u32, u32, u32), ()>>;

/// The callbacks that a module exports; all may be absent.
struct Callbacks {
    context_create: Option<TypedFunc<(u32, u32), ()>>,
    done: Option<TypedFunc<u32, u32>>,
    log: Option<TypedFunc<u32, ()>>,
    delete: Option<TypedFunc<u32, ()>>,
    tick: Option<TypedFunc<u32, ()>>,
    queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    call_response: OnAnswer,
    /// Of the request, of the response.
    headers: [OnPart; 2],
    body: [OnPart; 2],
    trailers: [Option<TypedFunc<(u32, u32), u32>>; 2],
}

/// One instance of a module. It is used by one thread at a time; after any error it is of no more use.
pub struct Vm {
    store: Store<State>,
    callbacks: Callbacks,
    clock: Clock,
    limit: Duration,
    /// Ticks of the first half of the deadline.
    ticks: u64,
    last: u32,
    held: usize,
}

impl Vm {
    pub(super) fn start(
        side: &EngineSide,
        pre: &InstancePre<State>,
        terms: &Arc<Terms>,
    ) -> Result<Self, Refusal> {
        let meter = Meter::new(Budget::new(terms.limits.memory));
        let state = State::new(Arc::clone(terms), meter, Watch::Coarse { limit: START });
        let mut store = Store::new(&side.engine, state);
        store.limiter(|state| &mut state.meter);
        store.epoch_deadline_callback(|mut store| {
            Ok(store.data_mut().watch.on_deadline(thread_time()))
        });
        store.set_epoch_deadline(side.clock.ticks_for(START / 2));
        let running = side.clock.enter();
        let instance = pre.instantiate(&mut store);
        drop(running);
        let instance = instance.map_err(|error| failure(&error, store.data()))?;
        let callbacks = Callbacks::find(&mut store, &instance);
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let allocate = ["proxy_on_memory_allocate", "malloc"];
        let allocate = allocate
            .iter()
            .find_map(|name| instance.get_typed_func(&mut store, name).ok());
        store.data_mut().allocate = allocate;
        let limit = terms.limits.deadline;
        let mut vm = Self {
            ticks: side.clock.ticks_for(limit / 2),
            clock: side.clock.clone(),
            store,
            callbacks,
            limit,
            last: ROOT,
            held: 0,
        };
        vm.begin(&instance)?;
        Ok(vm)
    }

    /// The life of a VM up to its configuration.
    fn begin(&mut self, instance: &Instance) -> Result<(), Refusal> {
        for name in ["_initialize", "_start"] {
            if let Ok(start) = instance.get_typed_func::<(), ()>(&mut self.store, name) {
                self.slow(ROOT, &start, ())?;
                break;
            }
        }
        if let Some(create) = self.callbacks.context_create.clone() {
            self.slow(ROOT, &create, (ROOT, 0))?;
        }
        let terms = Arc::clone(&self.store.data().terms);
        let steps = [
            ("proxy_on_vm_start", &terms.vm_configuration),
            ("proxy_on_configure", &terms.configuration),
        ];
        for (name, given) in steps {
            let callback = instance.get_typed_func::<(u32, u32), u32>(&mut self.store, name);
            if let Ok(callback) = callback
                && self.slow(ROOT, &callback, (ROOT, length(given.len())))? == 0
            {
                return Err(Refusal::Refused(name));
            }
        }
        Ok(())
    }

    /// Bytes of linear memory that it holds.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.store.data().meter.held()
    }

    /// True if the guest registered a queue.
    #[must_use]
    pub fn has_queue(&self, queue: u32) -> bool {
        self.store.data().queues.contains(&queue)
    }

    /// What the guest asked of the world since the last time.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.store.data_mut().orders)
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn open(&mut self, properties: Properties) -> Result<u32, CallError> {
        loop {
            self.last = self.last.wrapping_add(1).max(ROOT + 1);
            if !self.store.data().streams.contains_key(&self.last) {
                break;
            }
        }
        let id = self.last;
        self.store
            .data_mut()
            .streams
            .insert(id, Stream::new(properties));
        if let Some(create) = self.callbacks.context_create.clone() {
            self.quick(id, &create, (id, ROOT))?;
        }
        Ok(id)
    }

    /// The headers of a message have come; `end` if nothing follows them.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn headers(
        &mut self,
        id: u32,
        side: Side,
        headers: Headers,
        end: bool,
    ) -> Result<Step, CallError> {
        let count = length(headers.len());
        let Some(stream) = self.store.data_mut().streams.get_mut(&id) else {
            return Ok(Step::Continue);
        };
        let message = stream.message(side);
        message.headers = Some(headers);
        message.edits.clear();
        message.resumed = false;
        let callback = self.callbacks.headers[side as usize].clone();
        let action = match callback {
            Some(callback) => self.quick(id, &callback, (id, count, u32::from(end)))?,
            None => 0,
        };
        Ok(self.step(id, side, action).0)
    }

    /// Some of a body has come; `end` if it was the last of the message. What goes on comes back.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn body(
        &mut self,
        id: u32,
        side: Side,
        chunk: &[u8],
        end: bool,
    ) -> Result<(Step, Bytes), CallError> {
        let callback = self.callbacks.body[side as usize].clone();
        let stream = self.store.data_mut().streams.get_mut(&id);
        let (Some(stream), Some(callback)) = (stream, callback) else {
            return Ok((Step::Continue, Bytes::copy_from_slice(chunk)));
        };
        let message = stream.message(side);
        message.body.extend_from_slice(chunk);
        message.seen = message.seen.saturating_add(chunk.len() as u64);
        message.resumed = false;
        message.body_open = true;
        let whole = length(message.body.len());
        let action = self.quick(id, &callback, (id, whole, u32::from(end)))?;
        Ok(self.step(id, side, action))
    }

    /// Trailers have come.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn trailers(
        &mut self,
        id: u32,
        side: Side,
        trailers: Headers,
    ) -> Result<(Step, Bytes), CallError> {
        let count = length(trailers.len());
        let Some(stream) = self.store.data_mut().streams.get_mut(&id) else {
            return Ok((Step::Continue, Bytes::new()));
        };
        let message = stream.message(side);
        message.trailers = Some(trailers);
        message.trailer_edits.clear();
        message.resumed = false;
        let callback = self.callbacks.trailers[side as usize].clone();
        let action = match callback {
            Some(callback) => self.quick(id, &callback, (id, count))?,
            None => 0,
        };
        Ok(self.step(id, side, action))
    }

    /// What became of a message that waits: none if it waits on.
    pub fn resumed(&mut self, id: u32, side: Side) -> Option<(Step, Bytes)> {
        let stream = self.store.data_mut().streams.get_mut(&id)?;
        let ready = stream.reply.is_some() || stream.message(side).resumed;
        ready.then(|| self.step(id, side, 0))
    }

    /// The changes of a message's headers, or of its trailers, since the last time.
    pub fn take_edits(&mut self, id: u32, side: Side, trailers: bool) -> Vec<Edit> {
        let Some(stream) = self.store.data_mut().streams.get_mut(&id) else {
            return Vec::new();
        };
        let message = stream.message(side);
        match trailers {
            true => std::mem::take(&mut message.trailer_edits),
            false => std::mem::take(&mut message.edits),
        }
    }

    /// Bytes of a message that wait in the VM.
    #[must_use]
    pub fn waiting(&self, id: u32, side: Side) -> usize {
        let stream = self.store.data().streams.get(&id);
        stream.map_or(0, |stream| match side {
            Side::Request => stream.request.body.len(),
            Side::Response => stream.response.body.len(),
        })
    }

    /// A stream is over.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn close(&mut self, id: u32) -> Result<(), CallError> {
        let Some(stream) = self.store.data_mut().streams.get_mut(&id) else {
            return Ok(());
        };
        stream.over = true;
        let done = match self.callbacks.done.clone() {
            Some(done) => self.quick(id, &done, id)? != 0,
            None => true,
        };
        if done || self.held >= MOST_HELD {
            return self.delete(id);
        }
        self.held += 1;
        Ok(())
    }

    fn delete(&mut self, id: u32) -> Result<(), CallError> {
        if let Some(log) = self.callbacks.log.clone() {
            self.quick(id, &log, id)?;
        }
        if let Some(delete) = self.callbacks.delete.clone() {
            self.quick(id, &delete, id)?;
        }
        self.store.data_mut().streams.remove(&id);
        Ok(())
    }

    /// The answer to a call, or none if there was none.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn answer(&mut self, token: u32, answer: Option<Answer>) -> Result<(), CallError> {
        let state = self.store.data_mut();
        let Some(context) = state.calls.remove(&token) else {
            return Ok(());
        };
        let gone = context != ROOT && !state.streams.contains_key(&context);
        let (Some(callback), false) = (self.callbacks.call_response.clone(), gone) else {
            return Ok(());
        };
        let answer = answer.unwrap_or_default();
        let sizes = [
            answer.headers.len(),
            answer.body.len(),
            answer.trailers.len(),
        ];
        let [headers, body, trailers] = sizes.map(length);
        state.answer = Some(answer);
        let called = self.quick(
            context,
            &callback,
            (context, token, headers, body, trailers),
        );
        self.store.data_mut().answer = None;
        called
    }

    /// The period that the guest asked for has passed.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn tick(&mut self) -> Result<(), CallError> {
        match self.callbacks.tick.clone() {
            Some(tick) => self.quick(ROOT, &tick, ROOT),
            None => Ok(()),
        }
    }

    /// A message waits in a queue that the guest registered.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn queue_ready(&mut self, queue: u32) -> Result<(), CallError> {
        match self.callbacks.queue_ready.clone() {
            Some(ready) => self.quick(ROOT, &ready, (ROOT, queue)),
            None => Ok(()),
        }
    }

    /// What becomes of a message, by what the guest did and answered.
    fn step(&mut self, id: u32, side: Side, action: u32) -> (Step, Bytes) {
        let Some(stream) = self.store.data_mut().streams.get_mut(&id) else {
            return (Step::Continue, Bytes::new());
        };
        if let Some(reply) = stream.reply.take() {
            let message = stream.message(side);
            message.body.clear();
            message.body_open = false;
            return (Step::Reply(reply), Bytes::new());
        }
        let message = stream.message(side);
        let goes_on = action == 0 || message.resumed;
        // A guest may see a body that it holds back, but not one that has gone.
        message.body_open = !goes_on;
        match goes_on {
            true => (Step::Continue, message.body.split().freeze()),
            false => (Step::Pause, Bytes::new()),
        }
    }

    fn slow<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        callback: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, CallError> {
        let ticks = self.clock.ticks_for(START / 2);
        self.timed((START, ticks), context, callback, params)
    }

    /// Calls within the deadline, then finishes what the guest is done with.
    fn quick<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        callback: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, CallError> {
        let terms = (self.limit, self.ticks);
        let called = self.timed(terms, context, callback, params)?;
        while let Some(id) = self.store.data_mut().finished.pop() {
            self.held = self.held.saturating_sub(1);
            self.delete(id)?;
        }
        Ok(called)
    }

    fn timed<P: WasmParams, R: WasmResults>(
        &mut self,
        (limit, ticks): (Duration, u64),
        context: u32,
        callback: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, CallError> {
        let state = self.store.data_mut();
        state.effective = context;
        state.meter.forget();
        state.watch = Watch::Coarse { limit };
        self.store.set_epoch_deadline(ticks);
        let running = self.clock.enter();
        let called = callback.call(&mut self.store, params);
        drop(running);
        called.map_err(|error| failure(&error, self.store.data()))
    }
}

impl Callbacks {
    fn find(store: &mut Store<State>, instance: &Instance) -> Self {
        let mut headers = [None, None];
        let mut body = [None, None];
        let mut trailers = [None, None];
        for (place, side) in ["request", "response"].into_iter().enumerate() {
            let name = |what: &str| format!("proxy_on_{side}_{what}");
            headers[place] = found(store, instance, &name("headers"));
            body[place] = found(store, instance, &name("body"));
            trailers[place] = found(store, instance, &name("trailers"));
        }
        Self {
            context_create: found(store, instance, "proxy_on_context_create"),
            done: found(store, instance, "proxy_on_done"),
            log: found(store, instance, "proxy_on_log"),
            delete: found(store, instance, "proxy_on_delete"),
            tick: found(store, instance, "proxy_on_tick"),
            queue_ready: found(store, instance, "proxy_on_queue_ready"),
            call_response: found(store, instance, "proxy_on_http_call_response"),
            headers,
            body,
            trailers,
        }
    }
}

fn found<P: WasmParams, R: WasmResults>(
    store: &mut Store<State>,
    instance: &Instance,
    name: &str,
) -> Option<TypedFunc<P, R>> {
    instance.get_typed_func(store, name).ok()
}

fn failure(error: &wasmtime::Error, state: &State) -> CallError {
    if let Watch::Over { limit } = state.watch {
        return CallError::Deadline { limit };
    }
    trap::classify(error, &state.meter)
}

fn length(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
