//! The completed indexes of an Indexed Job, in the short form of its status: `1,3-5,7`. Pure.

use std::collections::BTreeSet;

/// Reads the short form; what is no number is left out.
pub(super) fn read(text: &str) -> BTreeSet<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// Writes it. Two numbers in a row are written as they are, as Kubernetes does.
pub(super) fn write(indexes: &BTreeSet<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let words = ranges.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        let indexes: BTreeSet<usize> = [0, 2, 3, 5, 6, 7, 9].into();
        assert_eq!(write(&indexes), "0,2,3,5-7,9");
        assert_eq!(read("0,2,3,5-7,9"), indexes);
        assert_eq!(
            (read(""), write(&BTreeSet::new())),
            (BTreeSet::new(), String::new())
        );
    }
}
