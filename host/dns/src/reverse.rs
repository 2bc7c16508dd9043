//! Addresses as names: `4.3.2.1.in-addr.arpa` (RFC 1035, 3.5) and `….ip6.arpa` (RFC 3596, 2.5). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a lower-case name stands for, if it is the name of a whole one.
pub(crate) fn address(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        return v4(octets).map(IpAddr::V4);
    }
    v6(name.strip_suffix(".ip6.arpa")?).map(IpAddr::V6)
}

fn v4(text: &str) -> Option<Ipv4Addr> {
    let octets: Vec<u8> = text
        .rsplit('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?))
}

fn v6(text: &str) -> Option<Ipv6Addr> {
    let digit = |part: &str| {
        u128::from_str_radix(part, 16)
            .ok()
            .filter(|_| part.len() == 1)
    };
    let digits: Vec<u128> = text.rsplit('.').map(digit).collect::<Option<_>>()?;
    let bits = digits.iter().fold(0, |bits, digit| bits << 4 | digit);
    (digits.len() == 32).then(|| Ipv6Addr::from(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_addresses_are_read_and_nothing_else() {
        let four = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(four("4.3.2.1.in-addr.arpa").as_deref(), Some("1.2.3.4"));
        let loopback = format!("1.{}ip6.arpa", "0.".repeat(31));
        assert_eq!(four(&loopback).as_deref(), Some("::1"));
        for other in [
            "3.2.1.in-addr.arpa",
            "5.4.3.2.1.in-addr.arpa",
            "256.3.2.1.in-addr.arpa",
            "+1.3.2.1.in-addr.arpa.x",
            "in-addr.arpa",
            "1.ip6.arpa",
            "reviews.default",
        ] {
            assert_eq!(four(other), None, "{other}");
        }
    }
}
