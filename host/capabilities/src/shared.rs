//! What the VMs of one plugin of proxy-wasm share: data with compare-and-swap, queues and metrics. It outlives every VM.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Keys of the shared data.
const MOST_KEYS: usize = 16_384;
/// Bytes of keys and values together, of the shared data and likewise of all queues.
const MOST_BYTES: usize = 4 << 20;
/// Queues.
const MOST_QUEUES: usize = 64;
/// Messages in one queue.
const MOST_MESSAGES: usize = 4_096;
/// Metrics.
const MOST_METRICS: usize = 2_000;
/// Bytes of a name.
const MOST_NAME: usize = 256;

/// What the VMs of one plugin share.
#[derive(Default)]
pub struct SharedSpace {
    data: Mutex<Data>,
    queues: Mutex<Queues>,
    metrics: Mutex<Metrics>,
}

#[derive(Default)]
struct Data {
    values: BTreeMap<Vec<u8>, (Bytes, u32)>,
    bytes: usize,
    /// The last number given: it never repeats, so that a key which was away is not taken for the same.
    last: u32,
}

#[derive(Default)]
struct Queues {
    all: Vec<Queue>,
    bytes: usize,
}

struct Queue {
    name: Vec<u8>,
    messages: VecDeque<Bytes>,
}

/// Why something shared could not be read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// There is no such key, queue or metric.
    #[error("there is no such key, queue or metric")]
    NotFound,
    /// The value was changed since it was read.
    #[error("the value was changed since it was read")]
    CasMismatch,
    /// The queue has no message.
    #[error("the queue is empty")]
    Empty,
    /// What was asked makes no sense.
    #[error("what was asked makes no sense")]
    BadArgument,
    /// There is no room.
    #[error("there is no room")]
    Full,
}

/// How a metric's values become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// They are added.
    Counter,
    /// The last one counts.
    Gauge,
    /// They are sorted into [`MetricView::BOUNDS`].
    Histogram,
}

#[derive(Default)]
struct Metrics(Vec<MetricView>);

/// A metric as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricView {
    /// Its name, as the guest gave it.
    pub name: String,
    /// Its kind.
    pub kind: MetricKind,
    /// The number; of a histogram the sum.
    pub value: u64,
    /// Values in each bucket, the last one without a bound; empty unless a histogram.
    pub counts: Vec<u64>,
}

impl MetricView {
    /// Upper bounds of a histogram's buckets: Envoy's.
    pub const BOUNDS: [f64; 19] = [
        0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5,
        6e5, 1.8e6, 3.6e6,
    ];
}

impl SharedSpace {
    /// The value of a key, and the number by which a later change is compared.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, key: &[u8]) -> Result<(Bytes, u32), SpaceError> {
        let data = self.data.lock();
        data.values.get(key).cloned().ok_or(SpaceError::NotFound)
    }

    /// Sets a value if `cas` is 0 or the number that [`SharedSpace::get`] gave. No bytes remove it.
    ///
    /// # Errors
    /// It was changed meanwhile, or there is no room.
    pub fn set(&self, key: Vec<u8>, value: Bytes, cas: u32) -> Result<(), SpaceError> {
        let mut data = self.data.lock();
        let old = data
            .values
            .get(&key)
            .map(|(value, number)| (value.len() + key.len(), *number));
        if cas != 0 && old.map(|(_, number)| number) != Some(cas) {
            return Err(SpaceError::CasMismatch);
        }
        let freed = old.map_or(0, |(bytes, _)| bytes);
        if value.is_empty() {
            data.values.remove(&key);
            data.bytes -= freed;
            return Ok(());
        }
        let bytes = data.bytes - freed + key.len() + value.len();
        if bytes > MOST_BYTES || (old.is_none() && data.values.len() >= MOST_KEYS) {
            return Err(SpaceError::Full);
        }
        data.bytes = bytes;
        data.last = data.last.wrapping_add(1).max(1);
        let number = data.last;
        data.values.insert(key, (value, number));
        Ok(())
    }

    /// Makes a queue, or finds it.
    ///
    /// # Errors
    /// There is no room.
    pub fn register(&self, name: Vec<u8>) -> Result<u32, SpaceError> {
        if let Ok(id) = self.resolve(&name) {
            return Ok(id);
        }
        let mut queues = self.queues.lock();
        if queues.all.len() >= MOST_QUEUES || name.len() > MOST_NAME {
            return Err(SpaceError::Full);
        }
        queues.all.push(Queue {
            name,
            messages: VecDeque::new(),
        });
        Ok(id_of(queues.all.len() - 1))
    }

    /// Finds a queue by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn resolve(&self, name: &[u8]) -> Result<u32, SpaceError> {
        let queues = self.queues.lock();
        let place = queues.all.iter().position(|queue| queue.name == name);
        place.map(id_of).ok_or(SpaceError::NotFound)
    }

    /// Puts a message into a queue.
    ///
    /// # Errors
    /// There is no such queue, or no room.
    pub fn enqueue(&self, id: u32, message: Bytes) -> Result<(), SpaceError> {
        let mut queues = self.queues.lock();
        let bytes = queues.bytes + message.len();
        let queue = queues
            .all
            .get_mut(place_of(id))
            .ok_or(SpaceError::NotFound)?;
        if queue.messages.len() >= MOST_MESSAGES || bytes > MOST_BYTES {
            return Err(SpaceError::Full);
        }
        queue.messages.push_back(message);
        queues.bytes = bytes;
        Ok(())
    }

    /// Takes the oldest message of a queue.
    ///
    /// # Errors
    /// There is no such queue, or no message.
    pub fn dequeue(&self, id: u32) -> Result<Bytes, SpaceError> {
        let mut queues = self.queues.lock();
        let queue = queues
            .all
            .get_mut(place_of(id))
            .ok_or(SpaceError::NotFound)?;
        let message = queue.messages.pop_front().ok_or(SpaceError::Empty)?;
        queues.bytes -= message.len();
        Ok(message)
    }

    /// Defines a metric (0 counter, 1 gauge, 2 histogram), or finds it.
    ///
    /// # Errors
    /// It is defined otherwise, or there is no room.
    pub fn define(&self, kind: u32, name: String) -> Result<u32, SpaceError> {
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(SpaceError::BadArgument),
        };
        let mut metrics = self.metrics.lock();
        let known = metrics.0.iter().position(|metric| metric.name == name);
        if let Some(place) = known {
            let same = metrics.0[place].kind == kind;
            return if same {
                Ok(id_of(place))
            } else {
                Err(SpaceError::BadArgument)
            };
        }
        if metrics.0.len() >= MOST_METRICS || name.is_empty() || name.len() > MOST_NAME {
            return Err(SpaceError::Full);
        }
        let buckets = match kind {
            MetricKind::Histogram => MetricView::BOUNDS.len() + 1,
            _ => 0,
        };
        metrics.0.push(MetricView {
            name,
            kind,
            value: 0,
            counts: vec![0; buckets],
        });
        Ok(id_of(metrics.0.len() - 1))
    }

    /// Adds to a counter or gauge.
    ///
    /// # Errors
    /// There is none, or it cannot be added to.
    pub fn increment(&self, id: u32, offset: i64) -> Result<(), SpaceError> {
        let mut metrics = self.metrics.lock();
        let metric = metrics
            .0
            .get_mut(place_of(id))
            .ok_or(SpaceError::NotFound)?;
        match metric.kind {
            MetricKind::Counter if offset >= 0 => {
                metric.value = metric.value.wrapping_add(offset.unsigned_abs());
            }
            MetricKind::Gauge => metric.value = metric.value.saturating_add_signed(offset),
            _ => return Err(SpaceError::BadArgument),
        }
        Ok(())
    }

    /// Records a value in a gauge or histogram.
    ///
    /// # Errors
    /// There is none, or it is a counter.
    #[expect(clippy::cast_precision_loss, reason = "bounds of buckets are no finer")]
    pub fn record(&self, id: u32, value: u64) -> Result<(), SpaceError> {
        let mut metrics = self.metrics.lock();
        let metric = metrics
            .0
            .get_mut(place_of(id))
            .ok_or(SpaceError::NotFound)?;
        match metric.kind {
            MetricKind::Counter => return Err(SpaceError::BadArgument),
            MetricKind::Gauge => metric.value = value,
            MetricKind::Histogram => {
                metric.value = metric.value.saturating_add(value);
                let place = MetricView::BOUNDS.partition_point(|bound| *bound < value as f64);
                if let Some(count) = metric.counts.get_mut(place) {
                    *count += 1;
                }
            }
        }
        Ok(())
    }

    /// The number of a counter or gauge.
    ///
    /// # Errors
    /// There is none.
    pub fn metric(&self, id: u32) -> Result<u64, SpaceError> {
        let metrics = self.metrics.lock();
        let metric = metrics.0.get(place_of(id)).ok_or(SpaceError::NotFound)?;
        match metric.kind {
            // A histogram is no number.
            MetricKind::Histogram => Err(SpaceError::BadArgument),
            _ => Ok(metric.value),
        }
    }

    /// The metrics as they stand.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricView> {
        self.metrics.lock().0.clone()
    }
}

/// Ids begin at 1.
fn id_of(place: usize) -> u32 {
    u32::try_from(place).map_or(u32::MAX, |place| place.saturating_add(1))
}

fn place_of(id: u32) -> usize {
    (id as usize).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_value_is_set_only_by_who_saw_the_last_one() {
        let space = SharedSpace::default();
        let set = |value: &'static str, cas| space.set(b"k".to_vec(), value.into(), cas);
        assert_eq!(space.get(b"k"), Err(SpaceError::NotFound));
        assert_eq!(set("a", 7), Err(SpaceError::CasMismatch));
        set("a", 0).unwrap();
        let (_, seen) = space.get(b"k").unwrap();
        set("b", seen).unwrap();
        assert_eq!(set("c", seen), Err(SpaceError::CasMismatch));
        assert_eq!(space.get(b"k").unwrap().0, "b");
        set("", 0).unwrap();
        assert_eq!(space.get(b"k"), Err(SpaceError::NotFound));
        assert_eq!(space.data.lock().bytes, 0);
    }

    #[test]
    fn everything_is_bounded() {
        let space = SharedSpace::default();
        let big = Bytes::from(vec![0; MOST_BYTES / 4]);
        let set = |n: u8| space.set(vec![n], big.clone(), 0);
        let full = (0..8).filter(|n| set(*n) == Err(SpaceError::Full)).count();
        assert_eq!(full, 5);
        let queue = space.register(b"q".to_vec()).unwrap();
        assert_eq!(space.register(b"q".to_vec()), Ok(queue));
        for _ in 0..MOST_MESSAGES {
            space.enqueue(queue, Bytes::from_static(b"m")).unwrap();
        }
        assert_eq!(space.enqueue(queue, Bytes::new()), Err(SpaceError::Full));
        let refused = (0..MOST_METRICS + 2).filter(|n| space.define(0, format!("m{n}")).is_err());
        assert_eq!(refused.count(), 2);
    }

    #[test]
    fn queues_are_first_in_first_out() {
        let space = SharedSpace::default();
        let queue = space.register(b"q".to_vec()).unwrap();
        assert_eq!(space.resolve(b"q"), Ok(queue));
        assert_eq!(space.resolve(b"p"), Err(SpaceError::NotFound));
        assert_eq!(space.dequeue(queue), Err(SpaceError::Empty));
        assert_eq!(space.dequeue(0), Err(SpaceError::NotFound));
        for message in ["a", "b"] {
            space.enqueue(queue, message.into()).unwrap();
        }
        assert_eq!(space.dequeue(queue).unwrap(), "a");
        assert_eq!(space.dequeue(queue).unwrap(), "b");
    }

    #[test]
    fn metrics_do_what_their_kind_allows() {
        let space = SharedSpace::default();
        let define = |kind, name: &str| space.define(kind, name.to_owned());
        let (counter, gauge, histogram) = (
            define(0, "c").unwrap(),
            define(1, "g").unwrap(),
            define(2, "h").unwrap(),
        );
        assert_eq!(define(0, "c"), Ok(counter));
        assert_eq!(define(1, "c"), Err(SpaceError::BadArgument));
        space.increment(counter, 3).unwrap();
        assert_eq!(space.increment(counter, -1), Err(SpaceError::BadArgument));
        space.record(gauge, 9).unwrap();
        space.increment(gauge, -4).unwrap();
        space.record(histogram, 7).unwrap();
        assert_eq!((space.metric(counter), space.metric(gauge)), (Ok(3), Ok(5)));
        assert_eq!(space.metric(histogram), Err(SpaceError::BadArgument));
        assert_eq!(space.metrics()[2].counts[3], 1);
        assert_eq!(space.metric(99), Err(SpaceError::NotFound));
    }
}
