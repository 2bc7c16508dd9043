//! `ab-route`: an experiment. A header or a cookie says who takes part; the cookie keeps each caller in the group where chance put it.

use osier_plugin::Plugin;
use osier_plugin::extension::{Candidate, Choice, Request, Route};
use osier_plugin::filter::Headers;
use osier_plugin::serde::Deserialize;

/// The cookie's value for those who do not take part.
const CONTROL: &str = "control";

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    subset: String,
    header: Option<String>,
    value: Option<String>,
    cookie: Option<String>,
    #[serde(default)]
    percent: u8,
}

/// The plugin.
struct AbRoute(Config);

impl Plugin for AbRoute {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.header.is_none() && config.cookie.is_none() {
            return Err("header: name a header or a cookie that says who takes part".to_owned());
        }
        if config.percent > 100 {
            return Err(format!("percent: {} is more than 100", config.percent));
        }
        Ok(Self(config))
    }
}

/// FNV-1a, so that the same id is always in the same group.
fn share(id: &str) -> u8 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u8::try_from((hash >> 32) % 100).unwrap_or(0)
}

impl AbRoute {
    /// Whether the caller takes part, and whether that must be remembered; none if the experiment does not concern it.
    fn group(&self, request: &Request, headers: Headers<'_>) -> Option<(bool, bool)> {
        let config = &self.0;
        let given = config.header.as_deref().and_then(|name| headers.get(name));
        if let Some(given) = given {
            let fits = config.value.as_ref().is_none_or(|value| value == given);
            return Some((fits, false));
        }
        let cookie = config.cookie.as_deref()?;
        match headers.cookie(cookie) {
            Some(group) if group == config.subset => Some((true, false)),
            Some(CONTROL) => Some((false, false)),
            _ => Some((share(&request.id) < config.percent, true)),
        }
    }
}

impl Route for AbRoute {
    fn choose(
        &self,
        request: &Request,
        headers: Headers<'_>,
        candidates: &[Candidate],
    ) -> Option<Choice> {
        let (takes_part, remember) = self.group(request, headers)?;
        let experiment = |one: &Candidate| one.subset == self.0.subset;
        let place = candidates
            .iter()
            .position(|candidate| experiment(candidate) == takes_part)?;
        let choice = Choice::of(place);
        match (&self.0.cookie, remember) {
            (Some(cookie), true) => {
                let group = if takes_part { &self.0.subset } else { CONTROL };
                Some(choice.response_header("set-cookie", format!("{cookie}={group}; Path=/")))
            }
            _ => Some(choice),
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(AbRoute: route);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_plugin::export::make;

    #[test]
    fn about_as_many_take_part_as_asked_for_and_always_the_same() {
        let plugin: AbRoute = make(r#"{"subset": "v2", "cookie": "ab", "percent": 30}"#).unwrap();
        let chosen = |id: usize| {
            let request = Request {
                id: format!("request-{id}"),
                source: String::new(),
                method: "GET".into(),
                authority: "a".into(),
                path: "/".into(),
            };
            plugin.group(&request, Headers(&[])).unwrap().0
        };
        let part = (0..1000).filter(|id| chosen(*id)).count();
        assert!((240..360).contains(&part), "{part}");
        assert!((0..100).all(|id| chosen(id) == chosen(id)));
    }

    #[test]
    fn an_experiment_that_nobody_can_join_is_refused() {
        let error = make::<AbRoute>(r#"{"subset": "v2"}"#).err().unwrap();
        assert!(error.starts_with("header:"), "{error}");
    }
}
