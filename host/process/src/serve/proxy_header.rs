//! The PROXY protocol's header, versions 1 and 2: a balancer in front says who the client is
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes that a header may have; one with more extensions than this is refused.
pub const MOST_BYTES: usize = 4096;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The most bytes of a version 1 header, with its end of line.
const MOST_TEXT: usize = 107;

/// A header that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that it takes of the connection.
    pub length: usize,
    /// The client; `None` where the balancer speaks for itself or does not know.
    pub source: Option<SocketAddr>,
}

/// Why a connection does not begin with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Something else.
    #[error("it does not begin with a PROXY protocol header")]
    Missing,
    /// A header that breaks the rules.
    #[error("its PROXY protocol header is malformed")]
    Malformed,
    /// A header with more than [`MOST_BYTES`].
    #[error("its PROXY protocol header is too long")]
    TooLong,
}

/// Reads a header from the first bytes of a connection; `Ok(None)` if it may become one when more bytes come.
///
/// # Errors
/// [`HeaderError`] when these bytes cannot begin a header.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, wanted)| byte == wanted);
    if bytes.is_empty() {
        Ok(None)
    } else if begins(&SIGNATURE) {
        binary(bytes)
    } else if begins(b"PROXY ") {
        text(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

/// Version 1: one line.
fn text(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let window = &bytes[..bytes.len().min(MOST_TEXT)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        let open = bytes.len() < MOST_TEXT;
        return if open {
            Ok(None)
        } else {
            Err(HeaderError::Malformed)
        };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| HeaderError::Malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let source = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        [
            "PROXY",
            family @ ("TCP4" | "TCP6"),
            source,
            destination,
            from,
            to,
        ] => {
            let source = address(family, source)?;
            let _well_formed = (address(family, destination)?, port(to)?);
            Some(SocketAddr::new(source, port(from)?))
        }
        _ => return Err(HeaderError::Malformed),
    };
    Ok(Some(Header {
        length: end + 2,
        source,
    }))
}

/// Writes a header of version 1. Without a client, or where the families of both addresses differ, it says that nobody is known.
#[must_use]
pub fn text_of(client: Option<SocketAddr>, server: SocketAddr) -> Vec<u8> {
    let line = match ends(client, server) {
        None => "PROXY UNKNOWN\r\n".to_owned(),
        Some((from, to)) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!(
                "PROXY {family} {} {} {} {}\r\n",
                from.ip(),
                to.ip(),
                from.port(),
                to.port()
            )
        }
    };
    line.into_bytes()
}

/// Writes a header of version 2. Without a client, or where the families of both addresses differ, it is a LOCAL one.
#[must_use]
pub fn binary_of(client: Option<SocketAddr>, server: SocketAddr) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((from, to)) = ends(client, server) else {
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(from.octets().iter().chain(&to.octets()));
        }
        (from, to) => {
            header.extend([0x21, 0x21, 0, 36]);
            header.extend(six_of(from).octets().iter().chain(&six_of(to).octets()));
        }
    }
    header.extend(from.port().to_be_bytes());
    header.extend(to.port().to_be_bytes());
    header
}

/// Both ends in one family.
fn ends(client: Option<SocketAddr>, server: SocketAddr) -> Option<(SocketAddr, SocketAddr)> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (from, to) = (plain(client?), plain(server));
    (from.is_ipv4() == to.is_ipv4()).then_some((from, to))
}

fn six_of(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

fn address(family: &str, text: &str) -> Result<IpAddr, HeaderError> {
    let parsed = match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4),
        _ => text.parse::<Ipv6Addr>().map(IpAddr::V6),
    };
    parsed.map_err(|_| HeaderError::Malformed)
}

fn port(text: &str) -> Result<u16, HeaderError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if !plain || padded {
        return Err(HeaderError::Malformed);
    }
    text.parse().map_err(|_| HeaderError::Malformed)
}

/// Version 2: signature, version and command, family, length, addresses, extensions (which are passed over).
fn binary(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let Some(fixed) = bytes.get(SIGNATURE.len()..SIGNATURE.len() + 4) else {
        return Ok(None);
    };
    let (version, command) = (fixed[0] >> 4, fixed[0] & 0xf);
    if version != 2 || command > 1 {
        return Err(HeaderError::Malformed);
    }
    let start = SIGNATURE.len() + 4;
    let length = start + usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if length > MOST_BYTES {
        return Err(HeaderError::TooLong);
    }
    let Some(addresses) = bytes.get(start..length) else {
        return Ok(None);
    };
    // LOCAL: the balancer's own check; its addresses mean nothing.
    let source = match (command, fixed[1]) {
        (0, _) => None,
        (_, 0x11) => Some(four(addresses).ok_or(HeaderError::Malformed)?),
        (_, 0x21) => Some(six(addresses).ok_or(HeaderError::Malformed)?),
        // Datagrams and UNIX sockets have no address that we could name.
        (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        _ => return Err(HeaderError::Malformed),
    };
    Ok(Some(Header { length, source }))
}

fn four(bytes: &[u8]) -> Option<SocketAddr> {
    let ip: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    Some(SocketAddr::from((ip, number(bytes, 8)?)))
}

fn six(bytes: &[u8]) -> Option<SocketAddr> {
    let ip: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    Some(SocketAddr::from((ip, number(bytes, 32)?)))
}

/// The source port, which stands behind both addresses with the destination's behind it.
fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let _destination = bytes.get(at + 2..at + 4)?;
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let cases = [
            ("192.0.2.1:5", "198.51.100.1:80", Some("192.0.2.1:5")),
            (
                "[2001:db8::1]:5",
                "[2001:db8::2]:80",
                Some("[2001:db8::1]:5"),
            ),
            (
                "[::ffff:192.0.2.1]:5",
                "198.51.100.1:80",
                Some("192.0.2.1:5"),
            ),
            ("192.0.2.1:5", "[2001:db8::2]:80", None),
        ];
        for (client, server, read_back) in cases {
            let (client, server) = (client.parse().ok(), server.parse().unwrap());
            let expected: Option<SocketAddr> = read_back.map(|text| text.parse().unwrap());
            for written in [text_of(client, server), binary_of(client, server)] {
                let header = read(&written).unwrap().unwrap();
                assert_eq!((header.length, header.source), (written.len(), expected));
            }
        }
        let nobody = read(&binary_of(None, "198.51.100.1:80".parse().unwrap()));
        assert_eq!(nobody.unwrap().unwrap().source, None);
    }

    fn v2(command: u8, source: SocketAddr, extension: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        let family = match source.ip() {
            IpAddr::V4(ip) => {
                body.extend(ip.octets());
                body.extend([127, 0, 0, 1]);
                0x11
            }
            IpAddr::V6(ip) => {
                body.extend(ip.octets());
                body.extend(Ipv6Addr::LOCALHOST.octets());
                0x21
            }
        };
        body.extend(source.port().to_be_bytes());
        body.extend(443u16.to_be_bytes());
        body.extend(extension);
        let mut header = SIGNATURE.to_vec();
        header.extend([0x20 | command, family]);
        header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        header.extend(body);
        header
    }

    #[test]
    fn both_versions_name_the_client() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /";
        let header = read(line).unwrap().unwrap();
        assert_eq!(header.source.unwrap().to_string(), "192.0.2.1:56324");
        assert_eq!(&line[header.length..], b"GET /");
        let unknown = read(b"PROXY UNKNOWN\r\n").unwrap().unwrap();
        assert_eq!((unknown.length, unknown.source), (15, None));
        let local = read(&v2(0, "192.0.2.1:1".parse().unwrap(), b""))
            .unwrap()
            .unwrap();
        assert_eq!(local.source, None);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\r\n"[..], HeaderError::Missing),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", HeaderError::Malformed),
            (b"PROXY TCP4 ::1 1.2.3.4 1 2\r\n", HeaderError::Malformed),
            (
                b"PROXY TCP4 1.2.3.4 1.2.3.4 70000 2\r\n",
                HeaderError::Malformed,
            ),
            (
                b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
                HeaderError::Malformed,
            ),
            (
                &[b"PROXY ".as_slice(), &[b'x'; 200]].concat(),
                HeaderError::Malformed,
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", HeaderError::Malformed),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
                HeaderError::TooLong,
            ),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab",
                HeaderError::Malformed,
            ),
        ] {
            assert_eq!(read(bytes), Err(error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), signed in any::<bool>()) {
            let mut all = if signed { SIGNATURE.to_vec() } else { b"PROXY ".to_vec() };
            all.extend(bytes);
            if let Ok(Some(header)) = read(&all) {
                prop_assert!(header.length <= all.len());
            }
        }

        #[test]
        fn a_written_header_is_read_back_and_its_beginnings_ask_for_more(
            ip in any::<u128>(), four in any::<bool>(), port in any::<u16>(), extension in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let ip = if four { IpAddr::V4((ip as u32).into()) } else { IpAddr::V6(ip.into()) };
            let source = SocketAddr::new(ip, port);
            let family = if four { "TCP4" } else { "TCP6" };
            let line = format!("PROXY {family} {ip} {ip} {port} 443\r\n").into_bytes();
            for header in [v2(1, source, &extension), line] {
                let found = read(&header).unwrap().unwrap();
                prop_assert_eq!((found.length, found.source), (header.len(), Some(source)));
                for cut in 0..header.len() {
                    prop_assert_eq!(read(&header[..cut]), Ok(None));
                }
            }
        }
    }
}
