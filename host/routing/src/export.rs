//! Which namespaces an object is for: `exportTo` of Istio's kinds, and of a Service its annotation of that name.

use std::sync::Arc;

/// The namespaces that see an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Export {
    /// All.
    #[default]
    Everywhere,
    /// These.
    To(Arc<[Arc<str>]>),
}

impl Export {
    /// Reads the words of an object in namespace `own`: `.` is its own namespace, `*` is every one, `~` is none. Nothing said is
    /// every one (<https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService>).
    pub fn read<'a>(words: impl IntoIterator<Item = &'a str>, own: &str) -> Self {
        let mut words = words.into_iter().peekable();
        if words.peek().is_none() {
            return Self::Everywhere;
        }
        let mut named: Vec<Arc<str>> = Vec::new();
        for word in words {
            let name = match word {
                "*" => return Self::Everywhere,
                "~" => continue,
                "." => own,
                other => other,
            };
            if named.iter().all(|known| **known != *name) {
                named.push(name.into());
            }
        }
        Self::To(named.into())
    }

    /// Whether a namespace sees the object.
    pub fn reaches(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::To(namespaces) => namespaces.iter().any(|name| **name == *namespace),
        }
    }

    /// Whether every namespace sees the object, those too that nobody has named.
    pub fn is_everywhere(&self) -> bool {
        *self == Self::Everywhere
    }

    /// The namespaces that are named one by one.
    pub fn named(&self) -> &[Arc<str>] {
        match self {
            Self::Everywhere => &[],
            Self::To(namespaces) => namespaces,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_istio_reads_them() {
        let read = |words: &[&str]| Export::read(words.iter().copied(), "own");
        let to = |names: &[&str]| Export::To(names.iter().map(|name| Arc::from(*name)).collect());
        assert_eq!(read(&[]), Export::Everywhere);
        assert_eq!(read(&["*"]), Export::Everywhere);
        assert_eq!(read(&[".", "a", "*"]), Export::Everywhere);
        assert_eq!(read(&["."]), to(&["own"]));
        assert_eq!(read(&["own", ".", "a"]), to(&["own", "a"]));
        assert_eq!(read(&["~"]), to(&[]));
        assert!(!read(&["~"]).reaches("own"));
        assert!(read(&["a"]).reaches("a") && !read(&["a"]).reaches("own"));
    }
}
