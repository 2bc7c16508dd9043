//! `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`: is a limit used up?
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>)
//!
//! Each descriptor is a question of its own, with the attributes `ratelimit.domain`, `ratelimit.entries` and `ratelimit.hits` where a manifest
//! declares them. The domain says whose policies are asked: `NAMESPACE` or `NAMESPACE/SERVICE`.

use std::time::{Instant, SystemTime};

use osier_policy::{Approval, Denial, HeaderOperation, PolicySet, Verdict};
use osier_review::{Phase, Question};
use serde_json::{Map, Value as Json};
use tonic::Status;

use crate::authorization::header;
use crate::concern::Concern;
use crate::judged::Judged;
use crate::messages::{
    Code, DescriptorStatus, RateLimitDescriptor, RateLimitRequest, RateLimitResponse,
};
use crate::stated::Stated;

/// Where it is served.
pub(crate) const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// Descriptors of one request that are answered.
const MOST: usize = 64;

/// Asks about every descriptor; one that is over its limit makes the whole over the limit.
pub(crate) fn limit(
    policies: &PolicySet,
    request: &RateLimitRequest,
    tell: &dyn Fn(&Judged<'_>),
) -> Result<RateLimitResponse, Status> {
    if request.descriptors.len() > MOST {
        let words = format!(
            "descriptors: {} are more than {MOST}",
            request.descriptors.len()
        );
        return Err(Status::invalid_argument(words));
    }
    let mut response = RateLimitResponse {
        overall_code: Code::Ok as i32,
        ..RateLimitResponse::default()
    };
    for descriptor in &request.descriptors {
        let code = match ask(policies, request, descriptor, tell)? {
            Verdict::Allow(approval) => {
                pass(&mut response, &approval);
                Code::Ok
            }
            Verdict::Deny(denial) if denial.failed => {
                // The Envoy's own failure mode says what this means.
                let words = format!("policy {} has no answer", denial.policy);
                return Err(Status::unavailable(words));
            }
            Verdict::Deny(denial) => {
                refuse(&mut response, *denial);
                Code::OverLimit
            }
        };
        response
            .statuses
            .push(DescriptorStatus { code: code as i32 });
    }
    Ok(response)
}

fn ask(
    policies: &PolicySet,
    request: &RateLimitRequest,
    descriptor: &RateLimitDescriptor,
    tell: &dyn Fn(&Judged<'_>),
) -> Result<Verdict, Status> {
    let asked = (SystemTime::now(), Instant::now());
    let vocabulary = policies.vocabulary();
    let own = descriptor.hits_addend.as_ref().map(|hits| hits.value);
    // Zero means one, as upstream has it.
    let hits = own.unwrap_or(request.hits_addend.into()).max(1);
    let mut entries = Map::new();
    for entry in &descriptor.entries {
        entries.insert(entry.key.clone(), Json::from(entry.value.as_str()));
    }
    let mut stated = Stated::default();
    stated.text("request.id", &uuid::Uuid::new_v4().to_string());
    stated.declared(vocabulary, "ratelimit.domain", &request.domain);
    stated.declared(vocabulary, "ratelimit.hits", &hits.to_string());
    stated.declared(
        vocabulary,
        "ratelimit.entries",
        &Json::Object(entries).to_string(),
    );
    let concern = Concern::of_name(&request.domain);
    let recorded = stated.read(vocabulary)?;
    let question = Question::about(concern.direction, concern.place(), Phase::Check, recorded);
    let answer = question.ask(policies, vocabulary);
    let name = concern.name();
    if let Some(judged) = Judged::new(METHOD, &name, &question, &answer, asked) {
        tell(&Judged {
            authority: &request.domain,
            ..judged
        });
    }
    Ok(answer
        .into_verdict()
        .unwrap_or(Verdict::Allow(Approval::default())))
}

fn pass(response: &mut RateLimitResponse, approval: &Approval) {
    let set = |operation: &HeaderOperation| match operation {
        HeaderOperation::Set(name, value) | HeaderOperation::Append(name, value) => {
            Some(header(name, value))
        }
        HeaderOperation::Remove(_) => None,
    };
    let (to_request, to_response) = (&approval.request_headers, &approval.response_headers);
    response
        .request_headers_to_add
        .extend(to_request.iter().filter_map(set));
    response
        .response_headers_to_add
        .extend(to_response.iter().filter_map(set));
}

fn refuse(response: &mut RateLimitResponse, denial: Denial) {
    response.overall_code = Code::OverLimit as i32;
    let headers = denial
        .headers
        .iter()
        .map(|(name, value)| header(name, value));
    response.response_headers_to_add.extend(headers);
    response.raw_body = denial.body;
}
