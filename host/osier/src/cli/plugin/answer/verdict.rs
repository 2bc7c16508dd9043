//! Answers of templates.

use super::super::fixture::{Expect, Wanted};
use super::{after, differs, headers, listed, pairs, within};
use osier_policy::{Approval, Generated, Verdict};

/// In one word, and why.
pub(super) fn verdict(verdict: &Verdict) -> (Wanted, String) {
    match verdict {
        Verdict::Allow(_) => (Wanted::Allow, String::new()),
        Verdict::Deny(denial) => {
            let word = match denial.failed {
                true => Wanted::Fail,
                false => Wanted::Deny,
            };
            (word, format!("{}: {}", denial.status, denial.reason))
        }
    }
}

/// What is not as expected, beside the verdict.
pub(super) fn faults(verdict: &Verdict, expect: &Expect) -> Vec<String> {
    let mut faults = Vec::new();
    match verdict {
        Verdict::Allow(approval) => {
            let [request, response] = changes(approval);
            faults.extend(headers("headers", &expect.headers, &response));
            faults.extend(headers("requestHeaders", &expect.request_headers, &request));
            let told = generated(approval);
            faults.extend(headers("attributes", &expect.attributes, &told));
        }
        Verdict::Deny(denial) => {
            faults.extend(differs("status", expect.status.as_ref(), &denial.status));
            faults.extend(within("reason", expect.reason.as_deref(), &denial.reason));
            let body = String::from_utf8_lossy(&denial.body).into_owned();
            faults.extend(differs("body", expect.body.as_ref(), &body));
            let found = pairs(denial.headers.iter().map(|(name, value)| (name, value)));
            faults.extend(headers("headers", &expect.headers, &found));
        }
    }
    faults
}

/// What others see of it beside the verdict.
pub(super) fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(approval) => {
            let [request, response] = changes(approval);
            let told = [
                listed("request", &request),
                listed("response", &response),
                listed("attributes", &generated(approval)),
            ];
            told.concat()
        }
        Verdict::Deny(denial) => {
            let found = pairs(denial.headers.iter().map(|(name, value)| (name, value)));
            let body = String::from_utf8_lossy(&denial.body);
            format!("{}, body {body:?}", listed("headers", &found))
        }
    }
}

fn changes(approval: &Approval) -> [Vec<(String, String)>; 2] {
    [&approval.request_headers, &approval.response_headers].map(|operations| after(operations))
}

/// Attributes that were told.
fn generated(approval: &Approval) -> Vec<(String, String)> {
    let told = approval.decisions.iter();
    let told = told.filter_map(|one| one.generated.as_deref());
    let pair = |(name, value): (&str, String)| (name.to_owned(), value);
    told.flat_map(Generated::iter).map(pair).collect()
}
