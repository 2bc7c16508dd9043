//! What Kubernetes adds to CEL beside strings and lists: each function and method with what it takes and makes, so that rules
//! are checked before they run, and where it is done.

use super::authorizer::{self, Step};
use super::evaluate::{Evaluation, Outcome};
use super::value::Value;
use super::{formats, network, quantity, semver, sets, times};
use crate::ir::{Kind, Node};
use crate::types::Type;

/// What values are called that only functions make.
pub(super) const QUANTITY: &str = "kubernetes.Quantity";
const SEMVER: &str = "kubernetes.Semver";
const IP: &str = "net.IP";
const CIDR: &str = "net.CIDR";
const URL: &str = "kubernetes.URL";
const FORMAT: &str = "kubernetes.NamedFormat";
const TYPE: &str = "type";

/// Prefixes of functions that are no values.
const SPACES: [&str; 7] = [
    "optional", "sets", "format", "strings", "ip", "cidr", "math",
];

/// Names that stand for types, as in `type(self) == string`.
const TYPES: [&str; 12] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

/// What is taken and made.
#[derive(Clone, Copy)]
enum Of {
    Any,
    Bool,
    Int,
    Double,
    Text,
    List,
    Perhaps,
    /// A map of lists of texts.
    Queries,
    /// Perhaps a list of texts.
    Faults,
    Opaque(&'static str),
}

impl Of {
    fn known(self) -> Type {
        let texts = || Type::List(Box::new(Type::Text(SHORT)), SHORT);
        match self {
            Self::Any => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Double => Type::Double,
            Self::Text => Type::Text(SHORT),
            Self::List => Type::List(Box::new(Type::Dyn), SHORT),
            Self::Perhaps => Type::Optional(Box::new(Type::Dyn)),
            Self::Queries => Type::Map(Box::new(texts()), SHORT),
            Self::Faults => Type::Optional(Box::new(texts())),
            Self::Opaque(name) => Type::Opaque(name),
        }
    }
}

/// How long texts and lists are that these functions make.
const SHORT: u64 = 64;

/// A function: its target, if it is a method; its name; what it takes, and what it makes.
type Signature = (Option<Of>, &'static str, &'static [Of], Of);

const ASKS: [Of; 5] = {
    let [a, b, c, d, e] = authorizer::TYPES;
    [
        Of::Opaque(a),
        Of::Opaque(b),
        Of::Opaque(c),
        Of::Opaque(d),
        Of::Opaque(e),
    ]
};

const AMOUNT: Option<Of> = Some(Of::Opaque(QUANTITY));
const VERSION: Option<Of> = Some(Of::Opaque(SEMVER));
const ADDRESS: Option<Of> = Some(Of::Opaque(IP));
const RANGE: Option<Of> = Some(Of::Opaque(CIDR));
const PLACE: Option<Of> = Some(Of::Opaque(URL));
const WORDS: Option<Of> = Some(Of::Text);

/// Every one of them; several of one name differ in what they take.
static SIGNATURES: &[Signature] = &[
    (None, "quantity", &[Of::Text], Of::Opaque(QUANTITY)),
    (None, "isQuantity", &[Of::Text], Of::Bool),
    (AMOUNT, "isInteger", &[], Of::Bool),
    (AMOUNT, "asInteger", &[], Of::Int),
    (AMOUNT, "asApproximateFloat", &[], Of::Double),
    (AMOUNT, "sign", &[], Of::Int),
    (AMOUNT, "isGreaterThan", &[Of::Opaque(QUANTITY)], Of::Bool),
    (AMOUNT, "isLessThan", &[Of::Opaque(QUANTITY)], Of::Bool),
    (AMOUNT, "compareTo", &[Of::Opaque(QUANTITY)], Of::Int),
    (AMOUNT, "add", &[Of::Opaque(QUANTITY)], Of::Opaque(QUANTITY)),
    (AMOUNT, "add", &[Of::Int], Of::Opaque(QUANTITY)),
    (AMOUNT, "sub", &[Of::Opaque(QUANTITY)], Of::Opaque(QUANTITY)),
    (AMOUNT, "sub", &[Of::Int], Of::Opaque(QUANTITY)),
    (None, "semver", &[Of::Text], Of::Opaque(SEMVER)),
    (None, "semver", &[Of::Text, Of::Bool], Of::Opaque(SEMVER)),
    (None, "isSemver", &[Of::Text], Of::Bool),
    (None, "isSemver", &[Of::Text, Of::Bool], Of::Bool),
    (VERSION, "major", &[], Of::Int),
    (VERSION, "minor", &[], Of::Int),
    (VERSION, "patch", &[], Of::Int),
    (VERSION, "isGreaterThan", &[Of::Opaque(SEMVER)], Of::Bool),
    (VERSION, "isLessThan", &[Of::Opaque(SEMVER)], Of::Bool),
    (VERSION, "compareTo", &[Of::Opaque(SEMVER)], Of::Int),
    (None, "ip", &[Of::Text], Of::Opaque(IP)),
    (None, "isIP", &[Of::Text], Of::Bool),
    (None, "ip.isCanonical", &[Of::Text], Of::Bool),
    (ADDRESS, "family", &[], Of::Int),
    (ADDRESS, "isUnspecified", &[], Of::Bool),
    (ADDRESS, "isLoopback", &[], Of::Bool),
    (ADDRESS, "isLinkLocalMulticast", &[], Of::Bool),
    (ADDRESS, "isLinkLocalUnicast", &[], Of::Bool),
    (ADDRESS, "isGlobalUnicast", &[], Of::Bool),
    (None, "cidr", &[Of::Text], Of::Opaque(CIDR)),
    (None, "isCIDR", &[Of::Text], Of::Bool),
    (RANGE, "containsIP", &[Of::Opaque(IP)], Of::Bool),
    (RANGE, "containsIP", &[Of::Text], Of::Bool),
    (RANGE, "containsCIDR", &[Of::Opaque(CIDR)], Of::Bool),
    (RANGE, "containsCIDR", &[Of::Text], Of::Bool),
    (RANGE, "ip", &[], Of::Opaque(IP)),
    (RANGE, "masked", &[], Of::Opaque(CIDR)),
    (RANGE, "prefixLength", &[], Of::Int),
    (None, "url", &[Of::Text], Of::Opaque(URL)),
    (None, "isURL", &[Of::Text], Of::Bool),
    (PLACE, "getScheme", &[], Of::Text),
    (PLACE, "getHost", &[], Of::Text),
    (PLACE, "getHostname", &[], Of::Text),
    (PLACE, "getPort", &[], Of::Text),
    (PLACE, "getEscapedPath", &[], Of::Text),
    (PLACE, "getQuery", &[], Of::Queries),
    (None, "optional.of", &[Of::Any], Of::Perhaps),
    (None, "optional.ofNonZeroValue", &[Of::Any], Of::Perhaps),
    (None, "optional.none", &[], Of::Perhaps),
    (None, "sets.contains", &[Of::List, Of::List], Of::Bool),
    (None, "sets.equivalent", &[Of::List, Of::List], Of::Bool),
    (None, "sets.intersects", &[Of::List, Of::List], Of::Bool),
    (None, "strings.quote", &[Of::Text], Of::Text),
    (None, "type", &[Of::Any], Of::Opaque(TYPE)),
    (None, "bool", &[Of::Text], Of::Bool),
    (None, "bool", &[Of::Bool], Of::Bool),
    (None, "string", &[Of::Opaque(IP)], Of::Text),
    (None, "string", &[Of::Opaque(CIDR)], Of::Text),
    (WORDS, "format", &[Of::List], Of::Text),
    (None, "format.named", &[Of::Text], Of::Perhaps),
    (
        Some(Of::Opaque(FORMAT)),
        "validate",
        &[Of::Text],
        Of::Faults,
    ),
    (
        Some(ASKS[0]),
        "serviceAccount",
        &[Of::Text, Of::Text],
        ASKS[0],
    ),
    (Some(ASKS[0]), "path", &[Of::Text], ASKS[1]),
    (Some(ASKS[0]), "group", &[Of::Text], ASKS[2]),
    (Some(ASKS[1]), "check", &[Of::Text], ASKS[4]),
    (Some(ASKS[2]), "resource", &[Of::Text], ASKS[3]),
    (Some(ASKS[3]), "subresource", &[Of::Text], ASKS[3]),
    (Some(ASKS[3]), "namespace", &[Of::Text], ASKS[3]),
    (Some(ASKS[3]), "name", &[Of::Text], ASKS[3]),
    (Some(ASKS[3]), "fieldSelector", &[Of::Text], ASKS[3]),
    (Some(ASKS[3]), "labelSelector", &[Of::Text], ASKS[3]),
    (Some(ASKS[3]), "check", &[Of::Text], ASKS[4]),
    (Some(ASKS[4]), "allowed", &[], Of::Bool),
    (Some(ASKS[4]), "errored", &[], Of::Bool),
    (Some(ASKS[4]), "reason", &[], Of::Text),
    (Some(ASKS[4]), "error", &[], Of::Text),
];

/// The whole name of a function whose target is no value but a prefix: `sets.contains`.
pub(super) fn qualified(target: &Node, function: &str) -> Option<String> {
    match &target.kind {
        Kind::Name(space) if SPACES.contains(&space.as_str()) => {
            Some(format!("{space}.{function}"))
        }
        _ => None,
    }
}

/// Whether a name stands for a type.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    TYPES.iter().find(|known| **known == name).copied()
}

/// Whether a name stands for what nothing but functions below it have.
pub(super) fn is_space(name: &str) -> bool {
    SPACES.contains(&name)
}

fn is_format(name: &str) -> bool {
    let below = name.strip_prefix("format.");
    below.is_some_and(|name| formats::NAMES.contains(&name))
}

/// Whether a function of this name and number of arguments is known.
pub(super) fn is_known(method: bool, name: &str, arguments: usize) -> bool {
    let mut all = SIGNATURES.iter();
    let listed = all.any(|(target, known, takes, _)| {
        target.is_some() == method && *known == name && takes.len() == arguments
    });
    listed
        || (method && times::NAMES.contains(&name) && arguments < 2)
        || (!method && arguments == 0 && is_format(name))
}

/// The type of what a function or method makes; `None` if it is not known or takes no such values.
pub(super) fn makes(target: Option<&Type>, name: &str, given: &[Type]) -> Option<Type> {
    if target.is_none() && is_format(name) {
        return Some(Type::Opaque(FORMAT));
    }
    if matches!(target, Some(Type::Time | Type::Duration)) && times::NAMES.contains(&name) {
        return Some(Type::Int);
    }
    if let ("optional.of" | "optional.ofNonZeroValue", [one]) = (name, given) {
        return Some(Type::Optional(Box::new(one.clone())));
    }
    let fits = |wanted: &Of, found: &Type| wanted.known().agrees(found);
    let mut all = SIGNATURES.iter();
    let found = all.find(|(of, known, takes, _)| {
        let targeted = match (of, target) {
            (None, None) => true,
            (Some(wanted), Some(found)) => fits(wanted, found),
            _ => false,
        };
        targeted
            && *known == name
            && takes.len() == given.len()
            && takes
                .iter()
                .zip(given)
                .all(|(wanted, found)| fits(wanted, found))
    });
    found.map(|(.., made)| made.known())
}

/// Calls a function without a target; `None` if it is not one of these.
pub(super) fn global<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    name: &str,
    given: &[Value<'a>],
) -> Option<Outcome<'a>> {
    Some(match (name, given) {
        ("quantity", [Value::Text(text)]) => quantity::made(text),
        ("ip" | "cidr" | "url", [Value::Text(text)]) => network::made(name, text),
        ("isQuantity", [Value::Text(text)]) => is(quantity::made(text)),
        ("semver", [Value::Text(text)]) => semver::made(text, false),
        ("semver", [Value::Text(text), Value::Bool(lenient)]) => semver::made(text, *lenient),
        ("isSemver", [Value::Text(text)]) => is(semver::made(text, false)),
        ("isSemver", [Value::Text(text), Value::Bool(lenient)]) => is(semver::made(text, *lenient)),
        ("isIP", [Value::Text(text)]) => is(network::made("ip", text)),
        ("isCIDR", [Value::Text(text)]) => is(network::made("cidr", text)),
        ("isURL", [Value::Text(text)]) => is(network::made("url", text)),
        ("ip.isCanonical", [Value::Text(text)]) => match network::made("ip", text) {
            Ok(Value::Ip(address)) => Ok(Value::Bool(address.to_string() == **text)),
            other => other,
        },
        ("optional.of", [one]) => Ok(Value::Optional(Some(Box::new(one.clone())))),
        ("optional.ofNonZeroValue", [one]) => {
            let kept = (!one.is_zero()).then(|| Box::new(one.clone()));
            Ok(Value::Optional(kept))
        }
        ("optional.none", []) => Ok(Value::Optional(None)),
        ("sets.contains" | "sets.equivalent" | "sets.intersects", [a, b]) => {
            sets::compare(evaluation, &name[5..], (a, b))
        }
        ("strings.quote", [Value::Text(text)]) => formats::quoted(text),
        ("type", [one]) => Ok(Value::Type(one.type_name())),
        ("bool", [Value::Bool(one)]) => Ok(Value::Bool(*one)),
        ("bool", [Value::Text(text)]) => match &**text {
            "1" | "t" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            text => super::evaluate::fault(format!("{text:?} cannot be converted")),
        },
        ("string", [Value::Ip(_) | Value::Cidr(_) | Value::Time(_) | Value::Duration(_)]) => {
            Ok(Value::Text(given[0].shown().into()))
        }
        ("int", [Value::Time(moment)]) => Ok(Value::Int(moment.as_second())),
        ("format.named", [Value::Text(text)]) => Ok(formats::named(text)),
        (name, []) if is_format(name) => match formats::named(&name[7..]) {
            Value::Optional(Some(format)) => Ok(*format),
            other => Ok(other),
        },
        _ => return None,
    })
}

fn is<'a>(made: Outcome<'a>) -> Outcome<'a> {
    Ok(Value::Bool(made.is_ok()))
}

/// Calls a method; `None` if it is not one of these.
pub(super) fn method<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    target: &Value<'a>,
    name: &str,
    given: &[Value<'a>],
) -> Option<Outcome<'a>> {
    match (target, name, given) {
        (Value::Quantity(of), ..) => quantity::method(*of, name, given),
        (Value::Semver(of), ..) => semver::method(of, name, given),
        (Value::Ip(address), ..) => network::of_address(*address, name),
        (Value::Cidr(range), ..) => network::of_range(*range, name, given),
        (Value::Url(url), ..) => network::of_url(url, name),
        (Value::Format(format), ..) => formats::method(format, name, given),
        (Value::Time(moment), ..) => times::of_moment(*moment, name, given),
        (Value::Duration(nanos), _, []) => times::of_length(*nanos, name),
        (Value::Asked(asked), ..) => authorizer::method(evaluation, asked, name, given),
        (Value::Allowed(allowed), ..) => authorizer::decided(*allowed, name),
        (Value::Text(pattern), "format", [list]) => {
            let list = list.elements()?;
            Some(formats::formatted(pattern, &list))
        }
        _ => None,
    }
}

/// A field of `authorizer`: the question whether the request itself is allowed.
pub(super) fn field<'a>(
    evaluation: &Evaluation<'_, 'a>,
    target: &Value<'a>,
    field: &str,
) -> Option<Value<'a>> {
    let Value::Asked(asked) = target else {
        return None;
    };
    let request = &evaluation.environment?.request;
    let whole = asked.step == Step::Authorizer && field == "requestResource";
    whole.then(|| {
        Value::Asked(Box::new(authorizer::Asked {
            step: Step::Resource,
            access: request.clone(),
        }))
    })
}

/// The type of `authorizer`.
pub(super) fn authorizer_type() -> Type {
    ASKS[0].known()
}

/// The type of a field of what only functions make.
pub(super) fn field_type(of: &str, field: &str) -> Option<Type> {
    (of == authorizer::TYPES[0] && field == "requestResource").then(|| ASKS[3].known())
}
