//! The formats of strings that are checked; others are only told to readers, as upstream has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use osier_validation::subdomain;

/// Whether the text has the format; unknown formats have every text.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => duration(text),
        "byte" => base64::engine::general_purpose::STANDARD
            .decode(text)
            .is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "cidr" => text.parse::<ipnet::IpNet>().is_ok(),
        "mac" => mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid(text),
        "hostname" => subdomain(&text.to_lowercase()).is_empty(),
        "email" => text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && host.contains('.') && !host.contains('@')
        }),
        "uri" => text
            .split_once(':')
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty()),
        _ => true,
    }
}

/// Numbers with units of Go's durations, or the words for longer ones that upstream's parser knows.
fn duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let end = |text: &str, ends: fn(char) -> bool| text.find(ends).unwrap_or(text.len());
        let (digits, after) = rest.split_at(end(rest, |c| !c.is_ascii_digit() && c != '.'));
        let (unit, next) = after.split_at(end(after, |c| c.is_ascii_digit()));
        if digits.parse::<f64>().is_err() || !UNITS.contains(&unit.trim()) {
            return false;
        }
        (rest, parts) = (next, parts + 1);
    }
    parts > 0
}

const UNITS: [&str; 13] = [
    "ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "sec", "min", "hour", "day",
];

fn mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(separator).collect();
    let hex = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(hex)
}

fn uuid(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| *c != '-').collect();
    bare.len() == 32 && bare.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_each_format_and_others() {
        let cases = [
            ("date-time", "2026-01-31T08:00:00Z", "yesterday"),
            ("date", "2026-01-31", "2026-31-01"),
            ("duration", "1h30m", "an hour"),
            ("byte", "aGVsbG8=", "h€"),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0"),
            ("mac", "00:1B:44:11:3A:B7", "00:1B"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("hostname", "a.example.com", "a_b"),
            ("email", "a@example.com", "example.com"),
            ("uri", "https://example.com", "example"),
        ];
        for (format, good, bad) in cases {
            assert!(fits(format, good), "{format}: {good}");
            assert!(!fits(format, bad), "{format}: {bad}");
        }
        assert!(fits("colour", "anything"));
    }
}
