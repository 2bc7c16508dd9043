//! A header allow-list: template `listentry`.

use osier_plugin::{Decision, ListEntry};

use crate::Examples;

impl ListEntry for Examples {
    fn check(&self, value: &str) -> Decision {
        if self.0.allow.iter().any(|allowed| allowed == value) {
            return Decision::allow();
        }
        Decision::deny(403)
            .because("not on the list")
            .body("You are not on the list.\n")
            .header("x-denied-by", "allow-list")
    }
}
