//! `tls[]` and `tcp[]` of a VirtualService: routes for whole connections, at gateways and between workloads.

use std::sync::Arc;

use super::{Context, destinations, matches};
use crate::table::StreamRule;
use osier_routing::hosts::HostPattern;
use osier_routing::matcher::SourceMatch;
use osier_routing::route::Forward;
use osier_standing::FindingKind;
use osier_traffic::Fields;

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// `tls` or `tcp`.
    pub(super) list: &'static str,
    pub(super) index: u32,
}

/// Reads one entry: a rule for each of its matches.
pub(super) fn read(
    entry: &mut Fields<'_>,
    place: Place,
    (context, everywhere): (Context<'_>, &SourceMatch),
    rules: &mut Vec<StreamRule>,
) {
    let Place { list, index } = place;
    let name: Arc<str> = format!("{}/{}/{list}[{index}]", context.namespace, context.name).into();
    let mut conditions = entry.objects("match");
    let Some(forward) = forward(entry, context) else {
        return;
    };
    if conditions.is_empty() && list == "tls" {
        entry.invalid("match", "is missing: name the server names in sniHosts");
        return;
    }
    if conditions.is_empty() {
        rules.push(StreamRule {
            name,
            server_names: Vec::new(),
            port: None,
            source: everywhere.clone(),
            forward,
        });
        return;
    }
    for fields in &mut conditions {
        let server_names = if list == "tls" {
            server_names(fields)
        } else {
            Some(Vec::new())
        };
        let port = fields.number("port");
        let source = matches::source_match(fields, everywhere, context.namespace);
        // A condition that cannot be read makes its rule unreachable rather than wider than it was meant.
        if let Some(server_names) = server_names {
            rules.push(StreamRule {
                name: Arc::clone(&name),
                server_names,
                port,
                source,
                forward: forward.clone(),
            });
        }
    }
}

fn forward(entry: &mut Fields<'_>, context: Context<'_>) -> Option<Forward> {
    let mut destinations = Vec::new();
    for mut fields in entry.objects("route") {
        destinations.extend(destinations::weighted(&mut fields, context));
    }
    if destinations.is_empty() {
        entry.invalid("route", "has no destination; the rule is ignored");
        return None;
    }
    Some(destinations::forward(destinations, entry))
}

/// `sniHosts`, at least one.
fn server_names(fields: &mut Fields<'_>) -> Option<Vec<HostPattern>> {
    let mut patterns = Vec::new();
    for (field, text) in fields.texts("sniHosts") {
        match HostPattern::parse(text) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let detail = "not a host name, *.suffix or *; it is ignored";
                fields.findings().add(FindingKind::Invalid, field, detail);
            }
        }
    }
    if patterns.is_empty() {
        fields.invalid("sniHosts", "names no server name; this match is ignored");
        return None;
    }
    Some(patterns)
}
