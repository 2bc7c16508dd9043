//! The one place that asks for the time of day, in the forms that the Kubernetes API writes; and time that only goes forward.

use jiff::Timestamp;
use tokio::time::Instant;

/// The time now.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// RFC 3339 in whole seconds UTC, as `metadata.creationTimestamp` is written (`metav1.Time`).
#[must_use]
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 3339 with six decimals, as a Lease's `renewTime` is written (`metav1.MicroTime`).
#[must_use]
pub fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The time that health is measured by: milliseconds since something began. It never goes back, and a number fits an atomic.
#[derive(Clone, Copy, Debug)]
pub struct Uptime(Instant);

impl Uptime {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since then.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_writes_them() {
        let at = Timestamp::constant(1_700_000_000, 123_456_789);
        assert_eq!(seconds(at), "2023-11-14T22:13:20Z");
        assert_eq!(micros(at), "2023-11-14T22:13:20.123456Z");
    }
}
