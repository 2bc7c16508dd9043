//! What a node has for its pods besides processors and memory, read and checked once.

use super::Faults;
use crate::arguments::Offering;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the `--config` file says: `hostPaths`, `extendedResources`.
type File = (Vec<PathBuf>, BTreeMap<String, u64>);

/// What a node has for its pods.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offered {
    /// Directories whose contents pods may mount as `hostPath`.
    pub(crate) host_paths: Vec<PathBuf>,
    /// What the scheduler counts besides, by name.
    pub(crate) extended_resources: BTreeMap<String, u64>,
}

impl Offered {
    /// Flags and file together; of one resource the flag counts.
    pub(super) fn of(given: &Offering, file: File, faults: &mut Faults) -> Self {
        let typed = given.extended_resource.iter();
        let typed: Vec<(String, u64)> = typed.filter_map(|text| resource(text, faults)).collect();
        let named: BTreeMap<String, u64> = file.1.into_iter().chain(typed).collect();
        for name in named.keys().filter(|name| !is_extended(name)) {
            let words = format!(
                "extendedResources: {name:?} is no name of an extended resource: write one with a domain that is yours, example.com/gpu"
            );
            faults.0.push(words);
        }
        Self {
            host_paths: directories([given.host_path.as_slice(), &file.0].concat(), faults),
            extended_resources: named,
        }
    }
}

fn is_extended(name: &str) -> bool {
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    let own = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
    !domain.is_empty() && !own && osier_validation::qualified(name).is_empty()
}

fn resource(text: &str, faults: &mut Faults) -> Option<(String, u64)> {
    let parts = text.split_once('=');
    let read = parts.and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    if read.is_none() {
        let words = format!("--extended-resource {text}: expected NAME=NUMBER, example.com/gpu=4");
        faults.0.push(words);
    }
    read
}

fn directories(given: Vec<PathBuf>, faults: &mut Faults) -> Vec<PathBuf> {
    let missing = given
        .iter()
        .filter(|path| !(path.is_absolute() && path.is_dir()));
    let fault = |path: &PathBuf| {
        let path = path.display();
        format!("--host-path {path}: expected a directory that is there, by its whole path")
    };
    faults.0.extend(missing.map(fault));
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_a_domain_and_a_number() {
        let read = |typed: &[&str]| {
            let given = Offering {
                extended_resource: typed.iter().map(|text| (*text).to_owned()).collect(),
                ..Offering::default()
            };
            let file = (Vec::new(), [("acme.com/gpu".to_owned(), 1)].into());
            let mut faults = Faults::default();
            let offered = Offered::of(&given, file, &mut faults);
            (offered.extended_resources, faults.0)
        };
        let (read_, faults) = read(&["acme.com/gpu=4", "acme.com/disk=2"]);
        assert_eq!(faults, Vec::<String>::new());
        let wanted = [("acme.com/gpu", 4), ("acme.com/disk", 2)];
        assert_eq!(
            read_,
            wanted
                .map(|(name, number)| (name.to_owned(), number))
                .into()
        );
        for bad in [
            "gpu=1",
            "acme.com/gpu",
            "acme.com/gpu=many",
            "kubernetes.io/x=1",
            "node.kubernetes.io/x=1",
        ] {
            assert_eq!(read(&[bad]).1.len(), 1, "{bad}");
        }
    }
}
