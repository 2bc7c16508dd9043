//! What is known by address.

use std::net::IpAddr;

use ipnet::IpNet;
use osier_plugin::PodFacts;
use osier_plugin::serde::Deserialize;

/// One entry of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
pub(crate) struct Machine {
    addresses: Vec<String>,
    name: Option<String>,
    namespace: Option<String>,
    service_account: Option<String>,
    workload: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

/// Facts by range, the narrowest first.
pub(crate) struct Machines(Vec<(IpNet, PodFacts)>);

impl Machines {
    /// Reads the entries; the error names the place of a wrong one.
    pub(crate) fn new(entries: Vec<Machine>) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for (place, entry) in entries.into_iter().enumerate() {
            for (number, address) in entry.addresses.iter().enumerate() {
                let range = range(address)
                    .map_err(|error| format!("machines[{place}].addresses[{number}]: {error}"))?;
                ranges.push((range, entry.facts()));
            }
        }
        // A stable sort: of two equal ranges the first counts.
        ranges.sort_by_key(|(range, _)| std::cmp::Reverse(range.prefix_len()));
        Ok(Self(ranges))
    }

    /// What is known of an address.
    pub(crate) fn find(&self, address: &str) -> Option<PodFacts> {
        let address = address.parse::<IpAddr>().ok()?.to_canonical();
        let mut holding = self.0.iter().filter(|(range, _)| range.contains(&address));
        holding.next().map(|(_, facts)| PodFacts {
            ip: Some(address.to_string()),
            ..facts.clone()
        })
    }
}

impl Machine {
    fn facts(&self) -> PodFacts {
        PodFacts {
            name: self.name.clone(),
            labels: self.labels.clone().into_iter().collect(),
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            workload: self.workload.clone(),
            owner: self.owner.clone(),
            ..PodFacts::default()
        }
    }
}

fn range(text: &str) -> Result<IpNet, String> {
    let whole = text.parse::<IpAddr>().map(IpNet::from);
    whole
        .ok()
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("`{text}` is neither an address nor a range such as 10.0.0.0/8"))
}
