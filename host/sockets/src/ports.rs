//! Which ports of a pod are taken, and by whom. Pure.

use std::collections::HashMap;

/// The first port that is given to who asks for any, and how many there are (as Linux has it).
const ANY: (u16, u16) = (32_768, 28_232);

/// What travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where who took a port can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// At the pod's address, and from within.
    Everybody,
    /// From within the pod only: it asked for the loopback address.
    Within,
}

/// A port that is taken, and where its traffic goes.
#[derive(Debug)]
pub(crate) struct Taken<Q> {
    pub(crate) reach: Reach,
    /// Nothing while it is bound and nobody listens.
    pub(crate) queue: Option<Q>,
}

/// All ports of one protocol. A port has one owner, whatever address it asked for.
#[derive(Debug)]
pub(crate) struct Ports<Q> {
    taken: HashMap<u16, Taken<Q>>,
    next: u16,
}

impl<Q> Default for Ports<Q> {
    fn default() -> Self {
        Self {
            taken: HashMap::new(),
            next: 0,
        }
    }
}

impl<Q> Ports<Q> {
    /// Takes the port, or any for 0; `None` if it is taken, or all are.
    pub(crate) fn take(&mut self, port: u16, reach: Reach) -> Option<u16> {
        let port = match port {
            0 => self.free()?,
            port if self.taken.contains_key(&port) => return None,
            port => port,
        };
        self.taken.insert(port, Taken { reach, queue: None });
        Some(port)
    }

    fn free(&mut self) -> Option<u16> {
        let (first, count) = ANY;
        let candidates = (0..count).map(|step| first + (self.next + step) % count);
        let port = candidates
            .into_iter()
            .find(|port| !self.taken.contains_key(port))?;
        self.next = (port - first + 1) % count;
        Some(port)
    }

    /// Traffic to the port goes here from now on.
    pub(crate) fn serve(&mut self, port: u16, queue: Q) {
        if let Some(taken) = self.taken.get_mut(&port) {
            taken.queue = Some(queue);
        }
    }

    /// The port is free again.
    pub(crate) fn give_back(&mut self, port: u16) {
        self.taken.remove(&port);
    }

    /// Where traffic to the port goes, if it may come from there.
    pub(crate) fn find(&self, port: u16, within: bool) -> Option<&Q> {
        let taken = self.taken.get(&port)?;
        let may = within || taken.reach == Reach::Everybody;
        taken.queue.as_ref().filter(|_| may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_owner_and_is_free_when_given_back() {
        let mut ports = Ports::<()>::default();
        assert_eq!(ports.take(80, Reach::Everybody), Some(80));
        assert_eq!(ports.take(80, Reach::Within), None);
        ports.give_back(80);
        assert_eq!(ports.take(80, Reach::Within), Some(80));
    }

    #[test]
    fn any_port_is_another_one_each_time_until_all_are_taken() {
        let mut ports = Ports::<()>::default();
        assert_eq!(ports.take(0, Reach::Everybody), Some(32_768));
        ports.give_back(32_768);
        assert_eq!(ports.take(0, Reach::Everybody), Some(32_769));
        for _ in 1..ANY.1 {
            assert!(ports.take(0, Reach::Everybody).is_some());
        }
        assert_eq!(ports.take(0, Reach::Everybody), None);
        ports.give_back(40_000);
        assert_eq!(ports.take(0, Reach::Everybody), Some(40_000));
    }

    #[test]
    fn what_listens_on_the_loopback_address_is_found_from_within() {
        let mut ports = Ports::default();
        ports.take(80, Reach::Within);
        assert_eq!(ports.find(80, true), None, "bound, and nobody listens");
        ports.serve(80, "queue");
        assert_eq!(ports.find(80, true), Some(&"queue"));
        assert_eq!(ports.find(80, false), None);
    }
}
