//! Gateways and their classes: until a controller has seen one, its conditions are unknown, as the definitions of the Gateway API have it
//! (<https://gateway-api.sigs.k8s.io/reference/spec/#gatewaystatus>).

use osier_api::Object;
use serde_json::{Value, json};

use super::Strategy;

/// Conditions that a controller is to write.
pub(super) struct Awaited(pub(super) &'static [&'static str]);

impl Strategy for Awaited {
    fn prepare_create(&self, object: &mut Object) {
        let unknown = |kind: &&str| {
            json!({"type": kind, "status": "Unknown", "reason": "Pending", "message": "Waiting for controller",
                "lastTransitionTime": "1970-01-01T00:00:00Z"})
        };
        let conditions: Vec<Value> = self.0.iter().map(unknown).collect();
        object.set(&["status"], json!({"conditions": conditions}));
    }
}
