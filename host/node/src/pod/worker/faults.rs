//! What is told of containers that end badly: an event, besides the last state, which the next one overwrites.

use osier_podspec::Slot;

use super::Worker;
use osier_life::Ended;

impl Worker {
    /// An instance of a serving container failed. Of faults that are reported together the first is told.
    pub(super) fn tell_fault(&self, slot: Slot, ended: &Ended) {
        let name = self.record(slot).map_or("", |record| record.name.as_str());
        let message = format!(
            "An instance of container {name} was replaced: {}",
            ended.message
        );
        self.warn(slot, ended, message);
    }

    /// A container ended by a fault of its own; one that returns an exit code has said itself what it had to say.
    pub(super) fn tell_end(&self, slot: Slot, ended: &Ended) {
        if ended.exit_code == 0 || ended.message.is_empty() {
            return;
        }
        let name = self.record(slot).map_or("", |record| record.name.as_str());
        let (code, why) = (ended.exit_code, &ended.message);
        let message = format!("Container {name} ended with exit code {code}: {why}");
        self.warn(slot, ended, message);
    }

    fn warn(&self, slot: Slot, ended: &Ended, message: String) {
        let recorder = &self.shared.recorder;
        recorder.warning(&self.about(slot), reason(ended), message);
    }
}

/// Why, in a word that people look for.
fn reason(ended: &Ended) -> &'static str {
    match ended.reason.as_str() {
        "OOMKilled" => "OOMKilled",
        "DeadlineExceeded" => "DeadlineExceeded",
        _ => "Failed",
    }
}
