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

use exports::acme::fraud::grade;
use exports::acme::fraud::score::{Guest, Instance};
use osier::policy::types::{Decision, Denial, Duration};

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

impl grade::Guest for Fraud {
    fn check(instance: grade::Instance) -> grade::Verdict {
        let user = instance.user.clone();
        match user.as_str() {
            "" => grade::Verdict::Allow,
            "mallory" => grade::Verdict::Deny(Denial {
                status: 402,
                reason: "known too well".into(),
                headers: Vec::new(),
                body: String::new(),
                valid_for: None,
                valid_uses: None,
            }),
            _ => grade::Verdict::AllowWith(grade::Approval {
                output: grade::Output {
                    grade: user[..1].to_uppercase(),
                    risk_points: user.len() as u32,
                    share: 0.5,
                    known: true,
                    note: (user.len() > 3).then(|| format!("{user} is long")),
                    facts: vec![("name".into(), user)],
                    instance,
                },
                request_headers: Vec::new(),
                response_headers: Vec::new(),
                valid_for: Some(Duration {
                    nanoseconds: 60_000_000_000,
                }),
                valid_uses: None,
            }),
        }
    }
}

export!(Fraud);
