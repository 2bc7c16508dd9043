//! `/etc/resolv.conf`: which resolvers the machine asks. Pure: whoever has the file reads it.

use std::net::{IpAddr, SocketAddr};

/// As many as the C library asks.
const MOST: usize = 3;

/// The resolvers that a text in the form of resolv.conf(5) names, in order.
pub fn nameservers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    let addresses = named.filter_map(|word| word.parse::<IpAddr>().ok());
    addresses
        .take(MOST)
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_are_read_and_the_rest_is_not() {
        let text = "# nameserver 9.9.9.9\nsearch a b\nnameserver 10.0.0.1\n nameserver\t::1 # why\nnameserver x\noptions ndots:5\n";
        let found = nameservers(text);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1:53", "[::1]:53"]);
        assert_eq!(nameservers(&"nameserver 1.1.1.1\n".repeat(9)).len(), MOST);
    }
}
