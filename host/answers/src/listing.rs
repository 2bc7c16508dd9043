//! [`Listing`]: a list of whole objects, written while it is sent. Nothing of it is held but the stored bytes, which the store has
//! anyway, and the chunk in the making.

use bytes::Bytes;
use osier_api::Status;

use crate::render::{ListMeta, Renderer};
use crate::stored::Stored;

/// About so many bytes are written at a time.
const CHUNK: usize = 64 * 1024;

/// The chunks of a list.
pub struct Listing<I> {
    renderer: Renderer,
    /// The bytes of each object and their revision.
    entries: I,
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first object, or the end of an empty list.
    First,
    /// Another object, or the end.
    Another,
    /// Nothing.
    Nothing,
}

impl<I: Iterator<Item = (Bytes, u64)>> Listing<I> {
    /// The list of these objects: the stored bytes of each, and their revision.
    pub fn new(renderer: Renderer, entries: I) -> Self {
        Self {
            renderer,
            entries,
            next: Next::First,
        }
    }

    /// All chunks, the head of the list first.
    pub fn chunks(self, meta: &ListMeta) -> impl Iterator<Item = Result<Bytes, Status>> + use<I> {
        let head = Bytes::from(self.renderer.list_head(meta));
        std::iter::once(Ok(head)).chain(self)
    }

    fn chunk(&mut self) -> Result<Vec<u8>, Status> {
        let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 8);
        while chunk.len() < CHUNK {
            let Some((bytes, revision)) = self.entries.next() else {
                chunk.extend_from_slice(b"]}\n");
                self.next = Next::Nothing;
                break;
            };
            if self.next == Next::Another {
                chunk.push(b',');
            }
            self.next = Next::Another;
            let stored = Stored {
                bytes: &bytes,
                revision,
            };
            self.renderer.write(stored, &mut chunk)?;
        }
        Ok(chunk)
    }
}

impl<I: Iterator<Item = (Bytes, u64)>> Iterator for Listing<I> {
    type Item = Result<Bytes, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == Next::Nothing {
            return None;
        }
        let chunk = self.chunk();
        if chunk.is_err() {
            self.next = Next::Nothing;
        }
        Some(chunk.map(Bytes::from))
    }
}
