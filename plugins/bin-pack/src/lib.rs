//! `bin-pack`: pods go where others are already, so that whole nodes stay free for large pods, or can be given back.

use osier_plugin::Plugin;
use osier_plugin::extension::{Node, Opinion, Pod, Schedule};
use osier_plugin::serde::Deserialize;

/// See `config.schema.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    deny_unknown_fields,
    rename_all = "camelCase",
    default
)]
struct Config {
    by: Resource,
    max_siblings: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(crate = "osier_plugin::serde", rename_all = "lowercase")]
enum Resource {
    #[default]
    Memory,
    Cpu,
}

/// The plugin.
struct BinPack(Config);

impl Plugin for BinPack {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }
}

impl BinPack {
    fn free(&self, node: &Node) -> i64 {
        match self.0.by {
            Resource::Memory => node.free_memory,
            Resource::Cpu => node.free_cpu,
        }
    }

    /// 100 for the least that is left, 0 for the most.
    fn opinion(&self, node: &Node, (least, most): (i64, i64)) -> Opinion {
        if let Some(bound) = self.0.max_siblings.filter(|bound| node.siblings >= *bound) {
            return Opinion::Infeasible(format!("node(s) had {bound} pods of the same controller"));
        }
        let span = i128::from(most) - i128::from(least);
        let above = i128::from(most) - i128::from(self.free(node));
        let score = if span == 0 { 0 } else { above * 100 / span };
        Opinion::Score(u32::try_from(score).unwrap_or(0))
    }
}

impl Schedule for BinPack {
    fn score(&self, _pod: &Pod, nodes: &[Node]) -> Vec<Opinion> {
        let free = || nodes.iter().map(|node| self.free(node));
        let (Some(least), Some(most)) = (free().min(), free().max()) else {
            return Vec::new();
        };
        let opinions = nodes.iter().map(|node| self.opinion(node, (least, most)));
        opinions.collect()
    }
}

osier_plugin::export!(BinPack: schedule);

#[cfg(test)]
mod tests {
    use super::*;

    fn node(free_memory: i64, siblings: u32) -> Node {
        Node {
            name: String::new(),
            labels: Vec::new(),
            free_cpu: 1000 - free_memory,
            free_memory,
            pods: siblings,
            siblings,
        }
    }

    fn scores(config: Config, nodes: &[Node]) -> Vec<Option<u32>> {
        let pod = Pod {
            namespace: String::new(),
            name: String::new(),
            labels: Vec::new(),
            object: String::new(),
        };
        let opinions = BinPack(config).score(&pod, nodes).into_iter();
        let score = |opinion| match opinion {
            Opinion::Score(score) => Some(score),
            Opinion::Infeasible(_) => None,
        };
        opinions.map(score).collect()
    }

    #[test]
    fn the_fullest_wins() {
        let nodes = [node(900, 0), node(100, 0), node(500, 0)];
        assert_eq!(
            scores(Config::default(), &nodes),
            [Some(0), Some(100), Some(50)]
        );
        let by = Resource::Cpu;
        let config = Config {
            by,
            ..Config::default()
        };
        assert_eq!(scores(config, &nodes), [Some(100), Some(0), Some(50)]);
        assert_eq!(
            scores(Config::default(), &[node(7, 0), node(7, 0)]),
            [Some(0), Some(0)]
        );
        assert_eq!(scores(Config::default(), &[]), []);
    }

    #[test]
    fn a_node_gets_no_more_of_the_same_than_it_may() {
        let config = Config {
            max_siblings: Some(2),
            ..Config::default()
        };
        assert_eq!(
            scores(config, &[node(900, 1), node(100, 2)]),
            [Some(0), None]
        );
    }
}
