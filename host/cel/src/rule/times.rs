//! Parts of moments and of lengths of time in rules: `timestamp(self.at).getFullYear()`.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::evaluate::{Outcome, fault};
use super::value::Value;

/// The methods that moments have.
pub(super) const NAMES: [&str; 10] = [
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// A part of a moment, in UTC or in the zone that is named.
pub(super) fn of_moment<'a>(
    moment: Timestamp,
    name: &str,
    given: &[Value<'a>],
) -> Option<Outcome<'a>> {
    let zone = match given {
        [] => TimeZone::UTC,
        [Value::Text(zone)] => match named(zone) {
            Some(zone) => zone,
            None => return Some(fault(format!("unknown time zone {zone}"))),
        },
        _ => return None,
    };
    let there = moment.to_zoned(zone);
    Some(Ok(Value::Int(match name {
        "getFullYear" => i64::from(there.year()),
        "getMonth" => i64::from(there.month()) - 1,
        "getDate" => i64::from(there.day()),
        "getDayOfMonth" => i64::from(there.day()) - 1,
        "getDayOfWeek" => i64::from(there.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(there.day_of_year()) - 1,
        "getHours" => i64::from(there.hour()),
        "getMinutes" => i64::from(there.minute()),
        "getSeconds" => i64::from(there.second()),
        "getMilliseconds" => i64::from(there.millisecond()),
        _ => return None,
    })))
}

/// A zone by its name, or by its distance such as `-07:00`.
fn named(text: &str) -> Option<TimeZone> {
    if text == "UTC" {
        return Some(TimeZone::UTC);
    }
    if let Some((hours, minutes)) = text.split_once(':') {
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let minutes = if text.starts_with('-') {
            -minutes
        } else {
            minutes
        };
        let offset = Offset::from_seconds(hours * 3600 + minutes * 60).ok()?;
        return Some(TimeZone::fixed(offset));
    }
    TimeZone::get(text).ok()
}

/// A length of time in whole units.
pub(super) fn of_length<'a>(nanos: i128, name: &str) -> Option<Outcome<'a>> {
    let unit: i128 = match name {
        "getHours" => 3_600_000_000_000,
        "getMinutes" => 60_000_000_000,
        "getSeconds" => 1_000_000_000,
        "getMilliseconds" => 1_000_000,
        _ => return None,
    };
    let whole = i64::try_from(nanos / unit);
    Some(whole.map_or_else(|_| fault("integer overflow"), |whole| Ok(Value::Int(whole))))
}
