//! What an Envoy says, as attributes.

use std::collections::HashMap;
use std::net::IpAddr;

use osier_policy::{Type, Vocabulary};
use osier_review::Recorded;
use serde_json::{Map, Value as Json};
use tonic::Status;

use crate::messages::{Address, Duration, Timestamp};

/// Attributes by dotted name. What was not said, or cannot be read, is absent.
#[derive(Debug, Default)]
pub(crate) struct Stated(Map<String, Json>);

impl Stated {
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.0.insert(name.to_owned(), text.into());
        }
    }

    pub(crate) fn int(&mut self, name: &str, number: impl TryInto<i64>) {
        if let Ok(number) = number.try_into() {
            self.0.insert(name.to_owned(), number.into());
        }
    }

    pub(crate) fn flag(&mut self, name: &str, truth: bool) {
        self.0.insert(name.to_owned(), truth.into());
    }

    pub(crate) fn texts<'t>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = (&'t String, &'t String)>,
    ) {
        let pairs = texts
            .into_iter()
            .map(|(key, text)| (key.clone(), Json::from(text.as_str())));
        let pairs: Map<String, Json> = pairs.collect();
        if !pairs.is_empty() {
            self.0.insert(name.to_owned(), Json::Object(pairs));
        }
    }

    /// An address without its port, which is given back.
    pub(crate) fn address(&mut self, name: &str, address: Option<&Address>) -> Option<u32> {
        let socket = address?.socket_address.as_ref()?;
        if let Ok(ip) = socket.address.parse::<IpAddr>() {
            self.text(name, &ip.to_string());
        }
        Some(socket.port_value).filter(|port| *port != 0)
    }

    pub(crate) fn time(&mut self, name: &str, time: Option<&Timestamp>) {
        let read = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok());
        if let Some(time) = read {
            self.text(name, &time.to_string());
        }
    }

    pub(crate) fn span(&mut self, name: &str, span: Option<&Duration>) {
        if let Some(span) = span.filter(|span| span.seconds >= 0 && span.nanos >= 0) {
            let nanos = i128::from(span.seconds) * 1_000_000_000 + i128::from(span.nanos);
            self.text(name, &format!("{nanos}ns"));
        }
    }

    /// Who calls, by the identity that it proved to the Envoy.
    pub(crate) fn principal(&mut self, side: &str, principal: &str) {
        let principal = principal.strip_prefix("spiffe://").unwrap_or(principal);
        self.text(&format!("{side}.principal"), principal);
        if let Some(namespace) = namespace_of(principal) {
            self.text(&format!("{side}.namespace"), namespace);
        }
    }

    /// States an attribute that a manifest declares, out of a text. One that nobody declares is nobody's: it is left out.
    pub(crate) fn declared(&mut self, vocabulary: &Vocabulary, name: &str, text: &str) {
        let known = vocabulary.get(name).filter(|info| info.place().is_some());
        let Some(info) = known else { return };
        let value = match info.ty {
            Type::Int | Type::Double | Type::Bool | Type::Map(_) => {
                serde_json::from_str(text).unwrap_or(Json::Null)
            }
            _ => text.into(),
        };
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// As policies are asked with.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with every attribute that has a wrong value.
    pub(crate) fn read(self, vocabulary: &Vocabulary) -> Result<Recorded, Status> {
        Recorded::read(&Json::Object(self.0), "", vocabulary).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Status::invalid_argument(told.join("; "))
        })
    }
}

/// `shop` of `cluster.local/ns/shop/sa/web`.
fn namespace_of(principal: &str) -> Option<&str> {
    let (_, rest) = principal.split_once("/ns/")?;
    let (namespace, rest) = rest.split_once('/')?;
    rest.starts_with("sa/").then_some(namespace)
}

/// `grpc` by the content type of its requests, else `http`.
pub(crate) fn protocol(headers: &HashMap<String, String>) -> &'static str {
    let kind = headers.get("content-type");
    match kind.is_some_and(|kind| kind.starts_with("application/grpc")) {
        true => "grpc",
        false => "http",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::messages::SocketAddress;

    #[test]
    fn what_is_said_becomes_attributes_and_the_rest_is_absent() {
        let mut stated = Stated::default();
        stated.text("request.path", "/a?b=c");
        stated.text("request.host", "");
        stated.principal("source", "spiffe://cluster.local/ns/shop/sa/web");
        let address = Address {
            socket_address: Some(SocketAddress {
                address: "10.0.0.7".into(),
                port_value: 4711,
            }),
        };
        assert_eq!(stated.address("source.ip", Some(&address)), Some(4711));
        stated.time(
            "request.time",
            Some(&Timestamp {
                seconds: 1_795_000_000,
                nanos: 5,
            }),
        );
        stated.span(
            "response.duration",
            Some(&Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
        );
        stated.declared(&Vocabulary::default(), "gpu.seconds", "3");
        let recorded = stated.read(&Vocabulary::default()).unwrap();
        let attributes = recorded.attributes();
        assert_eq!(attributes.source.namespace, Some("shop"));
        assert_eq!(
            attributes.source.principal,
            Some("cluster.local/ns/shop/sa/web")
        );
        assert_eq!(attributes.source.ip, Some("10.0.0.7".parse().unwrap()));
        assert_eq!(attributes.request.host, "");
        let duration = attributes.response.duration;
        assert_eq!(duration, Some(std::time::Duration::from_millis(1500)));
    }
}
