//! Expressions: what is refused and how it says so, what each function gives, and that whatever is accepted runs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod generated;

use super::*;
use crate::attributes::{Context, Destination, Peer, Request};
use crate::value::Texts;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

fn attributes<'a>(
    headers: &'a http::HeaderMap,
    labels: &'a BTreeMap<String, String>,
) -> Attributes<'a> {
    Attributes {
        source: Peer {
            name: Some("web-1"),
            namespace: Some("shop"),
            ip: Some("10.1.2.3".parse().unwrap()),
            labels: Texts::Tree(labels),
            ..Peer::default()
        },
        destination: Destination {
            port: Some(8080),
            service_name: Some("reviews"),
            service_namespace: Some("default"),
            ..Destination::default()
        },
        request: Request {
            id: "r-1",
            path: "/api/v1/items?page=2&q=a%20b",
            host: "reviews",
            method: "POST",
            scheme: "http",
            headers: Texts::Headers(headers),
            time: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 + 3_600)),
            ..Request::default()
        },
        context: Context {
            protocol: "http",
            reporter_kind: "inbound",
            ..Context::default()
        },
        ..Attributes::default()
    }
}

fn with<T>(run: impl FnOnce(&Attributes<'_>) -> T) -> T {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-user", http::HeaderValue::from_static("alice"));
    headers.insert("x-groups", http::HeaderValue::from_static("dev,ops,admin"));
    let labels = BTreeMap::from([
        ("app".to_owned(), "web".to_owned()),
        ("tier".to_owned(), "front".to_owned()),
    ]);
    run(&attributes(&headers, &labels))
}

fn evaluate(source: &str) -> Result<bool, EvaluationError> {
    let condition = Condition::compile(source, &Vocabulary::default());
    let condition = condition.unwrap_or_else(|error| panic!("{source}: {error}"));
    with(|attributes| condition.evaluate(attributes))
}

fn refused(source: &str) -> String {
    match Condition::compile(source, &Vocabulary::default()) {
        Ok(_) => panic!("{source} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn true_things() {
    for source in [
        // operators
        "request.method == 'POST' && source.namespace != 'admin'",
        "1 + 2 * 3 - 4 / 2 == 5 && 7 % 4 == 3 && -(2) == 0 - 2",
        "1.5 + 1.5 == 3.0 && 2.0 > 1.0",
        "destination.port.orValue(0) >= 8080 && 'b' > 'a'",
        "!(request.method == 'GET') || false",
        "(request.method == 'POST' ? 'w' : 'r') == 'w'",
        "'/x/' + request.method == '/x/POST'",
        // text
        "request.path.startsWith('/api') && request.url_path.endsWith('items') && request.path.contains('v1')",
        "request.path.matches('^/api/v[0-9]+/')",
        "request.method.lowerAscii() == 'post' && 'a'.upperAscii() == 'A' && ' a '.trim() == 'a'",
        "request.headers['x-groups'].orValue('').split(',').join('+') == 'dev+ops+admin'",
        "['a', 'b'].join() == 'ab'",
        // size
        "size('héllo') == 5 && [1, 2].size() == 2 && source.labels.size() == 2 && size({'a': 1}) == 1",
        // membership
        "'x-user' in request.headers && !('x-none' in request.headers)",
        "request.method in ['PUT', 'POST'] && 3 in [1, 2, 3]",
        "source.ip in cidr('10.0.0.0/8') && !(source.ip in cidr('11.0.0.0/8'))",
        "cidr('10.0.0.0/8').containsIP(source.ip.orValue(ip('::1')))",
        "cidr('10.0.0.0/8').containsIP(ip('::ffff:10.1.1.1'))",
        // presence
        "has(source.namespace) && !has(source.principal) && has(request.headers.host) == false",
        "request.headers['x-user'] == 'alice' && request.headers['x-none'] != 'alice'",
        "request.headers[?'x-none'].orValue('none') == 'none' && request.headers.?host.orValue('-') == '-'",
        "source.principal.orValue('nobody') == 'nobody' && !source.principal.hasValue()",
        "source.principal.or(source.namespace).orValue('') == 'shop'",
        "!(source.principal == source.owner)",
        "has(source.ip) && source.ip.family() == 4",
        "'x-user' in request.headers ? request.headers['x-user'].startsWith('al') : false",
        "request.headers['x-user'] == 'alice' && request.headers['x-user'].size() == 5",
        "!has(source.principal) || source.principal.size() > 0",
        // query, labels, composed
        "request.query_params.q == 'a b' && request.query_params['page'] == '2'",
        "source.labels.app == 'web' && source.uid == 'kubernetes://web-1.shop'",
        "destination.service.host == 'reviews.default.svc.cluster.local'",
        "destination.service.uid == 'istio://default/services/reviews'",
        // loops
        "request.headers['x-groups'].orValue('').split(',').exists(g, g == 'admin')",
        "source.labels.all(k, k.size() >= 3) && source.labels.exists_one(k, k == 'app')",
        "[1, 2, 3].map(x, x * 2) == [2, 4, 6] && [1, 2, 3].filter(x, x > 1).size() == 2",
        "[[1, 2], [3]].exists(xs, xs.exists(x, x == 3))",
        "[].all(x, x == 1) && ![].exists(x, x)",
        // time
        "duration('1h30m') > duration('5400s') - duration('1s') && duration('1.5s').getMilliseconds() == 1500",
        "request.time - timestamp('1970-01-02T00:00:00Z') == duration('1h') && request.time.getHours() == 1",
        "timestamp('2026-11-23T00:00:00Z').getDayOfWeek() == 1 && timestamp(0) < request.time",
        // conversions
        "int('42') == 42 && string(42) == '42' && double(1) == 1.0 && int(2.9) == 2 && bool('true')",
        "string(source.ip.orValue(ip('::1'))) == '10.1.2.3' && string(duration('1500ms')) == '1.5s'",
        "isIP('1.2.3.4') && !isIP('x')",
        // elements
        "[10, 20][1] == 20 && [10][5].orValue(7) == 7 && {'a': 1}['a'] == 1 && {'a': 'x'}.a == 'x'",
        // an error of one side does not hide the other's decision
        "(1 / 0 == 1 || true) && !(1 / 0 == 1 && false) && [0, 1].exists(x, 1 / x == 1)",
    ] {
        assert_eq!(evaluate(source), Ok(true), "{source}");
    }
}

#[test]
fn stated_errors() {
    use EvaluationError::{Budget, Conversion, DivisionByZero, Overflow};
    for (source, error) in [
        (
            "1 / (destination.port.orValue(0) - 8080) == 1",
            DivisionByZero,
        ),
        (
            "destination.port.orValue(0) * 9223372036854775807 > 0",
            Overflow,
        ),
        ("int(request.method) == 1", Conversion("int")),
        ("[1, 1].exists(x, 1 / (x - 1) == 1)", DivisionByZero),
    ] {
        assert_eq!(evaluate(source), Err(error), "{source}");
    }
    let list = format!("[{}]", ["1"; 100].join(","));
    let loops = format!("{list}.all(x, {list}.all(y, {list}.all(z, x + y + z == 3)))");
    assert_eq!(evaluate(&loops), Err(Budget));
}

#[test]
fn refusals_say_where_and_what_to_do() {
    for (source, place, words) in [
        (
            "request.methd == 'GET'",
            "column 1",
            "did you mean `request.method`?",
        ),
        ("request.auth == 'x'", "column 1", "request.auth.principal"),
        ("nonsense", "column 1", "unknown attribute `nonsense`"),
        (
            "request.method == 1",
            "column 1",
            "== does not go with string and int",
        ),
        (
            "request.method",
            "column 1",
            "has type string, but bool is needed",
        ),
        (
            "request.path.startWith('/')",
            "column 1",
            "did you mean `startsWith`?",
        ),
        (
            "request.path.startsWith(1)",
            "column 1",
            "`startsWith` does not go with (string, int)",
        ),
        (
            "request.path.matches('(')",
            "column 22",
            "not a regular expression",
        ),
        (
            "request.path.matches(request.method)",
            "column 22",
            "literal",
        ),
        (
            "source.principal.startsWith('x')",
            "column 1",
            "source.principal.orValue(\"\")",
        ),
        (
            "request.headers['x'].size() > 1",
            "column 1",
            "'x' in request.headers",
        ),
        (
            "true && source.principal.size() > 1",
            "column 9",
            "may be absent",
        ),
        ("source.ip == '10.0.0.1'", "column 1", "ip(\"..\")"),
        (
            "duration('5') > duration('1s')",
            "column 1",
            "duration such as",
        ),
        (
            "connection.duration.orValue(duration('0s')) > 5",
            "column 1",
            "duration(\"5s\")",
        ),
        (
            "[1, 'a'].size() == 2",
            "column 5",
            "list of int cannot hold string",
        ),
        ("request.method == 'GET' &&", "column", ""),
        ("request.method = 'GET'", "column", ""),
        ("", "column 1", "empty"),
        ("true ? 1 : 'a'", "column 1", "branches"),
        ("null == null", "column 1", "null is not supported"),
        (
            "request.headers[1] == 'a'",
            "column 17",
            "a key is a string",
        ),
        ("request.method.foo == 'a'", "column 1", ""),
        (
            "source.principal.value() == 'a'",
            "column 1",
            "orValue(DEFAULT)",
        ),
        (
            "cidr('10.0.0.0/99').containsIP(source.ip.orValue(ip('::1')))",
            "column 1",
            "CIDR",
        ),
        ("has(request.method) && foo.bar", "column 24", "foo.bar"),
    ] {
        let error = refused(source);
        assert!(
            error.contains(place) && error.contains(words),
            "{source}\n  {error}"
        );
    }
}

#[test]
fn sizes_are_bounded() {
    assert!(refused(&"a".repeat(5000)).contains("4096"));
    let deep = format!("{}true{}", "(".repeat(300), ")".repeat(300));
    let _ = Condition::compile(&deep, &Vocabulary::default());
    assert!(refused(&format!("1{} == 1", "+1".repeat(200))).contains("nested deeper"));
    let nested = "[1].all(a, [1].all(b, [1].all(c, [1].all(d, d == 1))))";
    assert!(refused(nested).contains("loops inside each other"));
}

#[test]
fn references_are_known() {
    let source = "request.method == 'a' || source.labels.exists(k, k == request.host)";
    let condition = Condition::compile(source, &Vocabulary::default()).unwrap();
    assert_eq!(
        condition.references(),
        ["request.host", "request.method", "source.labels"]
    );
}

#[test]
fn manifests_add_attributes() {
    let mut vocabulary = Vocabulary::default();
    assert!(vocabulary.extend("gpu.seconds", Type::Int, "seconds of a GPU"));
    assert!(!vocabulary.extend("request.method", Type::Int, "taken"));
    let condition = Condition::compile("gpu.seconds.orValue(0) > 5", &vocabulary).unwrap();
    let extra = [crate::attributes::Extra::Int(6)];
    let attributes = Attributes {
        extra: &extra,
        ..Attributes::default()
    };
    assert_eq!(condition.evaluate(&attributes), Ok(true));
    assert_eq!(condition.evaluate(&Attributes::default()), Ok(false));
}

#[test]
fn the_vocabulary_is_mixers_and_every_attribute_can_be_read() {
    let vocabulary = Vocabulary::default();
    assert_eq!(vocabulary.iter().count(), 77);
    with(|attributes| {
        for info in vocabulary.iter() {
            let value = attributes.get(info.slot);
            assert!(!(info.always && value.is_absent()), "{}", info.name);
        }
    });
}

#[test]
fn every_function_stands_in_the_guide() {
    let guide = include_str!("../../../../docs/guide/expressions.md");
    for function in functions::FUNCTIONS {
        assert!(
            guide.contains(function.name),
            "docs/guide/expressions.md does not name {}",
            function.name
        );
    }
}
