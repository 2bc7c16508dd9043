//! A container's place in its pod, and what becomes of it when it ends.

/// A container's place in the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// One of `initContainers`.
    Init(usize),
    /// One of `containers`.
    Main(usize),
}

/// `spec.restartPolicy`, or that of a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// However it ended.
    Always,
    /// If it failed.
    OnFailure,
    /// Not at all.
    Never,
}

impl RestartPolicy {
    /// Reads it; the default is to restart always.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "Never" => Self::Never,
            "OnFailure" => Self::OnFailure,
            _ => Self::Always,
        }
    }
}
