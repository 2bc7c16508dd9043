//! One stored line, written and read. Pure.

use jiff::Timestamp;

/// A line longer than this is stored in parts, as container runtimes do.
pub(super) const LONGEST: usize = 16 * 1024;

/// Appends a stored line: the text of one line or a part of it, without its line end.
pub(super) fn store(into: &mut Vec<u8>, at: Timestamp, stream: &str, whole: bool, text: &[u8]) {
    let time = at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string();
    let tag = if whole { " F " } else { " P " };
    for part in [
        time.as_bytes(),
        b" ",
        stream.as_bytes(),
        tag.as_bytes(),
        text,
        b"\n",
    ] {
        into.extend_from_slice(part);
    }
}

/// A stored line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) whole: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a stored line, without its line end. A torn line (a crash in the middle of a write) is none.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let _stream = parts.next()?;
        let whole = parts.next()? == b"F";
        Some(Self {
            time,
            whole,
            text: parts.next()?,
        })
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }

    /// Appends what a reader sees.
    pub(super) fn show(&self, timestamps: bool, into: &mut Vec<u8>) {
        if timestamps {
            into.extend_from_slice(self.time.as_bytes());
            into.push(b' ');
        }
        into.extend_from_slice(self.text);
        if self.whole {
            into.push(b'\n');
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back() {
        let at = Timestamp::constant(1_700_000_000, 123_456_789);
        let mut stored = Vec::new();
        store(&mut stored, at, "stdout", true, b"hello  world");
        assert_eq!(
            stored,
            b"2023-11-14T22:13:20.123456789Z stdout F hello  world\n"
        );
        let line = Line::read(stored.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(
            (line.text, line.whole, line.at()),
            (b"hello  world".as_slice(), true, Some(at))
        );
        assert_eq!(Line::read(b"2023-11-14T2"), None);
    }
}
