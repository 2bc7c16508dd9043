//! Which possibly absent values a condition proves to be there.

use super::Checker;
use crate::attributes::Slot;
use crate::expression::typed::{Op, Typed};
use crate::value::{Type, Value};

/// An attribute, or one entry of a map attribute, that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    slot: Slot,
    key: Option<String>,
}

impl Checker<'_> {
    /// The fact that would make this node present.
    fn fact(&self, typed: &Typed) -> Option<Fact> {
        match &typed.op {
            Op::Attribute(slot) => Some(Fact {
                slot: *slot,
                key: None,
            }),
            Op::Entry(of, key) => match (&of.op, self.folded(key)) {
                (Op::Attribute(slot), Some(Value::Owned(key))) => Some(Fact {
                    slot: *slot,
                    key: Some(key.to_string()),
                }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The node, present if that is known here.
    pub(super) fn narrowed(&self, mut typed: Typed) -> Typed {
        if typed.maybe
            && self
                .fact(&typed)
                .is_some_and(|fact| self.known.contains(&fact))
        {
            typed.maybe = false;
        }
        typed
    }

    /// What is known where `condition` came out as `outcome`.
    pub(super) fn facts(&self, condition: &Typed, outcome: bool) -> Vec<Fact> {
        let both = |a: &Typed, b: &Typed| {
            let mut facts = self.facts(a, outcome);
            facts.extend(self.facts(b, outcome));
            facts
        };
        match &condition.op {
            Op::Present(of) if outcome => self.fact(of).into_iter().collect(),
            Op::Not(of) => self.facts(of, !outcome),
            Op::And(a, b) if outcome => both(a, b),
            Op::Or(a, b) if !outcome => both(a, b),
            // Absent equals nothing, so whatever equals a value that is there is there.
            Op::Equal(negated, a, b) if *negated != outcome => {
                let sides = [(a, b), (b, a)].into_iter();
                sides
                    .filter(|(_, other)| !other.maybe)
                    .filter_map(|(side, _)| self.fact(side))
                    .collect()
            }
            Op::In(key, of) if outcome => match (&of.op, &of.ty, self.folded(key)) {
                (Op::Attribute(slot), Type::Map(_), Some(Value::Owned(key))) => vec![Fact {
                    slot: *slot,
                    key: Some(key.to_string()),
                }],
                _ => self.fact(key).into_iter().collect(),
            },
            _ => Vec::new(),
        }
    }
}
