//! Ages as people read them: `5s`, `3m20s`, `2d4h`.

use jiff::Timestamp;

/// Time since an RFC 3339 timestamp; `<unknown>` without one.
pub(super) fn since(then: Option<&str>, now: Timestamp) -> String {
    let then = then.and_then(|text| text.parse::<Timestamp>().ok());
    then.map_or_else(
        || "<unknown>".to_owned(),
        |then| human(now.as_second() - then.as_second()),
    )
}

/// A number of seconds in kubectl's short form.
pub fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => pair(days, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

fn pair(large: i64, unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{unit}")
    } else {
        format!("{large}{unit}{small}{small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_as_kubectl_does() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (12_000, "3h20m"),
            (30_000, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (190_000, "2d4h"),
            (700_000, "8d"),
            (63_072_000, "2y"),
            (66_000_000, "2y33d"),
            (300_000_000, "9y"),
        ];
        for (seconds, words) in cases {
            assert_eq!(human(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn without_a_time_the_age_is_unknown() {
        let now: Timestamp = Timestamp::UNIX_EPOCH;
        assert_eq!(since(None, now), "<unknown>");
        assert_eq!(since(Some("soon"), now), "<unknown>");
        assert_eq!(since(Some("1969-12-31T23:59:00Z"), now), "60s");
    }
}
