//! Components of `osier:filter`: heads, and bodies where they are asked for.

use super::super::super::fixture::{Given, Message};
use super::Exchanged;
use anyhow::bail;
use http::{HeaderMap, StatusCode};
use osier_policy::{BodyVerdict, Change, Exchange, Filter, HeadVerdict, HeaderOperation};

impl Exchanged {
    /// Takes the exchange through a filter.
    pub(super) fn filtered(&mut self, filter: &Filter, given: &Given) -> anyhow::Result<()> {
        self.ask_request(filter)?;
        let answered = given.response.is_some() || self.replied.is_some();
        if answered && filter.sees_responses() {
            self.ask_response(filter)?;
        }
        self.ask_trailers(filter, given);
        Ok(())
    }

    fn about(&self) -> Exchange<'_> {
        Exchange {
            id: "fixture",
            inbound: true,
            source: "",
            service: "",
            method: &self.request.method,
            scheme: "http",
            authority: &self.request.authority,
            path: &self.request.path,
        }
    }

    fn ask_request(&mut self, filter: &Filter) -> anyhow::Result<()> {
        let (about, headers) = (self.about(), &self.request.headers);
        let body = &self.request.body;
        let changes = match filter.on_request(&about, headers) {
            HeadVerdict::Proceed(changes) => changes,
            HeadVerdict::Respond(reply) => {
                self.reply(*reply);
                return Ok(());
            }
            HeadVerdict::Wait => bail!("the filter waits, which fixtures do not"),
            HeadVerdict::NeedBody(limit) if body.len() as u64 > limit => {
                self.too_large(StatusCode::PAYLOAD_TOO_LARGE);
                return Ok(());
            }
            HeadVerdict::NeedBody(_) => match filter.on_request_body(&about, headers, body) {
                BodyVerdict::Respond(reply) => {
                    self.reply(*reply);
                    return Ok(());
                }
                BodyVerdict::Proceed(changes, new) => {
                    self.request.body = new.unwrap_or_else(|| body.clone());
                    changes
                }
            },
        };
        for change in changes {
            match change {
                Change::Header(operation) => apply(&mut self.request.headers, operation),
                Change::Path(path) => self.request.path = path.to_string(),
                Change::Authority(authority) => self.request.authority = authority.to_string(),
                Change::Method(method) => self.request.method = method.to_string(),
                Change::Status(_) => {}
            }
        }
        Ok(())
    }

    fn ask_response(&mut self, filter: &Filter) -> anyhow::Result<()> {
        let about = self.about();
        let changes = match filter.on_response(&about, self.status, &self.headers) {
            HeadVerdict::Proceed(changes) => changes,
            HeadVerdict::Respond(reply) => {
                self.reply(*reply);
                return Ok(());
            }
            HeadVerdict::Wait => bail!("the filter waits, which fixtures do not"),
            HeadVerdict::NeedBody(limit) if self.body.len() as u64 > limit => {
                self.too_large(StatusCode::INTERNAL_SERVER_ERROR);
                return Ok(());
            }
            HeadVerdict::NeedBody(_) => {
                let head = (self.status, &self.headers);
                match filter.on_response_body(&about, head, &self.body) {
                    BodyVerdict::Respond(reply) => {
                        self.reply(*reply);
                        return Ok(());
                    }
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
    fn ask_trailers(&mut self, filter: &Filter, given: &Given) {
        let response = given.response.as_ref().and_then(Message::trailers);
        for (trailers, of_response) in [(given.request.trailers(), false), (response, true)] {
            let Some(mut trailers) = trailers else {
                continue;
            };
            if filter.sees_trailers() {
                let told = filter.on_trailers(&self.about(), of_response, &trailers);
                for operation in told.unwrap_or_default() {
                    apply(&mut trailers, operation);
                }
            }
            let to = match of_response {
                true => &mut self.headers,
                false => &mut self.request.headers,
            };
            to.extend(trailers);
        }
    }

    /// The proxy's answer to a body that is larger than the filter takes.
    fn too_large(&mut self, status: StatusCode) {
        self.replied = Some(("the body is larger than the filter takes".into(), false));
        self.status = status;
    }
}

fn apply(headers: &mut HeaderMap, operation: HeaderOperation) {
    match operation {
        HeaderOperation::Set(name, value) => drop(headers.insert(name, value)),
        HeaderOperation::Append(name, value) => drop(headers.append(name, value)),
        HeaderOperation::Remove(name) => drop(headers.remove(name)),
    }
}
