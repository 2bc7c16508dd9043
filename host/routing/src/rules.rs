//! The ordered rules of one host, indexed: the first rule that matches wins, and finding it does not scan.
//!
//! Each rule is filed once, under the condition that narrows most: exact path, path prefix, an exact header, or none. A lookup
//! visits only the files that the request's own path and headers open, each in rule order, and stops a file as soon as a rule
//! before it has been found. Ten thousand rules cost no more than one.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use crate::matcher::{Ask, Matcher, StringMatch};
use crate::route::Route;

/// A condition and what happens when it holds.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The condition.
    pub matcher: Matcher,
    /// What happens.
    pub route: Arc<Route>,
}

/// Positions of rules, ascending.
type Positions = Vec<u32>;

/// Positions by the exact value of one header.
type ByValue = HashMap<Box<[u8]>, Positions>;

/// Ordered rules with their index.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    exact: HashMap<Box<str>, Positions>,
    prefix: HashMap<Box<str>, Positions>,
    prefix_lengths: Vec<usize>,
    headers: Vec<(HeaderName, ByValue)>,
    rest: Positions,
}

impl Rules {
    /// Indexes rules; the first that matches wins.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut this = Self::default();
        for (position, rule) in (0..).zip(&rules) {
            this.file(position, &rule.matcher);
        }
        this.prefix_lengths = this.prefix.keys().map(|text| text.len()).collect();
        this.prefix_lengths.sort_unstable();
        this.prefix_lengths.dedup();
        this.rules = rules;
        this
    }

    fn file(&mut self, position: u32, matcher: &Matcher) {
        let path = matcher
            .path
            .as_ref()
            .filter(|path| !path.ignore_case)
            .map(|path| &path.text);
        let positions = match path {
            Some(StringMatch::Exact(text)) => self.exact.entry(text.clone()).or_default(),
            Some(StringMatch::Prefix(text)) if text.len() > 1 => {
                self.prefix.entry(text.clone()).or_default()
            }
            Some(StringMatch::Segments(text)) if !text.is_empty() => {
                self.prefix.entry(text.clone()).or_default()
            }
            _ => match exact_header(matcher) {
                Some((name, value)) => self.header_file(name, value),
                None => &mut self.rest,
            },
        };
        positions.push(position);
    }

    fn header_file(&mut self, name: &HeaderName, value: &str) -> &mut Positions {
        let at = self
            .headers
            .iter()
            .position(|(known, _)| known == name)
            .unwrap_or_else(|| {
                self.headers.push((name.clone(), HashMap::new()));
                self.headers.len() - 1
            });
        self.headers[at]
            .1
            .entry(value.as_bytes().into())
            .or_default()
    }

    /// The first rule that matches.
    pub fn find(&self, ask: &Ask<'_>) -> Option<&Rule> {
        let path = ask.path();
        let mut best = None;
        self.search(self.exact.get(path), ask, &mut best);
        for length in self
            .prefix_lengths
            .iter()
            .take_while(|length| **length <= path.len())
        {
            let positions = path.get(..*length).and_then(|head| self.prefix.get(head));
            self.search(positions, ask, &mut best);
        }
        for (name, values) in &self.headers {
            self.search_header(name, values, ask, &mut best);
        }
        self.search(Some(&self.rest), ask, &mut best);
        best.and_then(|position| self.rules.get(position as usize))
    }

    fn search_header(
        &self,
        name: &HeaderName,
        values: &ByValue,
        ask: &Ask<'_>,
        best: &mut Option<u32>,
    ) {
        let mut sent = ask.head.headers.get_all(name).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) => self.search(values.get(value.as_bytes()), ask, best),
            // A list is compared whole; nobody is quick with a header sent twice.
            (Some(_), Some(_)) => values
                .values()
                .for_each(|positions| self.search(Some(positions), ask, best)),
            _ => {}
        }
    }

    fn search(&self, positions: Option<&Positions>, ask: &Ask<'_>, best: &mut Option<u32>) {
        for position in positions.into_iter().flatten() {
            if best.is_some_and(|best| best < *position) {
                return;
            }
            if self
                .rules
                .get(*position as usize)
                .is_some_and(|rule| rule.matcher.matches(ask))
            {
                *best = Some(*position);
                return;
            }
        }
    }

    /// The rules, in order.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }
}

fn exact_header(matcher: &Matcher) -> Option<(&HeaderName, &str)> {
    matcher
        .headers
        .iter()
        .find_map(|(name, condition)| match condition {
            StringMatch::Exact(value) => Some((name, &**value)),
            _ => None,
        })
}
