//! A policy plugin for tests whose template is its own: the host reads it from the component.
#![expect(
    unsafe_code,
    missing_docs,
    reason = "the exports of a component are foreign functions, generated with their documentation in the WIT file"
)]

wit_bindgen::generate!({
    path: ["../../../wit/policy", "wit"],
    world: "acme:fraud/fraud",
    generate_all,
});

use exports::acme::fraud::score::{Guest, Instance};
use osier::policy::types::{Decision, Denial};

struct Fraud;

impl Guest for Fraud {
    fn check(instance: Instance) -> Result<Decision, String> {
        if instance.user.is_empty() {
            return Err("no user".into());
        }
        if instance.vip {
            return Ok(Decision::Allow);
        }
        Ok(Decision::Deny(Denial {
            status: 402,
            reason: format!("{instance:?}"),
            headers: Vec::new(),
            body: String::new(),
            valid_for: None,
            valid_uses: None,
        }))
    }
}

export!(Fraud);
