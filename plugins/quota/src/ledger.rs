//! Reserving and settling over counters of the host. Every step is one addition, so that any number of instances and threads may take them at
//! once: the sum of what is used and reserved never passes the limit by more than calls cost beyond what they reserved.

use std::time::Duration;

use osier_plugin::counters::Error;

/// What the host offers; another clock and other counters in tests.
pub(crate) trait Counters {
    /// Adds and returns the sum; a new counter lives so long.
    fn add(&self, key: &str, delta: i64, life: Duration) -> Result<i64, Error>;
    /// Since 1970.
    fn now(&self) -> Duration;
}

/// The terms.
pub(crate) struct Ledger {
    pub(crate) window: Duration,
    pub(crate) reservation: Duration,
}

/// What was reserved.
pub(crate) struct Reserved {
    /// Zero: nothing.
    pub(crate) amount: u64,
    /// What is left of the window.
    pub(crate) remaining: u64,
    /// Until the next window.
    pub(crate) until_next: Duration,
}

impl Ledger {
    /// Reserves for the call of an id; a second time the same call gets what it has.
    pub(crate) fn reserve(
        &self,
        counters: &impl Counters,
        (key, id): (&str, &str),
        (wanted, best_effort): (u64, bool),
        limit: u64,
    ) -> Result<Reserved, Error> {
        let now = counters.now();
        let (window, total) = self.window_of(key, now);
        let (limit, until_next) = (signed(limit), self.window * (window + 1) - now);
        let reserved = |amount: i64, sum: i64| Reserved {
            amount: unsigned(amount),
            remaining: unsigned(limit - sum),
            until_next,
        };
        let held = counters.add(&place(key, id), 0, self.reservation)?;
        if held > 0 {
            return Ok(reserved(held, self.sum(counters, &total)?));
        }
        // What could never be granted is not even tried, so that no sum overflows.
        let (wanted, all) = (signed(wanted).min(limit), wanted <= unsigned(limit));
        if !all && !best_effort {
            return Ok(reserved(0, self.sum(counters, &total)?));
        }
        let sum = counters.add(&total, wanted, self.life())?;
        let over = (sum - limit).clamp(0, wanted);
        let granted = if over == 0 || best_effort {
            wanted - over
        } else {
            0
        };
        let sum = match wanted - granted {
            0 => sum,
            back => counters.add(&total, -back, self.life())?,
        };
        if granted > 0 && !id.is_empty() {
            counters.add(&place(key, id), granted, self.reservation)?;
            counters.add(&origin(key, id), i64::from(window), self.reservation)?;
        }
        Ok(reserved(granted, sum))
    }

    /// Replaces what a call reserved by what it used. A call that reserved nothing, or is settled already, changes nothing.
    pub(crate) fn settle(
        &self,
        counters: &impl Counters,
        (key, id): (&str, &str),
        used: u64,
    ) -> Result<(), Error> {
        let place = place(key, id);
        let held = counters.add(&place, 0, self.reservation)?;
        if held <= 0 {
            return Ok(());
        }
        // Whoever takes the reservation to zero settles it; another at the same moment puts back what it took.
        if counters.add(&place, -held, self.reservation)? != 0 {
            counters.add(&place, held, self.reservation)?;
            return Ok(());
        }
        let origin = origin(key, id);
        let window = counters.add(&origin, 0, self.reservation)?;
        counters.add(&origin, -window, self.reservation)?;
        let total = total(key, u32::try_from(window).unwrap_or_default());
        // Half of the range is more than anything costs, and cannot overflow.
        let used = signed(used).min(i64::MAX / 2);
        counters.add(&total, used - held, self.life())?;
        Ok(())
    }

    fn sum(&self, counters: &impl Counters, total: &str) -> Result<i64, Error> {
        counters.add(total, 0, self.life())
    }

    fn window_of(&self, key: &str, now: Duration) -> (u32, String) {
        let window = now.as_nanos() / self.window.as_nanos();
        let window = u32::try_from(window).unwrap_or(u32::MAX - 1);
        (window, total(key, window))
    }

    /// A window's sum is read until it ends, and written as long as its reservations may be settled.
    fn life(&self) -> Duration {
        self.window + self.reservation
    }
}

fn total(key: &str, window: u32) -> String {
    format!("sum {window} {key}")
}

fn place(key: &str, id: &str) -> String {
    format!("reserved {}:{id} {key}", id.len())
}

fn origin(key: &str, id: &str) -> String {
    format!("window {}:{id} {key}", id.len())
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn unsigned(amount: i64) -> u64 {
    u64::try_from(amount).unwrap_or(0)
}
