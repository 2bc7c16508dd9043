//! What a guest changed in a message, as the proxy makes it. What frames a message, and how it is carried, is the host's.

use http::uri::{Authority, PathAndQuery};
use http::{Method, StatusCode};
use osier_engine::proxy_wasm::{Edit, Side};

use crate::plugin::is_framing;
use crate::policy::Change;
use crate::verdict::HeaderOperation;

/// A change of a head as the proxy makes it; none for what is the host's own.
pub(super) fn change(side: Side, edit: Edit) -> Option<Result<Change, String>> {
    let (name, value) = match edit {
        Edit::Pseudo(name, value) => (name, value),
        other => return operation(other).map(|operation| Ok(Change::Header(operation))),
    };
    let text = value.to_str().unwrap_or_default();
    let changed = match (name, side) {
        (":path", Side::Request) if text.starts_with('/') => {
            text.parse::<PathAndQuery>().ok().map(Change::Path)
        }
        (":authority", Side::Request) => text.parse::<Authority>().ok().map(Change::Authority),
        (":method", Side::Request) => text.parse::<Method>().ok().map(Change::Method),
        (":status", Side::Response) => text.parse::<StatusCode>().ok().map(Change::Status),
        // How a message is carried is the mesh's business.
        (":scheme", Side::Request) => return None,
        _ => None,
    };
    Some(changed.ok_or_else(|| format!("{text:?} is no value of {name}")))
}

pub(super) fn operation(edit: Edit) -> Option<HeaderOperation> {
    let (Edit::Set(name, _) | Edit::Add(name, _) | Edit::Remove(name)) = &edit else {
        return None;
    };
    if is_framing(name) {
        return None;
    }
    if *name == http::header::CONTENT_LENGTH {
        return length(edit);
    }
    Some(match edit {
        Edit::Set(name, value) => HeaderOperation::Set(name, value),
        Edit::Add(name, value) => HeaderOperation::Append(name, value),
        Edit::Remove(name) => HeaderOperation::Remove(name),
        Edit::Pseudo(..) => return None,
    })
}

/// A guest that gives a message another body may say how long it is, once and as a number; the wire holds it to that.
fn length(edit: Edit) -> Option<HeaderOperation> {
    match edit {
        Edit::Set(name, value) | Edit::Add(name, value) => {
            let number = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
            number.then_some(HeaderOperation::Set(name, value))
        }
        Edit::Remove(name) => Some(HeaderOperation::Remove(name)),
        Edit::Pseudo(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn set(name: &'static str, value: &'static str) -> Edit {
        let name = HeaderName::from_static(name);
        Edit::Set(name, HeaderValue::from_static(value))
    }

    #[test]
    fn what_frames_a_message_stays_as_it_is() {
        for (name, value) in [
            ("transfer-encoding", "chunked"),
            ("connection", "upgrade"),
            ("upgrade", "h2c"),
            ("content-length", "5, 6"),
            ("content-length", "abc"),
            ("content-length", ""),
        ] {
            assert_eq!(operation(set(name, value)), None, "{name}: {value}");
        }
        let length = operation(set("content-length", "12"));
        assert!(matches!(length, Some(HeaderOperation::Set(..))));
        let gone = operation(Edit::Remove(http::header::CONTENT_LENGTH));
        assert!(matches!(gone, Some(HeaderOperation::Remove(_))));
        assert!(matches!(
            operation(set("x-a", "b")),
            Some(HeaderOperation::Set(..))
        ));
    }

    #[test]
    fn pseudo_headers_are_held_to_what_they_mean() {
        let pseudo = |name, value| Edit::Pseudo(name, HeaderValue::from_static(value));
        let made = |side, name, value| change(side, pseudo(name, value)).map(|made| made.is_ok());
        assert_eq!(made(Side::Request, ":path", "/a?b"), Some(true));
        assert_eq!(made(Side::Request, ":path", "a"), Some(false));
        assert_eq!(made(Side::Request, ":method", "POST"), Some(true));
        assert_eq!(made(Side::Request, ":scheme", "https"), None);
        assert_eq!(made(Side::Response, ":status", "299"), Some(true));
        assert_eq!(made(Side::Response, ":status", "x"), Some(false));
        assert_eq!(made(Side::Response, ":path", "/"), Some(false));
    }
}
