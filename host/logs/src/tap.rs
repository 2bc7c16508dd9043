//! Who is attached to a container hears what it writes at once, not line by line, and never makes it wait.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Writes that wait for somebody who is attached; beyond it they are lost, which is told. A write has at most 64 KiB.
const WAITING: usize = 64;

/// What a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// On its standard output.
    Out(Bytes),
    /// On its standard error.
    Error(Bytes),
    /// So many bytes before the next piece were lost.
    Lost(u64),
}

/// All who are attached to a container.
#[derive(Default)]
pub(super) struct Taps(Mutex<Vec<Tap>>);

struct Tap {
    pieces: Sender<Piece>,
    lost: u64,
}

impl Taps {
    pub(super) fn open(&self) -> Receiver<Piece> {
        let (pieces, tapped) = mpsc::channel(WAITING);
        self.0.lock().push(Tap { pieces, lost: 0 });
        tapped
    }

    pub(super) fn close(&self) {
        self.0.lock().clear();
    }

    /// Gives what was written on the stream of that name.
    pub(super) fn give(&self, stream: &str, bytes: &[u8]) {
        let mut taps = self.0.lock();
        if taps.is_empty() {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let length = bytes.len() as u64;
        let piece = match stream {
            "stderr" => Piece::Error(bytes),
            _ => Piece::Out(bytes),
        };
        taps.retain_mut(|tap| tap.give(piece.clone(), length));
    }
}

impl Tap {
    /// False when nobody listens any more.
    fn give(&mut self, piece: Piece, length: u64) -> bool {
        if self.lost > 0 {
            match self.pieces.try_send(Piece::Lost(self.lost)) {
                Ok(()) => self.lost = 0,
                Err(TrySendError::Full(_)) => {
                    self.lost += length;
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        match self.pieces.try_send(piece) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost += length;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_too_slowly_is_told_how_much_was_lost() {
        let taps = Taps::default();
        taps.give("stdout", b"before");
        let mut tapped = taps.open();
        for _ in 0..WAITING + 2 {
            taps.give("stderr", b"abc");
        }
        assert_eq!(
            tapped.try_recv(),
            Ok(Piece::Error(Bytes::from_static(b"abc")))
        );
        assert!(tapped.try_recv().is_ok());
        taps.give("stdout", b"x");
        let rest: Vec<Piece> = std::iter::from_fn(|| tapped.try_recv().ok()).collect();
        assert_eq!(
            rest[WAITING - 2..],
            [Piece::Lost(6), Piece::Out(Bytes::from_static(b"x"))]
        );
        taps.close();
        assert!(tapped.blocking_recv().is_none());
    }
}
