//! Frames, read from bytes and written to them. Nothing that a peer sends is trusted.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest frame that is read; the protocol allows sixteen times as much, and nobody uses it.
pub(super) const LONGEST: usize = 1 << 20;
const VERSION: u16 = 3;
const HEAD: usize = 8;
const FIN: u8 = 1;
/// Stream ids have 31 bits.
const ID: u32 = 0x7fff_ffff;

/// One frame, its headers still compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A stream begins.
    SynStream { id: u32, fin: bool, block: Bytes },
    /// It was accepted.
    SynReply { id: u32, fin: bool, block: Bytes },
    /// It was broken off.
    Reset { id: u32 },
    /// The other side is to answer with the same.
    Ping(u32),
    /// No more streams are begun.
    GoAway { last: u32 },
    /// More headers of a stream.
    Headers { id: u32, fin: bool, block: Bytes },
    /// Bytes of a stream.
    Data { id: u32, fin: bool, data: Bytes },
    /// One that changes nothing here: settings, windows, and what later versions may add.
    Other,
}

/// What no peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another protocol.
    #[error("a frame of SPDY version {0}; only 3 is spoken")]
    Version(u16),
    /// More than is held in memory.
    #[error("a frame of {0} bytes; the longest is {LONGEST}", LONGEST = LONGEST)]
    Long(usize),
    /// Shorter than its type has it.
    #[error("a frame of type {0} is cut short")]
    Short(u16),
}

/// Takes the next frame from the front, if it is whole.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(mut head) = buffer.get(..HEAD) else {
        return Ok(None);
    };
    let (first, last) = (head.get_u32(), head.get_u32());
    let (flags, length) = (last.to_be_bytes()[0], (last & 0x00ff_ffff) as usize);
    if length > LONGEST {
        return Err(FrameError::Long(length));
    }
    if buffer.len() < HEAD + length {
        return Ok(None);
    }
    buffer.advance(HEAD);
    let body = buffer.split_to(length).freeze();
    let fin = flags & FIN != 0;
    if first & !ID == 0 {
        let (id, data) = (first, body);
        return Ok(Some(Frame::Data { id, fin, data }));
    }
    let [high, low, kind @ ..] = first.to_be_bytes();
    let version = u16::from_be_bytes([high & 0x7f, low]);
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    control(u16::from_be_bytes(kind), fin, body).map(Some)
}

fn control(kind: u16, fin: bool, mut body: Bytes) -> Result<Frame, FrameError> {
    let least = match kind {
        1 => 10,
        3 | 7 => 8,
        2 | 6 | 8 => 4,
        _ => 0,
    };
    if body.len() < least {
        return Err(FrameError::Short(kind));
    }
    let mut number = || body.get_u32() & ID;
    Ok(match kind {
        1 => {
            let id = number();
            // The stream that it belongs to, its priority, and its slot for credentials.
            body.advance(6);
            Frame::SynStream {
                id,
                fin,
                block: body,
            }
        }
        2 => Frame::SynReply {
            id: number(),
            fin,
            block: body,
        },
        3 => Frame::Reset { id: number() },
        6 => Frame::Ping(body.get_u32()),
        7 => Frame::GoAway { last: number() },
        8 => Frame::Headers {
            id: number(),
            fin,
            block: body,
        },
        _ => Frame::Other,
    })
}

impl Frame {
    /// The frame's bytes. One of type [`Frame::Other`] has none.
    pub(super) fn bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Self::SynStream { id, fin, block } => {
                begin(&mut bytes, (1, *fin), 10 + block.len());
                bytes.put_u32(*id);
                bytes.put_bytes(0, 6);
                bytes.put_slice(block);
            }
            Self::SynReply { id, fin, block } => named(&mut bytes, (2, *fin), *id, block),
            Self::Headers { id, fin, block } => named(&mut bytes, (8, *fin), *id, block),
            // Status 5: the stream is no longer wanted.
            Self::Reset { id } => named(&mut bytes, (3, false), *id, &5_u32.to_be_bytes()),
            Self::Ping(id) => named(&mut bytes, (6, false), *id, &[]),
            Self::GoAway { last } => named(&mut bytes, (7, false), *last, &[0; 4]),
            Self::Data { id, fin, data } => {
                bytes.put_u32(*id & ID);
                length(&mut bytes, *fin, data.len());
                bytes.put_slice(data);
            }
            Self::Other => {}
        }
        bytes.freeze()
    }
}

/// A control frame that is a number and what follows it.
fn named(bytes: &mut BytesMut, kind: (u16, bool), number: u32, rest: &[u8]) {
    begin(bytes, kind, 4 + rest.len());
    bytes.put_u32(number);
    bytes.put_slice(rest);
}

fn begin(bytes: &mut BytesMut, (kind, fin): (u16, bool), size: usize) {
    bytes.put_u16(0x8000 | VERSION);
    bytes.put_u16(kind);
    length(bytes, fin, size);
}

fn length(bytes: &mut BytesMut, fin: bool, size: usize) {
    bytes.put_u8(if fin { FIN } else { 0 });
    bytes.put_uint(size as u64, 3);
}
