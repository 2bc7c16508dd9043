//! How a connection changes its protocol: what a client asks for, and what it is answered. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

/// What runs over the streams of SPDY.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const SPDY: &str = "SPDY/3.1";
/// Before the name of a protocol of WebSocket: it is what runs over SPDY inside.
const TUNNELLED: &str = "SPDY/3.1+";

/// What every server of WebSocket adds to a client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The connection itself.
    Spdy,
    /// WebSocket messages with frames of SPDY in them.
    Tunnel,
    /// WebSocket messages, each with the number of its channel before its bytes.
    Channels,
}

/// A change that was agreed on.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrade {
    /// What follows.
    pub transport: Transport,
    /// The headers of the answer, 101.
    pub headers: HeaderMap,
}

/// Why a connection does not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// It asks for nothing that is served.
    #[error(
        "unable to upgrade: the request must ask for SPDY/3.1 or websocket, and asks for {0:?}"
    )]
    Protocol(String),
    /// The streams would be for something else.
    #[error(
        "unable to upgrade: the streams must carry one of {wanted:?}, and {offered:?} is offered"
    )]
    Streams {
        /// What is served.
        wanted: Vec<String>,
        /// What was offered.
        offered: Vec<String>,
    },
    /// The handshake of WebSocket (RFC 6455, 4.1) is not whole.
    #[error("unable to upgrade: {0} is missing or wrong in the handshake of WebSocket")]
    Handshake(HeaderName),
}

impl Upgrade {
    /// Agrees on streams of this protocol, such as `portforward.k8s.io`, inside SPDY.
    ///
    /// # Errors
    /// What is asked for instead.
    pub fn agree(asked: &HeaderMap, protocol: &str) -> Result<Self, UpgradeError> {
        let tunnelled = format!("{TUNNELLED}{protocol}");
        let inside = [tunnelled.as_str()];
        Self::choose(asked, &[protocol], (Transport::Tunnel, &inside))
    }

    /// Agrees on the streams of a command, by one of these protocols, the best first.
    ///
    /// # Errors
    /// What is asked for instead.
    pub fn agree_channels(asked: &HeaderMap, protocols: &[&str]) -> Result<Self, UpgradeError> {
        Self::choose(asked, protocols, (Transport::Channels, protocols))
    }

    fn choose(
        asked: &HeaderMap,
        over_spdy: &[&str],
        (inside, over_websocket): (Transport, &[&str]),
    ) -> Result<Self, UpgradeError> {
        let wanted = words(asked, &UPGRADE).concat();
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        let transport = if wanted.eq_ignore_ascii_case(SPDY) {
            let agreed = choose(asked, &STREAM_PROTOCOL, over_spdy)?;
            headers.insert(UPGRADE, HeaderValue::from_static(SPDY));
            headers.insert(STREAM_PROTOCOL, agreed);
            Transport::Spdy
        } else if wanted.eq_ignore_ascii_case("websocket") {
            let agreed = choose(asked, &SEC_WEBSOCKET_PROTOCOL, over_websocket)?;
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept(asked)?);
            headers.insert(SEC_WEBSOCKET_PROTOCOL, agreed);
            inside
        } else {
            return Err(UpgradeError::Protocol(wanted));
        };
        Ok(Self { transport, headers })
    }
}

fn accept(asked: &HeaderMap) -> Result<HeaderValue, UpgradeError> {
    let wrong = UpgradeError::Handshake;
    if words(asked, &SEC_WEBSOCKET_VERSION) != ["13"] {
        return Err(wrong(SEC_WEBSOCKET_VERSION));
    }
    let key = asked
        .get(SEC_WEBSOCKET_KEY)
        .ok_or_else(|| wrong(SEC_WEBSOCKET_KEY))?;
    // RFC 6455, 4.2.2: it proves that the server speaks WebSocket, and protects nothing.
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    HeaderValue::try_from(STANDARD.encode(hash.finish())).map_err(|_| wrong(SEC_WEBSOCKET_KEY))
}

fn choose(
    asked: &HeaderMap,
    name: &HeaderName,
    served: &[&str],
) -> Result<HeaderValue, UpgradeError> {
    let offered = words(asked, name);
    let best = served.iter().find(|protocol| offered.contains(protocol));
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let refused = || UpgradeError::Streams {
        wanted: owned(served),
        offered: owned(&offered),
    };
    HeaderValue::try_from(*best.ok_or_else(refused)?).map_err(|_| refused())
}

/// The words of a header that is a list, on one line or several.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        headers.collect()
    }

    #[test]
    fn old_kubectls_ask_for_spdy() {
        let asked = asked(&[
            ("upgrade", "SPDY/3.1"),
            ("x-stream-protocol-version", "portforward.k8s.io"),
        ]);
        let agreed = Upgrade::agree(&asked, "portforward.k8s.io").unwrap();
        assert_eq!(agreed.transport, Transport::Spdy);
        assert_eq!(agreed.headers[STREAM_PROTOCOL], "portforward.k8s.io");
        let other = Upgrade::agree(&asked, "other").unwrap_err();
        assert!(other.to_string().contains("portforward.k8s.io"), "{other}");
    }

    #[test]
    fn new_ones_ask_for_a_tunnel() {
        let mut asked = asked(&[
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "x, SPDY/3.1+portforward.k8s.io"),
            // The example of RFC 6455, 1.3.
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        let agreed = Upgrade::agree(&asked, "portforward.k8s.io").unwrap();
        assert_eq!(agreed.transport, Transport::Tunnel);
        assert_eq!(
            agreed.headers[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        asked.remove(SEC_WEBSOCKET_KEY);
        let refused = Upgrade::agree(&asked, "portforward.k8s.io").unwrap_err();
        assert_eq!(refused, UpgradeError::Handshake(SEC_WEBSOCKET_KEY));
    }

    #[test]
    fn the_best_of_what_a_client_offers_is_taken() {
        let served = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
        let mut old = HeaderMap::new();
        old.insert(UPGRADE, HeaderValue::from_static(SPDY));
        for protocol in ["v4.channel.k8s.io", "v3.channel.k8s.io", "channel.k8s.io"] {
            old.append(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
        }
        let agreed = Upgrade::agree_channels(&old, &served).unwrap();
        assert_eq!(agreed.transport, Transport::Spdy);
        assert_eq!(agreed.headers[STREAM_PROTOCOL], "v4.channel.k8s.io");
        let mut new = asked(&[
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            (
                "sec-websocket-protocol",
                "v4.channel.k8s.io,v5.channel.k8s.io",
            ),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        let agreed = Upgrade::agree_channels(&new, &served).unwrap();
        assert_eq!(agreed.transport, Transport::Channels);
        assert_eq!(agreed.headers[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io");
        let ancient = HeaderValue::from_static("base64.channel.k8s.io");
        new.insert(SEC_WEBSOCKET_PROTOCOL, ancient);
        let refused = Upgrade::agree_channels(&new, &served).unwrap_err();
        assert!(
            refused.to_string().contains("v4.channel.k8s.io"),
            "{refused}"
        );
    }

    #[test]
    fn nothing_else_is_served() {
        let refused = Upgrade::agree(&HeaderMap::new(), "portforward.k8s.io").unwrap_err();
        assert_eq!(refused, UpgradeError::Protocol(String::new()));
    }
}
