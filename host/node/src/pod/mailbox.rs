//! What a pod's actor has yet to hear. A channel of tokio sets room for 32 words aside at once; a node has thousands of pods that
//! mostly hear nothing, so this one takes room only for what waits.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Makes both ends of a mailbox in which at most so many words wait.
pub(crate) fn mailbox<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mailbox {
        waiting: Mutex::new(Waiting {
            words: VecDeque::new(),
            open: true,
        }),
        most,
        arrived: Notify::new(),
        taken: Notify::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// Puts words in; cheap to clone.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Mailbox<T>>);

/// Takes words out, in their order. When it is dropped, whoever still has something to say is let go.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Mailbox<T>>);

/// Why a word was not taken; it is lost then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// As many wait as may.
    Full,
    /// Nobody listens any more.
    Closed,
}

#[derive(Debug)]
struct Mailbox<T> {
    waiting: Mutex<Waiting<T>>,
    most: usize,
    arrived: Notify,
    taken: Notify,
}

#[derive(Debug)]
struct Waiting<T> {
    words: VecDeque<T>,
    open: bool,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Sender<T> {
    /// Says it at once or not at all.
    pub(crate) fn try_send(&self, word: T) -> Result<(), Unheard> {
        self.0.put(word).map_err(|(why, _)| why)
    }

    /// Says it as soon as there is room.
    pub(crate) async fn send(&self, mut word: T) -> Result<(), Unheard> {
        loop {
            let taken = self.0.taken.notified();
            match self.0.put(word) {
                Ok(()) => return Ok(()),
                Err((Unheard::Closed, _)) => return Err(Unheard::Closed),
                Err((Unheard::Full, back)) => word = back,
            }
            taken.await;
        }
    }
}

impl<T> Receiver<T> {
    /// The next word. Dropping the future loses none.
    pub(crate) async fn recv(&mut self) -> T {
        loop {
            if let Some(word) = self.0.take() {
                self.0.taken.notify_one();
                return word;
            }
            self.0.arrived.notified().await;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.open = false;
        waiting.words = VecDeque::new();
        drop(waiting);
        self.0.taken.notify_waiters();
    }
}

impl<T> Mailbox<T> {
    fn put(&self, word: T) -> Result<(), (Unheard, T)> {
        let mut waiting = self.waiting.lock();
        if !waiting.open {
            return Err((Unheard::Closed, word));
        }
        if waiting.words.len() >= self.most {
            return Err((Unheard::Full, word));
        }
        waiting.words.push_back(word);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    fn take(&self) -> Option<T> {
        let mut waiting = self.waiting.lock();
        let word = waiting.words.pop_front();
        if waiting.words.is_empty() {
            // The room goes back too.
            waiting.words = VecDeque::new();
        }
        word
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn words_come_in_their_order_and_no_more_wait_than_may() {
        let (sender, mut receiver) = mailbox(2);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!(sender.try_send(3), Err(Unheard::Full));
        let late = sender.clone();
        let (told, heard) = tokio::join!(late.send(3), async {
            [
                receiver.recv().await,
                receiver.recv().await,
                receiver.recv().await,
            ]
        });
        assert_eq!((told, heard), (Ok(()), [1, 2, 3]));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_is_let_go_when_nobody_listens() {
        let (sender, receiver) = mailbox(1);
        sender.try_send(1).unwrap();
        let waits = sender.send(2);
        tokio::pin!(waits);
        tokio::select! {
            biased;
            _ = &mut waits => unreachable!("there is no room"),
            () = std::future::ready(()) => drop(receiver),
        }
        assert_eq!(waits.await, Err(Unheard::Closed));
        assert_eq!(sender.try_send(3), Err(Unheard::Closed));
    }
}
