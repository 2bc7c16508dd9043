//! Named formats of texts in rules: `format.dns1123Label().validate(text)`
//! (<https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-format-library>).

use jiff::Timestamp;

use super::evaluate::{Outcome, fault};
use super::network::Url;
use super::value::Value;

/// The formats, each with a function of its name.
pub(super) const NAMES: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// The format of a name; an optional value, as `format.named` makes it.
pub(super) fn named<'a>(name: &str) -> Value<'a> {
    let found = NAMES.iter().find(|known| **known == name);
    Value::Optional(found.map(|known| Box::new(Value::Format(known))))
}

/// A method of a format: what is wrong with a text, or nothing.
pub(super) fn method<'a>(
    format: &'static str,
    name: &str,
    given: &[Value<'a>],
) -> Option<Outcome<'a>> {
    let ("validate", [Value::Text(text)]) = (name, given) else {
        return None;
    };
    let wrong = faults(format, text);
    let wrong = wrong.map(|words| {
        let words = words.into_iter().map(|words| Value::Text(words.into()));
        Box::new(Value::List(words.collect()))
    });
    Some(Ok(Value::Optional(wrong)))
}

fn faults(format: &str, text: &str) -> Option<Vec<String>> {
    let prefix = format.ends_with("Prefix");
    // A prefix may end with what only a whole name must not end with.
    let held = match prefix {
        true => text.strip_suffix('-').unwrap_or(text),
        false => text,
    };
    let (fits, most, words) = match format.trim_end_matches("Prefix") {
        "dns1123Label" => (is_label(held, false), 63, LABEL),
        "dns1123Subdomain" => (
            held.split('.').all(|part| is_label(part, false)),
            253,
            SUBDOMAIN,
        ),
        "dns1035Label" => (is_label(held, true), 63, OLD_LABEL),
        "labelValue" => (text.is_empty() || is_value(text), 63, VALUE),
        "qualifiedName" => (is_qualified(text), 317, QUALIFIED),
        "uri" => (
            Url::parse(text).is_some(),
            usize::MAX,
            "invalid URI for request",
        ),
        "uuid" => (is_uuid(text), usize::MAX, "does not match the UUID format"),
        "byte" => (is_base64(text), usize::MAX, "invalid base64"),
        "date" => (
            text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
            usize::MAX,
            "invalid date",
        ),
        _ => (
            text.parse::<Timestamp>().is_ok(),
            usize::MAX,
            "invalid datetime",
        ),
    };
    let mut found = Vec::new();
    if text.chars().count() > most {
        found.push(format!("must be no more than {most} characters"));
    }
    if !fits {
        found.push(words.to_owned());
    }
    (!found.is_empty()).then_some(found)
}

fn is_label(text: &str, letter_first: bool) -> bool {
    let bytes = text.as_bytes();
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    small(*first)
        && small(*last)
        && (!letter_first || first.is_ascii_lowercase())
        && bytes.iter().all(|byte| small(*byte) || *byte == b'-')
}

fn is_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let ends = ends
        .iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric));
    ends && bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_qualified(text: &str) -> bool {
    let (domain, name) = match text.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, text),
    };
    let hosted = domain.is_none_or(|domain| domain.split('.').all(|part| is_label(part, false)));
    hosted && name.len() <= 63 && is_value(name)
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    let whole = [text];
    let parts: &[&str] = if parts.len() == 1 { &whole } else { &parts };
    let hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    parts.iter().all(hex) && (sizes == lengths || sizes == [32])
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(known)
}

/// `'%s is %d'.format([a, b])`.
pub(super) fn formatted<'a>(pattern: &str, given: &[Value<'a>]) -> Outcome<'a> {
    let mut made = String::with_capacity(pattern.len());
    let mut given = given.iter();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            made.push(letter);
            continue;
        }
        let mut verb = letters.next();
        if verb == Some('%') {
            made.push('%');
            continue;
        }
        let mut digits = None;
        if verb == Some('.') {
            let rest = letters.as_str();
            let end = rest.find(|one: char| !one.is_ascii_digit()).unwrap_or(0);
            digits = rest[..end]
                .parse::<usize>()
                .ok()
                .filter(|count| *count < 100);
            letters = rest[end..].chars();
            verb = letters.next();
        }
        let Some(value) = given.next() else {
            return fault(format!("index {} out of range", made.len()));
        };
        match clause(verb, digits, value) {
            Some(text) => made.push_str(&text),
            None => {
                let (verb, kind) = (verb.unwrap_or(' '), value.kind());
                return fault(format!(
                    "could not parse formatting clause: %{verb} of {kind}"
                ));
            }
        }
    }
    Ok(Value::Text(made.into()))
}

fn clause(verb: Option<char>, digits: Option<usize>, value: &Value<'_>) -> Option<String> {
    let six = digits.unwrap_or(6);
    Some(match (verb?, value) {
        ('s', value) => value.shown(),
        ('d', Value::Int(_)) => value.shown(),
        ('f', value) => format!("{:.six$}", value.number()?),
        ('e', value) => {
            let text = format!("{:.six$e}", value.number()?);
            let (digits, power) = text.split_once('e')?;
            let power: i32 = power.parse().ok()?;
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.abs())
        }
        ('b', Value::Int(number)) => format!("{number:b}"),
        ('b', Value::Bool(is)) => u8::from(*is).to_string(),
        ('o', Value::Int(number)) => format!("{number:o}"),
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('X', Value::Int(number)) => format!("{number:X}"),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        _ => return None,
    })
}

/// `strings.quote(text)`.
pub(super) fn quoted<'a>(text: &str) -> Outcome<'a> {
    let mut made = String::with_capacity(text.len() + 2);
    made.push('"');
    for letter in text.chars() {
        match letter {
            '\u{7}' => made.push_str("\\a"),
            '\u{8}' => made.push_str("\\b"),
            '\u{c}' => made.push_str("\\f"),
            '\n' => made.push_str("\\n"),
            '\r' => made.push_str("\\r"),
            '\t' => made.push_str("\\t"),
            '\u{b}' => made.push_str("\\v"),
            '\\' => made.push_str("\\\\"),
            '"' => made.push_str("\\\""),
            letter => made.push(letter),
        }
    }
    made.push('"');
    Ok(Value::Text(made.into()))
}
