//! What the samples say, as tables for people and as JSON: medians over the rounds, how far the rounds lie apart, and ratios. Pure.

use crate::traffic::millis;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// One measurement of one proxy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Requests per second.
    pub(super) rate: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Microseconds of the proxy's processor time for each request.
    pub(super) cpu: f64,
    /// The proxy's resident memory afterwards, in KiB.
    pub(super) resident: u64,
}

/// One proxy's measurements, a round each.
pub(super) struct Line {
    pub(super) name: String,
    /// It is Osier: the others are compared with it.
    pub(super) own: bool,
    pub(super) samples: Vec<Sample>,
}

/// The medians of a line.
#[derive(Debug, PartialEq)]
struct Middle {
    rate: f64,
    /// Half of the distance between the best and the worst round, as a share of the median rate.
    spread: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu: f64,
    resident_mib: f64,
}

impl Middle {
    fn of(samples: &[Sample]) -> Self {
        let all = |value: fn(&Sample) -> f64| median(samples.iter().map(value).collect());
        let rates = || samples.iter().map(|sample| sample.rate);
        let (rate, best) = (all(|sample| sample.rate), rates().fold(0.0, f64::max));
        let worst = rates().fold(best, f64::min);
        Self {
            rate,
            spread: (best - worst) / 2.0 / rate.max(1.0),
            p50_ms: all(|sample| millis(sample.p50)),
            p99_ms: all(|sample| millis(sample.p99)),
            cpu: all(|sample| sample.cpu),
            resident_mib: all(|sample| sample.resident as f64 / 1024.0),
        }
    }

    /// How much of its core the proxy used: under 100 something else was the limit, and only the processor time compares.
    fn busy(&self) -> f64 {
        self.rate * self.cpu / 1e4
    }

    fn json(&self) -> Value {
        json!({"requests_per_second": self.rate, "spread": self.spread, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms,
            "cpu_us": self.cpu, "core_percent": self.busy(), "resident_mib": self.resident_mib})
    }
}

/// The median; of an even number the lower one of the two in the middle, and 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

/// Two tables: the figures, and each variant of Osier in relation to each peer.
pub(super) fn render(lines: &[Line]) -> String {
    let mut text = format!(
        "  {:<26} {:>11} {:>7} {:>9} {:>9} {:>12} {:>7} {:>10}\n",
        "", "requests/s", "spread", "p50 ms", "p99 ms", "CPU us each", "core", "memory MiB"
    );
    for line in lines {
        let middle = Middle::of(&line.samples);
        let (spread, busy) = (middle.spread * 100.0, middle.busy());
        let _infallible = writeln!(
            text,
            "  {:<26} {:>11.0} {spread:>5.1} % {:>9.3} {:>9.3} {:>12.1} {busy:>5.0} % {:>10.1}",
            line.name, middle.rate, middle.p50_ms, middle.p99_ms, middle.cpu, middle.resident_mib
        );
    }
    text.push_str(&format!(
        "\n  {:<42} {:>11} {:>8} {:>8} {:>8}\n",
        "times as much as", "requests/s", "p99", "CPU", "memory"
    ));
    for (own, peer, ratios) in ratios(lines) {
        let [rate, p99, cpu, memory] = ratios;
        let pair = format!("{own} : {peer}");
        let _infallible = writeln!(
            text,
            "  {pair:<42} {rate:>10.2}x {p99:>7.2}x {cpu:>7.2}x {memory:>7.2}x"
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// The figures of every line, with those of each round, and the ratios.
pub(super) fn json(lines: &[Line]) -> Value {
    let figures = lines.iter().map(|line| {
        let rounds = line
            .samples
            .iter()
            .map(|sample| Middle::of(&[*sample]).json());
        let mut figure = Middle::of(&line.samples).json();
        figure["name"] = line.name.clone().into();
        figure["rounds"] = rounds.collect();
        figure
    });
    let ratios = ratios(lines).into_iter().map(|(own, peer, ratios)| {
        let [rate, p99, cpu, memory] = ratios;
        json!({"of": own, "to": peer, "requests_per_second": rate, "p99": p99, "cpu": cpu, "memory": memory})
    });
    json!({"proxies": figures.collect::<Vec<_>>(), "ratios": ratios.collect::<Vec<_>>()})
}

/// Each variant of Osier with each peer: requests per second, p99, processor time, memory, each as Osier's divided by the peer's.
fn ratios(lines: &[Line]) -> Vec<(&str, &str, [f64; 4])> {
    let own = lines.iter().filter(|line| line.own);
    own.flat_map(|own| {
        let ours = Middle::of(&own.samples);
        let peers = lines.iter().filter(|line| !line.own);
        peers.map(move |peer| {
            let theirs = Middle::of(&peer.samples);
            let ratios = [
                ratio(ours.rate, theirs.rate),
                ratio(ours.p99_ms, theirs.p99_ms),
                ratio(ours.cpu, theirs.cpu),
                ratio(ours.resident_mib, theirs.resident_mib),
            ];
            (own.name.as_str(), peer.name.as_str(), ratios)
        })
    })
    .collect()
}

/// Nothing to divide by makes nothing, not infinity: JSON has no word for that.
fn ratio(ours: f64, theirs: f64) -> f64 {
    if theirs > 0.0 { ours / theirs } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: f64, cpu: f64) -> Sample {
        Sample {
            rate,
            p50: Duration::from_micros(900),
            p99: Duration::from_micros(2500),
            cpu,
            resident: 10_240,
        }
    }

    fn line(name: &str, own: bool, rates: &[f64]) -> Line {
        Line {
            name: name.to_owned(),
            own,
            samples: rates.iter().map(|rate| sample(*rate, 25.0)).collect(),
        }
    }

    #[test]
    fn the_middle_is_the_median_with_its_spread() {
        let middle = Middle::of(&line("osier", true, &[18_000.0, 22_000.0, 20_000.0]).samples);
        assert_eq!(
            middle,
            Middle {
                rate: 20_000.0,
                spread: 0.1,
                p50_ms: 0.9,
                p99_ms: 2.5,
                cpu: 25.0,
                resident_mib: 10.0
            }
        );
        assert!((middle.busy() - 50.0).abs() < 1e-9, "half of the core");
    }

    #[test]
    fn medians_of_few_values() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![4.0]), 4.0);
        assert_eq!(median(vec![4.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 4.0]), 4.0);
    }

    #[test]
    fn each_variant_is_related_to_each_peer() {
        let lines = [
            line("osier", true, &[20_000.0]),
            line("osier, policy", true, &[15_000.0]),
            line("envoy", false, &[10_000.0]),
            line("dead", false, &[]),
        ];
        let found = ratios(&lines);
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], ("osier", "envoy", [2.0, 1.0, 1.0, 1.0]));
        assert_eq!(found[1], ("osier", "dead", [0.0; 4]));
        assert_eq!(found[2].2, [1.5, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_table_names_everybody_with_figures_and_ratios() {
        let lines = [
            line("osier", true, &[20_000.0]),
            line("envoy 1.40.0", false, &[8_000.0]),
        ];
        let text = render(&lines);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 6, "{text}");
        assert!(
            rows[1].contains("20000") && rows[1].contains("25.0"),
            "{text}"
        );
        assert!(rows[2].starts_with("  envoy 1.40.0"), "{text}");
        assert!(
            rows[5].contains("osier : envoy 1.40.0") && rows[5].contains("2.50x"),
            "{text}"
        );
    }

    #[test]
    fn figures_keep_every_round() {
        let told = json(&[line("osier", true, &[1.0, 3.0, 2.0])]);
        let proxy = &told["proxies"][0];
        assert_eq!(proxy["requests_per_second"], 2.0);
        assert_eq!(proxy["rounds"].as_array().map(Vec::len), Some(3));
        assert_eq!(proxy["rounds"][1]["requests_per_second"], 3.0);
    }
}
