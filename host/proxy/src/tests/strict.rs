//! Malformed and smuggling HTTP/1 over a real socket, a row for each trick: what the caller gets, and what the pod sees.
//! Sections are of RFC 9112 unless another document is named.

use std::time::Duration;

use osier_process::serve::{Limits, Security, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::GatewayListener;

/// What must come of some bytes.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Refused with 4xx or without an answer; no pod sees anything of it; the connection is closed.
    Refused,
    /// So many requests reach the pod, the last with this body.
    Passed(usize, &'static str),
    /// One request reaches the pod and is answered; what follows is never a request.
    Once,
}
use Fate::{Once, Passed, Refused};

/// Where it is forbidden or allowed, the bytes, what must happen.
type Row = (&'static str, &'static [u8], Fate);

const ROWS: &[Row] = &[
    // Framing: what smuggling lives of. Of the first two the parser drops the length, reads the chunks alone, and closes (6.1).
    ("6.3: Content-Length and Transfer-Encoding", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", Once),
    ("6.3: Transfer-Encoding and Content-Length", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", Once),
    ("6.3: two lengths that differ", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde", Refused),
    ("6.3: two lengths in a list that differ", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4, 5\r\n\r\nabcde", Refused),
    ("6.3: a negative length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", Refused),
    ("RFC 9110 8.6: a length with a plus", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +4\r\n\r\nabcd", Refused),
    ("RFC 9110 8.6: a length in hexadecimal", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x4\r\n\r\nabcd", Refused),
    ("RFC 9110 8.6: a length beyond 64 bits", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551617\r\n\r\na", Refused),
    ("RFC 9110 8.6: an empty length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \r\n\r\n", Refused),
    ("6.1: an unknown last coding", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused),
    ("6.1: a coding that only looks like chunked", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", Refused),
    ("6.1: chunked twice", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("6.1: a quoted coding", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused),
    ("6.1: a vertical tab before chunked", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n", Refused),
    ("6.1: Transfer-Encoding in HTTP/1.0", b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("6.3: the same length twice", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", Passed(1, "ok")),
    ("6.1: a coding that nobody decodes", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused),
    // Chunks.
    ("7.1: a size that is no number", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nz\r\nab\r\n0\r\n\r\n", Refused),
    ("7.1: a size with 0x", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", Refused),
    ("7.1: a negative size", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n", Refused),
    ("7.1: a size beyond 64 bits", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n", Refused),
    ("7.1: an empty size", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\r\nab\r\n0\r\n\r\n", Refused),
    ("7.1: more data than the size", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", Refused),
    ("7.1: a line feed after the size", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", Refused),
    ("7.1: a line feed after the data", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\n0\r\n\r\n", Refused),
    ("7.1: a line feed inside an extension", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;x=\ny\r\nab\r\n0\r\n\r\n", Refused),
    ("7.1.1: an extension", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n", Passed(1, "ok")),
    ("7.1.2: a trailer", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n", Passed(1, "ok")),
    ("7.1: chunks", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\nconnection: close\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", Passed(1, "ok")),
    // Lines and fields.
    ("5.1: a space before the colon", b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", Refused),
    ("5.1: a space before the colon of a length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length : 2\r\n\r\nok", Refused),
    ("5.2: a folded line", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n", Refused),
    ("5.2: a folded first line", b"GET / HTTP/1.1\r\n host: a\r\n\r\n", Refused),
    ("5: a line without a colon", b"GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n", Refused),
    ("5: an empty name", b"GET / HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n", Refused),
    ("RFC 9110 5.1: a name that is no token", b"GET / HTTP/1.1\r\nhost: a\r\nx(y): 1\r\n\r\n", Refused),
    ("RFC 9110 5.5: a NUL in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", Refused),
    ("2.2: a bare CR in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx: a\rcontent-length: 5\r\n\r\n", Refused),
    ("2.2: a bare CR after the request line", b"GET / HTTP/1.1\rhost: a\r\n\r\n", Refused),
    ("3: two spaces in the request line", b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n", Refused),
    ("3: a tab in the request line", b"GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n", Refused),
    ("3: a method that is no token", b"GE(T / HTTP/1.1\r\nhost: a\r\n\r\n", Refused),
    ("2.3: an unknown version", b"GET / HTTP/1.9\r\nhost: a\r\n\r\n", Refused),
    ("2.3: no version", b"GET /\r\nhost: a\r\n\r\n", Refused),
    ("2.3: a version in lower case", b"GET / http/1.1\r\nhost: a\r\n\r\n", Refused),
    // Host and target.
    ("3.2: no Host", b"GET / HTTP/1.1\r\n\r\n", Refused),
    ("3.2: two Hosts", b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", Refused),
    ("3.2: a Host that is none", b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", Refused),
    ("3.2: a Host with a path", b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", Refused),
    ("3.2: a Host with a user", b"GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", Refused),
    ("3.2.1: a target without a slash", b"GET x HTTP/1.1\r\nhost: a\r\n\r\n", Refused),
    ("3.2.2: an absolute target of another host than Host", b"GET http://b/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", Passed(1, "")),
    ("3.2.4: an asterisk for another method than OPTIONS", b"GET * HTTP/1.1\r\nhost: a\r\n\r\n", Refused),
    ("3.2.3: CONNECT", b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", Refused),
    // The parser drops it, so that nobody behind us sees one.
    ("3.2: a fragment in the target", b"GET /a#b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", Passed(1, "")),
    ("RFC 9110 4.2.4: an absolute target with a user", b"GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n", Refused),
    // Well-formed, and one after the other.
    ("2.1: a request", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", Passed(1, "ok")),
    ("9.3.2: two requests at once", b"GET / HTTP/1.1\r\nhost: a\r\n\r\nPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", Passed(2, "ok")),
    ("2.2: an empty line before the request", b"\r\nPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", Passed(1, "ok")),
    ("9.6: bytes after a request that closes", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", Once),
    ("6.2: a body longer than its length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok\0\0junk\r\n\r\n", Once),
    ("RFC 9110 7.8: an upgrade to h2c is not taken", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", Passed(1, "")),
];

/// A mesh whose pod notes the bodies that it got, behind a listener.
async fn listen(mesh: &Mesh, limits: Limits) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&seen);
    mesh.pod("echo-0", move |request| {
        let notes = Arc::clone(&notes);
        Box::pin(async move {
            let body = request.into_body().collect().await;
            let body = body.map_err(|error| PodError::Failed {
                reason: error.to_string(),
            })?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            notes.lock().push(text);
            Ok(Response::new(body::full("seen")))
        })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handle = GatewayListener::new(mesh.proxy.clone(), ListenerKey::Main, mesh.tasks.stopping());
    let security = Security::Chosen(Arc::new(handle.clone()));
    let served = serve(listener, security, handle, mesh.tasks.clone(), limits);
    mesh.tasks.spawn("gateway", served);
    (address, seen)
}

/// Sends bytes and nothing more, and reads until the connection is closed.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other end may close before it has read everything.
    let _refused = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(5), read).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(read.is_ok(), "the connection stays open: {answer}");
    answer
}

#[tokio::test]
async fn every_trick_meets_its_fate() {
    let limits = Limits {
        head_timeout: Duration::from_millis(700),
        ..Limits::default()
    };
    let mesh = Mesh::new(1, to_echo(json!({})));
    let (address, seen) = listen(&mesh, limits).await;
    let mut faults = Vec::new();
    for (rule, bytes, fate) in ROWS {
        seen.lock().clear();
        let answer = exchange(address, bytes).await;
        let seen = seen.lock().clone();
        let status = answer.get(9..12).unwrap_or_default();
        let fits = match fate {
            Refused => seen.is_empty() && (status.is_empty() || status.starts_with(['4', '5'])),
            Passed(count, body) => {
                seen.len() == *count && seen.last().unwrap() == body && status == "200"
            }
            Once => seen.len() == 1 && status == "200",
        };
        if !fits {
            faults.push(format!(
                "{rule}: {fate:?}, but the pod saw {seen:?} and the answer was {answer:?}"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    let (address, seen) = listen(&mesh, Limits::default()).await;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(70_000)
    );
    let target = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "y".repeat(70_000));
    let many = format!(
        "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(2_000)
    );
    for (what, request) in [
        ("a field", long),
        ("the target", target),
        ("many fields", many),
    ] {
        let answer = exchange(address, request.as_bytes()).await;
        let status = answer.get(9..12).unwrap_or_default().to_owned();
        assert!(
            status.is_empty() || ["414", "431"].contains(&&*status),
            "{what}: {answer}"
        );
    }
    assert_eq!(*seen.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn clients_that_are_slow_for_too_long_are_left() {
    let limits = Limits {
        head_timeout: Duration::from_millis(300),
        body_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let mesh = Mesh::new(1, to_echo(json!({})));
    let (address, seen) = listen(&mesh, limits).await;
    for begun in [
        &b""[..],
        b"GET / HTT",
        b"PRI * HTTP/2.0\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n9\r\nab",
    ] {
        let answer = exchange(address, begun).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{begun:?}: {answer}");
    }
    assert_eq!(*seen.lock(), Vec::<String>::new());
}
