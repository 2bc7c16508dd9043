//! One ask of a row: made by curl, or by grpcio for calls, and what of its outcome the row speaks of.

use crate::backends::{Backends, Seen};
use crate::rows::Row;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Copies are sent along, and nobody waits for them but this test.
const COPIES: Duration = Duration::from_secs(3);
/// How far a share may be from what was asked for, of a hundred.
const CHANCE: i64 = 14;
const CALL: &str = "import grpc, json, sys
address, host, path, *more = sys.argv[1:]
channel = grpc.insecure_channel(address, options=[('grpc.default_authority', host), ('grpc.enable_retries', 0)])
same = lambda message: message
metadata = [tuple(line.split(': ', 1)) for line in more]
said = {}
try:
    reply, call = channel.unary_unary(path, same, same).with_call(b'hello', timeout=15, metadata=metadata)
    said['reply'] = reply.decode()
except grpc.RpcError as error:
    call = error
said['code'] = call.code().name
said['headers'] = [list(pair) for pair in (call.initial_metadata() or ())] + [list(pair) for pair in (call.trailing_metadata() or ())]
print(json.dumps(said, default=str))";

/// What of an outcome the row speaks of, in its words.
pub(crate) type Said = Map<String, Value>;

/// How an ask ended.
#[derive(Debug, Default)]
struct Outcome {
    statuses: Vec<String>,
    headers: Vec<(String, String)>,
    body: String,
    code: String,
    took: u64,
    seen: Vec<Seen>,
    copies: Vec<Seen>,
    times: u64,
}

/// Whether this machine has grpcio.
static CALLS: LazyLock<bool> = LazyLock::new(|| {
    let has = Command::new("python3").args(["-c", "import grpc"]).output();
    let has = has.is_ok_and(|output| output.status.success());
    if !has {
        println!("no grpcio here (`pip install grpcio`): rows of calls are not asked");
    }
    has
});

/// Makes an ask at an address; nothing where its client is missing.
pub(crate) fn made(ask: &Value, row: &Row, (address, backends): (&str, &Backends)) -> Option<Said> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let id = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    let began = Instant::now();
    let mut outcome = if ask["call"].is_string() {
        CALLS.then(|| call(ask, row, (address, &id)))?
    } else if let Some(count) = ask["together"].as_u64() {
        together(count, || curl(ask, row, (address, &id), None))
    } else if ask["each"].is_string() {
        each(ask, row, (address, &id))
    } else {
        curl(ask, row, (address, &id), None)
    };
    outcome.took = u64::try_from(began.elapsed().as_millis()).unwrap();
    outcome.times = ask["times"].as_u64().unwrap_or(1);
    let says = ask["says"].as_object().unwrap();
    let wanted = says.get("copies").and_then(Value::as_u64);
    (outcome.copies, outcome.seen) = looked(&id, wanted, backends);
    let port = address.rsplit(':').next().unwrap();
    let told = says.iter().map(|(key, expected)| {
        let value = outcome.told(key, expected);
        (key.clone(), neutral(value, row, port))
    });
    Some(told.collect())
}

/// With the names of the row for what differs from run to run.
fn neutral(value: Value, row: &Row, port: &str) -> Value {
    let Value::String(text) = value else {
        return value;
    };
    let text = text.replace(&row.host(), "HOST");
    Value::String(text.replace(&format!(":{port}"), ":PORT"))
}

/// What the backends saw: copies, once there are as many as expected, and the rest.
fn looked(id: &str, wanted: Option<u64>, backends: &Backends) -> (Vec<Seen>, Vec<Seen>) {
    let until = Instant::now() + COPIES;
    loop {
        let seen = backends.seen(id).into_iter();
        let (copies, seen): (Vec<_>, Vec<_>) = seen.partition(|one| one.by == "mirror");
        let enough = wanted.is_none_or(|wanted| copies.len() as u64 >= wanted);
        if enough || Instant::now() > until {
            return (copies, seen);
        }
        std::thread::yield_now();
    }
}

fn lines(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|line| line.as_str().unwrap().to_owned()).collect()
}

fn curl(ask: &Value, row: &Row, (address, id): (&str, &str), more: Option<&str>) -> Outcome {
    let (method, path) = ask["ask"].as_str().unwrap().split_once(' ').unwrap();
    let host = match ask["host"].as_str() {
        Some("SHOUT") => row.host().to_uppercase(),
        Some(host) => row.filled(host),
        None => row.host(),
    };
    let times = ask["times"].as_u64().filter(|_| more.is_none());
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--max-time",
        "30",
        "--path-as-is",
        "--request",
        method,
    ]);
    let own = [format!("host: {host}"), format!("x-ask: {id}")];
    let more = more.map(ToOwned::to_owned).into_iter();
    for header in own.into_iter().chain(lines(&ask["with"])).chain(more) {
        curl.args(["--header", &header]);
    }
    if let Some(data) = ask["data"].as_str() {
        curl.args(["--data-raw", data]);
    }
    if ask["http2"] == true {
        curl.arg("--http2-prior-knowledge");
    }
    // A fragment is never sent: it only makes curl ask again.
    let again = times
        .map(|times| format!("#[1-{times}]"))
        .unwrap_or_default();
    let url = format!("http://{address}{path}{again}");
    let output = match times {
        Some(_) => curl.args(["--output", "/dev/null", "--write-out", "%{http_code} "]),
        None => curl.args(["--include", "--globoff"]),
    };
    let output = output.arg(url).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match times {
        Some(_) => Outcome {
            statuses: text.split_whitespace().map(ToOwned::to_owned).collect(),
            ..Outcome::default()
        },
        None => parsed(&text),
    }
}

fn parsed(text: &str) -> Outcome {
    let mut rest = text;
    // An interim answer stands before the last one.
    while let Some((_, after)) = rest
        .split_once("\r\n\r\n")
        .filter(|(head, _)| head.contains(" 100 "))
    {
        rest = after;
    }
    let (head, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(':'));
    Outcome {
        statuses: vec![status.unwrap_or("none").to_owned()],
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect(),
        body: body.to_owned(),
        ..Outcome::default()
    }
}

fn together(count: u64, ask: impl Fn() -> Outcome + Sync) -> Outcome {
    let all: Vec<Outcome> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..count).map(|_| scope.spawn(&ask)).collect();
        started.into_iter().map(|one| one.join().unwrap()).collect()
    });
    gathered(all)
}

/// Asks so many times, each with its own header.
fn each(ask: &Value, row: &Row, to: (&str, &str)) -> Outcome {
    let header = ask["each"].as_str().unwrap();
    let numbers = 0..ask["times"].as_u64().unwrap();
    let one = |number: u64| {
        let own = header.replace('N', &number.to_string());
        curl(ask, row, to, Some(&own))
    };
    gathered(numbers.map(one).collect())
}

fn gathered(all: Vec<Outcome>) -> Outcome {
    Outcome {
        statuses: all.into_iter().flat_map(|one| one.statuses).collect(),
        ..Outcome::default()
    }
}

fn call(ask: &Value, row: &Row, (address, id): (&str, &str)) -> Outcome {
    let mut python = Command::new("python3");
    let path = ask["call"].as_str().unwrap();
    python.args(["-c", CALL, address, &row.host(), path]);
    python.arg(format!("x-ask: {id}")).args(lines(&ask["with"]));
    let output = python.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let pairs = said["headers"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Outcome {
        code: text(&said["code"]),
        body: text(&said["reply"]),
        headers: pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        ..Outcome::default()
    }
}

impl Outcome {
    /// What a row's key means here. Where any value would do that is near enough, the expected one is told.
    fn told(&self, key: &str, expected: &Value) -> Value {
        let last = self.seen.last();
        let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
        match key.split_at_checked(1) {
            Some((">", name)) => return text(last.and_then(|seen| joined(&seen.headers, name))),
            Some(("<", name)) => return self.header(name),
            _ => {}
        }
        match key {
            "status" => self.status(),
            "statuses" => json!(counted(self.statuses.iter().map(String::as_str))),
            "code" => json!(self.code),
            "body" | "reply" => json!(self.body.trim_start_matches(['\0', '\u{5}'])),
            "by" => text(last.map(|seen| seen.by.to_owned())),
            "path" => text(last.map(|seen| seen.path.clone())),
            "host" => text(last.map(|seen| seen.host.clone())),
            "method" => text(last.map(|seen| seen.method.clone())),
            "sent" => text(last.map(sent)),
            "tries" => json!(self.seen.len()),
            "homes" => json!(
                self.seen
                    .iter()
                    .map(|seen| seen.by)
                    .collect::<BTreeSet<_>>()
                    .len()
            ),
            "copies" => json!(self.copies.len()),
            "copy-host" => text(self.copies.first().map(|copy| copy.host.clone())),
            "copy-path" => text(self.copies.first().map(|copy| copy.path.clone())),
            "copy-sent" => text(self.copies.first().map(sent)),
            "takes" => self.takes(expected),
            "split" => self.split(expected),
            other => panic!("no row may speak of {other:?}"),
        }
    }

    fn status(&self) -> Value {
        let different: BTreeSet<&String> = self.statuses.iter().collect();
        match different.into_iter().collect::<Vec<_>>()[..] {
            [one] => one.parse::<u16>().map_or(json!(one), |code| json!(code)),
            _ => json!(counted(self.statuses.iter().map(String::as_str))),
        }
    }

    /// A header; of a cookie that is made the value is nobody's business.
    fn header(&self, name: &str) -> Value {
        let values = self.headers.iter().filter(|(known, _)| known == name);
        let mut values: Vec<String> = values.map(|(_, value)| value.clone()).collect();
        for value in values.iter_mut().filter(|_| name == "set-cookie") {
            *value = unnamed(value);
        }
        if values.is_empty() {
            Value::Null
        } else {
            json!(values.join(","))
        }
    }

    fn takes(&self, expected: &Value) -> Value {
        let bound = |index: usize| expected[index].as_u64().unwrap();
        if (bound(0)..=bound(1)).contains(&self.took) {
            return expected.clone();
        }
        json!(format!("{} ms", self.took))
    }

    fn split(&self, expected: &Value) -> Value {
        let found = counted(self.seen.iter().map(|seen| seen.by));
        let near = expected.as_object().unwrap().iter().all(|(name, share)| {
            let count = found.get(name.as_str()).copied().unwrap_or(0);
            let percent = i64::try_from(count * 100 / self.times).unwrap();
            let (wanted, certain) = (share.as_i64().unwrap(), [0, 100]);
            let chance = if certain.contains(&wanted) { 0 } else { CHANCE };
            (percent - wanted).abs() <= chance
        });
        if near { expected.clone() } else { json!(found) }
    }
}

/// A cookie with … for its value, in quotes if it is.
fn unnamed(cookie: &str) -> String {
    let (name, rest) = cookie.split_once('=').unwrap_or((cookie, ""));
    let (value, attributes) = rest.split_once(';').unwrap_or((rest, ""));
    let quote = if value.starts_with('"') { "\"" } else { "" };
    format!("{name}={quote}…{quote};{attributes}")
}

fn sent(seen: &Seen) -> String {
    String::from_utf8_lossy(&seen.body).into_owned()
}

/// The values of a header as one list.
fn joined(headers: &http::HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn counted<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}
