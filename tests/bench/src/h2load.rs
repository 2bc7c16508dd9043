//! `h2load` of nghttp2: the load generator for HTTP/2. It tells no percentiles, so that they come out of its log of requests.

use crate::cores::{self, Cores};
use crate::wrk::Outcome;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Requests at the same time on one connection.
const STREAMS: usize = 8;

/// Asks for the root of a host at this address over HTTP/2 without TLS, with so many requests at the same time, eight to a connection.
/// An answer other than 2xx or a broken connection is an error.
pub(crate) async fn get(
    (address, host): (&str, &str),
    (requests, seconds): (usize, u64),
    cores: Cores,
) -> Result<Outcome> {
    let url = format!("http://{host}/");
    run((address, &url, &[]), (requests, seconds), cores).await
}

/// The same with unary calls of gRPC to a method, `/pkg.Service/Method`, each with a message of a few bytes.
pub(crate) async fn call(
    (address, host, method): (&str, &str, &str),
    much: (usize, u64),
    cores: Cores,
) -> Result<Outcome> {
    let message = tempfile::NamedTempFile::new()?;
    std::fs::write(message.path(), b"\0\0\0\0\x05hello")?;
    let body = format!("--data={}", message.path().display());
    let headers = ["-Hcontent-type: application/grpc", "-Hte: trailers"];
    let more = [headers[0], headers[1], body.as_str()];
    run(
        (address, &format!("http://{host}{method}"), &more),
        much,
        cores,
    )
    .await
}

async fn run(
    (address, url, more): (&str, &str, &[&str]),
    (requests, seconds): (usize, u64),
    cores: Cores,
) -> Result<Outcome> {
    let log = tempfile::NamedTempFile::new()?;
    let mut command = cores::command(&cores.load(), "h2load");
    command
        .args(["-t1", "-c", &requests.div_ceil(STREAMS).to_string()])
        .args(["-m", &STREAMS.to_string(), "-D", &seconds.to_string()])
        .arg(format!("--connect-to={address}"))
        .arg(format!("--log-file={}", log.path().display()))
        .args(more)
        .arg(url);
    let output = cores::ended(&mut command, seconds).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "h2load on {address}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (requests, rate) = read(&said).with_context(|| format!("h2load said:\n{said}"))?;
    let times = times(&std::fs::read_to_string(log.path())?)?;
    Ok(Outcome {
        requests,
        rate,
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
    })
}

/// Answered requests and requests per second; none if the report is cut or tells of failures.
fn read(said: &str) -> Option<(u64, f64)> {
    let after = |label: &str| said.lines().find_map(|line| line.strip_prefix(label));
    let count = |line: &str, what: &str| -> Option<u64> {
        let part = line
            .split(',')
            .find_map(|part| part.trim().strip_suffix(what))?;
        part.trim().parse().ok()
    };
    let requests = after("requests:")?;
    for fault in [" failed", " errored", " timeout"] {
        count(requests, fault).filter(|faults| *faults == 0)?;
    }
    let (_, rate) = after("finished in ")?.split_once(", ")?;
    let (rate, _) = rate.split_once(" req/s")?;
    Some((count(requests, " succeeded")?, rate.parse().ok()?))
}

/// How long each request took, sorted: the third column of the log, in microseconds.
fn times(log: &str) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for line in log.lines() {
        let mut columns = line.split('\t').skip(1);
        let (status, took) = (columns.next(), columns.next());
        ensure!(
            status.is_some_and(|status| status.starts_with('2')),
            "a request was not answered well: {line}"
        );
        let took = took.and_then(|took| took.parse().ok());
        times.push(Duration::from_micros(
            took.with_context(|| format!("h2load's log says {line}"))?,
        ));
    }
    times.sort_unstable();
    Ok(times)
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SAID: &str = "Application protocol: h2c\n\nfinished in 1.09s, 31259.00 req/s, 3.79MB/s\n\
        requests: 31259 total, 31323 started, 31250 done, 31250 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 31259 2xx, 0 3xx, 0 4xx, 0 5xx\n";

    #[test]
    fn a_report_is_read() {
        assert_eq!(read(SAID), Some((31_250, 31_259.0)));
    }

    #[test]
    fn a_report_of_failures_is_none() {
        assert_eq!(read(&SAID.replace("0 failed", "3 failed")), None);
        assert_eq!(read(&SAID.replace("0 timeout", "1 timeout")), None);
        assert_eq!(read("starting benchmark...\n"), None);
    }

    #[test]
    fn percentiles_come_from_the_log() {
        let log: String = (1..=101)
            .rev()
            .map(|took| format!("1795766938931894\t200\t{took}\n"))
            .collect();
        let times = times(&log).unwrap();
        assert_eq!(quantile(&times, 0.5), Duration::from_micros(51));
        assert_eq!(quantile(&times, 0.99), Duration::from_micros(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_bad_answer_in_the_log_is_an_error() {
        assert!(times("1\t503\t20\n").is_err());
        assert!(times("1\t200\tsoon\n").is_err());
    }
}
