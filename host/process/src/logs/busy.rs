//! The lines of busy targets: the same words as all others, written by a formatter that does less for each.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};

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
        LINE.with_borrow_mut(|line| {
            line.clear();
            write_line(line, self.style, event)?;
            writer.write_str(line)
        })
    }
}

thread_local! {
    /// The second that was written last on this thread, and how.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
    /// Room for one line, so that its many parts are put together without a call through a vtable for each.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn write_line(line: &mut String, style: Style, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let (level, target) = (metadata.level().as_str(), metadata.target());
    match style {
        Style::Text => {
            time(line)?;
            write!(line, " {level:>5} {target}:")?;
        }
        Style::Json => {
            line.push_str("{\"timestamp\":\"");
            time(line)?;
            write!(line, "\",\"level\":\"{level}\"")?;
        }
    }
    let mut fields = Fields {
        line,
        style,
        written: Ok(()),
    };
    event.record(&mut fields);
    fields.written?;
    match style {
        Style::Text => line.push('\n'),
        Style::Json => writeln!(line, ",\"target\":\"{target}\"}}")?,
    }
    Ok(())
}

/// Now, in UTC with microseconds (RFC 3339).
fn time(line: &mut String) -> fmt::Result {
    let now = clock::now();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() || text.is_empty() {
            (*second, *text) = (
                now.as_second(),
                now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            );
        }
        line.push_str(text);
    });
    let micros = now.subsec_nanosecond().unsigned_abs() / 1000;
    line.push('.');
    padded(line, u64::from(micros), 100_000);
    line.push('Z');
    Ok(())
}

/// A number with leading zeros, from the digit that stands for `place` on.
fn padded(line: &mut String, number: u64, mut place: u64) {
    while place > 1 && number < place {
        line.push('0');
        place /= 10;
    }
    line.push_str(itoa::Buffer::new().format(number));
}

/// Writes one field after the other.
struct Fields<'a> {
    line: &'a mut String,
    style: Style,
    written: fmt::Result,
}

impl Fields<'_> {
    fn named(&mut self, field: &Field) {
        // Raw identifiers have a prefix.
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        let (before, after) = match self.style {
            Style::Text => (" ", "="),
            Style::Json => (",\"", "\":"),
        };
        for part in [before, name, after] {
            self.line.push_str(part);
        }
    }

    fn note(&mut self, written: fmt::Result) {
        self.written = self.written.and(written);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.named(field);
        let written = match self.style {
            Style::Text => write!(self.line, "{value:?}"),
            Style::Json => quoted(self.line, self.style, &format!("{value:?}")),
        };
        self.note(written);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.named(field);
        let written = quoted(self.line, self.style, value);
        self.note(written);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.named(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.named(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.named(field);
        self.line.push_str(if value { "true" } else { "false" });
    }

    /// With three decimals: what is measured in milliseconds is known to microseconds.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.named(field);
        let written = thousandths(self.line, value);
        self.note(written);
    }
}

fn quoted(line: &mut String, style: Style, value: &str) -> fmt::Result {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        line.push('"');
        line.push_str(value);
        line.push('"');
        return Ok(());
    }
    match style {
        Style::Text => write!(line, "{value:?}"),
        Style::Json => write!(line, "{}", serde_json::Value::from(value)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn thousandths(line: &mut String, value: f64) -> fmt::Result {
    if !(0.0..1e15).contains(&value) {
        // JSON has no word for what is no number.
        return match value.is_finite() {
            true => write!(line, "{value}"),
            false => line.write_str("null"),
        };
    }
    let all = (value * 1e3).round() as u64;
    line.push_str(itoa::Buffer::new().format(all / 1000));
    line.push('.');
    padded(line, all % 1000, 100);
    Ok(())
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
            thousandths(&mut text, value).unwrap();
            assert_eq!(text, expected);
        }
    }
}
