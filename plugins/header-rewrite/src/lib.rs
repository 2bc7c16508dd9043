//! `header-rewrite`: sets, adds and removes headers of requests and responses, with facts about the request filled in.

use std::collections::BTreeMap;

use osier_plugin::Plugin;
use osier_plugin::filter::{
    Changes, Exchange, HeadVerdict, Headers, RequestFilter, ResponseFilter,
};
use osier_plugin::serde::Deserialize;

/// See `config.schema.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    request: Rules,
    #[serde(default)]
    response: Rules,
}

/// What happens to the headers of one message; removals first.
#[derive(Debug, Default, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    add: BTreeMap<String, String>,
    #[serde(default)]
    remove: Vec<String>,
}

/// The plugin.
struct HeaderRewrite(Config);

impl Plugin for HeaderRewrite {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }
}

impl Rules {
    fn changes(&self, exchange: &Exchange) -> Changes {
        let mut changes = Changes::none();
        for name in &self.remove {
            changes = changes.remove(name.to_ascii_lowercase());
        }
        for (name, value) in &self.set {
            changes = changes.set(name.to_ascii_lowercase(), filled(value, exchange));
        }
        for (name, value) in &self.add {
            changes = changes.append(name.to_ascii_lowercase(), filled(value, exchange));
        }
        changes
    }
}

/// The value with the request's facts in the place of their names.
fn filled(value: &str, exchange: &Exchange) -> String {
    if !value.contains('{') {
        return value.to_owned();
    }
    value
        .replace("{method}", &exchange.method)
        .replace("{path}", &exchange.path)
        .replace("{authority}", &exchange.authority)
        .replace("{source}", &exchange.source)
        .replace("{id}", &exchange.id)
}

impl RequestFilter for HeaderRewrite {
    fn on_request(&self, exchange: &Exchange, _: Headers<'_>) -> HeadVerdict {
        HeadVerdict::Proceed(self.0.request.changes(exchange))
    }
}

impl ResponseFilter for HeaderRewrite {
    fn on_response(&self, exchange: &Exchange, _: u16, _: Headers<'_>) -> HeadVerdict {
        HeadVerdict::Proceed(self.0.response.changes(exchange))
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(HeaderRewrite: request_filter, response_filter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_where_their_names_stood() {
        let exchange = Exchange {
            id: "r1".into(),
            inbound: true,
            source: "cluster.local/ns/shop/sa/web".into(),
            service: String::new(),
            method: "GET".into(),
            scheme: "http".into(),
            authority: "reviews".into(),
            path: "/a".into(),
        };
        assert_eq!(
            filled("{method} {path} for {source}, {other}", &exchange),
            "GET /a for cluster.local/ns/shop/sa/web, {other}"
        );
    }
}
