//! `sticky-header`: requests with the same value of a header go to the same pod, by rendezvous hashing: when a pod comes or goes, only the
//! callers of that pod move.

use osier_plugin::Plugin;
use osier_plugin::extension::{Balance, Endpoint, Request};
use osier_plugin::filter::Headers;
use osier_plugin::serde::Deserialize;

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    header: String,
}

/// The plugin.
struct StickyHeader(Config);

impl Plugin for StickyHeader {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }
}

/// FNV-1a over both, with a finish that spreads its weak low bits.
fn weight(key: &str, pod: &str) -> u64 {
    let bytes = key.bytes().chain([0]).chain(pod.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

fn place(key: &str, endpoints: &[Endpoint]) -> Option<usize> {
    let weighed = endpoints.iter().map(|one| weight(key, &one.pod));
    weighed
        .enumerate()
        .max_by_key(|(_, weight)| *weight)
        .map(|(place, _)| place)
}

impl Balance for StickyHeader {
    fn pick(&self, _: &Request, headers: Headers<'_>, endpoints: &[Endpoint]) -> Option<usize> {
        place(headers.get(&self.0.header)?, endpoints)
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(StickyHeader: balance);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn when_a_pod_goes_only_its_callers_move() {
        let mut pods: Vec<Endpoint> = (0..5)
            .map(|number| Endpoint {
                pod: format!("web-{number}"),
                node: "n".into(),
                in_flight: 0,
            })
            .collect();
        let keys: Vec<String> = (0..1000).map(|number| format!("user-{number}")).collect();
        let chosen = |pods: &[Endpoint], key: &str| pods[place(key, pods).unwrap()].pod.clone();
        let before: Vec<String> = keys.iter().map(|key| chosen(&pods, key)).collect();
        let gone = pods.remove(2).pod;
        for (key, before) in keys.iter().zip(&before) {
            if *before != gone {
                assert_eq!(chosen(&pods, key), *before);
            }
        }
        let lost = before.iter().filter(|pod| **pod == gone).count();
        assert!((100..300).contains(&lost), "{lost}");
    }
}
