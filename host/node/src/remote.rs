//! Images of the control plane's node, fetched by a joined node that lacks them.

use std::time::Duration;

use http::Request;
use osier_client::Client;
use osier_engine::Digest;
use osier_process::body;

/// Where they are served, to nodes only.
const PATH: &str = "/osier/v1/images";
/// Says what the bytes must hash to.
const DIGEST: &str = "docker-content-digest";
/// The largest image that is taken.
const LARGEST: usize = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// The images elsewhere.
pub(crate) struct Remote {
    client: Client,
}

/// Why an image cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("image {name:?} is not on this node, and the control plane cannot be asked: {source}")]
    Unreachable {
        name: String,
        source: osier_client::ClientError,
    },
    #[error("image {name:?} is not on this node, and the control plane does not give it: {reason}")]
    Refused { name: String, reason: String },
    #[error(
        "image {name:?} came from the control plane with another digest than announced; it is not used"
    )]
    Corrupt { name: String },
    #[error("image {name:?} did not come from the control plane within {} s", PATIENCE.as_secs())]
    Late { name: String },
}

impl Remote {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The bytes of an image.
    pub(crate) async fn image(&self, name: &str) -> Result<Vec<u8>, RemoteError> {
        let late = RemoteError::Late {
            name: name.to_owned(),
        };
        let fetched = tokio::time::timeout(PATIENCE, self.fetch(name)).await;
        fetched.unwrap_or(Err(late))
    }

    async fn fetch(&self, name: &str) -> Result<Vec<u8>, RemoteError> {
        let refused = |reason: String| RemoteError::Refused {
            name: name.to_owned(),
            reason,
        };
        let path = format!("{PATH}?name={}", escaped(name));
        let request = Request::get(path).body(body::empty());
        let request = request.map_err(|error| refused(error.to_string()))?;
        let answer = self.client.raw(request).await;
        let (head, answer) = answer
            .map_err(|source| RemoteError::Unreachable {
                name: name.to_owned(),
                source,
            })?
            .into_parts();
        let bytes = body::read(answer, LARGEST).await;
        let bytes = bytes.map_err(|error| refused(error.to_string()))?;
        if !head.status.is_success() {
            return Err(refused(words(&bytes)));
        }
        let announced = head
            .headers
            .get(DIGEST)
            .and_then(|value| value.to_str().ok());
        if announced != Some(Digest::of(&bytes).as_str()) {
            return Err(RemoteError::Corrupt {
                name: name.to_owned(),
            });
        }
        Ok(bytes.to_vec())
    }
}

/// The message of a Status.
fn words(bytes: &[u8]) -> String {
    let status: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let message = status.and_then(|status| Some(status["message"].as_str()?.to_owned()));
    message.unwrap_or_else(|| "it answered without a reason".to_owned())
}

/// Percent-encodes what may not stand in a query.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_a_query() {
        assert_eq!(escaped("shop/web:1.0"), "shop/web:1.0");
        assert_eq!(escaped("a&b=c d"), "a%26b%3Dc%20d");
    }
}
