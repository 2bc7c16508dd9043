//! What a verified token says, as conditions of rules see it: `@request.auth.claims.NAME` among the headers of a match
//! (<https://istio.io/latest/docs/tasks/security/authentication/jwt-route/>).

use std::sync::Arc;

use serde_json::{Map, Value};

/// What begins the name of such a header.
const PREFIX: &str = "@request.auth.claims";

/// The claims of a request's token, beside its head.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Everything that it says.
    pub all: Arc<Map<String, Value>>,
    /// Claims whose text is a list with spaces between.
    pub spaced: Arc<[String]>,
}

/// The way to a claim: one name, or more for one inside another.
pub type Way = Box<[Box<str>]>;

/// The claim that the name of a header means, `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`; `None` for any other header.
///
/// # Errors
/// It begins so, and names no claim.
pub fn way(header: &str) -> Option<Result<Way, &'static str>> {
    let rest = header.strip_prefix(PREFIX)?;
    let bracketed = rest
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let names: Way = match (rest.strip_prefix('.'), bracketed) {
        (Some(dotted), _) => dotted.split('.').map(Into::into).collect(),
        (None, Some(inside)) => inside.split("][").map(Into::into).collect(),
        (None, None) => Box::default(),
    };
    let whole = !names.is_empty() && names.iter().all(|name| !name.is_empty());
    let fault = "names no claim: write @request.auth.claims.NAME or @request.auth.claims[NAME]";
    Some(whole.then_some(names).ok_or(fault))
}

/// The texts of a claim: its own, or those of a list. `None` if it is not there.
pub(crate) fn texts<'c>(claims: Option<&'c Claims>, way: &Way) -> Option<Vec<&'c str>> {
    let (claims, (first, inside)) = claims.zip(way.split_first())?;
    let claim = claims.all.get(&**first)?;
    let claim = inside
        .iter()
        .try_fold(claim, |found, name| found.get(&**name))?;
    let spaced = || claims.spaced.iter().any(|name| **name == **first);
    Some(match claim {
        Value::String(text) if spaced() => {
            let parts = text.split(' ');
            std::iter::once(text.as_str()).chain(parts).collect()
        }
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_name_claims_in_two_ways() {
        let read = |header: &str| way(header).map(|way| way.map(|way| way.join("/")));
        for (header, wanted) in [
            ("@request.auth.claims.sub", Some(Ok("sub"))),
            ("@request.auth.claims.a.b", Some(Ok("a/b"))),
            ("@request.auth.claims[a.b][c]", Some(Ok("a.b/c"))),
            ("x-sub", None),
        ] {
            assert_eq!(read(header), wanted.map(|way| way.map(str::to_owned)));
        }
        for wrong in [
            "@request.auth.claims",
            "@request.auth.claims.",
            "@request.auth.claims[]",
        ] {
            assert!(way(wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn claims_are_texts_or_lists() {
        let Value::Object(all) =
            json!({"sub": "a", "groups": ["x", "y"], "scope": "r w", "in": {"side": "z"}, "n": 1})
        else {
            unreachable!();
        };
        let claims = Claims {
            all: Arc::new(all),
            spaced: Arc::new(["scope".to_owned()]),
        };
        let asked = |names: &[&str], text: &str| {
            let way: Way = names.iter().map(|name| (*name).into()).collect();
            texts(Some(&claims), &way).is_some_and(|texts| texts.contains(&text))
        };
        assert!(asked(&["sub"], "a") && asked(&["groups"], "y") && asked(&["scope"], "w"));
        assert!(asked(&["in", "side"], "z"));
        assert!(!asked(&["n"], "1") && !asked(&["none"], "") && !asked(&["sub", "x"], "a"));
        assert_eq!(texts(None, &["sub".into()].into()), None);
    }
}
