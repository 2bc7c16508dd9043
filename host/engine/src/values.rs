//! Arguments and results of an exported function as words: what a person types, and what they are shown.

use wasmtime::component::Val;
use wasmtime::component::types::Type;

/// The arguments of a function. A list of strings at its end takes all that is left.
pub(crate) fn arguments(params: &[(String, Type)], words: &[String]) -> Result<Vec<Val>, String> {
    let mut words = words.iter();
    let mut found = Vec::new();
    for (at, (name, ty)) in params.iter().enumerate() {
        let last = at + 1 == params.len();
        let value = match ty {
            Type::List(list) if last && list.ty() == Type::String => {
                Val::List(words.by_ref().cloned().map(Val::String).collect())
            }
            Type::Option(option) => match words.next() {
                None => Val::Option(None),
                Some(word) => Val::Option(Some(Box::new(one((name, &option.ty()), word)?))),
            },
            ty => {
                let word = words
                    .next()
                    .ok_or_else(|| format!("the argument {name} is missing"))?;
                one((name, ty), word)?
            }
        };
        found.push(value);
    }
    match words.next() {
        None => Ok(found),
        Some(word) => Err(format!(
            "{word:?}: it takes {} arguments and no more",
            params.len()
        )),
    }
}

fn one((name, ty): (&str, &Type), word: &str) -> Result<Val, String> {
    let wrong = |what: &str| format!("the argument {name} must be {what}, and is {word:?}");
    macro_rules! number {
        ($variant:ident) => {
            word.parse()
                .map(Val::$variant)
                .map_err(|_| wrong(concat!("a number (", stringify!($variant), ")")))
        };
    }
    match ty {
        Type::String => Ok(Val::String(word.to_owned())),
        Type::Bool => word
            .parse()
            .map(Val::Bool)
            .map_err(|_| wrong("true or false")),
        Type::Char => word
            .parse()
            .map(Val::Char)
            .map_err(|_| wrong("one character")),
        Type::S8 => number!(S8),
        Type::U8 => number!(U8),
        Type::S16 => number!(S16),
        Type::U16 => number!(U16),
        Type::S32 => number!(S32),
        Type::U32 => number!(U32),
        Type::S64 => number!(S64),
        Type::U64 => number!(U64),
        Type::Float32 => number!(Float32),
        Type::Float64 => number!(Float64),
        Type::Enum(cases) => {
            let known: Vec<&str> = cases.names().collect();
            let known_words = format!("one of {known:?}");
            match known.contains(&word) {
                true => Ok(Val::Enum(word.to_owned())),
                false => Err(wrong(&known_words)),
            }
        }
        _ => Err(format!(
            "the argument {name} cannot be given as a word: only strings, numbers, characters, booleans, enums, options of them, and a list of strings at the end can"
        )),
    }
}

/// What a result looks like, and whether it is a failure.
pub(crate) fn printed(result: Option<&Val>) -> (String, Result<(), ()>) {
    match result {
        None => (String::new(), Ok(())),
        Some(Val::Result(Ok(value))) => (optional(value.as_deref()), Ok(())),
        Some(Val::Result(Err(value))) => (optional(value.as_deref()), Err(())),
        Some(value) => (text(value), Ok(())),
    }
}

fn optional(value: Option<&Val>) -> String {
    value.map(text).unwrap_or_default()
}

/// Scalars as they are, a list one a line, what has parts as Rust writes it.
fn text(value: &Val) -> String {
    match value {
        Val::Bool(value) => value.to_string(),
        Val::S8(value) => value.to_string(),
        Val::U8(value) => value.to_string(),
        Val::S16(value) => value.to_string(),
        Val::U16(value) => value.to_string(),
        Val::S32(value) => value.to_string(),
        Val::U32(value) => value.to_string(),
        Val::S64(value) => value.to_string(),
        Val::U64(value) => value.to_string(),
        Val::Float32(value) => value.to_string(),
        Val::Float64(value) => value.to_string(),
        Val::Char(value) => value.to_string(),
        Val::String(value) | Val::Enum(value) => value.clone(),
        Val::Option(value) => optional(value.as_deref()),
        Val::List(values) => values.iter().map(text).collect::<Vec<_>>().join("\n"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_become_what_the_function_takes() {
        let params = [
            ("name".to_owned(), Type::String),
            ("times".to_owned(), Type::U8),
        ];
        let given = arguments(&params, &words(&["x", "7"])).unwrap();
        assert_eq!(given, [Val::String("x".to_owned()), Val::U8(7)]);
        let told = |given: &[&str]| arguments(&params, &words(given)).unwrap_err();
        assert_eq!(told(&["x"]), "the argument times is missing");
        assert!(told(&["x", "300"]).contains("must be a number (U8)"));
        assert!(told(&["x", "3", "y"]).contains("takes 2 arguments"));
    }

    #[test]
    fn a_result_that_is_an_error_fails() {
        let refused = Val::Result(Err(Some(Box::new(Val::String("no".to_owned())))));
        assert_eq!(printed(Some(&refused)), ("no".to_owned(), Err(())));
        let list = Val::List(vec![Val::U8(1), Val::Bool(true)]);
        assert_eq!(printed(Some(&list)), ("1\ntrue".to_owned(), Ok(())));
        assert_eq!(printed(None), (String::new(), Ok(())));
    }
}
