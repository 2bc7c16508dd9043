//! Names that are other names, followed to their end. Pure.

use osier_snapshot::{Snapshot, Workload};

use crate::answer::{Data, Found, Wanted, answer};

/// How many aliases are followed, one behind the other.
const LONGEST: usize = 8;

/// What a name leads to.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Records, each with the name that has it.
    pub(crate) records: Vec<(String, Data)>,
    /// The last name.
    pub(crate) name: String,
    /// What became of it.
    pub(crate) end: End,
}

/// What became of the last name of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its records are there.
    Answered,
    /// It has none of what is asked.
    Nothing,
    /// There is no such name.
    NoSuchName,
    /// Others are asked.
    Elsewhere,
}

impl Chain {
    /// Follows a name as a workload sees it; not beyond an alias that is itself asked for.
    pub(crate) fn follow(
        snapshot: &Snapshot,
        asker: Option<&Workload>,
        (name, wanted): (&str, Wanted),
        stops_at_aliases: bool,
    ) -> Self {
        let (mut records, mut name) = (Vec::new(), name.to_owned());
        for _ in 0..LONGEST {
            let end = match answer(snapshot, asker, (&name, wanted)) {
                Found::Records(found) => {
                    records.extend(found.into_iter().map(|data| (name.clone(), data)));
                    End::Answered
                }
                Found::Alias(host) => {
                    records.push((name.clone(), Data::Alias(host.clone())));
                    if !stops_at_aliases {
                        name = host;
                        continue;
                    }
                    End::Answered
                }
                Found::Nothing => End::Nothing,
                Found::NoSuchName => End::NoSuchName,
                Found::Elsewhere => End::Elsewhere,
            };
            return Self { records, name, end };
        }
        // Names that lead round and round have no end.
        let end = End::Answered;
        Self { records, name, end }
    }

    /// Whether nothing at all is known of the name that was asked for.
    pub(crate) fn is_unknown(&self) -> bool {
        self.end == End::Elsewhere && self.records.is_empty()
    }
}
