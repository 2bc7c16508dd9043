//! What pods and the node use: read every few seconds, told as the rate between the last two readings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osier_engine::Usage;
use osier_kubelet::{
    ContainerStats, CpuStats, MemoryStats, NodeStats, PodReference, PodStats, Rate, Reading,
    Summary, Use,
};
use osier_process::{Tasks, clock};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// Time between two readings: short enough for a person who waits, and next to nothing for a node with thousands of pods.
const PERIOD: Duration = Duration::from_secs(10);

/// All meters of a node.
pub(crate) struct Meters {
    begun: Instant,
    state: Mutex<State>,
}

struct State {
    pods: HashMap<String, Vec<Meter>>,
    process: Rate,
    /// When the last readings were taken.
    time: String,
}

/// One running container.
struct Meter {
    name: String,
    read: Box<dyn Fn() -> Usage + Send + Sync>,
    rate: Rate,
}

impl Meters {
    /// Reads until the tasks stop.
    pub(crate) fn start(tasks: &Tasks) -> Arc<Self> {
        let state = State {
            pods: HashMap::new(),
            process: Rate::begin(Duration::ZERO),
            time: clock::seconds(clock::now()),
        };
        let this = Arc::new(Self {
            begun: Instant::now(),
            state: Mutex::new(state),
        });
        let (reader, stopping) = (Arc::clone(&this), tasks.stopping());
        tasks.spawn("usage", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(PERIOD) => reader.read(),
                    () = stopping.cancelled() => return,
                }
            }
        });
        this
    }

    /// The container runs from now on, in place of its life before.
    pub(crate) fn add(
        &self,
        uid: &str,
        name: &str,
        read: impl Fn() -> Usage + Send + Sync + 'static,
    ) {
        let meter = Meter {
            name: name.to_owned(),
            read: Box::new(read),
            rate: Rate::begin(self.begun.elapsed()),
        };
        let mut state = self.state.lock();
        let containers = state.pods.entry(uid.to_owned()).or_default();
        containers.retain(|other| other.name != name);
        containers.push(meter);
    }

    /// The container runs no more.
    pub(crate) fn remove(&self, uid: &str, name: &str) {
        let mut state = self.state.lock();
        if let Some(containers) = state.pods.get_mut(uid) {
            containers.retain(|other| other.name != name);
            if containers.is_empty() {
                state.pods.remove(uid);
            }
        }
    }

    fn read(&self) {
        let (cpu, memory) = process();
        let mut state = self.state.lock();
        let at = self.begun.elapsed();
        state.time = clock::seconds(clock::now());
        let nothing = Usage::default();
        let own = Usage {
            cpu,
            memory,
            ..nothing
        };
        state.process.take(reading(at, own));
        for meter in state.pods.values_mut().flatten() {
            meter.rate.take(reading(at, (meter.read)()));
        }
    }

    /// What is known, of the node by this name. A pod is told once every container of it has a rate.
    pub(crate) fn summary(&self, node: &str) -> Summary {
        let state = self.state.lock();
        let told = |rate: &Rate, used: Use| {
            let memory = MemoryStats {
                working_set_bytes: used.memory,
            };
            (CpuStats::new(rate, used, &state.time), memory)
        };
        let (cpu, memory) = state
            .process
            .now()
            .map(|used| told(&state.process, used))
            .unwrap_or_default();
        let pods = state.pods.iter().filter_map(|(uid, meters)| {
            let containers = meters.iter().map(|meter| {
                let (cpu, memory) = told(&meter.rate, meter.rate.now()?);
                Some(ContainerStats {
                    name: meter.name.clone(),
                    cpu,
                    memory,
                })
            });
            let requests = meters.iter().filter_map(|meter| meter.rate.now());
            Some(PodStats {
                pod_ref: PodReference { uid: uid.clone() },
                containers: containers.collect::<Option<_>>()?,
                milli_requests: requests.map(|used| used.milli_requests).sum(),
            })
        });
        Summary {
            node: NodeStats {
                node_name: node.to_owned(),
                cpu,
                memory,
            },
            pods: pods.collect(),
        }
    }
}

fn reading(at: Duration, used: Usage) -> Reading {
    Reading {
        at,
        cpu: used.cpu,
        memory: used.memory,
        requests: used.requests,
    }
}

/// Processor time of this process so far, and what the machine keeps in memory for it.
fn process() -> (Duration, u64) {
    let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok());
    (cpu, kibibytes.unwrap_or(0_u64) * 1024)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pod_is_told_when_all_its_containers_were_read_and_no_longer_than_they_run() {
        let tasks = Tasks::new();
        let meters = Meters::start(&tasks);
        meters.add("pod", "a", || Usage {
            cpu: Duration::from_secs(1),
            memory: 7,
            ..Usage::default()
        });
        assert_eq!(meters.summary("n").pods, []);
        // The readings' own clock is not the paused one: whatever little time it measures is enough for a rate.
        meters.read();
        let told = meters.summary("n");
        assert_eq!(told.pods[0].containers[0].memory.working_set_bytes, 7);
        assert!(told.pods[0].containers[0].cpu.usage_nano_cores > 0);
        assert!(told.node.memory.working_set_bytes > 1 << 20, "{told:?}");
        meters.add("pod", "b", Usage::default);
        assert_eq!(meters.summary("n").pods, []);
        meters.remove("pod", "b");
        assert_eq!(meters.summary("n").pods.len(), 1);
        meters.remove("pod", "a");
        assert_eq!(meters.summary("n").pods, []);
        tasks.stop();
        tasks.drained(Duration::from_secs(5)).await.unwrap();
    }
}
