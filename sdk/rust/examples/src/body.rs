//! The body of a request must be a JSON object with the required fields: hook `filter`.

use osier_plugin::filter::{
    BodyVerdict, Changes, Exchange, HeadVerdict, Headers, Reply, RequestFilter,
};
use osier_plugin::serde_json::{Map, Value, from_slice};

use crate::Examples;

impl RequestFilter for Examples {
    fn on_request(&self, _: &Exchange, headers: Headers<'_>) -> HeadVerdict {
        match headers.get("content-type") {
            Some(kind) if kind.starts_with("application/json") => HeadVerdict::NeedBody(64 << 10),
            _ => HeadVerdict::Proceed(Changes::none()),
        }
    }

    fn on_request_body(&self, _: &Exchange, _: Headers<'_>, body: Vec<u8>) -> BodyVerdict {
        let Ok(fields) = from_slice::<Map<String, Value>>(&body) else {
            return unfit("the body is no JSON object".to_owned());
        };
        let lacks = |name: &&String| !fields.contains_key(name.as_str());
        match self.0.required.iter().find(lacks) {
            Some(name) => unfit(format!("the body has no field {name}")),
            None => BodyVerdict::Proceed(Changes::none().set("x-checked", "json")),
        }
    }
}

fn unfit(reason: String) -> BodyVerdict {
    let body = format!("{reason}\n");
    BodyVerdict::Respond(Reply::new(422).because(reason).body(body))
}
