//! Prefers nodes with few pods, and leaves out those with too many.

use osier_plugin::Plugin;
use osier_plugin::extension::{Node, Opinion, Pod, Schedule};
use osier_plugin::serde::Deserialize;

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    most: u32,
}

struct Spread(u32);

impl Plugin for Spread {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.most))
    }
}

impl Schedule for Spread {
    fn score(&self, _: &Pod, nodes: &[Node]) -> Vec<Opinion> {
        let opinion = |node: &Node| match node.pods {
            pods if pods >= self.0 => Opinion::Infeasible("it has too many pods".into()),
            pods => Opinion::Score(100_u32.saturating_sub(pods)),
        };
        nodes.iter().map(opinion).collect()
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Spread: schedule);
