//! Addresses, ranges of them and URLs in rules: `ip()`, `cidr()`, `url()`
//! (<https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library>).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::evaluate::{Outcome, fault};
use super::value::Value;

/// A range of addresses: what stands before the slash, and how many bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// The parts of a URL as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

/// An address as Go's `netip` reads it; one of IPv4 within IPv6 is refused, as upstream does.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let mapped = matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    (!mapped).then_some(address)
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (before, bits) = text.split_once('/')?;
        let plain = bits.bytes().all(|digit| digit.is_ascii_digit());
        if !plain || (bits.len() > 1 && bits.starts_with('0')) {
            return None;
        }
        let (address, bits) = (address(before)?, bits.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((u32::from(four) & mask).into())
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                IpAddr::V6((u128::from(six) & mask).into())
            }
        };
        Self { address, ..self }
    }

    fn contains(self, address: IpAddr) -> bool {
        let bits = self.bits;
        address.is_ipv4() == self.address.is_ipv4()
            && Self { address, bits }.masked() == self.masked()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Url {
    /// As Go's `url.ParseRequestURI`: a whole URL, or an absolute path.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let strange = |letter: char| letter.is_control();
        if text.is_empty() || text.contains(strange) {
            return None;
        }
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if !text.starts_with('/') => (scheme, rest),
            _ => ("", text),
        };
        if !text.starts_with('/') && !is_scheme(scheme) {
            return None;
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = match rest.strip_prefix("//").filter(|_| !scheme.is_empty()) {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let absolute = path.is_empty() && !host.is_empty() || path.starts_with('/');
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let whole = Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
        };
        (absolute && is_host(host) && unescaped(path).is_some()).then_some(whole)
    }

    fn split(&self) -> (&str, &str) {
        if let Some(rest) = self.host.strip_prefix('[') {
            let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
            return (name, after.strip_prefix(':').unwrap_or(""));
        }
        self.host.rsplit_once(':').unwrap_or((&self.host, ""))
    }

    fn queries<'a>(&self) -> Value<'a> {
        let mut map: BTreeMap<String, Value<'a>> = BTreeMap::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| unescaped(&text.replace('+', " "));
            let Some((key, value)) = plain(key).zip(plain(value)) else {
                continue;
            };
            let entry = map
                .entry(key)
                .or_insert_with(|| Value::List(Vec::with_capacity(1)));
            if let Value::List(list) = entry {
                list.push(Value::Text(value.into()));
            }
        }
        Value::Map(map)
    }
}

fn is_scheme(text: &str) -> bool {
    let mut letters = text.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|one| one.is_ascii_alphanumeric() || b"+-.".contains(&one))
}

fn is_host(host: &str) -> bool {
    if host.contains([' ', '<', '>', '"', '\\', '^', '`', '{', '|', '}']) {
        return false;
    }
    let digits = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((name, after)) = rest.split_once(']') else {
            return false;
        };
        let port = after.strip_prefix(':');
        return name.parse::<std::net::Ipv6Addr>().is_ok()
            && (after.is_empty() || port.is_some_and(digits));
    }
    match host.split_once(':') {
        Some((_, port)) => digits(port),
        None => true,
    }
}

/// The text with its percent signs read; `None` where one stands wrong.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digit = |one: u8| char::from(one).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        plain.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(String::from_utf8_lossy(&plain).into_owned())
}

fn escaped(path: &str) -> String {
    let mut made = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@%!'()*".contains(&byte) {
            made.push(char::from(byte));
        } else {
            made.push_str(&format!("%{byte:02X}"));
        }
    }
    made
}

/// `ip(text)`, `cidr(text)` and `url(text)`.
pub(super) fn made<'a>(function: &str, text: &str) -> Outcome<'a> {
    let made = match function {
        "ip" => address(text).map(Value::Ip),
        "cidr" => Cidr::parse(text).map(Value::Cidr),
        _ => Url::parse(text).map(|url| Value::Url(Box::new(url))),
    };
    let what = match function {
        "ip" => "IP Address",
        "cidr" => "network address (CIDR)",
        _ => "URL",
    };
    made.map_or_else(
        || {
            fault(format!(
                "{what} {text:?} parse error during conversion from string"
            ))
        },
        Ok,
    )
}

/// A method of an address.
pub(super) fn of_address<'a>(address: IpAddr, name: &str) -> Option<Outcome<'a>> {
    let (linked, everywhere) = match address {
        IpAddr::V4(four) => (four.is_link_local(), four.is_broadcast()),
        IpAddr::V6(six) => (six.is_unicast_link_local(), false),
    };
    let multicast_of_link = match address {
        IpAddr::V4(four) => four.octets()[..3] == [224, 0, 0],
        IpAddr::V6(six) => six.segments()[0] & 0xff0f == 0xff02,
    };
    let (nowhere, here) = (address.is_unspecified(), address.is_loopback());
    let global = !(nowhere || here || linked || everywhere || address.is_multicast());
    Some(Ok(match name {
        "family" => Value::Int(if address.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Value::Bool(nowhere),
        "isLoopback" => Value::Bool(here),
        "isLinkLocalMulticast" => Value::Bool(multicast_of_link),
        "isLinkLocalUnicast" => Value::Bool(linked),
        "isGlobalUnicast" => Value::Bool(global),
        _ => return None,
    }))
}

/// A method of a range.
pub(super) fn of_range<'a>(range: Cidr, name: &str, given: &[Value<'a>]) -> Option<Outcome<'a>> {
    let other = match given {
        [Value::Ip(address)] => Some((*address, None)),
        [Value::Cidr(other)] => Some((other.address, Some(other.bits))),
        [Value::Text(text)] if name == "containsIP" => match address(text) {
            Some(address) => Some((address, None)),
            None => return Some(made("ip", text)),
        },
        [Value::Text(text)] => match Cidr::parse(text) {
            Some(other) => Some((other.address, Some(other.bits))),
            None => return Some(made("cidr", text)),
        },
        _ => None,
    };
    Some(Ok(match (name, other) {
        ("containsIP", Some((address, None))) => Value::Bool(range.contains(address)),
        ("containsCIDR", Some((address, Some(bits)))) => {
            Value::Bool(bits >= range.bits && range.contains(address))
        }
        ("ip", None) => Value::Ip(range.address),
        ("masked", None) => Value::Cidr(range.masked()),
        ("prefixLength", None) => Value::Int(range.bits.into()),
        _ => return None,
    }))
}

/// A method of a URL.
pub(super) fn of_url<'a>(url: &Url, name: &str) -> Option<Outcome<'a>> {
    let (host, port) = url.split();
    let text = match name {
        "getScheme" => url.scheme.clone(),
        "getHost" => url.host.clone(),
        "getHostname" => host.to_owned(),
        "getPort" => port.to_owned(),
        "getEscapedPath" => escaped(&url.path),
        "getQuery" => return Some(Ok(url.queries())),
        _ => return None,
    };
    Some(Ok(Value::Text(text.into())))
}
