//! How one value of an expression becomes one value of a WIT type: decided once, when the policy is applied.

use osier_engine::plugin::Type as Wit;

use super::shape::show;
use osier_expressions::Type;

/// The target of one expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    Text,
    /// An address or network, written as text.
    Address,
    Bool,
    Whole(Whole),
    Double,
    Single,
    /// `record {seconds, nanoseconds}`; true if the seconds are unsigned.
    Time(bool),
    /// `record {nanoseconds}`
    Span,
    List(Box<Leaf>),
    /// `list<tuple<string, T>>`
    Pairs(Box<Leaf>),
    /// The only case of a variant that takes such a value.
    Case(String, Box<Leaf>),
}

/// Widths of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

fn whole(wit: &Wit) -> Option<Whole> {
    Some(match wit {
        Wit::S8 => Whole::S8,
        Wit::U8 => Whole::U8,
        Wit::S16 => Whole::S16,
        Wit::U16 => Whole::U16,
        Wit::S32 => Whole::S32,
        Wit::U32 => Whole::U32,
        Wit::S64 => Whole::S64,
        Wit::U64 => Whole::U64,
        _ => return None,
    })
}

/// The two types of `tuple<string, T>`.
pub(super) fn pair(wit: &Wit) -> Option<Wit> {
    match wit {
        Wit::Tuple(tuple) => {
            let mut types = tuple.types();
            match (types.next(), types.next(), types.next()) {
                (Some(Wit::String), Some(value), None) => Some(value),
                _ => None,
            }
        }
        _ => None,
    }
}

/// How a value of type `ty` fills `wit`.
pub(super) fn leaf(wit: &Wit, ty: &Type) -> Result<Leaf, String> {
    let fits = match (wit, ty) {
        (Wit::String, Type::Text) => Some(Leaf::Text),
        (Wit::Bool, Type::Bool) => Some(Leaf::Bool),
        (Wit::Float64, Type::Double) => Some(Leaf::Double),
        (Wit::Float32, Type::Double) => Some(Leaf::Single),
        (number, Type::Int) if whole(number).is_some() => whole(number).map(Leaf::Whole),
        (Wit::Record(record), Type::Time | Type::Span) => {
            let fields: Vec<_> = record
                .fields()
                .map(|field| (field.name, field.ty))
                .collect();
            match (fields.as_slice(), ty) {
                ([("seconds", seconds), ("nanoseconds", Wit::U32)], Type::Time) => match seconds {
                    Wit::S64 => Some(Leaf::Time(false)),
                    Wit::U64 => Some(Leaf::Time(true)),
                    _ => None,
                },
                ([("nanoseconds", Wit::S64)], Type::Span) => Some(Leaf::Span),
                _ => None,
            }
        }
        (Wit::List(list), Type::List(of)) => {
            leaf(&list.ty(), of).ok().map(|of| Leaf::List(Box::new(of)))
        }
        (Wit::List(list), Type::Map(of)) => pair(&list.ty())
            .and_then(|value| leaf(&value, of).ok())
            .map(|of| Leaf::Pairs(Box::new(of))),
        (_, Type::Any) => Some(Leaf::Text),
        (Wit::Variant(_), _) => return case(wit, ty),
        _ => None,
    };
    fits.ok_or_else(|| {
        let hint = match (wit, ty) {
            (
                Wit::String,
                Type::Ip
                | Type::Net
                | Type::Int
                | Type::Double
                | Type::Bool
                | Type::Time
                | Type::Span,
            ) => "; write string(..) around it",
            (Wit::Float64 | Wit::Float32, Type::Int) => "; write double(..) around it",
            (number, Type::Double | Type::Text) if whole(number).is_some() => {
                "; write int(..) around it"
            }
            _ => "",
        };
        format!(
            "the expression has type {ty}, but the template needs {}{hint}",
            show(wit)
        )
    })
}

/// The one case of a variant that takes a value of this type.
fn case(wit: &Wit, ty: &Type) -> Result<Leaf, String> {
    let Wit::Variant(variant) = wit else {
        return Err(format!("{} is no variant", show(wit)));
    };
    let fitting: Vec<(String, Leaf)> = variant
        .cases()
        .filter_map(|case| {
            let inner = match (case.ty.as_ref()?, ty) {
                // Values that the policy's author chose, such as dimensions: an address has one spelling.
                (Wit::String, Type::Ip | Type::Net) => Leaf::Address,
                (wit, ty) => leaf(wit, ty).ok()?,
            };
            Some((case.name.to_owned(), inner))
        })
        .collect();
    match fitting.as_slice() {
        [(name, inner)] => Ok(Leaf::Case(name.clone(), Box::new(inner.clone()))),
        [] => Err(format!(
            "no case of {} takes a value of type {ty}",
            show(wit)
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(format!(
                "{} all take a value of type {ty}; name the case: {{{}: ..}}",
                names.join(" and "),
                names.first().unwrap_or(&"case")
            ))
        }
    }
}
