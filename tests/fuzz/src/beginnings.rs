//! What connections begin with: PROXY headers and ClientHellos, which come in pieces of any size.

use osier_identity::Hello;
use osier_process::serve::proxy_header;

/// A PROXY header is read the same however its bytes come, and what it says can be written and read again.
pub(crate) fn proxy_protocol(bytes: &[u8]) {
    let whole = proxy_header::read(bytes);
    let first = (0..bytes.len()).find_map(|end| match proxy_header::read(&bytes[..end]) {
        Ok(None) => None,
        decided => Some(decided),
    });
    if let Some(first) = first {
        assert_eq!(first, whole, "more bytes changed what was decided");
    }
    let Ok(Some(header)) = whole else { return };
    assert!(header.length <= bytes.len() && header.length <= proxy_header::MOST_BYTES);
    let server = header.source.unwrap_or(([127, 0, 0, 1], 80).into());
    for written in [
        proxy_header::text_of(header.source, server),
        proxy_header::binary_of(header.source, server),
    ] {
        let again = proxy_header::read(&written)
            .expect("our own header")
            .expect("all of it");
        assert_eq!(again.length, written.len());
        let plain = |source: std::net::SocketAddr| (source.ip().to_canonical(), source.port());
        assert_eq!(again.source.map(plain), header.source.map(plain));
    }
}

/// A ClientHello is whole at one byte and stays so, or is wrong and stays so.
pub(crate) fn client_hello(bytes: &[u8]) {
    let whole = osier_identity::hello(bytes);
    // A step for each of the first bytes, where all lengths stand, and few further ones: a long hello would cost its square.
    let steps = (0..bytes.len().min(64)).chain((64..bytes.len()).step_by(97));
    for end in steps {
        match osier_identity::hello(&bytes[..end]) {
            Hello::Incomplete => {}
            Hello::Complete(name) => {
                assert_eq!(
                    whole,
                    Hello::Complete(name),
                    "more bytes changed the server name"
                );
            }
            Hello::Wrong(_) => {
                assert!(matches!(whole, Hello::Wrong(_)), "more bytes made it right");
            }
        }
    }
    if let Hello::Complete(Some(name)) = whole {
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()));
    }
}
