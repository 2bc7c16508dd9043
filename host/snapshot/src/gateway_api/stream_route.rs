//! Rules of TLSRoutes and TCPRoutes: where whole connections go.

use super::{Context, matches, routes};
use crate::table::{RouteSet, StreamRule};
use osier_routing::route::Action;
use osier_traffic::Fields;

/// Reads the rules. Nothing tells connections of one listener and host apart, so that the first rule takes them.
pub(super) fn read(spec: &mut Fields<'_>, context: Context<'_>, set: &mut RouteSet) {
    for (index, mut rule) in (0u32..).zip(spec.objects("rules")) {
        let own = rule.text("name");
        let own = own.map_or_else(|| format!("rules[{index}]"), ToOwned::to_owned);
        let name = format!("{}/{}/{own}", context.namespace, context.name);
        if let (Action::Forward(forward), _) = routes::forward(&mut rule, &name, context) {
            set.streams.push(StreamRule {
                name: name.into(),
                server_names: Vec::new(),
                port: None,
                source: matches::everywhere(),
                forward,
            });
        }
    }
}
