//! The body of a request must be a JSON object with the required fields.

use osier_plugin::Plugin;
use osier_plugin::filter::{
    BodyVerdict, Changes, Exchange, HeadVerdict, Headers, Reply, RequestFilter,
};
use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json::{Map, Value, from_slice};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    required: Vec<String>,
}

struct Checked(Vec<String>);

impl Plugin for Checked {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.required))
    }
}

impl RequestFilter for Checked {
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
        match self.0.iter().find(|name| !fields.contains_key(name.as_str())) {
            Some(name) => unfit(format!("the body has no field {name}")),
            None => BodyVerdict::Proceed(Changes::none().set("x-checked", "json")),
        }
    }
}

fn unfit(reason: String) -> BodyVerdict {
    let body = format!("{reason}\n");
    BodyVerdict::Respond(Reply::new(422).because(reason).body(body))
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Checked: request_filter);
