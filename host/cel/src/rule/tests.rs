//! What rules say of values.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn value() -> Json {
    json!({
        "name": "web", "replicas": 3, "min": 1, "max": 5, "ratio": 0.5, "on": true, "none": null,
        "tags": ["a", "b"], "ports": [{"name": "x", "port": 80}, {"name": "y", "port": 443}],
        "labels": {"app": "web", "example.com/a": "1"}, "timeout": "30s", "x-y": 1, "until": "2026-01-01T00:00:00Z",
    })
}

fn run(rule: &str) -> Result<bool, Failure> {
    let old = json!({"name": "web", "replicas": 2});
    Rule::compile(rule)
        .unwrap()
        .holds((&value(), Some(&old), false), &mut Budget::default())
}

#[test]
fn rules_of_kubernetes_documentation_hold() {
    let rules = [
        "self.min <= self.replicas && self.replicas <= self.max",
        "'app' in self.labels && self.labels['example.com/a'] == '1'",
        "has(self.name) && !has(self.nothing)",
        "self.tags.size() == 2 && size(self.tags) == size(self.ports)",
        "self.ports.all(p, p.port > 0 && p.port < 65536)",
        "self.ports.exists(p, p.name == 'y') && self.ports.exists_one(p, p.port == 80)",
        "self.ports.map(p, p.name) == ['x', 'y']",
        "self.ports.filter(p, p.port > 100).size() == 1",
        "self.ports.map(p, p.port > 100, p.name).join(',') == 'y'",
        "self.labels.all(key, key.size() > 0)",
        "self.name.matches('^[a-z]+$') && self.name.startsWith('w') && self.name.contains('eb')",
        "self.replicas > oldSelf.replicas && self.name == oldSelf.name",
        "self.replicas == 3.0 && self.ratio * 2.0 == 1.0 && self.replicas % 2 == 1",
        "duration(self.timeout) < duration('1m') && self.timeout < duration('1m')",
        "timestamp(self.until) > timestamp('2025-12-31T00:00:00Z')",
        "self.x__dash__y == 1 && self.none == null",
        "self.on ? self.replicas == 3 : false",
        "self.?nothing.orValue('z') == 'z' && self.?name.hasValue()",
        "(self.nothing == 1) || true",
        "!(false && self.nothing == 1)",
        "self.tags.isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1 && self.tags.indexOf('b') == 1",
        "self.name.substring(1) == 'eb' && self.name.split('e') == ['w', 'b'] && 'A-b'.lowerAscii() == 'a-b'",
        "string(self.replicas) == '3' && int('3') == self.replicas && double(1) == 1.0",
        "self.tags + ['c'] == ['a', 'b', 'c'] && {'a': 1}['a'] == 1 && {'a': 1} == {'a': 1}",
        "'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
    ];
    for rule in rules {
        assert_eq!(run(rule), Ok(true), "{rule}");
    }
}

#[test]
fn what_kubernetes_adds_does_as_documented() {
    let rules = [
        "quantity('1.5Gi').isGreaterThan(quantity('1500Mi')) && quantity('200k') == quantity('0.2M')",
        "quantity('50k').add(20).compareTo(quantity('50020')) == 0 && quantity('50k').sub(quantity('50000')).sign() == 0",
        "quantity('1e3').asInteger() == 1000 && !quantity('500m').isInteger() && quantity('500m').asApproximateFloat() == 0.5",
        "isQuantity('1.3Gi') && !isQuantity('1.3GiB') && !isQuantity('') && !isQuantity('1.2.3')",
        "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3 && semver('1.2.3') == semver('1.2.3+b')",
        "semver('1.10.0').isGreaterThan(semver('1.9.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0')) && semver('2.0.0').compareTo(semver('2.0.0')) == 0",
        "semver('1.0.0-alpha.2').isLessThan(semver('1.0.0-alpha.10')) && semver('1.0.0-9').isLessThan(semver('1.0.0-a')) && semver('1.0.0-a').isLessThan(semver('1.0.0-a.1'))",
        "isSemver('1.0.0-x.7+b.01') && !isSemver('1.0') && !isSemver('v1.0.0') && !isSemver('01.0.0') && !isSemver('1.0.0-01') && !isSemver('1.0.0+') && !isSemver('')",
        "semver('v01.1', true) == semver('1.1.0') && isSemver('v1', true) && isSemver('1.02.03-rc', true) && !isSemver('1.1-rc', true) && !isSemver('abc', true)",
        "isIP('10.0.0.1') && isIP('::1') && !isIP('10.0.0.01') && !isIP('::ffff:1.2.3.4') && ip('10.0.0.1').family() == 4",
        "ip('127.0.0.1').isLoopback() && ip('0.0.0.0').isUnspecified() && ip('8.8.8.8').isGlobalUnicast() && ip('fe80::1').isLinkLocalUnicast()",
        "ip('224.0.0.1').isLinkLocalMulticast() && ip.isCanonical('::1') && !ip.isCanonical('0:0::1') && string(ip('::1')) == '::1'",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.0')) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "!cidr('10.0.0.0/8').containsCIDR(cidr('0.0.0.0/0')) && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('::/0').prefixLength() == 0",
        "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
        "isURL('https://user:pass@example.com:80/') && isURL('/absolute-path') && !isURL('https://a:b:c/') && !isURL('../relative-path')",
        "url('https://example.com:80/a b?k=1&k=2').getHost() == 'example.com:80' && url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://example.com/a b').getEscapedPath() == '/a%20b' && url('https://e.com/?k=1&k=%41').getQuery()['k'] == ['1', 'A']",
        "url('HTTPS://e.com:8080/x').getScheme() == 'https' && url('https://e.com:8080').getPort() == '8080'",
        "!format.dns1123Label().validate('my-name').hasValue() && format.dns1123Label().validate('My_name').hasValue()",
        "format.named('uuid').value().validate('123').value()[0].contains('UUID') && !format.named('nothing').hasValue()",
        "'%s has %d and %.2f, %x'.format([self.name, self.replicas, self.ratio, 255]) == 'web has 3 and 0.50, ff'",
        "'%s'.format([self.tags]).contains('a') && strings.quote('a\"b') == '\"a\\\\\"b\"'",
        "sets.contains([1, 2, 3], [2]) && sets.equivalent(['a'], ['a', 'a']) && !sets.intersects([1], [2])",
        "optional.of(1).hasValue() && !optional.none().hasValue() && optional.ofNonZeroValue('').orValue('x') == 'x'",
        "type(self.name) == string && type(self.tags) == list && type(1) != double",
        "timestamp(self.until).getFullYear() == 2026 && timestamp(self.until).getMonth() == 0 && timestamp(self.until).getDayOfWeek() == 4",
        "timestamp(self.until).getHours('-01:00') == 23 && timestamp(self.until) + duration('1h') == timestamp('2026-01-01T01:00:00Z')",
        "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90",
        "self.tags.all(ip, ip.size() == 1) && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'aXbX'.replace('X', '', 1) == 'abX'",
        "'hello'.indexOf('l', 3) == 3 && 'hello'.lastIndexOf('l', 2) == 2 && 'abc'.reverse() == 'cba' && bool('true')",
    ];
    for rule in rules {
        assert_eq!(run(rule), Ok(true), "{rule}");
    }
}

/// Allows who is asked about only what this says.
struct Only(&'static str);

impl Authorizer for Only {
    fn allows(&self, access: &Access) -> bool {
        format!("{access:?}").contains(self.0)
    }
}

#[test]
fn an_environment_has_documents_variables_and_an_authorizer() {
    let (object, params) = (value(), json!({"most": 5}));
    let known = ["object", "oldObject", "params", "authorizer"];
    let over = |source: &str| Rule::over(source, &known, &["small", "bad"]).unwrap();
    let small = over("object.replicas <= params.most");
    let bad = over("object.nothing == 1");
    let null = Json::Null;
    let documents = [
        ("object", &object),
        ("oldObject", &null),
        ("params", &params),
    ];
    let request = Access {
        verb: "create".to_owned(),
        resource: "things".to_owned(),
        ..Access::default()
    };
    let asked = Only("delete");
    let mut budget = Budget::default();
    let rules = [
        ("oldObject == null && object.replicas == 3", Ok(true)),
        ("variables.small", Ok(true)),
        ("variables.small || variables.bad", Ok(true)),
        (
            "variables.bad",
            Err(Failure::Error("no such key: nothing".to_owned())),
        ),
        (
            "authorizer.group('').resource('pods').namespace('a').check('delete').allowed()",
            Ok(true),
        ),
        (
            "authorizer.requestResource.check('update').allowed()",
            Ok(false),
        ),
        ("authorizer.path('/x').check('get').allowed()", Ok(false)),
        (
            "authorizer.serviceAccount('a', 'delete').group('').resource('x').check('get').reason() == ''",
            Ok(true),
        ),
    ];
    let compiled: Vec<_> = rules.iter().map(|(source, _)| over(source)).collect();
    for (rule, (source, wanted)) in compiled.iter().zip(&rules) {
        let mut all = Environment::new(documents).asking(&asked, request.clone());
        all.define("small", &small, &mut budget);
        all.define("bad", &bad, &mut budget);
        assert_eq!(&all.holds(rule, &mut Budget::default()), wanted, "{source}");
    }
    let refused = |source: &str| Rule::over(source, &known, &["small"]).unwrap_err();
    assert!(
        refused("variables.other")
            .message()
            .contains("undefined field 'other'")
    );
    assert!(
        refused("self.a")
            .message()
            .contains("undeclared reference to 'self'")
    );
}

#[test]
fn what_goes_wrong_is_told() {
    let words = |rule: &str| run(rule).unwrap_err().to_string();
    assert_eq!(words("self.nothing == 1"), "no such key: nothing");
    assert_eq!(words("self.name"), "the result is a string, not a bool");
    assert!(
        words("self.name < 1").contains("no such overload"),
        "{}",
        words("self.name < 1")
    );
    assert_eq!(words("1 / (self.replicas - 3) == 1"), "division by zero");
    assert_eq!(words("self.tags[2] == 'c'"), "index out of bounds: 2");
    let error = |rule: &str| Rule::compile(rule).unwrap_err().to_string();
    assert!(error("other == 1").contains("undeclared reference to 'other'"));
    assert!(error("self.ports.all(p, q)").contains("undeclared reference to 'q'"));
    assert!(error("self..a").starts_with("column"));
}

#[test]
fn what_is_not_known_is_named_and_what_compares_says_so() {
    let rule = Rule::compile("colour(self.a).isDarkerThan(colour('red'))").unwrap();
    assert_eq!(rule.unknown(), Some("colour"));
    let rule = Rule::compile("math.greatest(self.a, 1) == 1").unwrap();
    assert_eq!(rule.unknown(), Some("math.greatest"));
    assert!(Rule::compile("self.a == oldSelf.a").unwrap().compares());
    assert!(!Rule::compile("self.all(oldself, true)").unwrap().compares());
}

#[test]
fn a_value_before_may_be_optional() {
    let rule = Rule::compile("!oldSelf.hasValue() || oldSelf.value().a == self.a").unwrap();
    let (new, old) = (json!({"a": 1}), json!({"a": 2}));
    assert_eq!(
        rule.holds((&new, None, true), &mut Budget::default()),
        Ok(true)
    );
    assert_eq!(
        rule.holds((&new, Some(&old), true), &mut Budget::default()),
        Ok(false)
    );
    let text = Rule::compile("'a is ' + string(self.a)").unwrap();
    assert_eq!(
        text.text((&new, None, false), &mut Budget::default()),
        Ok("a is 1".to_owned())
    );
}

#[test]
fn a_rule_that_costs_too_much_is_stopped() {
    let list: Vec<i64> = (0..2000).collect();
    let value = json!({"list": list});
    let rule =
        Rule::compile("self.list.all(a, self.list.all(b, self.list.all(c, a + b + c >= 0)))")
            .unwrap();
    let mut budget = Budget::default();
    assert_eq!(
        rule.holds((&value, None, false), &mut budget),
        Err(Failure::Budget)
    );
    let before = budget.0;
    assert!(before < Budget::default().0);
    let cheap = Rule::compile("size(self.list) == 2000").unwrap();
    assert_eq!(cheap.holds((&value, None, false), &mut budget), Ok(true));
}

proptest! {
    #[test]
    fn any_text_is_a_rule_or_refused(text in "[selfa.()&|!<=>+ '1?:,{}\\[\\]-]{0,24}") {
        if let Ok(rule) = Rule::compile(&text) {
            let _whatever = rule.holds((&value(), None, false), &mut Budget::default());
        }
    }
}

fn known(ports: u64, tags: u64) -> Type {
    let port = Type::Object(std::sync::Arc::new(std::collections::BTreeMap::from([
        ("name".to_owned(), Type::Text(20)),
        ("port".to_owned(), Type::Int),
    ])));
    let fields = [
        ("name", Type::Text(63)),
        ("replicas", Type::Int),
        ("ratio", Type::Double),
        ("on", Type::Bool),
        ("any", Type::Dyn),
        ("tags", Type::List(Box::new(Type::Text(10)), tags)),
        ("labels", Type::Map(Box::new(Type::Text(63)), 10)),
        ("ports", Type::List(Box::new(port), ports)),
    ];
    let fields = fields.map(|(name, of)| (name.to_owned(), of));
    Type::Object(std::sync::Arc::new(fields.into()))
}

fn inferred(source: &str) -> Result<(String, u64), String> {
    let rule = Rule::compile(source).unwrap();
    let own = known(1_000, 5);
    let found = rule.infer(source, (own.clone(), Type::Optional(Box::new(own))));
    let told = found.map(|(of, cost)| (of.to_string(), cost));
    told.map_err(|error| error.message().to_owned())
}

#[test]
fn types_are_checked_before_there_are_values() {
    let refused = [
        (
            "self.replicas > 'a'",
            "found no matching overload for '_>_' applied to '(int, string)'",
        ),
        (
            "self.replicas == 3.0",
            "found no matching overload for '_==_' applied to '(int, double)'",
        ),
        (
            "self.name + 1 == 'a'",
            "found no matching overload for '_+_' applied to '(string, int)'",
        ),
        (
            "self.replicas && self.on",
            "found no matching overload for '_&&_' applied to '(int, bool)'",
        ),
        (
            "self.replicas.size() > 1",
            "found no matching overload for 'size' applied to 'int.()'",
        ),
        (
            "self.name.startsWith(3)",
            "found no matching overload for 'startsWith' applied to 'string.(int)'",
        ),
        (
            "self.tags['a'] == 'b'",
            "found no matching overload for '_[_]' applied to '(list(string), string)'",
        ),
        ("self.nothing == 1", "undefined field 'nothing'"),
        ("has(self.ports[0].host)", "undefined field 'host'"),
        (
            "self.name.first == 'a'",
            "type 'string' does not support field selection",
        ),
        (
            "self.tags.all(tag, tag + 'a')",
            "expected type 'bool' but found 'string'",
        ),
        (
            "quantity(self.replicas).sign() == 1",
            "found no matching overload for 'quantity' applied to '(int)'",
        ),
        (
            "ip(self.name).prefixLength() == 1",
            "found no matching overload for 'prefixLength' applied to 'net.IP.()'",
        ),
        (
            "self.replicas.all(one, one > 1)",
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
        ),
    ];
    for (rule, words) in refused {
        assert_eq!(inferred(rule), Err(words.to_owned()), "{rule}");
    }
}

#[test]
fn what_rules_make_has_a_type() {
    let made = [
        ("self.replicas > 1 && self.replicas < self.ratio", "bool"),
        ("self.labels.all(key, self.labels[key] != '')", "bool"),
        ("self.any > 1 || self.any.all(one, one == 'a')", "bool"),
        ("self.ports.map(port, port.port)", "list(int)"),
        (
            "self.ports.filter(port, port.name == 'x').map(port, port.name)",
            "list(string)",
        ),
        ("self.on ? self.replicas : 1", "int"),
        ("self.on ? self.replicas : 'none'", "dyn"),
        ("self.name.split('-')[0]", "string"),
        ("self.?name.orValue('')", "string"),
        (
            "oldSelf.replicas.hasValue() && oldSelf.orValue(self).on",
            "bool",
        ),
        (
            "'a' in self.labels && 'b' in self.tags && self.name != null",
            "bool",
        ),
        (
            "timestamp('2026-01-01T00:00:00Z') - timestamp('2025-01-01T00:00:00Z')",
            "duration",
        ),
        ("isIP(self.name)", "bool"),
        ("quantity(self.name).add(1)", "kubernetes.Quantity"),
        ("semver(self.name, true).major()", "int"),
        ("semver(self.name)", "kubernetes.Semver"),
        ("optional.of(self.replicas)", "optional(int)"),
        ("type(self.name) == string", "bool"),
    ];
    for (rule, of) in made {
        assert_eq!(inferred(rule).unwrap().0, of, "{rule}");
    }
}

#[test]
fn what_rules_cost_follows_from_the_sizes() {
    let cost = |rule: &str| inferred(rule).unwrap().1;
    assert!(cost("self.replicas > 1") < 10);
    let once = cost("self.ports.all(port, port.port > 0)");
    assert!((4_000..10_000).contains(&once), "{once}");
    let nested = cost("self.ports.all(a, self.ports.all(b, a.port == b.port))");
    assert!((4_000_000..10_000_000).contains(&nested), "{nested}");
    assert!(cost("self.name.matches('^[a-z]{1,63}$')") > cost("self.name.startsWith('a')"));
}

proptest! {
    /// Whatever the types allow, and was estimated, holds when the rule runs.
    #[test]
    fn estimates_are_not_below_what_is_spent(ports in 1_usize..50, tags in 0_usize..5) {
        let value = json!({"name": "web", "replicas": 3, "ratio": 0.5, "on": true, "any": 1, "labels": {"a": "b"},
            "tags": vec!["tag"; tags], "ports": vec![json!({"name": "x", "port": 80}); ports]});
        for rule in ["self.ports.all(port, port.port > 0)", "self.tags.all(tag, tag.size() < 9)", "self.ports.exists(a, self.tags.exists(b, a.name == b))"] {
            let compiled = Rule::compile(rule).unwrap();
            let mut budget = Budget::default();
            compiled.holds((&value, None, false), &mut budget).unwrap();
            let spent = Budget::default().0 - budget.0;
            let own = known(ports as u64, tags as u64);
            let (_, cost) = compiled.infer(rule, (own.clone(), own)).unwrap();
            prop_assert!(spent <= cost * 2 + 10, "{rule}: {spent} of {cost}");
        }
    }
}
