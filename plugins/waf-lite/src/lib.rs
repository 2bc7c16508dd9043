//! `waf-lite`: refuses requests by method, size, and patterns in path, headers and body. No substitute for a real firewall's rule set.

use osier_plugin::Plugin;
use osier_plugin::filter::{
    BodyVerdict, Changes, Exchange, HeadVerdict, Headers, Reply, RequestFilter,
};
use osier_plugin::serde::Deserialize;
use regex_lite::Regex;

/// What a body may have where only patterns are configured.
const DEFAULT_BODY: u64 = 64 * 1024;

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    #[serde(default)]
    methods: Vec<String>,
    max_body: Option<u64>,
    #[serde(default)]
    path_patterns: Vec<String>,
    #[serde(default)]
    header_patterns: Vec<String>,
    #[serde(default)]
    body_patterns: Vec<String>,
    #[serde(default = "forbidden")]
    status: u16,
}

fn forbidden() -> u16 {
    403
}

/// The plugin: its rules, compiled.
struct Waf {
    methods: Vec<String>,
    body: Option<u64>,
    path: Vec<Regex>,
    header: Vec<Regex>,
    content: Vec<Regex>,
    status: u16,
}

impl Plugin for Waf {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if !(400..600).contains(&config.status) {
            return Err(format!(
                "status: {} is not a refusal; use 400 to 599",
                config.status
            ));
        }
        let looks = config.max_body.is_some() || !config.body_patterns.is_empty();
        Ok(Self {
            methods: config.methods,
            body: looks.then(|| config.max_body.unwrap_or(DEFAULT_BODY)),
            path: compiled("pathPatterns", &config.path_patterns)?,
            header: compiled("headerPatterns", &config.header_patterns)?,
            content: compiled("bodyPatterns", &config.body_patterns)?,
            status: config.status,
        })
    }
}

fn compiled(field: &str, patterns: &[String]) -> Result<Vec<Regex>, String> {
    let one = |(place, pattern): (usize, &String)| {
        Regex::new(pattern).map_err(|error| format!("{field}[{place}]: {error}"))
    };
    patterns.iter().enumerate().map(one).collect()
}

impl Waf {
    fn refuse(&self, status: u16, reason: String) -> Reply {
        Reply::new(status)
            .because(reason)
            .header("content-type", "text/plain")
            .body("Refused.\n")
    }

    /// Why a head does not pass.
    fn fault(&self, exchange: &Exchange, headers: Headers<'_>) -> Option<Reply> {
        let method = &exchange.method;
        if !self.methods.is_empty() && !self.methods.contains(method) {
            return Some(self.refuse(405, format!("method {method}")));
        }
        if let Some(pattern) = self.path.iter().find(|p| p.is_match(&exchange.path)) {
            return Some(self.refuse(self.status, format!("the path matches {pattern}")));
        }
        let lines = || headers.0.iter().map(|h| format!("{}: {}", h.name, h.value));
        let hit = self
            .header
            .iter()
            .find(|pattern| lines().any(|line| pattern.is_match(&line)));
        hit.map(|pattern| self.refuse(self.status, format!("a header matches {pattern}")))
    }
}

impl RequestFilter for Waf {
    fn on_request(&self, exchange: &Exchange, headers: Headers<'_>) -> HeadVerdict {
        if let Some(reply) = self.fault(exchange, headers) {
            return HeadVerdict::Respond(reply);
        }
        match self.body {
            Some(limit) => HeadVerdict::NeedBody(limit),
            None => HeadVerdict::Proceed(Changes::none()),
        }
    }

    fn on_request_body(&self, _: &Exchange, _: Headers<'_>, body: Vec<u8>) -> BodyVerdict {
        let text = String::from_utf8_lossy(&body);
        match self.content.iter().find(|pattern| pattern.is_match(&text)) {
            Some(pattern) => BodyVerdict::Respond(
                self.refuse(self.status, format!("the body matches {pattern}")),
            ),
            None => BodyVerdict::Proceed(Changes::none()),
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Waf: request_filter);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_plugin::export::make;

    fn exchange(method: &str, path: &str) -> Exchange {
        Exchange {
            id: String::new(),
            inbound: true,
            source: String::new(),
            service: String::new(),
            method: method.into(),
            scheme: "http".into(),
            authority: "a".into(),
            path: path.into(),
        }
    }

    #[test]
    fn methods_and_paths_are_refused_and_bodies_asked_for_only_where_needed() {
        let waf: Waf = make(r#"{"methods": ["GET"], "pathPatterns": ["\\.\\./"]}"#).unwrap();
        let verdict = |method, path| waf.on_request(&exchange(method, path), Headers(&[]));
        assert!(
            matches!(verdict("POST", "/"), HeadVerdict::Respond(reply) if reply.status() == 405)
        );
        assert!(
            matches!(verdict("GET", "/../x"), HeadVerdict::Respond(reply) if reply.status() == 403)
        );
        assert!(matches!(verdict("GET", "/x"), HeadVerdict::Proceed(_)));
    }

    #[test]
    fn a_pattern_that_is_none_is_an_error_that_names_it() {
        let error = make::<Waf>(r#"{"bodyPatterns": ["a", "("]}"#)
            .err()
            .unwrap();
        assert!(error.starts_with("bodyPatterns[1]"), "{error}");
    }
}
