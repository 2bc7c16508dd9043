//! Servers and clients over TCP and UDP. The first argument says which, the second where.
#![expect(
    clippy::unwrap_used,
    reason = "a guest of the tests: a step that fails shall trap"
)]

mod digest;
mod websocket;

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Err(error) = run(&words) {
        println!("{:?}", error.kind());
        std::process::exit(1);
    }
}

fn run(words: &[&str]) -> Result<(), Error> {
    match *words {
        ["serve", at] => serve(at),
        ["http", at] => http(at),
        ["greet", at] => greet(at),
        ["websocket", at] => websocket::serve(at),
        ["converse", at, path, text] => websocket::say(at, path, text),
        ["ask", at, text] => ask(at, text),
        ["get", at, path, ref headers @ ..] => request_by_hand(("GET", ""), (at, path), headers),
        // An empty message of gRPC.
        ["call", at, path, ref headers @ ..] => {
            request_by_hand(("POST", "\0\0\0\0\0"), (at, path), headers)
        }
        ["drain", at] => drain(at),
        ["flood", at, bytes] => flood(at, bytes.parse().unwrap()),
        ["many", at, count] => many(at, count.parse().unwrap()),
        ["lookup", name] => lookup(name),
        ["udp-serve", at] => udp_serve(at),
        ["udp-ask", at, text] => udp_ask(at, text),
        ["udp-tell", at, text] => udp_tell(at, text),
        ["sleep"] => {
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        }
        _ => Err(Error::other(format!("{words:?} is no command"))),
    }
}

fn pod() -> String {
    std::env::var("POD_NAME").unwrap_or_default()
}

/// Answers each line with who asked, and who answers.
fn serve(at: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(at)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        for line in BufReader::new(&stream).lines() {
            let Ok(line) = line else { break };
            let answer = format!("{} says {line} to {} at {local}\n", pod(), peer.ip());
            if (&stream).write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// A server that speaks first, and hangs up.
fn greet(at: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(at)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let greeting = format!("welcome to {}\n", pod());
        let _gone = stream?.write_all(greeting.as_bytes());
    }
    Ok(())
}

/// HTTP/1.1 by hand: tells what was asked, and keeps each connection beside the others.
fn http(at: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let mut open: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    loop {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            open.push((stream, Vec::new()));
        }
        open.retain_mut(|(stream, read)| exchange(stream, read));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Answers what has come on a connection; false when it is over.
fn exchange(stream: &mut TcpStream, read: &mut Vec<u8>) -> bool {
    let mut piece = [0; 4096];
    match stream.read(&mut piece) {
        Ok(0) => return false,
        Ok(count) => read.extend_from_slice(&piece[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
        Err(_) => return false,
    }
    while let Some((head, length)) = request(read) {
        let said = format!("{}\n{head}", pod());
        let size = said.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {size}\r\n\r\n{said}"
        );
        read.drain(..length);
        if stream.write_all(answer.as_bytes()).is_err() || head.contains("connection: close") {
            return false;
        }
    }
    true
}

/// The head of a request without a body, and how long it is.
fn request(read: &[u8]) -> Option<(String, usize)> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    Some((format!("{}\n", head.replace("\r\n", "\n")), end + 4))
}

/// Sends one line and prints what comes until the other side hangs up.
fn ask(at: &str, text: &str) -> Result<(), Error> {
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(format!("{text}\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    print!("{answer}");
    Ok(())
}

/// A request in HTTP/1.1 by hand; headers are `name:value`, with `+` for blanks.
fn request_by_hand(
    (method, body): (&str, &str),
    (at, path): (&str, &str),
    headers: &[&str],
) -> Result<(), Error> {
    let mut stream = TcpStream::connect(at)?;
    let host = at.rsplit_once(':').map_or(at, |(host, _)| host);
    let mut asked = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    if !body.is_empty() {
        asked.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for header in headers {
        asked.push_str(&header.replace('+', " "));
        asked.push_str("\r\n");
    }
    asked.push_str("\r\n");
    asked.push_str(body);
    stream.write_all(asked.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{answer}");
    Ok(())
}

/// Counts the bytes of each connection and says how many there were.
fn drain(at: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(at)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        let count = std::io::copy(&mut stream, &mut std::io::sink())?;
        let _gone = stream.write_all(format!("{count}\n").as_bytes());
    }
    Ok(())
}

/// Sends many bytes, more than any buffer on the way holds.
fn flood(at: &str, bytes: usize) -> Result<(), Error> {
    let mut stream = TcpStream::connect(at)?;
    let piece = [7; 10_000];
    for start in (0..bytes).step_by(piece.len()) {
        let length = piece.len().min(bytes - start);
        stream.write_all(&piece[..length])?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    print!("{answer}");
    Ok(())
}

/// Opens sockets until it may not, and says how many it got.
fn many(at: &str, count: usize) -> Result<(), Error> {
    let mut open = Vec::new();
    while open.len() < count {
        match TcpListener::bind(at) {
            Ok(listener) => open.push(listener),
            Err(_) => break,
        }
    }
    println!("{}", open.len());
    Ok(())
}

fn lookup(name: &str) -> Result<(), Error> {
    for address in (name, 80).to_socket_addrs()? {
        println!("{}", address.ip());
    }
    Ok(())
}

/// Sends each datagram back, with who answers.
fn udp_serve(at: &str) -> Result<(), Error> {
    let socket = UdpSocket::bind(at)?;
    println!("listening on {}", socket.local_addr()?);
    let mut data = [0; 65_536];
    loop {
        let (count, from) = socket.recv_from(&mut data)?;
        let text = String::from_utf8_lossy(&data[..count]);
        let answer = format!("{} says {text} to {}", pod(), from.ip());
        socket.send_to(answer.as_bytes(), from)?;
    }
}

/// Sends datagrams until it is told that they go nowhere.
fn udp_tell(at: &str, text: &str) -> Result<(), Error> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(at)?;
    for _ in 0..100 {
        socket.send(text.as_bytes())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Asks until it is answered: datagrams may be lost.
fn udp_ask(at: &str, text: &str) -> Result<(), Error> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(at)?;
    socket.set_nonblocking(true)?;
    let mut data = [0; 65_536];
    for _ in 0..50 {
        socket.send(text.as_bytes())?;
        std::thread::sleep(Duration::from_millis(50));
        if let Ok(count) = socket.recv(&mut data) {
            println!("{}", String::from_utf8_lossy(&data[..count]));
            return Ok(());
        }
    }
    Err(Error::from(ErrorKind::TimedOut))
}
