//! Headers of streams: names and values, compressed with a dictionary that both sides know, in one history for each direction.

use bytes::{Buf, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The dictionary of SPDY/3 (draft 3.1, 2.6.10.1).
const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");
/// Bytes of one block, decompressed: what kubectl sends has a hundred.
const MOST: usize = 64 * 1024;
/// Bytes that are decompressed at once.
const STEP: usize = 4096;

/// The headers of a stream; names are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub(super) Vec<(String, String)>);

impl Headers {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What no peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadersError {
    /// They are not what zlib wrote with the dictionary of SPDY/3.
    #[error("headers of a stream cannot be decompressed")]
    Compression,
    /// More than is held in memory.
    #[error("headers of a stream have more than {MOST} bytes", MOST = MOST)]
    Long,
    /// Counts and lengths do not fit to what is there.
    #[error("headers of a stream are cut short")]
    Short,
}

/// Reads the headers that come.
pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn read(&mut self, block: &[u8]) -> Result<Headers, HeadersError> {
        parse(self.inflate(block)?.into())
    }

    fn inflate(&mut self, mut rest: &[u8]) -> Result<Vec<u8>, HeadersError> {
        let (mut plain, mut step) = (Vec::new(), vec![0; STEP]);
        loop {
            let before = (self.0.total_in(), self.0.total_out());
            let inflated = self.0.decompress(rest, &mut step, FlushDecompress::Sync);
            let taken = usize::try_from(self.0.total_in() - before.0).unwrap_or(usize::MAX);
            let made = usize::try_from(self.0.total_out() - before.1).unwrap_or(usize::MAX);
            rest = rest.get(taken..).ok_or(HeadersError::Compression)?;
            plain.extend(step.get(..made).ok_or(HeadersError::Compression)?);
            match inflated {
                // The first block of a session says which dictionary it needs, and the library asks for it.
                Err(error) if error.needs_dictionary().is_some() => {
                    let given = self.0.set_dictionary(DICTIONARY);
                    given.map_err(|_| HeadersError::Compression)?;
                    continue;
                }
                Ok(Status::Ok | Status::BufError) => {}
                // The history of a direction has no end.
                Err(_) | Ok(Status::StreamEnd) => return Err(HeadersError::Compression),
            }
            if plain.len() > MOST {
                return Err(HeadersError::Long);
            }
            if rest.is_empty() && made < STEP {
                return Ok(plain);
            }
            if taken == 0 && made == 0 {
                return Err(HeadersError::Compression);
            }
        }
    }
}

/// Names and values, each behind its length.
fn parse(mut plain: Bytes) -> Result<Headers, HeadersError> {
    let mut headers = Headers::default();
    for _ in 0..number(&mut plain)? {
        let (name, value) = (text(&mut plain)?, text(&mut plain)?);
        headers.0.push((name, value));
    }
    Ok(headers)
}

fn number(plain: &mut Bytes) -> Result<usize, HeadersError> {
    let number = plain.try_get_u32().map_err(|_| HeadersError::Short)?;
    usize::try_from(number).map_err(|_| HeadersError::Short)
}

fn text(plain: &mut Bytes) -> Result<String, HeadersError> {
    let length = number(plain)?;
    if plain.len() < length {
        return Err(HeadersError::Short);
    }
    Ok(String::from_utf8_lossy(&plain.split_to(length)).into_owned())
}

/// Writes the headers that go.
pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Result<Self, HeadersError> {
        let mut deflater = Compress::new(Compression::default(), true);
        let given = deflater.set_dictionary(DICTIONARY);
        given.map_err(|_| HeadersError::Compression)?;
        Ok(Self(deflater))
    }

    pub(super) fn write(&mut self, headers: &Headers) -> Result<Bytes, HeadersError> {
        let plain = plain(headers);
        let mut rest = plain.as_slice();
        let mut block = Vec::new();
        loop {
            block.reserve(STEP);
            let before = self.0.total_in();
            let deflated = self.0.compress_vec(rest, &mut block, FlushCompress::Sync);
            deflated.map_err(|_| HeadersError::Compression)?;
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).ok_or(HeadersError::Compression)?;
            if rest.is_empty() && block.len() < block.capacity() {
                return Ok(block.into());
            }
        }
    }
}

fn plain(headers: &Headers) -> Vec<u8> {
    let mut plain = Vec::new();
    let number = |plain: &mut Vec<u8>, number: usize| {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        plain.extend(number.to_be_bytes());
    };
    number(&mut plain, headers.0.len());
    for text in headers.0.iter().flat_map(|(name, value)| [name, value]) {
        number(&mut plain, text.len());
        plain.extend(text.as_bytes());
    }
    plain
}
