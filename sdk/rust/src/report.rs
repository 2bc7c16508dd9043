//! One trait per report template: told in batches of calls that have ended, off the request path. An error loses the batch and is counted.

use crate::Plugin;
use crate::types::{
    EdgeInstance, LogEntryInstance, MetricInstance, SettlementInstance, Timestamp,
    TraceSpanInstance, Value,
};

/// Template `settlement`: what calls really used of what a quota reserved for them.
pub trait Settlement: Plugin {
    /// Takes a batch.
    fn settle(&self, batch: &[SettlementInstance]) -> Result<(), String>;
}

/// Template `metric`: numbers about calls.
pub trait Metric: Plugin {
    /// Takes a batch.
    fn report(&self, batch: &[MetricInstance]) -> Result<(), String>;
}

/// Template `logentry`: lines about calls.
pub trait LogEntry: Plugin {
    /// Takes a batch.
    fn report(&self, batch: &[LogEntryInstance]) -> Result<(), String>;
}

/// Template `tracespan`: spans of traces.
pub trait TraceSpan: Plugin {
    /// Takes a batch.
    fn report(&self, batch: &[TraceSpanInstance]) -> Result<(), String>;
}

/// Template `edge`: who called whom.
pub trait Edge: Plugin {
    /// Takes a batch.
    fn report(&self, batch: &[EdgeInstance]) -> Result<(), String>;
}

/// Template `reportnothing`: how many calls ended.
pub trait ReportNothing: Plugin {
    /// Takes a number of calls.
    fn report(&self, calls: u32) -> Result<(), String>;
}

impl Value {
    /// The value as text; empty if it is absent.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::Time(time) => time.to_rfc3339(),
            Self::Span(span) => format!("{}ns", span.nanoseconds),
            Self::Texts(texts) => {
                let pairs: Vec<String> = texts
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                pairs.join(",")
            }
        }
    }

    /// The value as a number; spans in seconds, truth values as 0 and 1.
    #[must_use]
    pub fn to_number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            Self::Span(span) => Some(span.nanoseconds as f64 / 1e9),
            Self::Text(text) => text.parse().ok(),
            Self::Absent | Self::Time(_) | Self::Texts(_) => None,
        }
    }
}

impl Timestamp {
    /// The time as RFC 3339 writes it, in UTC, to the microsecond.
    #[must_use]
    pub fn to_rfc3339(&self) -> String {
        let (days, second) = (
            self.seconds.div_euclid(86_400),
            self.seconds.rem_euclid(86_400),
        );
        // Days since 0000-03-01, in eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let date = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let micros = self.nanoseconds / 1000;
        let second = second % 60;
        format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let shown = |seconds, nanoseconds| {
            Timestamp {
                seconds,
                nanoseconds,
            }
            .to_rfc3339()
        };
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(951_782_400, 5_000), "2000-02-29T00:00:00.000005Z");
        assert_eq!(shown(1_735_689_599, 0), "2024-12-31T23:59:59.000000Z");
        assert_eq!(shown(-1, 0), "1969-12-31T23:59:59.000000Z");
    }
}
