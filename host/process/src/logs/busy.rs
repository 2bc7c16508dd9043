//! The lines of busy targets: the same words as all others, written by a formatter that does less for each.

use std::cell::RefCell;
use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Text,
    Json,
}

/// Writes the events of some targets itself and leaves all others to another formatter.
pub(super) struct Busy<F> {
    pub(super) targets: &'static [&'static str],
    pub(super) style: Style,
    pub(super) others: F,
}

impl<S, N, F> FormatEvent<S, N> for Busy<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if !self.targets.contains(&metadata.target()) {
            return self.others.format_event(context, writer, event);
        }
        let (level, target) = (metadata.level().as_str(), metadata.target());
        match self.style {
            Style::Text => {
                time(&mut writer)?;
                write!(writer, " {level:>5} {target}:")?;
            }
            Style::Json => {
                writer.write_str("{\"timestamp\":\"")?;
                time(&mut writer)?;
                write!(writer, "\",\"level\":\"{level}\"")?;
            }
        }
        let mut fields = Fields {
            writer: &mut writer,
            style: self.style,
            written: Ok(()),
        };
        event.record(&mut fields);
        fields.written?;
        match self.style {
            Style::Text => writer.write_str("\n"),
            Style::Json => writeln!(writer, ",\"target\":\"{target}\"}}"),
        }
    }
}

thread_local! {
    /// The second that was written last on this thread, and how.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
}

/// Now, in UTC with microseconds (RFC 3339).
fn time(writer: &mut Writer<'_>) -> fmt::Result {
    let now = clock::now();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() || text.is_empty() {
            (*second, *text) = (
                now.as_second(),
                now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            );
        }
        writer.write_str(text)
    })?;
    write!(writer, ".{:06}Z", now.subsec_nanosecond() / 1000)
}

/// Writes one field after the other.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    style: Style,
    written: fmt::Result,
}

impl Fields<'_, '_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>, Style) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self
                .named(field.name())
                .and_then(|()| value(self.writer, self.style));
        }
    }

    fn named(&mut self, name: &str) -> fmt::Result {
        match self.style {
            Style::Text => self.writer.write_str(" ")?,
            Style::Json => self.writer.write_str(",\"")?,
        }
        // Raw identifiers have a prefix.
        self.writer
            .write_str(name.strip_prefix("r#").unwrap_or(name))?;
        self.writer.write_str(match self.style {
            Style::Text => "=",
            Style::Json => "\":",
        })
    }
}

impl Visit for Fields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |writer, style| match style {
            Style::Text => write!(writer, "{value:?}"),
            Style::Json => quoted(writer, style, &format!("{value:?}")),
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |writer, style| quoted(writer, style, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |writer, _| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |writer, _| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |writer, _| write!(writer, "{value}"));
    }

    /// With three decimals: what is measured in milliseconds is known to microseconds.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, |writer, _| thousandths(writer, value));
    }
}

fn quoted(writer: &mut Writer<'_>, style: Style, value: &str) -> fmt::Result {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        writer.write_str("\"")?;
        writer.write_str(value)?;
        return writer.write_str("\"");
    }
    match style {
        Style::Text => write!(writer, "{value:?}"),
        Style::Json => write!(writer, "{}", serde_json::Value::from(value)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn thousandths(writer: &mut Writer<'_>, value: f64) -> fmt::Result {
    if !(0.0..1e15).contains(&value) {
        // JSON has no word for what is no number.
        return match value.is_finite() {
            true => write!(writer, "{value}"),
            false => writer.write_str("null"),
        };
    }
    let all = (value * 1e3).round() as u64;
    write!(writer, "{}.{:03}", all / 1000, all % 1000)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use jiff::Timestamp;
    use parking_lot::Mutex;
    use std::io;
    use std::sync::Arc;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn event(target: &str) {
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
        macro_rules! event {
            ($target:literal) => {
                tracing::info!(target: $target, method = %"GET", path = "/a \"b\"\u{1f}", status = 200u16,
                    peer = Some(tracing::field::display(peer)), absent = None::<u64>, duration_ms = 0.043_662_000_1, version = ?Some(1), ok = true)
            };
        }
        match target {
            "busy" => event!("busy"),
            _ => event!("other"),
        }
    }

    /// What both formatters write, without the time.
    fn lines(style: Style) -> (String, String) {
        let kept = Kept::default();
        let builder = tracing_subscriber::fmt()
            .with_writer(kept.clone())
            .with_ansi(false);
        let busy = |others| Busy {
            targets: &["busy"],
            style,
            others,
        };
        let both = || {
            event("busy");
            event("other");
        };
        match style {
            Style::Text => {
                let subscriber = builder.map_event_format(|others| Busy {
                    targets: &["busy"],
                    style,
                    others,
                });
                tracing::subscriber::with_default(subscriber.finish(), both);
            }
            Style::Json => {
                let builder = builder.json().flatten_event(true).with_current_span(false);
                tracing::subscriber::with_default(builder.map_event_format(busy).finish(), both);
            }
        }
        let text = String::from_utf8(kept.0.lock().clone()).unwrap();
        let (one, two) = text.split_once('\n').unwrap();
        (one.to_owned(), two.trim_end().to_owned())
    }

    #[test]
    fn a_line_of_text_reads_like_all_others() {
        let (busy, other) = lines(Style::Text);
        let (busy_time, busy) = busy.split_once(' ').unwrap();
        let (other_time, other) = other.split_once(' ').unwrap();
        assert_eq!(
            busy,
            other
                .replace("other:", "busy:")
                .replace("0.0436620001", "0.044")
        );
        assert_eq!(busy_time.len(), other_time.len());
        assert!(busy_time.parse::<Timestamp>().is_ok());
    }

    #[test]
    fn a_line_of_json_says_the_same_as_all_others() {
        let (busy, other) = lines(Style::Json);
        let mut busy: serde_json::Value = serde_json::from_str(&busy).unwrap();
        let mut other: serde_json::Value = serde_json::from_str(&other).unwrap();
        assert!(
            busy["timestamp"]
                .as_str()
                .unwrap()
                .parse::<Timestamp>()
                .is_ok()
        );
        assert_eq!(busy["duration_ms"], 0.044);
        for line in [&mut busy, &mut other] {
            for differs in ["timestamp", "target", "duration_ms"] {
                line.as_object_mut().unwrap().remove(differs);
            }
        }
        assert_eq!(busy, other);
    }

    #[test]
    fn numbers_have_three_decimals_whatever_their_size() {
        for (value, expected) in [
            (0.0, "0.000"),
            (0.0004, "0.000"),
            (1.9996, "2.000"),
            (12.5, "12.500"),
            (-1.5, "-1.5"),
            (f64::NAN, "null"),
        ] {
            let mut text = String::new();
            thousandths(&mut Writer::new(&mut text), value).unwrap();
            assert_eq!(text, expected);
        }
    }
}
