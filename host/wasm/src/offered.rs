//! What workloads may import: WASI for everybody, and capabilities for those that are granted them.

use crate::ComponentError;

/// What every workload may import: WASI 0.2 and 0.3, none of which leads out of the sandbox except by the container's own door.
const OFFERED: [&str; 7] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:http",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// What a workload may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `wasi:keyvalue`.
    KeyValue,
    /// `wasi:config`.
    Configuration,
    /// `wasi:logging`.
    Logging,
}

impl Capability {
    /// The capability that an import is of, by its full name.
    #[must_use]
    pub fn of(import: &str) -> Option<Self> {
        match import {
            "wasi:keyvalue/store@0.2.0-draft"
            | "wasi:keyvalue/atomics@0.2.0-draft"
            | "wasi:keyvalue/batch@0.2.0-draft" => Some(Self::KeyValue),
            "wasi:config/store@0.2.0-rc.1" => Some(Self::Configuration),
            "wasi:logging/logging@0.1.0-draft" | "wasi:logging/logging" => Some(Self::Logging),
            _ => None,
        }
    }

    /// What whoever writes the pod does to grant it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::KeyValue => {
                "annotate the pod with osier.dev/keyvalue: VOLUME (or BUCKET=VOLUME), a volume of the pod that keeps the bucket"
            }
            Self::Configuration => {
                "annotate the pod with osier.dev/config: VOLUME, a configMap, secret, downwardAPI or projected volume of the pod"
            }
            Self::Logging => {
                "annotate the pod with osier.dev/logging: info, the least level that is written to its log"
            }
        }
    }
}

/// Whether there is a host that answers these imports; those that hold only types are not to be among them.
///
/// # Errors
/// The first that nobody answers, with what to do about it.
pub fn check_imports(imports: &[String]) -> Result<(), ComponentError> {
    check_grants(imports, |_| true)
}

/// Whether a workload with these grants may import all of these.
///
/// # Errors
/// The first that it may not, with what to do about it.
pub fn check_grants(
    imports: &[String],
    given: impl Fn(Capability) -> bool,
) -> Result<(), ComponentError> {
    unmet(imports, given).next().map_or(Ok(()), Err)
}

/// What a workload with these grants imports and may not have: of a capability the first import only.
pub fn unmet(
    imports: &[String],
    given: impl Fn(Capability) -> bool,
) -> impl Iterator<Item = ComponentError> {
    let mut told = Vec::new();
    let imports = imports.iter().filter(|import| !offered(import));
    imports.filter_map(move |import| match Capability::of(import) {
        Some(capability) if given(capability) || told.contains(&capability) => None,
        Some(capability) => {
            told.push(capability);
            Some(ComponentError::Grant {
                import: import.clone(),
                remedy: capability.remedy(),
            })
        }
        None => Some(ComponentError::Import {
            import: import.clone(),
            remedy: remedy(import).to_owned(),
        }),
    })
}

/// The imports that not every workload may have: those that it must be granted, and those that nobody answers.
#[must_use]
pub fn beyond(mut imports: Vec<String>) -> Vec<String> {
    imports.retain(|import| !offered(import));
    imports
}

fn offered(import: &str) -> bool {
    let Some((package, rest)) = import.split_once('/') else {
        return false;
    };
    OFFERED.contains(&package) && (rest.contains("@0.3.") || rest.contains("@0.2."))
}

fn remedy(import: &str) -> &'static str {
    match import.split('/').next().unwrap_or_default() {
        "wasi:keyvalue" => {
            "a pod may be granted wasi:keyvalue/store, atomics and batch in version 0.2.0-draft: build it against that one"
        }
        "wasi:config" => {
            "a pod may be granted wasi:config/store in version 0.2.0-rc.1: build it against that one"
        }
        "wasi:logging" => {
            "a pod may be granted wasi:logging/logging in version 0.1.0-draft: build it against that one"
        }
        "wasi:blobstore" => {
            "mount a volume and keep the objects in files, or build it against wasi:keyvalue"
        }
        _ => "a workload may import interfaces of WASI 0.2 and 0.3; build it for wasm32-wasip2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wasi_is_offered() {
        assert!(offered("wasi:http/outgoing-handler@0.2.12"));
        assert!(offered("wasi:http/client@0.3.0"));
        assert!(offered("wasi:sockets/types@0.3.2"));
        for import in [
            "wasi:sockets/types@0.4.0",
            "wasi:http/handler@0.4.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "env",
            "acme:x/y@0.2.0",
            "wasi:nn/tensor@0.2.0",
        ] {
            assert!(!offered(import), "{import}");
        }
    }

    #[test]
    fn what_is_not_granted_is_told_once_with_its_remedy() {
        let imports = [
            "wasi:io/streams@0.2.6",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:keyvalue/atomics@0.2.0-draft",
            "wasi:logging/logging",
            "wasi:keyvalue/store@0.2.0-draft2",
            "wasi:blobstore/container@0.2.0-draft",
        ]
        .map(str::to_owned);
        let told = |given: &[Capability]| {
            let errors = unmet(&imports, |capability| given.contains(&capability));
            errors.map(|error| error.to_string()).collect::<Vec<_>>()
        };
        let all = told(&[]);
        let words = [
            "osier.dev/keyvalue",
            "osier.dev/logging",
            "version 0.2.0-draft",
            "mount a volume",
        ];
        assert_eq!(all.len(), words.len(), "{all:#?}");
        for (told, word) in all.iter().zip(words) {
            assert!(told.contains(word), "{told}");
        }
        assert_eq!(told(&[Capability::KeyValue, Capability::Logging]).len(), 2);
        assert!(check_imports(&imports).is_err());
        assert!(check_imports(&imports[..4]).is_ok());
    }
}
