//! `inventory`: tells attributes of the two ends of a call, by their address.

mod machines;

use std::time::Duration;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::KubernetesInstance;
use osier_plugin::{Facts, Kubernetes, Period, Plugin, PodFacts};

use machines::{Machine, Machines};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    machines: Vec<Machine>,
    #[serde(default = "minute")]
    valid_for: Period,
}

fn minute() -> Period {
    Period(Duration::from_secs(60))
}

/// The plugin.
struct Inventory {
    machines: Machines,
    valid_for: Duration,
}

impl Plugin for Inventory {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self {
            machines: Machines::new(config.machines)?,
            valid_for: config.valid_for.0,
        })
    }
}

impl Kubernetes for Inventory {
    fn generate(&self, instance: &KubernetesInstance) -> Result<Facts, String> {
        let known = |address: &str, uid: &str| {
            let found = self.machines.find(address);
            found.unwrap_or_else(|| pod(uid, address))
        };
        Ok(Facts {
            source: known(&instance.source_ip, &instance.source_uid),
            destination: known(&instance.destination_ip, &instance.destination_uid),
            destination_container: None,
            valid_for: Some(self.valid_for),
        })
    }
}

/// What `kubernetes://POD.NAMESPACE` says.
fn pod(uid: &str, address: &str) -> PodFacts {
    let named = uid.strip_prefix("kubernetes://");
    let Some((name, namespace)) = named.and_then(|named| named.rsplit_once('.')) else {
        return PodFacts::default();
    };
    PodFacts {
        ip: (!address.is_empty()).then(|| address.to_owned()),
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..PodFacts::default()
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Inventory: kubernetes);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_plugin::export::make;

    fn source(config: &str, ip: &str, uid: &str) -> PodFacts {
        let plugin = make::<Inventory>(config).unwrap();
        let instance = KubernetesInstance {
            source_uid: uid.into(),
            source_ip: ip.into(),
            destination_uid: String::new(),
            destination_ip: String::new(),
            destination_port: 0,
        };
        plugin.generate(&instance).unwrap().source
    }

    #[test]
    fn the_narrowest_range_counts() {
        let config = r#"{"machines": [
            {"addresses": ["10.0.0.0/8"], "labels": {"team": "a"}},
            {"addresses": ["10.1.0.0/16", "2001:db8::/32"], "name": "b"},
            {"addresses": ["10.1.2.3"], "name": "c", "namespace": "n"}]}"#;
        assert_eq!(
            source(config, "10.9.9.9", "").labels,
            [("team".into(), "a".into())]
        );
        assert_eq!(source(config, "10.1.9.9", "").name.unwrap(), "b");
        assert_eq!(source(config, "::ffff:10.1.2.3", "").name.unwrap(), "c");
        assert_eq!(source(config, "2001:db8::1", "").name.unwrap(), "b");
        assert_eq!(source(config, "192.0.2.1", ""), PodFacts::default());
        assert_eq!(source(config, "", ""), PodFacts::default());
    }

    #[test]
    fn of_a_pod_its_name_is_told() {
        let config = r#"{"machines": [{"addresses": ["10.1.2.3"], "name": "m"}]}"#;
        let found = source(config, "10.1.2.4", "kubernetes://web-1.shop");
        assert_eq!(
            (found.name.unwrap(), found.namespace.unwrap()),
            ("web-1".into(), "shop".into())
        );
        let listed = source(config, "10.1.2.3", "kubernetes://web-1.shop");
        assert_eq!(listed.name.unwrap(), "m");
    }

    #[test]
    fn a_bad_address_is_named_by_its_place() {
        let config = r#"{"machines": [{"addresses": ["10.1.2.3", "10.0.0.0/99"]}]}"#;
        let error = make::<Inventory>(config).err().unwrap();
        assert!(error.contains("machines[0].addresses[1]"), "{error}");
    }
}
