//! WebSocket (RFC 6455) by hand: a server that agrees and sends every frame back, and a client that says one thing.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::digest::{base64, sha1};

/// What a server puts behind a client's key (RFC 6455, 1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The opcode of a frame that ends a conversation, and of one that asks for a sign of life.
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Echoes on every connection, beside the others.
pub(crate) fn serve(at: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let mut open: Vec<Conversation> = Vec::new();
    loop {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            open.push(Conversation::new(stream));
        }
        open.retain_mut(Conversation::go_on);
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Conversation {
    stream: TcpStream,
    read: Vec<u8>,
    unsent: Vec<u8>,
    agreed: bool,
    ending: bool,
}

impl Conversation {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
            unsent: Vec::new(),
            agreed: false,
            ending: false,
        }
    }

    /// Reads, answers and writes as far as that goes now; false when it is over.
    fn go_on(&mut self) -> bool {
        let mut piece = [0; 65_536];
        match self.stream.read(&mut piece) {
            Ok(0) => return false,
            Ok(count) => self.read.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        while self.answer() {}
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        !self.ending
    }

    /// Answers one thing that has come; false if there is none yet.
    fn answer(&mut self) -> bool {
        if self.agreed {
            return self.echo();
        }
        let Some((head, length)) = crate::request(&self.read) else {
            return false;
        };
        // A key is told in its own case.
        let written = String::from_utf8_lossy(&self.read[..length]).into_owned();
        self.read.drain(..length);
        match key(&written).filter(|_| head.contains("upgrade: websocket")) {
            Some(key) => {
                let accept = base64(&sha1(format!("{key}{MAGIC}").as_bytes()));
                let agreed = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
                );
                self.unsent.extend_from_slice(agreed.as_bytes());
                self.agreed = true;
            }
            None => {
                let refused = "HTTP/1.1 426 Upgrade Required\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n";
                self.unsent.extend_from_slice(refused.as_bytes());
            }
        }
        true
    }

    fn echo(&mut self) -> bool {
        let Some((first, payload, length)) = frame(&self.read) else {
            return false;
        };
        self.read.drain(..length);
        let first = match first & 15 {
            PING => 0x80 | PONG,
            PONG => return true,
            _ => first,
        };
        self.ending |= first & 15 == CLOSE;
        self.unsent.extend(framed(first, &payload, None));
        true
    }
}

fn key(head: &str) -> Option<&str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    found.map(|(_, key)| key.trim())
}

/// The first byte of a whole frame, what it says, and how long it is (RFC 6455, 5.2).
fn frame(read: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*read.first()?, *read.get(1)?);
    let (length, mut at) = match second & 127 {
        126 => (
            usize::from(u16::from_be_bytes([*read.get(2)?, *read.get(3)?])),
            4,
        ),
        127 => (
            u64::from_be_bytes(read.get(2..10)?.try_into().ok()?) as usize,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let mask: [u8; 4] = match second & 128 {
        0 => [0; 4],
        _ => {
            at += 4;
            read.get(at - 4..at)?.try_into().ok()?
        }
    };
    let payload = read.get(at..at + length)?.iter().zip(mask.iter().cycle());
    let payload = payload.map(|(byte, mask)| byte ^ mask).collect();
    Some((first, payload, at + length))
}

/// A frame of it; clients mask.
fn framed(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 128 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(masked | length as u8),
        length @ 126..65_536 => {
            frame.push(masked | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Says one thing to a server and prints what it hears.
pub(crate) fn say(at: &str, path: &str, text: &str) -> Result<(), Error> {
    let mut stream = TcpStream::connect(at)?;
    let host = at.rsplit_once(':').map_or(at, |(host, _)| host);
    let asked = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(asked.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if !head.starts_with("HTTP/1.1 101 ") {
        println!("{head}");
        return Ok(());
    }
    stream.write_all(&framed(0x81, text.as_bytes(), Some([7, 5, 3, 1])))?;
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece)?;
        read.extend_from_slice(&piece[..count]);
        if let Some((_, payload, _)) = frame(&read) {
            println!("{}", String::from_utf8_lossy(&payload));
            return Ok(());
        }
        if count == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
    }
}
