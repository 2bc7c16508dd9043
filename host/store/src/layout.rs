//! How the store writes itself into an engine: one ordered space of keys with a prefix byte.
//!
//! | key | value |
//! |---|---|
//! | `0` key | the object's revision and the revision that created it |
//! | `1` revision, part | a part of the log record of that revision |
//! | `2` | the newest revision and the compacted one |
//!
//! Integers are big-endian, so that the log is in the order of revisions. A value stands once, in its log record; the record
//! of the revision before stays until no event needs it. Records are cut into parts of 4 KiB at most, since sled puts a leaf
//! of larger values into files that it does not sync. Each record and the state carry a checksum.

use bytes::Bytes;

use super::entry::Key;

/// The most bytes in one part of a record.
const PART: usize = 4096;
/// Checksum, length, revision, replaced revision, creation, parts of the replaced record, deletion, length of the key.
const HEAD: usize = 4 + 4 + 8 + 8 + 8 + 2 + 1 + 2;

const INDEX: u8 = 0;
const LOG: u8 = 1;
const STATE: u8 = 2;

/// What is wrong with the data on the disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    /// A key is none of the three forms.
    #[error("a key of the engine makes no sense")]
    Key,
    /// The state is missing or does not have its checksum.
    #[error("the record of the newest revision is missing or damaged")]
    State,
    /// A record does not have its checksum, or lacks a part.
    #[error("the record of revision {0} is damaged")]
    Record(u64),
    /// A record of the history is missing.
    #[error("the record of revision {0} is missing")]
    Missing(u64),
    /// The index and the log differ.
    #[error("the index and the log differ about {0}")]
    Index(Key),
    /// The log is shorter than what was acknowledged.
    #[error("the log ends at revision {found}, but revision {acknowledged} was acknowledged")]
    Behind {
        /// The last revision on the disk.
        found: u64,
        /// The last revision that a client was told.
        acknowledged: u64,
    },
    /// The files of the engine are gone.
    #[error("its {0} files are missing")]
    Gone(&'static str),
}

/// The newest revision and the one up to which history is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) revision: u64,
    pub(super) compacted: u64,
}

impl Progress {
    /// Of a new store. Revision 0 is never handed out: to a client it means "any".
    pub(super) const START: Self = Self {
        revision: 1,
        compacted: 1,
    };

    /// How many bytes it is on disk.
    pub(super) const BYTES: usize = 4 + 8 + 8;

    /// The bytes on disk.
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(self.compacted.to_be_bytes());
        seal(&mut bytes);
        bytes
    }

    /// The value of the bytes on disk.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields(opened(bytes).ok_or(Damage::State)?);
        fields
            .u64()
            .zip(fields.u64())
            .map(|(revision, compacted)| Self {
                revision,
                compacted,
            })
            .ok_or(Damage::State)
    }
}

/// Where an object stands: the value of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) modified: u64,
    pub(super) created: u64,
}

impl Standing {
    /// The bytes on disk. They need no checksum: each is compared with the log.
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = self.modified.to_be_bytes().to_vec();
        bytes.extend(self.created.to_be_bytes());
        bytes
    }

    /// The object and its standing from an entry of the index.
    pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<(Key, Self), Damage> {
        let key = key
            .get(1..)
            .and_then(|key| std::str::from_utf8(key).ok())
            .ok_or(Damage::Key)?;
        let mut fields = Fields(value);
        let (modified, created) = fields
            .u64()
            .zip(fields.u64())
            .ok_or_else(|| Damage::Index(Key::from(key)))?;
        Ok((Key::from(key), Self { modified, created }))
    }
}

/// One change of one object, as the log holds it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) revision: u64,
    /// The object's revision before; 0 where it did not exist.
    pub(super) replaced: u64,
    pub(super) created: u64,
    /// In how many parts the replaced record is, so that compaction removes it unread.
    pub(super) replaced_parts: u16,
    pub(super) deleted: bool,
    pub(super) key: Key,
    pub(super) value: Bytes,
}

impl Record {
    /// The parts on disk, each with its key.
    pub(super) fn encode(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<> {
        let (revision, bytes) = (self.revision, self.bytes());
        let parts = bytes.len().div_ceil(PART);
        (0..parts).map(move |part| {
            let end = bytes.len().min((part + 1) * PART);
            let key = part_key(revision, u16::try_from(part).unwrap_or(u16::MAX));
            (key, bytes[part * PART..end].to_vec())
        })
    }

    /// The whole record.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = HEAD + self.key.len() + self.value.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend([0; 4]);
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(self.replaced.to_be_bytes());
        bytes.extend(self.created.to_be_bytes());
        bytes.extend(self.replaced_parts.to_be_bytes());
        bytes.push(u8::from(self.deleted));
        bytes.extend(
            u16::try_from(self.key.len())
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        bytes.extend(self.key.as_bytes());
        bytes.extend(&self.value);
        seal(&mut bytes);
        bytes
    }

    /// How long the record is that begins so.
    pub(super) fn length(head: &[u8]) -> Option<usize> {
        let length: [u8; 4] = head.get(4..8)?.try_into().ok()?;
        Some(u32::from_be_bytes(length) as usize)
    }

    /// The record of these bytes, whichever revision it is of; `None` where it does not have its checksum.
    pub(super) fn whole(bytes: &[u8]) -> Option<Self> {
        let revision: [u8; 8] = bytes.get(8..16)?.try_into().ok()?;
        Self::decode(u64::from_be_bytes(revision), bytes)
    }

    fn decode(revision: u64, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(opened(bytes)?);
        let length = fields.take(4)?;
        if u32::from_be_bytes(length.try_into().ok()?) as usize != bytes.len()
            || fields.u64()? != revision
        {
            return None;
        }
        let (replaced, created, replaced_parts) = (fields.u64()?, fields.u64()?, fields.u16()?);
        let deleted = fields.take(1)? == [1];
        let length = usize::from(fields.u16()?);
        let key = Key::from(std::str::from_utf8(fields.take(length)?).ok()?);
        let value = Bytes::copy_from_slice(fields.0);
        Some(Self {
            revision,
            replaced,
            created,
            replaced_parts,
            deleted,
            key,
            value,
        })
    }
}

/// In how many parts the record of such an object is.
pub(super) fn parts(key: &str, value: &[u8]) -> u16 {
    u16::try_from((HEAD + key.len() + value.len()).div_ceil(PART)).unwrap_or(u16::MAX)
}

/// Puts records together from the parts in the order in which a range visits them.
#[derive(Default)]
pub(super) struct Assembly {
    revision: u64,
    bytes: Vec<u8>,
    parts: u16,
}

impl Assembly {
    /// Takes the next part; answers with the record that it completes.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Record>, Damage> {
        let mut fields = Fields(key.get(1..).unwrap_or_default());
        let (Some(revision), Some(part), []) = (fields.u64(), fields.u16(), fields.0) else {
            return Err(Damage::Key);
        };
        if self.bytes.is_empty() {
            self.revision = revision;
        }
        if revision != self.revision || part != self.parts {
            return Err(Damage::Record(self.revision));
        }
        self.parts += 1;
        self.bytes.extend_from_slice(value);
        if self
            .wanted()
            .is_some_and(|length| self.bytes.len() < length)
        {
            return Ok(None);
        }
        let record = Record::decode(revision, &self.bytes).ok_or(Damage::Record(revision))?;
        *self = Self::default();
        Ok(Some(record))
    }

    /// Refuses a record that lacks its last parts.
    pub(super) fn finish(self) -> Result<(), Damage> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Damage::Record(self.revision))
        }
    }

    /// What the length in the record's head asks for, once the head is there.
    fn wanted(&self) -> Option<usize> {
        Record::length(&self.bytes)
    }
}

/// The key of an object in the index.
pub(super) fn index_key(key: &str) -> Vec<u8> {
    let mut bytes = vec![INDEX];
    bytes.extend(key.as_bytes());
    bytes
}

/// The key of a part of a record.
pub(super) fn part_key(revision: u64, part: u16) -> Vec<u8> {
    let mut bytes = log_key(revision);
    bytes.extend(part.to_be_bytes());
    bytes
}

/// Where the record of a revision begins.
pub(super) fn log_key(revision: u64) -> Vec<u8> {
    let mut bytes = vec![LOG];
    bytes.extend(revision.to_be_bytes());
    bytes
}

/// The key of the progress.
pub(super) fn progress_key() -> Vec<u8> {
    vec![STATE]
}

/// The bounds of the whole index.
pub(super) const INDEX_RANGE: ([u8; 1], [u8; 1]) = ([INDEX], [LOG]);
/// The bounds of the whole log.
pub(super) const LOG_RANGE: ([u8; 1], [u8; 1]) = ([LOG], [STATE]);

/// Puts the checksum of the rest into the first four bytes.
fn seal(bytes: &mut [u8]) {
    let (sum, rest) = bytes.split_at_mut(4);
    sum.copy_from_slice(&crc32fast::hash(rest).to_be_bytes());
}

/// The rest, if the checksum in the first four bytes is right.
fn opened(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = bytes.split_at_checked(4)?;
    (sum == crc32fast::hash(rest).to_be_bytes()).then_some(rest)
}

/// Reads fields off the front of bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
}
