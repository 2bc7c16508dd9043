//! The function library: one row per function, each pure, each total except for the errors that it states.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::value::EvaluationError;
use crate::value::{Type, Value};

type Run = for<'a> fn(&[Value<'a>]) -> Result<Value<'a>, EvaluationError>;

/// A type in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Bool,
    Int,
    Double,
    Text,
    Span,
    Time,
    Ip,
    Net,
    Texts,
    Sized,
}

impl Form {
    pub(crate) fn admits(self, ty: &Type) -> bool {
        match self {
            Form::Sized => matches!(ty, Type::Text | Type::List(_) | Type::Map(_)),
            Form::Texts => ty.agrees(&Type::List(Box::new(Type::Text))),
            simple => *ty == simple.ty(),
        }
    }

    pub(crate) fn ty(self) -> Type {
        match self {
            Form::Bool => Type::Bool,
            Form::Int => Type::Int,
            Form::Double => Type::Double,
            Form::Text | Form::Sized => Type::Text,
            Form::Span => Type::Span,
            Form::Time => Type::Time,
            Form::Ip => Type::Ip,
            Form::Net => Type::Net,
            Form::Texts => Type::List(Box::new(Type::Text)),
        }
    }
}

/// How a function may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `f(a)`
    Global,
    /// `a.f()`
    Member,
    /// Both.
    Either,
}

/// One overload.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) style: Style,
    pub(crate) parameters: &'static [Form],
    pub(crate) result: Form,
    pub(crate) run: Run,
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |form: &Form| match form {
            Form::Sized => "string, list or map".to_owned(),
            other => other.ty().to_string(),
        };
        let mut parameters = self.parameters.iter().map(show);
        if self.style == Style::Member {
            write!(f, "{}.", parameters.next().unwrap_or_default())?;
        }
        write!(
            f,
            "{}({})",
            self.name,
            parameters.collect::<Vec<_>>().join(", ")
        )
    }
}

macro_rules! functions {
    ($($name:literal $style:ident ($($parameter:ident),*) -> $result:ident = $run:expr;)*) => {
        /// Every overload of every function.
        pub(crate) static FUNCTIONS: &[Function] = &[$(Function {
            name: $name,
            style: Style::$style,
            parameters: &[$(Form::$parameter),*],
            result: Form::$result,
            run: $run,
        }),*];
    };
}

functions! {
    "size" Either (Sized) -> Int = |a| Ok(Value::Int(a[0].size()? as i64));
    "startsWith" Member (Text, Text) -> Bool = |a| Ok(Value::Bool(a[0].text()?.starts_with(a[1].text()?)));
    "endsWith" Member (Text, Text) -> Bool = |a| Ok(Value::Bool(a[0].text()?.ends_with(a[1].text()?)));
    "contains" Member (Text, Text) -> Bool = |a| Ok(Value::Bool(a[0].text()?.contains(a[1].text()?)));
    "lowerAscii" Member (Text) -> Text = |a| Ok(owned(a[0].text()?.to_ascii_lowercase()));
    "upperAscii" Member (Text) -> Text = |a| Ok(owned(a[0].text()?.to_ascii_uppercase()));
    "trim" Member (Text) -> Text = |a| Ok(owned(a[0].text()?.trim().to_owned()));
    "split" Member (Text, Text) -> Texts = |a| split(&a[0], &a[1]);
    "join" Member (Texts) -> Text = |a| join(&a[0], "");
    "join" Member (Texts, Text) -> Text = |a| join(&a[0], a[1].text()?);
    "string" Global (Text) -> Text = |a| Ok(a[0].clone());
    "string" Global (Int) -> Text = |a| Ok(owned(a[0].whole()?.to_string()));
    "string" Global (Double) -> Text = |a| Ok(owned(a[0].double()?.to_string()));
    "string" Global (Bool) -> Text = |a| Ok(owned(a[0].bool()?.to_string()));
    "string" Global (Ip) -> Text = |a| Ok(owned(a[0].ip()?.to_string()));
    "string" Global (Net) -> Text = |a| Ok(owned(a[0].net()?.to_string()));
    "string" Global (Span) -> Text = |a| Ok(owned(seconds_text(a[0].whole()?)));
    "string" Global (Time) -> Text = |a| Ok(owned(stamp(&a[0])?.to_string()));
    "int" Global (Int) -> Int = |a| Ok(a[0].clone());
    "int" Global (Text) -> Int = |a| parsed(&a[0], "int", Value::Int);
    "int" Global (Double) -> Int = |a| truncated(a[0].double()?);
    "int" Global (Time) -> Int = |a| Ok(Value::Int(a[0].whole()?.div_euclid(SECOND)));
    "double" Global (Double) -> Double = |a| Ok(a[0].clone());
    "double" Global (Int) -> Double = |a| Ok(Value::Double(a[0].whole()? as f64));
    "double" Global (Text) -> Double = |a| parsed(&a[0], "double", Value::Double);
    "bool" Global (Text) -> Bool = |a| parsed(&a[0], "bool", Value::Bool);
    "duration" Global (Text) -> Span = |a| duration(a[0].text()?);
    "timestamp" Global (Text) -> Time = |a| timestamp(a[0].text()?);
    "timestamp" Global (Int) -> Time = |a| a[0].whole()?.checked_mul(SECOND).map(Value::Time).ok_or(EvaluationError::Overflow);
    "ip" Global (Text) -> Ip = |a| parsed(&a[0], "IP address", |ip: IpAddr| Value::Ip(ip));
    "isIP" Global (Text) -> Bool = |a| Ok(Value::Bool(a[0].text()?.parse::<IpAddr>().is_ok()));
    "cidr" Global (Text) -> Net = |a| parsed(&a[0], "CIDR range such as 10.0.0.0/8", |net: IpNet| Value::Net(net));
    "containsIP" Member (Net, Ip) -> Bool = |a| Ok(Value::Bool(contains(a[0].net()?, a[1].ip()?)));
    "isLoopback" Member (Ip) -> Bool = |a| Ok(Value::Bool(a[0].ip()?.is_loopback()));
    "family" Member (Ip) -> Int = |a| Ok(Value::Int(if a[0].ip()?.is_ipv4() { 4 } else { 6 }));
    "getFullYear" Member (Time) -> Int = |a| Ok(Value::Int(civil(&a[0])?.year().into()));
    "getMonth" Member (Time) -> Int = |a| Ok(Value::Int(i64::from(civil(&a[0])?.month()) - 1));
    "getDate" Member (Time) -> Int = |a| Ok(Value::Int(civil(&a[0])?.day().into()));
    "getDayOfWeek" Member (Time) -> Int = |a| Ok(Value::Int(civil(&a[0])?.weekday().to_sunday_zero_offset().into()));
    "getHours" Member (Time) -> Int = |a| Ok(Value::Int(civil(&a[0])?.hour().into()));
    "getMinutes" Member (Time) -> Int = |a| Ok(Value::Int(civil(&a[0])?.minute().into()));
    "getSeconds" Member (Time) -> Int = |a| Ok(Value::Int(civil(&a[0])?.second().into()));
    "getHours" Member (Span) -> Int = |a| Ok(Value::Int(a[0].whole()? / (3600 * SECOND)));
    "getMinutes" Member (Span) -> Int = |a| Ok(Value::Int(a[0].whole()? / (60 * SECOND)));
    "getSeconds" Member (Span) -> Int = |a| Ok(Value::Int(a[0].whole()? / SECOND));
    "getMilliseconds" Member (Span) -> Int = |a| Ok(Value::Int(a[0].whole()? / 1_000_000));
}

const SECOND: i64 = 1_000_000_000;

fn owned<'a>(text: String) -> Value<'a> {
    Value::Owned(text.into())
}

fn parsed<'a, T: std::str::FromStr>(
    text: &Value<'a>,
    what: &'static str,
    make: fn(T) -> Value<'static>,
) -> Result<Value<'a>, EvaluationError> {
    text.text()?
        .parse()
        .map(make)
        .map_err(|_| EvaluationError::Conversion(what))
}

fn truncated<'a>(value: f64) -> Result<Value<'a>, EvaluationError> {
    // 2^63 is exact as a double; i64::MAX is not.
    let bound = 9_223_372_036_854_775_808.0;
    if value > -bound && value < bound {
        Ok(Value::Int(value as i64))
    } else {
        Err(EvaluationError::Overflow)
    }
}

fn split<'a>(text: &Value<'a>, by: &Value<'a>) -> Result<Value<'a>, EvaluationError> {
    let by = by.text()?;
    Ok(Value::Items(match text {
        Value::Text(text) => {
            let text: &'a str = text;
            text.split(by).map(|part| owned(part.to_owned())).collect()
        }
        other => other
            .text()?
            .split(by)
            .map(|part| owned(part.to_owned()))
            .collect(),
    }))
}

fn join<'a>(list: &Value<'a>, by: &str) -> Result<Value<'a>, EvaluationError> {
    let parts: Result<Vec<&str>, _> = list.items()?.iter().map(Value::text).collect();
    Ok(owned(parts?.join(by)))
}

/// Membership of an address; an IPv4 address mapped into IPv6 counts as itself.
pub(crate) fn contains(net: IpNet, ip: IpAddr) -> bool {
    net.contains(&ip) || net.contains(&ip.to_canonical())
}

/// A duration in Go's form: `1h30m`, `1.5s`, `20ms`, with a sign.
fn duration<'a>(text: &str) -> Result<Value<'a>, EvaluationError> {
    let wrong = EvaluationError::Conversion("duration such as 1.5s, 20ms or 1h30m");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest.is_empty() {
        return Err(wrong);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or(wrong)?;
        let amount: f64 = rest[..digits].parse().map_err(|_| wrong)?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "h" => 3600e9,
            "m" => 60e9,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return Err(wrong),
        };
        total += amount * unit;
        rest = &rest[letters..];
    }
    match truncated((sign * total).round())? {
        Value::Int(nanos) => Ok(Value::Span(nanos)),
        _ => Err(wrong),
    }
}

/// A duration in Go's form such as `1m30s`, in nanoseconds; none if it is not one.
pub fn nanoseconds(text: &str) -> Option<i64> {
    duration(text).ok().and_then(|value| value.whole().ok())
}

fn seconds_text(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let fraction = format!("{:09}", magnitude % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{dot}{fraction}s", magnitude / 1_000_000_000)
}

fn timestamp<'a>(text: &str) -> Result<Value<'a>, EvaluationError> {
    let stamp: Timestamp = text.parse().map_err(|_| {
        EvaluationError::Conversion("RFC 3339 timestamp such as 2026-01-31T12:00:00Z")
    })?;
    i64::try_from(stamp.as_nanosecond())
        .map(Value::Time)
        .map_err(|_| EvaluationError::Overflow)
}

fn stamp(value: &Value<'_>) -> Result<Timestamp, EvaluationError> {
    Timestamp::from_nanosecond(i128::from(value.whole()?)).map_err(|_| EvaluationError::Overflow)
}

fn civil(value: &Value<'_>) -> Result<jiff::civil::DateTime, EvaluationError> {
    Ok(stamp(value)?.to_zoned(TimeZone::UTC).datetime())
}
