//! Headers as plugins see them, and what plugins want done to headers, held to valid HTTP.

use http::{HeaderMap, HeaderName, HeaderValue};
use osier_engine::plugin::hooks::{self, Header};

use crate::verdict::HeaderOperation;

/// Headers as text; a value that is no text is not shown to plugins.
pub(crate) fn texts(headers: &HeaderMap) -> Vec<Header<'_>> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some(Header {
                name: name.as_str(),
                value: std::str::from_utf8(value.as_bytes()).ok()?,
            })
        })
        .collect()
}

/// A header operation, if it is valid HTTP.
pub(crate) fn header(operation: hooks::HeaderOperation) -> Result<HeaderOperation, String> {
    Ok(match operation {
        hooks::HeaderOperation::Set(header) => {
            HeaderOperation::Set(name(header.name)?, value(header.value)?)
        }
        hooks::HeaderOperation::Append(header) => {
            HeaderOperation::Append(name(header.name)?, value(header.value)?)
        }
        hooks::HeaderOperation::Remove(removed) => HeaderOperation::Remove(name(removed)?),
    })
}

/// Headers that frame a message are the host's alone: a plugin that could set them could smuggle requests.
const FRAMING: [HeaderName; 5] = [
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::CONNECTION,
    http::header::UPGRADE,
    http::header::HOST,
];

pub(crate) fn name(name: String) -> Result<HeaderName, String> {
    let read =
        HeaderName::try_from(&name).map_err(|_| format!("{name:?} is not a header's name"))?;
    if FRAMING.contains(&read) {
        return Err(format!("header {read} belongs to the host"));
    }
    Ok(read)
}

pub(crate) fn value(value: String) -> Result<HeaderValue, String> {
    HeaderValue::try_from(&value).map_err(|_| format!("{value:?} is not a header's value"))
}
