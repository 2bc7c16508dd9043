//! Metrics as text, read back: one sample a line.

use std::borrow::Cow;

/// One sample of the text format: `name{label="value",…} number`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Its name, with the suffix of its kind (`_total`, `_bucket`).
    pub name: &'a str,
    /// Its labels, in the order of the line.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// Its value.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label; empty if it is not there, which Prometheus holds for the same.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(own, _)| *own == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The samples whose name begins with one of `names`; comments and lines that are none are passed over
/// (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
pub fn samples<'a>(text: &'a str, names: &'a [&str]) -> impl Iterator<Item = Sample<'a>> {
    text.lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    // A time or an exemplar may follow.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// Labels up to the closing brace, and what follows it.
type Labels<'a> = (Vec<(&'a str, Cow<'a, str>)>, &'a str);

fn labels(mut rest: &str) -> Option<Labels<'_>> {
    let mut labels = Vec::with_capacity(20);
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let end = closing(quoted)?;
        labels.push((name, unescaped(&quoted[..end])));
        rest = &quoted[end + 1..];
    }
}

/// Where the quote is that ends a value: one that no backslash takes away.
fn closing(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let (mut plain, mut chars) = (String::with_capacity(value.len()), value.chars());
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(escaped) => escaped,
                None => '\\',
            },
            plain => plain,
        });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_become_samples_and_everything_else_is_passed_over() {
        let text = "# HELP a_total Things\n# TYPE a counter\na_total 3\na_total{x=\"1\"} 4.5 1700000000 # {t=\"9\"} 1\nb{x=\"1\"} 2\na_total{x=\"1\na_total{x=\"1\"} many\n# EOF\n";
        let found: Vec<_> = samples(text, &["a_"]).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].value, found[0].label("x")), (3.0, ""));
        assert_eq!((found[1].value, found[1].label("x")), (4.5, "1"));
    }

    fn escaped(value: &str) -> String {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        value.replace('\n', "\\n")
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(values in proptest::collection::vec("[^\\r]{0,12}", 0..5), number in 0u32..1000) {
            let pairs = values.iter().enumerate();
            let pairs: Vec<String> = pairs.map(|(n, value)| format!("l{n}=\"{}\"", escaped(value))).collect();
            let line = format!("m_total{{{}}} {number}", pairs.join(","));
            let read = sample(&line).unwrap();
            prop_assert_eq!(read.value, f64::from(number));
            for (n, value) in values.iter().enumerate() {
                prop_assert_eq!(read.label(&format!("l{n}")), value);
            }
        }

        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,60}") {
            let _read = sample(&line);
        }
    }
}
