//! Patterns of texts: whole, by their beginning, by their end, or any; and templates of paths.

/// A pattern as policies write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// This text.
    Exact(Box<str>),
    /// `abc*`.
    Prefix(Box<str>),
    /// `*abc`.
    Suffix(Box<str>),
    /// `*`: anything that is not empty.
    Present,
    /// A path with `{*}` for one segment and `{**}` for any number.
    Template(Box<[Segment]>),
}

/// A segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This text.
    Text(Box<str>),
    /// `{*}`.
    One,
    /// `{**}`: any number, none too.
    Any,
}

impl Pattern {
    /// Reads a pattern. Texts may hold stars elsewhere, which then mean themselves.
    pub(crate) fn of(text: &str) -> Self {
        if text == "*" {
            return Self::Present;
        }
        if let Some(rest) = text.strip_prefix('*') {
            return Self::Suffix(rest.into());
        }
        match text.strip_suffix('*') {
            Some(rest) => Self::Prefix(rest.into()),
            None => Self::Exact(text.into()),
        }
    }

    /// Reads a pattern of paths.
    ///
    /// # Errors
    /// What is wrong with a template.
    pub(crate) fn of_path(text: &str) -> Result<Self, &'static str> {
        if !text.contains(['{', '}']) {
            return Ok(Self::of(text));
        }
        let segments = text
            .strip_prefix('/')
            .ok_or("a template begins with a slash")?;
        let segments: Result<Box<[Segment]>, _> = segments.split('/').map(segment).collect();
        let segments = segments?;
        let any = segments.iter().filter(|one| **one == Segment::Any).count();
        if any > 1 {
            return Err("{**} stands in a template once at most");
        }
        Ok(Self::Template(segments))
    }

    /// The same in lower case, for what has no case.
    pub(crate) fn lower(text: &str) -> Self {
        Self::of(&text.to_ascii_lowercase())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(all) => **all == *text,
            Self::Prefix(start) => text.starts_with(&**start),
            Self::Suffix(end) => text.ends_with(&**end),
            Self::Present => !text.is_empty(),
            Self::Template(segments) => text.strip_prefix('/').is_some_and(|path| {
                let path: Vec<&str> = path.split('/').collect();
                follows(segments, &path)
            }),
        }
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    match text {
        "{*}" => Ok(Segment::One),
        "{**}" => Ok(Segment::Any),
        text if text.contains(['{', '}', '*']) => {
            Err("a segment of a template is a text, {*} or {**}")
        }
        text => Ok(Segment::Text(text.into())),
    }
}

/// Whether segments of a path are those of a template, in which [`Segment::Any`] stands once at most.
fn follows(template: &[Segment], path: &[&str]) -> bool {
    let same = |(wanted, found): (&Segment, &&str)| match wanted {
        Segment::Text(text) => **text == **found,
        Segment::One => !found.is_empty(),
        Segment::Any => true,
    };
    let Some(any) = template.iter().position(|one| *one == Segment::Any) else {
        return template.len() == path.len() && template.iter().zip(path).all(same);
    };
    let (before, after) = template.split_at(any);
    let after = after.get(1..).unwrap_or_default();
    path.len() >= before.len() + after.len()
        && before.iter().zip(path).all(same)
        && after.iter().rev().zip(path.iter().rev()).all(same)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_star_at_an_end_stands_for_anything() {
        for (pattern, text, wanted) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abc*", "abcd", true),
            ("abc*", "xabc", false),
            ("*abc", "xabc", true),
            ("*abc", "abcx", false),
            ("*", "x", true),
            ("*", "", false),
            ("a*c", "a*c", true),
            ("a*c", "abc", false),
        ] {
            assert_eq!(
                Pattern::of(pattern).matches(text),
                wanted,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn templates_match_by_segment() {
        for (template, path, wanted) in [
            ("/foo/{*}", "/foo/bar", true),
            ("/foo/{*}", "/foo/bar/baz", false),
            ("/foo/{*}", "/foo/", false),
            ("/foo/{**}/", "/foo/bar/", true),
            ("/foo/{**}/", "/foo/bar/baz.txt", false),
            ("/foo/{**}", "/foo", true),
            ("/{*}/bar/{**}", "/foo/bar/buzz/test", true),
            ("/{*}/bar/{**}", "/bar/buzz", false),
            ("/a/{**}/z", "/a/z", true),
            ("/a/{**}/z", "/a", false),
        ] {
            let pattern = Pattern::of_path(template).unwrap();
            assert_eq!(pattern.matches(path), wanted, "{template} {path}");
        }
        for wrong in ["/{a}", "/{**}/{**}", "foo/{*}", "/a{*}"] {
            assert!(Pattern::of_path(wrong).is_err(), "{wrong}");
        }
    }
}
