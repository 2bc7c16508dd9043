//! The table that is kept: what each row asks, what Osier says, and where Envoy says something else and why.

use crate::Answers;
use crate::ask::Said;
use crate::rows::Row;
use serde_json::Value;
use std::collections::BTreeMap;

/// Written anew with `OSIER_BLESS=1`.
const TABLE: &str = "docs/conformance/routing.md";
const HEAD: &str = "# Routing, as the specifications of both APIs have it

What comes of requests under the objects of `tests/suites/corpus/routing/`, by `tests/suites/conformance.rs`: each row names the page and the field that it is from, and is asked of the built binary by
curl, and by grpcio where it is a call. The same asks go to Envoy 1.40 under the routes that stand beside the row: `same`, or what it says instead, or `-` where Envoy has nothing like the row.
Every difference is explained below the tables; one that is not, or is no more, fails the test, as does an answer of Osier's that is not what the row says.

`>name` is a header as the backend saw it, `<name` one of the answer; `by` is the backend, `tries` how many requests backends got, `copies` how many a mirror got, `split` the shares of several requests in
percent, `homes` how many backends they came to, `takes` milliseconds. `OSIER_BLESS=1 cargo test --test conformance` writes this page anew.
";

/// Fails unless Osier says what the rows say and Envoy what is written, with a reason for each difference.
pub(crate) fn hold(rows: &[Row], ours: &Answers, theirs: Option<&Answers>) {
    let mut faults = wrong(rows, ours);
    let path = osier_tests::artifacts::workspace().join(TABLE);
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let cells = match theirs {
        Some(theirs) => cells(rows, theirs, &known(&written)),
        None => known(&written),
    };
    faults.extend(unexplained(rows, &cells));
    let text = page(rows, &cells);
    if std::env::var_os("OSIER_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    } else if text != written {
        let differs = text
            .lines()
            .zip(written.lines())
            .find(|(new, old)| new != old);
        faults.push(format!(
            "{TABLE} differs: {differs:#?}\nOSIER_BLESS=1 writes it anew"
        ));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn wrong(rows: &[Row], ours: &Answers) -> Vec<String> {
    let mut faults = Vec::new();
    for (row, answers) in rows.iter().zip(ours) {
        for (ask, said) in row.asks.iter().zip(answers) {
            let says = ask["says"].as_object().unwrap();
            if said.as_ref().is_some_and(|said| said != says) {
                let (said, says) = (shown(said.as_ref().unwrap()), shown(says));
                let title = &row.title;
                faults.push(format!(
                    "{title} ({}): {}: {said}; the row says {says}",
                    row.name,
                    asked(ask)
                ));
            }
        }
    }
    faults
}

/// What Envoy says, by row and ask; what could not be asked stays as it was.
fn cells(
    rows: &[Row],
    theirs: &Answers,
    before: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut cells = BTreeMap::new();
    for (row, answers) in rows.iter().zip(theirs) {
        for (ask, said) in row.asks.iter().zip(answers) {
            let key = key(row, ask);
            let cell = match said {
                Some(said) if Some(said) == ask["says"].as_object() => "same".to_owned(),
                Some(said) => shown(&differing(said, &ask["says"])),
                None if row.envoy.is_null() => "-".to_owned(),
                None => before.get(&key).cloned().unwrap_or_default(),
            };
            cells.insert(key, cell);
        }
    }
    cells
}

fn differing(said: &Said, says: &Value) -> Said {
    let differ = said
        .iter()
        .filter(|(name, value)| says[name.as_str()] != **value);
    differ
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn unexplained(rows: &[Row], cells: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |row: &Row| {
        let cells = row.asks.iter().filter_map(|ask| cells.get(&key(row, ask)));
        let other: Vec<&String> = cells
            .filter(|cell| !["same", "-", ""].contains(&cell.as_str()))
            .collect();
        match (other.is_empty(), &row.why) {
            (false, None) => Some(format!(
                "{} ({}): Envoy says {other:?}, and no `why`",
                row.title, row.name
            )),
            (true, Some(_)) => Some(format!("{}: a `why`, and Envoy says the same", row.title)),
            _ => None,
        }
    };
    rows.iter().filter_map(differs).collect()
}

fn page(rows: &[Row], cells: &BTreeMap<String, String>) -> String {
    let mut text = HEAD.to_owned();
    for (istio, title, pages) in [
        (
            true,
            "Istio's API",
            "https://istio.io/latest/docs/reference/config/networking/",
        ),
        (
            false,
            "The Gateway API",
            "https://gateway-api.sigs.k8s.io/reference/spec/",
        ),
    ] {
        text.push_str(&format!(
            "\n## {title}\n\nFrom <{pages}>.\n\n| row | from | asked | Osier | Envoy 1.40 |\n|---|---|---|---|---|\n"
        ));
        for row in rows.iter().filter(|row| row.is_istio() == istio) {
            text.push_str(&section(row, cells));
        }
    }
    text.push_str("\n## Where Envoy differs\n\n");
    let reasons = rows.iter().filter_map(|row| Some((row, row.why.as_ref()?)));
    reasons.for_each(|(row, why)| text.push_str(&format!("- {}: {why}\n", row.title)));
    text
}

fn section(row: &Row, cells: &BTreeMap<String, String>) -> String {
    let line = |ask: &Value| {
        let cell = cells.get(&key(row, ask)).map_or("", String::as_str);
        let says = shown(ask["says"].as_object().unwrap());
        format!(
            "| {} | {} | {} | {says} | {cell} |\n",
            row.title,
            row.source,
            asked(ask)
        )
    };
    row.asks.iter().map(line).collect()
}

/// Envoy's cells of a page, by the row and the ask that stand before them.
fn known(page: &str) -> BTreeMap<String, String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = lines.filter_map(|line| {
        let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
        let [row, _, asked, _, envoy] = cells[..] else {
            return None;
        };
        Some((format!("{row} | {asked}"), envoy.to_owned()))
    });
    cells.collect()
}

fn key(row: &Row, ask: &Value) -> String {
    format!("{} | {}", row.title, asked(ask))
}

/// An ask in words.
fn asked(ask: &Value) -> String {
    let mut words = match ask["call"].as_str() {
        Some(call) => vec![format!("`CALL {call}`")],
        None => vec![format!("`{}`", ask["ask"].as_str().unwrap())],
    };
    let with = ask["with"].as_array().into_iter().flatten();
    words.extend(with.map(|header| format!("`{}`", header.as_str().unwrap())));
    for key in ["host", "data", "each", "times", "together", "http2"] {
        if !ask[key].is_null() {
            words.push(format!("{key} {}", plain(&ask[key])));
        }
    }
    words.join(", ").replace('|', "\\|")
}

fn shown(said: &Said) -> String {
    let words = said
        .iter()
        .map(|(name, value)| format!("{name} {}", plain(value)));
    words.collect::<Vec<_>>().join(", ").replace('|', "\\|")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Null => "absent".to_owned(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(" to "),
        Value::Object(map) => {
            let words = map
                .iter()
                .map(|(name, value)| format!("{name}: {}", plain(value)));
            words.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
