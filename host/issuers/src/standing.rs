//! What the status of a RequestAuthentication says of fetched keys. Pure.

use osier_api::Object;
use osier_authentication::Wanted;
use serde_json::{Value, json};

/// What is known of one key set: the keys that were fetched last, and why there are no newer ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) uri: String,
    pub(crate) jwks: Option<String>,
    pub(crate) fault: Option<String>,
}

impl Known {
    /// After a try: keys that cannot be fetched anew stay as they were.
    pub(crate) fn after(object: &Object, wanted: &Wanted, tried: Result<String, String>) -> Self {
        let uri = wanted.uri.clone();
        match tried {
            Ok(jwks) => Self {
                uri,
                jwks: Some(jwks),
                fault: None,
            },
            Err(fault) => Self {
                jwks: fetched(object, &uri).map(str::to_owned),
                uri,
                fault: Some(fault),
            },
        }
    }
}

/// The keys that stand in the status.
fn fetched<'o>(object: &'o Object, uri: &str) -> Option<&'o str> {
    let mut sets = sets(object);
    sets.find(|set| set["uri"] == uri)?["jwks"].as_str()
}

fn sets(object: &Object) -> impl Iterator<Item = &Value> {
    let sets = object.get(&["status", "keySets"]).and_then(Value::as_array);
    sets.into_iter().flatten()
}

/// The status that an object is to have; `None` if it says so already. `now` is written where a condition changes.
pub(crate) fn status(object: &Object, known: &[Known], now: &str) -> Option<Value> {
    let have = known.iter().filter_map(|one| {
        let jwks = one.jwks.as_ref()?;
        Some(json!({"uri": one.uri, "jwks": jwks}))
    });
    let have: Vec<Value> = have.collect();
    let before = object.get(&["status", "conditions"]);
    let before = before
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let (mine, others): (Vec<Value>, Vec<Value>) = before
        .into_iter()
        .partition(|one| one["type"] == "KeysFetched");
    let mut condition = condition(known);
    if let (Some(condition), Some(mine)) = (&mut condition, mine.first()) {
        let since = match mine["status"] == condition["status"] {
            true => mine["lastTransitionTime"].clone(),
            false => now.into(),
        };
        condition["lastTransitionTime"] = since;
    } else if let Some(condition) = &mut condition {
        condition["lastTransitionTime"] = now.into();
    }
    let says = sets(object).eq(&have) && mine.first() == condition.as_ref();
    if says {
        return None;
    }
    let conditions: Vec<Value> = others.into_iter().chain(condition).collect();
    let sets = if have.is_empty() {
        Value::Null
    } else {
        have.into()
    };
    Some(json!({"keySets": sets, "conditions": conditions}))
}

/// Whether all keys are there; nothing where none had to be fetched.
fn condition(known: &[Known]) -> Option<Value> {
    if known.is_empty() {
        return None;
    }
    let faults = known.iter().filter_map(|one| {
        let fault = one.fault.as_ref()?;
        let meanwhile = match one.jwks {
            Some(_) => "the keys that were fetched before stay in force",
            None => "until its keys are there, tokens of the issuer are refused",
        };
        Some(format!("{}: {fault}; {meanwhile}", one.uri))
    });
    let faults: Vec<String> = faults.collect();
    Some(match faults.is_empty() {
        true => {
            json!({"type": "KeysFetched", "status": "True", "reason": "Fetched", "message": ""})
        }
        false => {
            json!({"type": "KeysFetched", "status": "False", "reason": "FetchFailed", "message": faults.join("; ")})
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn object(status: &Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "jwt"}, "status": status})).unwrap()
    }

    fn tried(object: &Object, tried: Result<&str, &str>) -> Known {
        let wanted = Wanted {
            uri: "http://id/keys".to_owned(),
            discovered: false,
            timeout: Duration::ZERO,
        };
        let tried = tried.map(str::to_owned).map_err(str::to_owned);
        Known::after(object, &wanted, tried)
    }

    #[test]
    fn keys_stay_when_the_issuer_is_silent() {
        let reconciled = json!({"type": "Reconciled", "status": "True"});
        let new = object(&json!({"conditions": [reconciled]}));
        let failed = status(&new, &[tried(&new, Err("gone"))], "t0").unwrap();
        assert_eq!(failed["keySets"], Value::Null);
        assert_eq!(
            failed["conditions"][0], reconciled,
            "others' conditions stay"
        );
        assert_eq!(failed["conditions"][1]["status"], "False");
        let failed = object(&failed);
        assert_eq!(
            status(&failed, &[tried(&failed, Err("gone"))], "t1"),
            None,
            "said once"
        );
        let good = status(&failed, &[tried(&failed, Ok("{}"))], "t2").unwrap();
        assert_eq!(
            good["keySets"],
            json!([{"uri": "http://id/keys", "jwks": "{}"}])
        );
        assert_eq!(good["conditions"][1]["lastTransitionTime"], "t2");
        let good = object(&good);
        assert_eq!(status(&good, &[tried(&good, Ok("{}"))], "t3"), None);
        let silent = status(&good, &[tried(&good, Err("gone"))], "t4").unwrap();
        assert_eq!(silent["keySets"][0]["jwks"], "{}");
        let words = silent["conditions"][1]["message"].as_str().unwrap();
        assert!(words.contains("stay in force"), "{words}");
        let inline = status(&object(&silent), &[], "t5").unwrap();
        assert_eq!(
            (
                &inline["keySets"],
                inline["conditions"].as_array().unwrap().len()
            ),
            (&Value::Null, 1)
        );
    }
}
