//! [`Schedule`]: when a CronJob is due, in the five fields of cron or one of its short words.
//!
//! `minute hour day-of-month month day-of-week`, each `*`, a number, a name (`jan`, `mon`), a range, a step or a list of
//! those. If both days are restricted, either makes a day match, as in Vixie cron.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// Looking further ahead than this many years is in vain: no date of the calendar comes that late.
const YEARS: i16 = 8;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At the times of the calendar that fit all fields.
    Calendar(Calendar),
    /// After every so long.
    Every(Duration),
}

/// The fields, one bit for each number that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both days are restricted: one of them is enough.
    either_day: bool,
}

/// A schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// Not five fields.
    #[error(
        "expected 5 fields (minute hour day-of-month month day-of-week) or a word such as @daily, found {0}"
    )]
    Fields(usize),
    /// A word that is none of ours.
    #[error(
        "unrecognized word {0}: expected @yearly, @monthly, @weekly, @daily, @hourly or @every DURATION"
    )]
    Word(String),
    /// A field holds what does not belong there.
    #[error("{field} {text:?}: expected numbers from {first} to {last}, with `,`, `-`, `/` or `*`")]
    Field {
        /// Which field.
        field: &'static str,
        /// What stands there.
        text: String,
        /// The lowest number.
        first: u32,
        /// The highest number.
        last: u32,
    },
    /// A time zone in the schedule.
    #[error("a time zone does not belong into the schedule: use spec.timeZone")]
    Zone,
}

/// A field: its name, its numbers, and the names of some.
struct Shape {
    field: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const fn shape(
    field: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
) -> Shape {
    Shape {
        field,
        first,
        last,
        names,
    }
}

impl Schedule {
    /// Reads a schedule.
    pub fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        let text = text.trim();
        if text.contains("TZ=") {
            return Err(InvalidSchedule::Zone);
        }
        if let Some(period) = text.strip_prefix("@every ") {
            let period = crate::duration::parse(period.trim()).ok();
            let period = period.filter(|period| *period >= Duration::from_secs(1));
            return period
                .map(Self::Every)
                .ok_or_else(|| InvalidSchedule::Word(text.to_owned()));
        }
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            word if word.starts_with('@') => return Err(InvalidSchedule::Word(word.to_owned())),
            fields => fields,
        };
        Calendar::parse(fields).map(Self::Calendar)
    }

    /// The first time after `after` that is due in the zone; `None` if none ever comes. Times that a
    /// change of clocks skips are not due, those that it repeats are due twice.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(period) => after.checked_add(*period).ok(),
            Self::Calendar(calendar) => calendar.next_after(after, zone),
        }
    }

    /// The last time after `after`, up to and including `until`, that is due.
    pub fn last_between(
        &self,
        (after, until): (Timestamp, Timestamp),
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        // From near to far, so that years of missed minutes cost no more than the last hour.
        let windows = [1, 24, 24 * 32, 24 * 367].map(|hours: i64| hours.hours());
        let starts = windows
            .iter()
            .filter_map(|window| until.checked_sub(*window).ok())
            .filter(|start| *start > after)
            .chain([after]);
        let due = |start| self.next_after(start, zone).filter(|next| *next <= until);
        let mut last = starts.filter_map(due).next()?;
        while let Some(next) = due(last) {
            last = next;
        }
        Some(last)
    }
}

impl Calendar {
    fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(InvalidSchedule::Fields(fields.len()));
        };
        let weekdays = shape("day-of-week", 0, 7, &DAYS).bits(weekday)?;
        Ok(Self {
            minutes: shape("minute", 0, 59, &[]).bits(minute)?,
            hours: shape("hour", 0, 23, &[]).bits(hour)?,
            days: shape("day-of-month", 1, 31, &[]).bits(day)?,
            months: shape("month", 1, 12, &MONTHS).bits(month)?,
            // Sunday is both 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !is_open(day) && !is_open(weekday),
        })
    }

    fn has_day(&self, at: &Zoned) -> bool {
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().to_sunday_zero_offset());
        let fits = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        fits && has(self.months, at.month())
    }

    fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let minute = after.as_second().div_euclid(60) + 1;
        let mut at = Timestamp::from_second(minute * 60)
            .ok()?
            .to_zoned(zone.clone());
        let last = at.year().checked_add(YEARS)?;
        while at.year() <= last {
            if !self.has_day(&at) {
                at = at.tomorrow().ok()?.start_of_day().ok()?;
            } else if !has(self.hours, at.hour()) {
                let left = 60 - i64::from(at.minute());
                at = at.checked_add(left.minutes()).ok()?;
            } else if !has(self.minutes, at.minute()) {
                at = at.checked_add(1.minute()).ok()?;
            } else {
                return Some(at.timestamp());
            }
        }
        None
    }
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits >> number & 1 == 1)
}

/// The field does not restrict its day.
fn is_open(field: &str) -> bool {
    field.starts_with('*') || field.starts_with('?')
}

impl Shape {
    /// The numbers of a list.
    fn bits(&self, text: &str) -> Result<u64, InvalidSchedule> {
        let parts = text.split(',').map(|part| self.part(part));
        let bits = parts.collect::<Option<Vec<u64>>>();
        let bits = bits.map(|parts| parts.into_iter().fold(0, |all, part| all | part));
        bits.ok_or_else(|| InvalidSchedule::Field {
            field: self.field,
            text: text.to_owned(),
            first: self.first,
            last: self.last,
        })
    }

    /// `*`, `5`, `mon`, `1-5`, `*/15`, `10-40/10`, `7/2` (from 7 on).
    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (first, last) = match range {
            "*" | "?" => (self.first, self.last),
            range => match range.split_once('-') {
                Some((first, last)) => (self.number(first)?, self.number(last)?),
                None => {
                    let first = self.number(range)?;
                    (first, step.map_or(first, |_: usize| self.last))
                }
            },
        };
        let numbers = (first..=last).step_by(step.unwrap_or(1));
        (first <= last).then(|| numbers.fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(position) => u32::try_from(position).ok()? + self.first,
            None => text.parse().ok()?,
        };
        (self.first..=self.last).contains(&number).then_some(number)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(schedule: &str, after: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let schedule = Schedule::parse(schedule).unwrap();
        let next = schedule.next_after(after.parse().unwrap(), &zone);
        next.map_or("never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn due_by_the_calendar_of_the_zone() {
        let after = "2026-01-31T23:59:30Z";
        for (schedule, wanted) in [
            ("* * * * *", "2026-02-01T00:00:00Z"),
            ("*/15 * * * *", "2026-02-01T00:00:00Z"),
            ("5 4 * * *", "2026-02-01T04:05:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 0 31 feb *", "never"),
            ("0 9 * * mon-fri", "2026-02-02T09:00:00Z"),
            ("0 0 13 * 5", "2026-02-06T00:00:00Z"),
            ("30 1 * * 7", "2026-02-01T01:30:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
            ("7/20 * * * *", "2026-02-01T00:07:00Z"),
            ("@every 90s", "2026-02-01T00:01:00Z"),
        ] {
            assert_eq!(next(schedule, after, "UTC"), wanted, "{schedule}");
        }
        assert_eq!(
            next("0 9 * * *", after, "Asia/Tokyo"),
            "2026-02-01T00:00:00Z"
        );
    }

    #[test]
    fn clocks_that_change() {
        // 02:30 does not exist on the last Sunday of March in Berlin, and 02:30 is there twice in October.
        let spring = "2026-03-28T12:00:00Z";
        assert_eq!(
            next("30 2 * * *", spring, "Europe/Berlin"),
            "2026-03-30T00:30:00Z"
        );
        let autumn = next("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin");
        assert_eq!(autumn, "2026-10-25T00:30:00Z");
        assert_eq!(
            next("30 2 * * *", &autumn, "Europe/Berlin"),
            "2026-10-25T01:30:00Z"
        );
    }

    #[test]
    fn what_is_no_schedule_is_explained() {
        for (text, words) in [
            ("* * * *", "expected 5 fields"),
            ("60 * * * *", "minute \"60\": expected numbers from 0 to 59"),
            ("* * 0 * *", "day-of-month"),
            ("5-1 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("@often", "unrecognized word @often"),
            ("TZ=UTC * * * * *", "spec.timeZone"),
        ] {
            let error = Schedule::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_last_one_is_found_from_near_and_far() {
        let last = |schedule: &str, after: &str, until: &str| {
            let schedule = Schedule::parse(schedule).unwrap();
            let span = (after.parse().unwrap(), until.parse().unwrap());
            schedule
                .last_between(span, &TimeZone::UTC)
                .map(|last| last.to_string())
        };
        let (long_ago, now) = ("2000-01-01T00:00:00Z", "2026-05-05T05:05:05Z");
        assert_eq!(
            last("* * * * *", long_ago, now).unwrap(),
            "2026-05-05T05:05:00Z"
        );
        assert_eq!(
            last("0 0 29 2 *", long_ago, now).unwrap(),
            "2024-02-29T00:00:00Z"
        );
        assert_eq!(
            last("0 0 29 2 *", "2024-02-29T00:00:00Z", now),
            None,
            "the beginning does not count"
        );
    }

    proptest! {
        /// The next time is the first minute, tried one after the other, that fits every field.
        #[test]
        fn next_is_the_first_that_fits(
            minute in 0_u32..60, step in 1_u32..30, hour in 0_u32..24, weekday in 0_i8..7, start in 0_i64..100_000_000,
        ) {
            let schedule = Schedule::parse(&format!("{minute}/{step} {hour},3 * * {weekday}")).unwrap();
            let after = Timestamp::from_second(1_700_000_000 + start).unwrap();
            let found = schedule.next_after(after, &TimeZone::UTC).unwrap();
            let fits = |at: &Zoned| {
                let (m, h) = (u32::try_from(at.minute()).unwrap(), u32::try_from(at.hour()).unwrap());
                m >= minute && (m - minute) % step == 0 && (h == hour || h == 3)
                    && at.weekday().to_sunday_zero_offset() == weekday
            };
            let mut tried = after.as_second().div_euclid(60) * 60;
            loop {
                tried += 60;
                let at = Timestamp::from_second(tried).unwrap().to_zoned(TimeZone::UTC);
                if fits(&at) { break }
            }
            prop_assert_eq!(found.as_second(), tried);
        }
    }
}
