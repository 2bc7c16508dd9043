//! Durations in configurations: `"1m30s"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// A span of time, written as Go and Kubernetes write it: `500ms`, `1m30s`, `1.5h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period(pub Duration);

impl Period {
    fn parse(text: &str) -> Option<Duration> {
        let mut rest = text;
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let amount: f64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            seconds += amount
                * match &rest[..letters] {
                    "h" => 3600.0,
                    "m" => 60.0,
                    "s" => 1.0,
                    "ms" => 1e-3,
                    "us" => 1e-6,
                    _ => return None,
                };
            rest = &rest[letters..];
        }
        (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a duration such as 500ms, 30s or 1m30s"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        assert_eq!(Period::parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(Period::parse("1.5s"), Some(Duration::from_millis(1500)));
        for wrong in ["", "5", "s", "5x", "-1s", "1e3s", "1..5s"] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }
}
