//! Words that people nearly wrote, and causes told once.

/// The word of several that differs the least from one, if it differs by little.
pub(crate) fn nearest<'w>(words: impl Iterator<Item = &'w str>, word: &str) -> Option<&'w str> {
    let (edits, nearest) = words.map(|known| (edits(known, word), known)).min()?;
    let allowed = (word.len() / 3).clamp(1, 3);
    (edits <= allowed).then_some(nearest)
}

/// How many letters have to be put in, taken out or replaced to make one word of the other.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = place + 1;
        for (column, second) in other.chars().enumerate() {
            let replaced = corner + usize::from(letter != second);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
}

/// An error with its causes; an error that quotes its cause does not have it told again.
pub(crate) fn story(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| {
            match (told.is_empty(), told.contains(&cause)) {
                (true, _) => cause,
                (false, true) => told,
                (false, false) => format!("{told}: {cause}"),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn a_word_is_near_if_few_letters_differ() {
        assert_eq!(edits("kitten", "sitting"), 3);
        let words = ["apiListen", "adminListen"];
        assert_eq!(nearest(words.into_iter(), "apiLisen"), Some("apiListen"));
        assert_eq!(nearest(words.into_iter(), "colour"), None);
    }

    #[test]
    fn a_cause_is_told_once() {
        let quoted = Err::<(), _>(anyhow!("no space")).context("file a: no space; make room");
        let told = quoted.context("import").map_err(|error| story(&error));
        assert_eq!(
            told.err().as_deref(),
            Some("import: file a: no space; make room")
        );
    }
}
