//! Which request headers a Bookinfo service carries on to the services it calls.
//!
//! A mesh can join the calls behind one page into one trace, and route a signed-in person, only when each service hands on what it
//! was given. It is not a tracing library: it reads nothing, makes up nothing and copies the listed headers as they are.

use http::{HeaderMap, HeaderName};

/// The headers that travel: request identity, trace context in both common forms, and what routes match on.
pub const CARRIED: [HeaderName; 14] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-b3-traceid"),
    HeaderName::from_static("x-b3-spanid"),
    HeaderName::from_static("x-b3-parentspanid"),
    HeaderName::from_static("x-b3-sampled"),
    HeaderName::from_static("x-b3-flags"),
    HeaderName::from_static("end-user"),
    HeaderName::from_static("user-agent"),
    HeaderName::from_static("cookie"),
    HeaderName::from_static("authorization"),
];

/// Copies every carried header, all its values in order, from the request that came in to the one that goes out.
pub fn carry(incoming: &HeaderMap, outgoing: &mut HeaderMap) {
    for name in &CARRIED {
        for value in incoming.get_all(name) {
            outgoing.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn carries_the_listed_headers_and_nothing_else() {
        let mut incoming = HeaderMap::new();
        incoming.append("x-request-id", HeaderValue::from_static("r-1"));
        incoming.append("cookie", HeaderValue::from_static("a=1"));
        incoming.append("cookie", HeaderValue::from_static("b=2"));
        incoming.append("host", HeaderValue::from_static("productpage:9080"));
        let mut outgoing = HeaderMap::new();
        carry(&incoming, &mut outgoing);
        assert_eq!(outgoing.len(), 3);
        assert_eq!(outgoing.get_all("cookie").iter().count(), 2);
        assert!(!outgoing.contains_key("host"));
    }
}
