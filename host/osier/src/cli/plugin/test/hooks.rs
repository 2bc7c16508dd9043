//! Cases about hooks: what a filter makes of messages, what is chosen, what becomes of a write, how nodes are scored.

use super::super::fixture::{Case, Expect, Given, Message, Wanted};
use super::{SCOPE, differs, headers, pairs, within};
use anyhow::bail;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use osier_policy::{
    Admission, Attributes, BodyVerdict, Change, Denial, Exchange, Filter, FilterKind, HeadVerdict,
    HeaderOperation, Opinion, PolicySet, Rejection, Reply,
};
use serde_json::Value;

/// What of an answer is not as expected.
///
/// # Errors
/// If fixtures cannot ask this hook.
pub(crate) fn faults(
    hook: &str,
    case: &Case,
    set: &PolicySet,
    attributes: &Attributes<'_>,
) -> anyhow::Result<Vec<String>> {
    let (given, expect) = (&case.given, &case.expect);
    Ok(match hook {
        "filter" => filtered(given, set, attributes)?.faults(expect),
        "route" => routed(given, expect, (set, attributes)),
        "balance" => balanced(given, expect, (set, attributes)),
        "admit" => admitted(given, expect, set),
        "schedule" => scheduled(given, expect, set),
        other => bail!("fixtures know no hook `{other}`"),
    })
}

/// A fault if the verdict is another one.
fn verdict(expect: &Expect, got: Wanted, why: &str) -> Option<String> {
    let wanted = expect.verdict;
    (got != wanted).then(|| format!("verdict: expected {wanted}, got {got} {why}"))
}

/// What becomes of an exchange.
struct Exchanged {
    /// The request's method, authority and path are those of the message.
    path: String,
    request_headers: HeaderMap,
    request_body: Bytes,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// A filter's own answer: its reason, and whether it is for want of one.
    replied: Option<(String, bool)>,
}

/// Takes an exchange through the filters as the proxy does.
fn filtered(
    given: &Given,
    set: &PolicySet,
    attributes: &Attributes<'_>,
) -> anyhow::Result<Exchanged> {
    let mut exchanged = Exchanged::new(given);
    let kinds = match set.filters(&SCOPE, attributes, &mut Vec::new()) {
        Ok(kinds) => kinds,
        Err(denial) => {
            exchanged.denied(&denial);
            return Ok(exchanged);
        }
    };
    let mut filters = Vec::new();
    for kind in kinds {
        match kind {
            FilterKind::Messages(filter) => filters.push(filter),
            _ => bail!("fixtures ask components of osier:filter; others need a running node"),
        }
    }
    for filter in &filters {
        if exchanged.replied.is_none() {
            exchanged.request(filter, &given.request)?;
        }
    }
    if given.response.is_some() || exchanged.replied.is_some() {
        for filter in filters
            .iter()
            .rev()
            .filter(|filter| filter.sees_responses())
        {
            exchanged.response(filter, &given.request)?;
        }
    }
    exchanged.trailers(given, &filters);
    Ok(exchanged)
}

impl Exchanged {
    fn new(given: &Given) -> Self {
        let (request, response) = (&given.request, given.response.as_ref());
        let status = response.and_then(|response| StatusCode::from_u16(response.status).ok());
        Self {
            path: request.path.clone(),
            request_headers: request.headers(),
            request_body: Bytes::from(request.body.clone()),
            status: status.unwrap_or(StatusCode::OK),
            headers: response.map(Message::headers).unwrap_or_default(),
            body: Bytes::from(response.map(|one| one.body.clone()).unwrap_or_default()),
            replied: None,
        }
    }

    fn about<'a>(&'a self, request: &'a Message) -> Exchange<'a> {
        Exchange {
            id: "fixture",
            inbound: true,
            source: "",
            service: "",
            method: &request.method,
            scheme: "http",
            authority: &request.authority,
            path: &self.path,
        }
    }

    fn request(&mut self, filter: &Filter, request: &Message) -> anyhow::Result<()> {
        let about = self.about(request);
        let changes = match filter.on_request(&about, &self.request_headers) {
            HeadVerdict::Proceed(changes) => changes,
            HeadVerdict::Respond(reply) => return self.reply(*reply),
            HeadVerdict::Wait => bail!("the filter waits, which fixtures do not"),
            HeadVerdict::NeedBody(limit) if self.request_body.len() as u64 > limit => {
                return self.too_large(StatusCode::PAYLOAD_TOO_LARGE);
            }
            HeadVerdict::NeedBody(_) => {
                let body =
                    filter.on_request_body(&about, &self.request_headers, &self.request_body);
                match body {
                    BodyVerdict::Respond(reply) => return self.reply(*reply),
                    BodyVerdict::Proceed(changes, new) => {
                        self.request_body = new.unwrap_or_else(|| self.request_body.clone());
                        changes
                    }
                }
            }
        };
        for change in changes {
            match change {
                Change::Header(operation) => apply(&mut self.request_headers, operation),
                Change::Path(path) => self.path = path.to_string(),
                Change::Authority(_) | Change::Method(_) | Change::Status(_) => {}
            }
        }
        Ok(())
    }

    fn response(&mut self, filter: &Filter, request: &Message) -> anyhow::Result<()> {
        let about = self.about(request);
        let changes = match filter.on_response(&about, self.status, &self.headers) {
            HeadVerdict::Proceed(changes) => changes,
            HeadVerdict::Respond(reply) => return self.reply(*reply),
            HeadVerdict::Wait => bail!("the filter waits, which fixtures do not"),
            HeadVerdict::NeedBody(limit) if self.body.len() as u64 > limit => {
                return self.too_large(StatusCode::INTERNAL_SERVER_ERROR);
            }
            HeadVerdict::NeedBody(_) => {
                let head = (self.status, &self.headers);
                match filter.on_response_body(&about, head, &self.body) {
                    BodyVerdict::Respond(reply) => return self.reply(*reply),
                    BodyVerdict::Proceed(changes, new) => {
                        self.body = new.unwrap_or_else(|| self.body.clone());
                        changes
                    }
                }
            }
        };
        for change in changes {
            match change {
                Change::Header(operation) => apply(&mut self.headers, operation),
                Change::Status(status) => self.status = status,
                Change::Path(_) | Change::Authority(_) | Change::Method(_) => {}
            }
        }
        Ok(())
    }

    /// Trailers count as headers of their message here.
    fn trailers(&mut self, given: &Given, filters: &[Filter]) {
        let response = given.response.as_ref().and_then(Message::trailers);
        for (trailers, of_response) in [(given.request.trailers(), false), (response, true)] {
            let Some(mut trailers) = trailers else {
                continue;
            };
            let about = self.about(&given.request);
            for filter in filters.iter().filter(|filter| filter.sees_trailers()) {
                let told = filter.on_trailers(&about, of_response, &trailers);
                for operation in told.unwrap_or_default() {
                    apply(&mut trailers, operation);
                }
            }
            let to = match of_response {
                true => &mut self.headers,
                false => &mut self.request_headers,
            };
            to.extend(trailers);
        }
    }

    fn reply(&mut self, reply: Reply) -> anyhow::Result<()> {
        let unanswered = reply.status == StatusCode::INTERNAL_SERVER_ERROR
            && reply.body == "A filter gave no answer.\n";
        self.replied = Some((reply.reason, unanswered));
        self.status = reply.status;
        self.headers = reply.headers.into_iter().collect();
        self.body = reply.body;
        Ok(())
    }

    /// The proxy's answer to a body that is larger than the filter takes.
    fn too_large(&mut self, status: StatusCode) -> anyhow::Result<()> {
        self.replied = Some(("the body is larger than the filter takes".into(), false));
        self.status = status;
        Ok(())
    }

    fn denied(&mut self, denial: &Denial) {
        self.replied = Some((denial.reason.clone(), denial.failed));
        self.status = StatusCode::from_u16(denial.status).unwrap_or(self.status);
    }

    fn faults(&self, expect: &Expect) -> Vec<String> {
        let (got, why) = match &self.replied {
            None => (Wanted::Allow, ""),
            Some((reason, true)) => (Wanted::Fail, reason.as_str()),
            Some((reason, false)) => (Wanted::Deny, reason.as_str()),
        };
        if let Some(fault) = verdict(expect, got, why) {
            return vec![fault];
        }
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let (found, sent) = (pairs(&self.headers), pairs(&self.request_headers));
        let status = self.status.as_u16();
        let mut faults: Vec<String> = differs("status", expect.status.as_ref(), &status)
            .into_iter()
            .collect();
        faults.extend(within("reason", expect.reason.as_deref(), why));
        faults.extend(differs("body", expect.body.as_ref(), &text(&self.body)));
        faults.extend(headers("headers", &expect.headers, &found));
        faults.extend(headers("requestHeaders", &expect.request_headers, &sent));
        let sent = text(&self.request_body);
        faults.extend(differs("requestBody", expect.request_body.as_ref(), &sent));
        faults.extend(differs("path", expect.path.as_ref(), &self.path));
        faults
    }
}

fn apply(headers: &mut HeaderMap, operation: HeaderOperation) {
    match operation {
        HeaderOperation::Set(name, value) => drop(headers.insert(name, value)),
        HeaderOperation::Append(name, value) => drop(headers.append(name, value)),
        HeaderOperation::Remove(name) => drop(headers.remove(name)),
    }
}

/// Policies and the attributes of the call that they are asked about.
type Asked<'a> = (&'a PolicySet, &'a Attributes<'a>);

fn routed(given: &Given, expect: &Expect, (set, attributes): Asked<'_>) -> Vec<String> {
    let (candidates, head) = (given.candidates(), given.request.headers());
    let request = given.request.choice();
    let about = (&SCOPE, attributes);
    let choice = set.route(about, (&request, &head), &candidates, &mut Vec::new());
    let set_on_response = |choice: &osier_policy::Choice| super::after(&choice.response_headers);
    let on_response = choice.as_ref().ok().and_then(Option::as_ref);
    let on_response = on_response.map(set_on_response).unwrap_or_default();
    let name = |choice: osier_policy::Choice| {
        let chosen = candidates.get(choice.candidate);
        chosen.map_or_else(String::new, |one| match one.subset {
            "" => one.host.to_owned(),
            subset => subset.to_owned(),
        })
    };
    let mut faults = chosen(expect, choice.map(|choice| choice.map(name)));
    faults.extend(headers("headers", &expect.headers, &on_response));
    faults
}

fn balanced(given: &Given, expect: &Expect, (set, attributes): Asked<'_>) -> Vec<String> {
    let (endpoints, head) = (given.endpoints(), given.request.headers());
    let request = given.request.choice();
    let about = (&SCOPE, attributes);
    let place = set.balance(about, (&request, &head), &endpoints, &mut Vec::new());
    let name = |place: usize| endpoints.get(place).map_or("", |one| one.pod).to_owned();
    chosen(expect, place.map(|place| place.map(name)))
}

fn chosen(expect: &Expect, found: Result<Option<String>, Box<Denial>>) -> Vec<String> {
    match found {
        Ok(found) => verdict(expect, Wanted::Allow, "")
            .or_else(|| differs("chosen", expect.chosen.as_ref(), &found))
            .into_iter()
            .collect(),
        Err(denial) => verdict(expect, Wanted::Fail, &denial.reason)
            .into_iter()
            .collect(),
    }
}

fn admitted(given: &Given, expect: &Expect, set: &PolicySet) -> Vec<String> {
    let objects = given.write.objects();
    match set.admit(&given.write.review(&objects), 0) {
        Ok((admission, _)) => allowed(expect, &admission),
        Err(rejection) => rejected(expect, &rejection),
    }
}

fn allowed(expect: &Expect, admission: &Admission) -> Vec<String> {
    let patch = admission.patch.as_deref();
    let patch: Option<Value> =
        patch.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
    let faults = [
        verdict(expect, Wanted::Allow, ""),
        differs("patch", expect.patch.as_ref(), &patch.unwrap_or_default()),
        within(
            "warning",
            expect.warning.as_deref(),
            &admission.warnings.join("; "),
        ),
    ];
    faults.into_iter().flatten().collect()
}

fn rejected(expect: &Expect, rejection: &Rejection) -> Vec<String> {
    let got = match rejection.failed {
        true => Wanted::Fail,
        false => Wanted::Deny,
    };
    let faults = [
        verdict(expect, got, &rejection.reason),
        within("reason", expect.reason.as_deref(), &rejection.reason),
        differs("field", expect.field.as_ref(), &rejection.field),
    ];
    faults.into_iter().flatten().collect()
}

fn scheduled(given: &Given, expect: &Expect, set: &PolicySet) -> Vec<String> {
    let (object, nodes) = (given.pod_object(), given.nodes());
    let opinions = match set.schedule(&given.pod(&object), &nodes) {
        Ok(opinions) => opinions,
        Err(reason) => return verdict(expect, Wanted::Fail, &reason).into_iter().collect(),
    };
    let mut faults: Vec<String> = verdict(expect, Wanted::Allow, "").into_iter().collect();
    for (name, wanted) in &expect.scores {
        let place = nodes.iter().position(|node| node.name == name);
        let opinion = place.and_then(|place| opinions.get(place));
        let found = match opinion {
            Some(Opinion::Score(score)) => Some(*score),
            _ => None,
        };
        faults.extend(differs(&format!("scores.{name}"), Some(wanted), &found));
    }
    faults
}
