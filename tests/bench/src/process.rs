//! What `/proc` tells of a process and its children: the processor time that they used and the memory that they hold.

use anyhow::{Context, Result};
use std::time::Duration;

/// The processor time that a process and its children have used.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    family(pid).into_iter().map(used_alone).sum()
}

/// The memory of a process and its children that is resident, in KiB. What they share counts for each.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    family(pid).into_iter().map(resident_alone).sum()
}

/// The memory that a process and its children hold, in KiB. A page counts once, however often it is mapped: instances of one component share what none of them
/// has written to, and [`resident`] counts that for each. What others have mapped as well counts in part.
pub(crate) fn held(pid: u32) -> Result<u64> {
    family(pid).into_iter().map(held_alone).sum()
}

/// How many memory maps a process has.
pub(crate) fn maps(pid: u32) -> Result<usize> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(text.lines().count())
}

/// The process and those that it started: nginx works in a child.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        let file = format!("/proc/{parent}/task/{parent}/children");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        all.extend(
            text.split_whitespace()
                .filter_map(|child| child.parse::<u32>().ok()),
        );
        next += 1;
    }
    all
}

fn used_alone(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    time(&stat).with_context(|| format!("/proc/{pid}/stat says {stat}"))
}

fn resident_alone(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    field("VmRSS:", &status).with_context(|| format!("/proc/{pid}/status has no VmRSS"))
}

fn held_alone(pid: u32) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    field("Pss:", &maps).with_context(|| format!("/proc/{pid}/smaps_rollup has no Pss"))
}

/// `utime` and `stime` of a line of `/proc/PID/stat`, in ticks of 10 ms (proc(5)).
fn time(stat: &str) -> Option<Duration> {
    // The second field is the name in parentheses, and may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

/// A line of such a file, in KiB (proc(5)).
fn field(name: &str, text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat =
            "42 (a (odd) name) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 7 7 20 0 4 0 100 1 2 3";
        assert_eq!(time(stat).unwrap(), Duration::from_millis(1750));
        assert_eq!(time("42 (cut"), None);
    }

    #[test]
    fn resident_memory_is_read() {
        let status = "Name:\tnginx\nVmPeak:\t   99 kB\nVmRSS:\t    5340 kB\nThreads:\t1\n";
        assert_eq!(field("VmRSS:", status), Some(5340));
        assert_eq!(field("VmRSS:", "Name:\tkthreadd\n"), None);
        let maps = "5581 ---p 0 00:00 0 [rollup]\nRss:  9876 kB\nPss:  4321 kB\nPss_Dirty:  7 kB\n";
        assert_eq!(field("Pss:", maps), Some(4321));
    }

    #[test]
    fn this_process_is_measured() {
        let own = std::process::id();
        let (held, resident) = (held(own).unwrap(), resident(own).unwrap());
        assert!(held > 0 && resident > 0);
        used(own).unwrap();
        assert_eq!(family(own).first(), Some(&own));
    }
}
