//! What a check tells beside its verdict: Mixer's check with output. Read by name, kept as long as the call, or as its answer in the cache.

use osier_engine::plugin::{Type as Wit, Val};

use osier_expressions::{Authentication, Extra};
use osier_expressions::{Texts, Type};

/// The fields of an output, in the order of its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Output(Vec<(String, Told)>);

/// One value.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Absent,
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Texts(Vec<(String, String)>),
}

/// Names and types of the fields of an output that expressions can read; others are nobody's.
pub(crate) fn fields(record: &osier_engine::plugin::Record) -> Vec<(String, Type)> {
    let typed = record.fields().filter_map(|field| {
        let ty = match &field.ty {
            Wit::Option(inner) => ty(&inner.ty()),
            other => ty(other),
        };
        Some((field.name.to_owned(), ty?))
    });
    typed.collect()
}

fn ty(wit: &Wit) -> Option<Type> {
    Some(match wit {
        Wit::String => Type::Text,
        Wit::Bool => Type::Bool,
        Wit::S8 | Wit::U8 | Wit::S16 | Wit::U16 | Wit::S32 | Wit::U32 | Wit::S64 | Wit::U64 => {
            Type::Int
        }
        Wit::Float32 | Wit::Float64 => Type::Double,
        Wit::List(list) => match list.ty() {
            Wit::Tuple(tuple) if tuple.types().eq([Wit::String, Wit::String]) => Type::texts(),
            _ => return None,
        },
        _ => return None,
    })
}

impl Output {
    /// Takes a record apart.
    pub(crate) fn read(value: Val) -> Option<Self> {
        let Val::Record(fields) = value else {
            return None;
        };
        let told = |(name, value)| (name, told(value));
        Some(Self(fields.into_iter().map(told).collect()))
    }

    fn get(&self, name: &str) -> &Told {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map_or(&Told::Absent, |(_, told)| told)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Told::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A field, as an attribute outside the standard vocabulary.
    pub(crate) fn extra(&self, name: &str) -> Extra<'_> {
        match self.get(name) {
            Told::Absent => Extra::Absent,
            Told::Text(text) => Extra::Text(text),
            Told::Int(number) => Extra::Int(*number),
            Told::Double(number) => Extra::Double(*number),
            Told::Bool(truth) => Extra::Bool(*truth),
            Told::Texts(pairs) => Extra::Texts(Texts::Pairs(pairs)),
        }
    }

    /// `request.auth.*`, if this is the output of `osier:policy/authentication`.
    pub fn authentication(&self) -> Authentication<'_> {
        Authentication {
            principal: self.text("principal"),
            audiences: self.text("audiences"),
            presenter: self.text("presenter"),
            claims: match self.get("claims") {
                Told::Texts(pairs) => Texts::Pairs(pairs),
                _ => Texts::Empty,
            },
        }
    }
}

fn told(value: Val) -> Told {
    match value {
        Val::String(text) => Told::Text(text),
        Val::Bool(truth) => Told::Bool(truth),
        Val::S8(number) => Told::Int(number.into()),
        Val::U8(number) => Told::Int(number.into()),
        Val::S16(number) => Told::Int(number.into()),
        Val::U16(number) => Told::Int(number.into()),
        Val::S32(number) => Told::Int(number.into()),
        Val::U32(number) => Told::Int(number.into()),
        Val::S64(number) => Told::Int(number),
        Val::U64(number) => Told::Int(i64::try_from(number).unwrap_or(i64::MAX)),
        Val::Float32(number) => Told::Double(number.into()),
        Val::Float64(number) => Told::Double(number),
        Val::Option(Some(inner)) => told(*inner),
        Val::List(items) => Told::Texts(items.into_iter().filter_map(pair).collect()),
        _ => Told::Absent,
    }
}

fn pair(item: Val) -> Option<(String, String)> {
    match item {
        Val::Tuple(pair) => match <[Val; 2]>::try_from(pair) {
            Ok([Val::String(name), Val::String(text)]) => Some((name, text)),
            _ => None,
        },
        _ => None,
    }
}
