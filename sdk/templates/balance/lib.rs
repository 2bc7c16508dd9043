//! Sends each request to the endpoint that works on the fewest.

use osier_plugin::extension::{Balance, Endpoint, Request};
use osier_plugin::filter::Headers;
use osier_plugin::{NoConfig, Plugin};

struct LeastBusy;

impl Plugin for LeastBusy {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Balance for LeastBusy {
    fn pick(&self, _: &Request, _: Headers<'_>, endpoints: &[Endpoint]) -> Option<usize> {
        let all = endpoints.iter().enumerate();
        let fewest = all.min_by_key(|(_, endpoint)| endpoint.in_flight);
        fewest.map(|(place, _)| place)
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(LeastBusy: balance);
