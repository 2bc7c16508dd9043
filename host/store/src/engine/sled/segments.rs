//! Whether sled would open its file, or wipe it. Each segment of the file begins with a header that says how far the log was
//! stable when it was begun. Recovery follows the log from there; if the very segment that it should begin in is gone, sled
//! 0.34 takes the log to end before its beginning, fills every segment since its snapshot with zeros as "torn", and only
//! then finds that its first page is not there. So this is looked at before, while there is something to rescue.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::engine::EngineError;

/// sled's default, which the store uses.
const SEGMENT: u64 = 512 << 10;
/// Checksum, place in the log, and how far the log was stable; the numbers are stored with these bits turned.
const HEADER: usize = 4 + 8 + 8;
const TURNED: u64 = 0x7FFF_FFFF_FFFF_FFFF;

/// What the beginning of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Where in the log the segment begins.
    begins: u64,
    /// Everything up to here had been written when the segment was begun; nothing before the first.
    stable: Option<u64>,
}

/// Refuses a file that sled would wipe. A file that is not there, or has no readable segment, is sled's to judge.
pub(super) fn check(directory: &Path) -> Result<(), EngineError> {
    let file = match File::open(directory.join("db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let (length, mut headers) = (file.metadata()?.len(), Vec::new());
    for number in 0..length.div_ceil(SEGMENT) {
        let mut bytes = [0; HEADER];
        match file.read_exact_at(&mut bytes, number * SEGMENT) {
            // The last segment may hold less than its header.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => headers.extend(read.map(|()| parse(&bytes))?),
        }
    }
    match missing(&headers, snapshot(directory)?) {
        None => Ok(()),
        Some(place) => Err(EngineError::Corrupt(format!(
            "the segment of sled's log at {place} is missing, although a later one says that it was written"
        ))),
    }
}

/// The place of the newest snapshot, from its name `snap.HEX`; recovery reads the log from its segment on.
fn snapshot(directory: &Path) -> io::Result<u64> {
    let mut newest = 0;
    for file in std::fs::read_dir(directory)? {
        let name = file?.file_name();
        let place = name.to_str().and_then(|name| name.strip_prefix("snap."));
        let place = place.and_then(|hex| u64::from_str_radix(hex, 16).ok());
        newest = newest.max(place.unwrap_or(0));
    }
    Ok(newest)
}

/// A header, if it has its checksum.
fn parse(bytes: &[u8; HEADER]) -> Option<Header> {
    let (sum, rest) = bytes.split_first_chunk::<4>()?;
    let (begins, rest_of) = rest.split_first_chunk::<8>()?;
    let stable = rest_of.first_chunk::<8>()?;
    let begins = u64::from_le_bytes(*begins) ^ TURNED;
    let stable = u64::from_le_bytes(*stable) ^ TURNED;
    // -1 where nothing was written before.
    let header = Header {
        begins,
        stable: (stable >> 63 == 0).then_some(stable),
    };
    (!crc32fast::hash(rest) == u32::from_le_bytes(*sum)).then_some(header)
}

/// The place of the segment in which recovery from `snapshot` begins, if a header promises it and it is not there.
fn missing(headers: &[Header], snapshot: u64) -> Option<u64> {
    let from = snapshot / SEGMENT * SEGMENT;
    let read = headers.iter().filter(|header| header.begins >= from);
    let begins: HashSet<u64> = read.clone().map(|header| header.begins).collect();
    let stable = read.filter_map(|header| header.stable).max()?;
    let place = stable / SEGMENT * SEGMENT;
    (place >= from && !begins.contains(&place)).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(begins: u64, stable: u64) -> Header {
        Header {
            begins: begins * SEGMENT,
            stable: Some(stable * SEGMENT + 9),
        }
    }

    #[test]
    fn the_segment_that_was_stable_must_be_there() {
        let whole = [header(7, 5), header(6, 4), header(5, 4), header(2, 1)];
        assert_eq!(missing(&whole, 0), None);
        let lost = [header(7, 5), header(6, 4), header(2, 1)];
        assert_eq!(missing(&lost, 0), Some(5 * SEGMENT));
        // A tail that was never stable may be torn.
        assert_eq!(missing(&[header(7, 5), header(5, 4)], 0), None);
        assert_eq!(missing(&[], 0), None);
        let first = Header {
            begins: 0,
            stable: None,
        };
        assert_eq!(missing(&[first, header(1, 0)], 0), None);
        assert_eq!(missing(&[header(1, 0)], 0), Some(0));
    }

    #[test]
    fn what_is_before_the_snapshot_is_not_read() {
        let headers = [header(9, 7), header(2, 1)];
        assert_eq!(missing(&headers, 8 * SEGMENT + 1), None);
        assert_eq!(missing(&headers, 7 * SEGMENT + 1), Some(7 * SEGMENT));
    }

    #[test]
    fn a_header_without_its_checksum_is_none() {
        let mut bytes = [0; HEADER];
        bytes[4..12].copy_from_slice(&(SEGMENT ^ TURNED).to_le_bytes());
        bytes[12..].copy_from_slice(&(77 ^ TURNED).to_le_bytes());
        let sum = !crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        let read = Header {
            begins: SEGMENT,
            stable: Some(77),
        };
        assert_eq!(parse(&bytes), Some(read));
        bytes[12..].copy_from_slice(&(u64::MAX ^ TURNED).to_le_bytes());
        let sum = !crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(parse(&bytes).map(|header| header.stable), Some(None));
        bytes[9] ^= 1;
        assert_eq!(parse(&bytes), None);
    }
}
