//! What a server says beside an answer, in `Warning:` headers (RFC 7234, 5.5): `299 - "text"`.

use http::HeaderMap;
use http::header::WARNING;

/// Tells each warning; those of proxies on the way (another code than 299) are not about the request.
pub(crate) fn told(headers: &HeaderMap, hear: &(dyn Fn(&str) + Send + Sync)) {
    let lines = headers.get_all(WARNING).iter();
    for text in lines.filter_map(|line| text(&String::from_utf8_lossy(line.as_bytes()))) {
        hear(&text);
    }
}

/// The quoted text of a warning, without its quotes and the escapes in it.
fn text(line: &str) -> Option<String> {
    let (_agent, quoted) = line.strip_prefix("299 ")?.split_once(' ')?;
    let mut text = String::new();
    let mut letters = quoted.strip_prefix('"')?.chars();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_read_as_it_was_meant() {
        let read = |line| text(line);
        assert_eq!(
            read(r#"299 - "unknown field \"spec.x\"" "Sun, 06 Nov 1994 08:49:37 GMT""#).as_deref(),
            Some(r#"unknown field "spec.x""#)
        );
        assert_eq!(read(r#"299 - "a \\ b""#).as_deref(), Some(r"a \ b"));
        assert_eq!(read(r#"110 - "stale""#), None);
        assert_eq!(read(r#"299 - "cut"#), None);
    }
}
