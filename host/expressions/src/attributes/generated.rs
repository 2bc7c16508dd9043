//! What generating plugins add to what is known of a call. It outlives the answers that it was made of, and is asked for once for each side.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Attributes, Extra};
use crate::value::{EvaluationError, Texts, Value};

/// Values of attributes that AttributeManifests declare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated(Vec<(u16, Arc<str>, Made)>);

#[derive(Clone, Debug, PartialEq)]
enum Made {
    Text(Box<str>),
    Int(i64),
    Double(f64),
    Bool(bool),
    Ip(IpAddr),
    Time(SystemTime),
    Span(Duration),
    Texts(Vec<(String, String)>),
}

impl Generated {
    /// Adds a value, unless the attribute has one: whoever speaks first is believed.
    pub fn add(
        &mut self,
        (place, name): (u16, &Arc<str>),
        value: &Value<'_>,
    ) -> Result<(), EvaluationError> {
        if value.is_absent() || self.0.iter().any(|(known, ..)| *known == place) {
            return Ok(());
        }
        self.0.push((place, name.clone(), made(value)?));
        Ok(())
    }

    /// Adds what another generator told after this one.
    pub fn merge(&mut self, later: Self) {
        for one in later.0 {
            if self.0.iter().all(|(known, ..)| *known != one.0) {
                self.0.push(one);
            }
        }
    }

    /// Names and values, for people.
    pub fn iter(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(_, name, made)| (&**name, made.words()))
    }

    /// Asks with what was added. What was stated of the call stays as it was stated.
    pub fn with<R>(
        &self,
        attributes: &Attributes<'_>,
        ask: impl FnOnce(&Attributes<'_>) -> R,
    ) -> R {
        if self.0.is_empty() {
            return ask(attributes);
        }
        let mut extra = attributes.extra.to_vec();
        for (place, _, made) in &self.0 {
            let place = usize::from(*place);
            extra.resize(extra.len().max(place + 1), Extra::Absent);
            if matches!(extra[place], Extra::Absent) {
                extra[place] = made.extra();
            }
        }
        ask(&Attributes {
            extra: &extra,
            ..*attributes
        })
    }
}

impl Made {
    fn extra(&self) -> Extra<'_> {
        match self {
            Self::Text(text) => Extra::Text(text),
            Self::Int(number) => Extra::Int(*number),
            Self::Double(number) => Extra::Double(*number),
            Self::Bool(truth) => Extra::Bool(*truth),
            Self::Ip(address) => Extra::Ip(*address),
            Self::Time(moment) => Extra::Time(*moment),
            Self::Span(length) => Extra::Span(*length),
            Self::Texts(pairs) => Extra::Texts(Texts::Pairs(pairs)),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Bool(truth) => truth.to_string(),
            Self::Ip(address) => address.to_string(),
            Self::Time(moment) => {
                let since = moment.duration_since(SystemTime::UNIX_EPOCH);
                format!("{}s since 1970", since.unwrap_or_default().as_secs_f64())
            }
            Self::Span(length) => format!("{}s", length.as_secs_f64()),
            Self::Texts(pairs) => {
                let words: Vec<_> = pairs
                    .iter()
                    .map(|(name, text)| format!("{name}={text}"))
                    .collect();
                words.join(",")
            }
        }
    }
}

fn made(value: &Value<'_>) -> Result<Made, EvaluationError> {
    let unsigned = |nanos: &i64| u64::try_from(*nanos).map(Duration::from_nanos);
    Ok(match value {
        Value::Int(number) => Made::Int(*number),
        Value::Double(number) => Made::Double(*number),
        Value::Bool(truth) => Made::Bool(*truth),
        Value::Ip(address) => Made::Ip(*address),
        Value::Span(nanos) => Made::Span(unsigned(nanos).map_err(|_| EvaluationError::Overflow)?),
        Value::Time(nanos) => {
            let since = unsigned(nanos).map_err(|_| EvaluationError::Overflow)?;
            Made::Time(SystemTime::UNIX_EPOCH + since)
        }
        Value::Map(_) | Value::Entries(_) => {
            let pair = |key: &Value<'_>| {
                let key = key.text()?;
                Ok((key.to_owned(), value.entry(key)?.text()?.to_owned()))
            };
            Made::Texts(value.keys().iter().map(pair).collect::<Result<_, _>>()?)
        }
        other => Made::Text(other.text()?.into()),
    })
}
