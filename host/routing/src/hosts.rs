//! Host names: patterns, and an index that finds the most specific one without scanning.

use std::collections::HashMap;

/// A host name as routes write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This name.
    Exact(Box<str>),
    /// Every name that ends so; the text begins with `.` or `-`.
    Suffix(Box<str>),
    /// Every name.
    Any,
}

impl HostPattern {
    /// Reads `name`, `*.suffix`, `*-suffix` or `*`. Anything else with a star is no pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix('*') {
            Some("") => Some(Self::Any),
            Some(suffix) if suffix.starts_with(['.', '-']) && !suffix.contains('*') => {
                Some(Self::Suffix(suffix.into()))
            }
            None if !text.is_empty() && !text.contains(['*', '/', ' ']) => {
                Some(Self::Exact(text.into()))
            }
            _ => None,
        }
    }

    /// What both patterns cover: the narrower one, or nothing.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.covers(other) {
            Some(other.clone())
        } else if other.covers(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    /// Whether every name of the other pattern is one of this.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Suffix(wide), Self::Exact(narrow)) => {
                narrow.len() > wide.len() && narrow.ends_with(&**wide)
            }
            (Self::Suffix(wide), Self::Suffix(narrow)) => narrow.ends_with(&**wide),
            (Self::Exact(a), Self::Exact(b)) => a == b,
            _ => false,
        }
    }
}

/// Values by host pattern: the exact name wins, then the longest suffix, then `*`.
#[derive(Clone, Debug)]
pub struct HostIndex<T> {
    exact: HashMap<Box<str>, T>,
    suffix: HashMap<Box<str>, T>,
    any: Option<T>,
}

impl<T> Default for HostIndex<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            suffix: HashMap::new(),
            any: None,
        }
    }
}

impl<T> HostIndex<T> {
    /// Files a value; one under the same pattern is replaced.
    pub fn insert(&mut self, pattern: HostPattern, value: T) {
        match pattern {
            HostPattern::Exact(name) => drop(self.exact.insert(name, value)),
            HostPattern::Suffix(suffix) => drop(self.suffix.insert(suffix, value)),
            HostPattern::Any => self.any = Some(value),
        }
    }

    /// The value under exactly this pattern.
    pub fn get(&self, pattern: &HostPattern) -> Option<&T> {
        match pattern {
            HostPattern::Exact(name) => self.exact.get(name),
            HostPattern::Suffix(suffix) => self.suffix.get(suffix),
            HostPattern::Any => self.any.as_ref(),
        }
    }

    /// Every value for a lower-case host name, the most specific first.
    pub fn candidates(&self, host: &str) -> impl Iterator<Item = &T> {
        // Where nothing is filed by suffix, nothing is looked for.
        let cut = if self.suffix.is_empty() { "" } else { host };
        let starts = cut
            .match_indices(['.', '-'])
            .map(|(at, _)| at)
            .filter(|at| *at > 0);
        let suffixes = starts.filter_map(|at| self.suffix.get(host.get(at..)?));
        self.exact
            .get(host)
            .into_iter()
            .chain(suffixes)
            .chain(&self.any)
    }

    /// The value for a lower-case host name: one look per label at most.
    pub fn find(&self, host: &str) -> Option<&T> {
        self.exact
            .get(host)
            .or_else(|| self.find_suffix(host))
            .or(self.any.as_ref())
    }

    fn find_suffix(&self, host: &str) -> Option<&T> {
        if self.suffix.is_empty() {
            return None;
        }
        let cuts = host
            .bytes()
            .enumerate()
            .skip(1)
            .filter(|(_, byte)| matches!(byte, b'.' | b'-'));
        cuts.map(|(at, _)| &host[at..])
            .find_map(|suffix| self.suffix.get(suffix))
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.suffix.is_empty() && self.any.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let mut index = HostIndex::default();
        for text in [
            "*",
            "*.com",
            "*.example.com",
            "a.example.com",
            "*-v1.example.com",
        ] {
            index.insert(pattern(text), text);
        }
        let found = |host| *index.find(host).unwrap();
        assert_eq!(found("a.example.com"), "a.example.com");
        assert_eq!(found("b.example.com"), "*.example.com");
        assert_eq!(found("x.b.example.com"), "*.example.com");
        assert_eq!(found("b-v1.example.com"), "*-v1.example.com");
        assert_eq!(found("example.com"), "*.com");
        assert_eq!(found("localhost"), "*");
    }

    #[test]
    fn a_star_inside_a_name_is_no_pattern() {
        for text in ["a.*.com", "*a.com", "**", "", "a b", "http://x"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn intersections_take_the_narrower_side() {
        let meet = |a, b| pattern(a).intersect(&pattern(b));
        assert_eq!(meet("*", "a.com"), Some(pattern("a.com")));
        assert_eq!(
            meet("a.example.com", "*.example.com"),
            Some(pattern("a.example.com"))
        );
        assert_eq!(meet("*.b.com", "*.com"), Some(pattern("*.b.com")));
        assert_eq!(meet("example.com", "*.example.com"), None);
        assert_eq!(meet("a.com", "b.com"), None);
    }
}
