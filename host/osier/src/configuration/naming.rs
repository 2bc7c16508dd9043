//! Where names are answered, and who is asked for those that the mesh does not know: read and checked once.

use super::Faults;
use crate::arguments;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// What the machine's own programs ask.
const RESOLV: &str = "/etc/resolv.conf";
/// The port of DNS.
const PORT: u16 = 53;

/// What the `--config` file says: `dnsListen`, `dnsForward`.
type File = (Option<String>, Vec<String>);

/// Where names are answered.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Naming {
    /// The address; nowhere if absent.
    pub(crate) dns_listen: Option<SocketAddr>,
    /// The resolvers that are asked for other names; none refuses them.
    pub(crate) dns_forward: Vec<SocketAddr>,
}

impl Naming {
    /// Flags over file over what the machine has.
    pub(super) fn of(given: &arguments::Naming, file: File, faults: &mut Faults) -> Self {
        let forward = match given.dns_forward.as_slice() {
            [] => file.1,
            given => given.to_vec(),
        };
        let Some(listen) = faults.wished("dns-listen", &given.dns_listen, &file.0) else {
            if !forward.is_empty() {
                let fault =
                    "--dns-forward: goes with --dns-listen, which says where names are answered";
                faults.0.push(fault.to_owned());
            }
            return Self::default();
        };
        let asked = match forward.as_slice() {
            [] => of_machine(),
            [none] if none == "none" => Vec::new(),
            some => some
                .iter()
                .filter_map(|text| faults.resolver(text))
                .collect(),
        };
        Self {
            dns_listen: Some(listen),
            dns_forward: asked
                .into_iter()
                .filter(|one| !is_own(*one, listen))
                .collect(),
        }
    }
}

/// The machine's resolvers; none where it has no such file.
fn of_machine() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(RESOLV).unwrap_or_default();
    osier_dns::nameservers(&text)
}

/// Whether a resolver is the server itself, which would ask itself without end.
fn is_own(resolver: SocketAddr, listen: SocketAddr) -> bool {
    let any = listen.ip().is_unspecified() && resolver.ip().is_loopback();
    listen.port() == resolver.port() && (any || listen.ip() == resolver.ip())
}

impl Faults {
    fn resolver(&mut self, text: &str) -> Option<SocketAddr> {
        let with_port = text.parse().ok();
        let bare = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT));
        let found = with_port.or_else(bare);
        if found.is_none() {
            self.0.push(format!(
                "--dns-forward {text}: expected the IP of a resolver, IP:PORT, or `none` alone"
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listen: Option<&str>, forward: &[&str]) -> (Naming, Vec<String>) {
        let mut faults = Faults::default();
        let given = arguments::Naming {
            dns_listen: listen.map(ToOwned::to_owned),
            dns_forward: forward.iter().map(|text| (*text).to_owned()).collect(),
        };
        let naming = Naming::of(&given, File::default(), &mut faults);
        (naming, faults.0)
    }

    fn asked(listen: &str, forward: &[&str]) -> Vec<String> {
        let (naming, faults) = of(Some(listen), forward);
        assert_eq!(faults, Vec::<String>::new());
        naming.dns_forward.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn resolvers_are_addresses_and_never_the_server_itself() {
        assert_eq!(asked("127.0.0.1:5353", &["none"]), Vec::<String>::new());
        let two = asked("127.0.0.1:53", &["10.0.0.1", "[::1]:5300"]);
        assert_eq!(two, ["10.0.0.1:53", "[::1]:5300"]);
        assert_eq!(asked("127.0.0.1:53", &["127.0.0.1"]), Vec::<String>::new());
        assert_eq!(asked("0.0.0.0:53", &["127.0.0.1"]), Vec::<String>::new());
        assert_eq!(asked("0.0.0.0:5353", &["127.0.0.1"]), ["127.0.0.1:53"]);
    }

    #[test]
    fn faults_name_the_setting() {
        for (listen, forward, words) in [
            (None, vec!["none"], "--dns-forward: goes with --dns-listen"),
            (
                Some("127.0.0.1:53"),
                vec!["ns.example.com"],
                "--dns-forward ns.example.com",
            ),
            (
                Some("127.0.0.1:53"),
                vec!["none", "10.0.0.1"],
                "--dns-forward none",
            ),
            (Some("53"), vec!["none"], "--dns-listen 53"),
        ] {
            let (_, faults) = of(listen, &forward);
            assert!(faults.concat().contains(words), "{faults:?}");
        }
    }
}
