//! `wrk`, the load generator that people know: one thread, keep-alive connections.

use crate::cores::{self, Cores};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// What it reports.
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Runs it on a path with so many connections; `None` if it is not installed. An answer other than 2xx or a broken connection is
/// an error.
pub(crate) async fn run(
    (address, cores): (&str, Cores),
    (path, host, connections): (&str, Option<&str>, usize),
    seconds: u64,
) -> Result<Option<Outcome>> {
    if !cores::installed("wrk").await {
        return Ok(None);
    }
    let url = format!("http://{address}{path}");
    get((&url, host), (connections, seconds), cores)
        .await
        .map(Some)
}

/// The same for any URL, asked under another host's name where there is one.
pub(crate) async fn get(
    (url, host): (&str, Option<&str>),
    (connections, seconds): (usize, u64),
    cores: Cores,
) -> Result<Outcome> {
    let mut command = cores::command(&cores.load(), "wrk");
    command
        .args(["-t1", "--latency", "-c", &connections.to_string()])
        .args(["-d", &format!("{seconds}s")]);
    if let Some(host) = host {
        command.args(["-H", &format!("Host: {host}")]);
    }
    let output = cores::ended(command.arg(url), seconds).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let broken = ["Non-2xx", "Socket errors"];
    ensure!(
        output.status.success() && !broken.iter().any(|fault| said.contains(fault)),
        "wrk on {url}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    read(&said).with_context(|| format!("wrk said:\n{said}"))
}

fn read(said: &str) -> Option<Outcome> {
    let after = |label: &str| {
        let line = said
            .lines()
            .map(str::trim)
            .find_map(|line| line.strip_prefix(label))?;
        Some(line.trim())
    };
    let total = said.lines().find(|line| line.contains(" requests in "))?;
    Some(Outcome {
        requests: total.split_whitespace().next()?.parse().ok()?,
        rate: after("Requests/sec:")?.parse().ok()?,
        p50: time(after("50%")?)?,
        p99: time(after("99%")?)?,
    })
}

/// `830.00us`, `1.01ms`, `2.30s`.
fn time(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[number.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * unit))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_report_is_read() {
        let said = "Running 8s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%    0.98ms\n     99%  830.00us\n  \
            400000 requests in 8.00s, 10MB read\nRequests/sec:  50000.12\n";
        let outcome = read(said).unwrap();
        assert_eq!(outcome.requests, 400_000);
        assert_eq!(outcome.p50, Duration::from_micros(980));
        assert_eq!(outcome.p99, Duration::from_micros(830));
        assert!(outcome.rate > 50_000.0);
    }
}
