//! Rust files as rules need them: the text, the code without comments and strings, and where the tests begin.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// The same length and lines, with comments and the insides of strings blanked, and test modules blanked too.
    pub(crate) code: String,
    /// Lines of `#[cfg(test)]` modules inside the file.
    pub(crate) test_lines: usize,
}

/// One function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of `fn`, counted from 1.
    pub(crate) line: usize,
    /// Lines from `fn` to the closing brace.
    pub(crate) lines: usize,
    /// Arguments, without `self`.
    pub(crate) arguments: usize,
}

impl Source {
    /// Reads a file.
    pub(crate) fn read(root: &Path, path: &Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path
            .strip_prefix(root)
            .unwrap_or(path)
            .to_string_lossy()
            .replace('\\', "/");
        let mut code = blank(&text);
        let tests = test_modules(&code);
        let test_lines = tests
            .iter()
            .map(|range| code[range.clone()].lines().count())
            .sum();
        for range in tests {
            let blanked: String = code[range.clone()]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            code.replace_range(range, &blanked);
        }
        Self {
            path,
            text,
            code,
            test_lines,
        }
    }

    /// Is the whole file test code?
    pub(crate) fn is_test(&self) -> bool {
        let inside = |part: &str| self.path.split('/').any(|name| name == part);
        inside("tests") || self.path.ends_with("/tests.rs") || inside("benches")
    }

    /// Lines that are not inside a test module.
    pub(crate) fn production_lines(&self) -> usize {
        self.text.lines().count() - self.test_lines
    }

    /// Lines of production code that are neither blank nor only a comment.
    pub(crate) fn code_lines(&self) -> usize {
        self.code
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count()
    }

    /// The modules of its own crate that it names by `crate::`.
    pub(crate) fn imports(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (at, start) in self.code.match_indices("crate::") {
            let rest = &self.code[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(
                    group
                        .split(['}', ';'])
                        .next()
                        .unwrap_or_default()
                        .split(',')
                        .map(first_word),
                ),
                None => found.push(first_word(rest)),
            }
        }
        found
    }

    /// Lines of production code that contain `needle`, as `path:line: text`.
    pub(crate) fn with(&self, needle: &str) -> Vec<String> {
        let lines = self.code.lines().enumerate().zip(self.text.lines());
        lines
            .filter(|((_, code), _)| code.contains(needle))
            .map(|((index, _), text)| format!("{}:{}: {}", self.path, index + 1, text.trim()))
            .collect()
    }

    /// Every function with a body outside test modules.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let starts_a_word = at == 0 || !is_word(self.code.as_bytes()[at - 1]);
            if starts_a_word {
                found.extend(self.function(at));
            }
        }
        found
    }

    fn function(&self, at: usize) -> Option<Function> {
        let rest = &self.code[at + 3..];
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if name.is_empty() {
            return None;
        }
        let open = after_generics(rest, name.len())?;
        let close = open + matching(&rest[open..], '(', ')')?;
        let body = close + rest[close..].find(['{', ';'])?;
        if rest.as_bytes()[body] == b';' {
            return None;
        }
        let end = body + matching(&rest[body..], '{', '}')?;
        Some(Function {
            name,
            line: self.code[..at].lines().count().max(1)
                + usize::from(self.code[..at].ends_with('\n')),
            lines: rest[..=end].lines().count(),
            arguments: arguments(&rest[open + 1..close]),
        })
    }
}

/// Every Rust file below these folders, sorted.
pub(crate) fn below(root: &Path, folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root.join(folder), &mut paths);
    }
    paths.sort();
    paths.iter().map(|path| Source::read(root, path)).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// Blanks comments, strings and characters, keeping length and lines.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => {
                text[at..].find('\n').map_or(bytes.len(), |n| at + n)
            }
            b'/' if bytes[at..].starts_with(b"/*") => {
                text[at..].find("*/").map_or(bytes.len(), |n| at + n + 2)
            }
            b'r' if (at == 0 || !is_word(bytes[at - 1])) && raw_string(&text[at..]).is_some() => {
                at + raw_string(&text[at..]).unwrap_or(1)
            }
            b'"' => at + string(&bytes[at..]),
            b'\'' => at + character(&text[at..]),
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let start = 1 + hashes;
    if text.as_bytes().get(start) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(
        text[start + 1..]
            .find(&close)
            .map_or(text.len(), |n| start + 1 + n + close.len()),
    )
}

fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The length of a character literal, or 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut rest = text.char_indices().skip(1);
    match (rest.next(), rest.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(0, |n| n + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// The ranges of `#[cfg(test)] mod name { ... }`.
fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let rest = &code[at + attribute.len()..];
        let Some(stop) = rest.find(['{', ';']) else {
            continue;
        };
        let is_module = rest[..stop].split_whitespace().any(|word| word == "mod");
        if is_module && rest.as_bytes()[stop] == b'{' {
            let end = matching(&rest[stop..], '{', '}').map_or(rest.len(), |n| stop + n + 1);
            found.push(at..at + attribute.len() + end);
        }
    }
    found
}

/// The place of the bracket that closes the one at the start.
fn matching(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The place of the parenthesis that opens the arguments.
fn after_generics(text: &str, from: usize) -> Option<usize> {
    if !text[from..].starts_with('<') {
        return text[from..].starts_with('(').then_some(from);
    }
    let (mut depth, mut last) = (0i32, ' ');
    for (at, c) in text[from..].char_indices() {
        match c {
            '<' => depth += 1,
            '>' if last != '-' => depth -= 1,
            '(' if depth == 0 => return Some(from + at),
            _ => {}
        }
        last = c;
    }
    None
}

fn arguments(list: &str) -> usize {
    let (mut depth, mut count, mut last, mut any) = (0i32, 0, ' ', false);
    for c in list.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if last != '-' => depth -= 1,
            ',' if depth == 0 => {
                count += usize::from(any);
                any = false;
                last = c;
                continue;
            }
            _ => {}
        }
        any |= !c.is_whitespace();
        last = c;
    }
    count += usize::from(any);
    let first = list.split(',').next().unwrap_or_default();
    let takes_self = first
        .split(|c: char| !is_word_char(c))
        .any(|word| word == "self");
    count - usize::from(takes_self)
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| is_word_char(*c))
        .collect()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
