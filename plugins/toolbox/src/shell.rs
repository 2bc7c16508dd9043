//! A shell for one line at a time: tools with arguments, quotes, variables, `;`, `&&`, `||`, and `>`, `>>` and `<` for files. There are no
//! pipes: everything here is one instance of one component.

use std::fs::File;
use std::io::{IsTerminal, Read};

use crate::mounts::failure;
use crate::show::open;
use crate::{Ended, Place, run};

/// A word, or what stands between commands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Mark(&'static str),
}

/// Longest first.
const MARKS: [&str; 7] = ["&&", "||", ">>", ">", "<", ";", "|"];

pub(crate) fn sh(arguments: &[String], place: &mut Place<'_>) -> Ended {
    match arguments {
        [flag, line, ..] if flag == "-c" => Ok(lines(line, place).unwrap_or_else(|code| code)),
        [] => interactive(place),
        [path, ..] => {
            let path = place.path(path);
            let text = std::fs::read_to_string(&path).map_err(|error| failure(&path, &error))?;
            Ok(lines(&text, place).unwrap_or_else(|code| code))
        }
    }
}

fn interactive(place: &mut Place<'_>) -> Ended {
    let prompt = std::io::stdin().is_terminal();
    let mut code = 0;
    loop {
        if prompt {
            let directory = place.directory.clone();
            place.say(format_args!("{directory} $ "))?;
            place.output.flush().map_err(|error| error.to_string())?;
        }
        let Some(read) = line(place.input)? else {
            return Ok(code);
        };
        match lines(&read, place) {
            Ok(last) => code = last,
            Err(exit) => return Ok(exit),
        }
    }
}

/// A line and no byte more: what follows may be for the command.
fn line(input: &mut dyn Read) -> Result<Option<String>, String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        match input.read(&mut byte).map_err(|error| error.to_string())? {
            0 if line.is_empty() => return Ok(None),
            0 => break,
            _ if byte == [b'\n'] => break,
            _ => line.extend(byte),
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// The last exit code, or that of `exit`.
fn lines(text: &str, place: &mut Place<'_>) -> Result<u8, u8> {
    let mut code = 0;
    for line in text.lines() {
        let tokens = tokens(line, &|name| match name {
            "?" => code.to_string(),
            name => std::env::var(name).unwrap_or_default(),
        });
        code = match tokens {
            Ok(tokens) => commands(&tokens, place)?,
            Err(words) => {
                let _heard = writeln!(place.errors, "sh: {words}");
                2
            }
        };
    }
    Ok(code)
}

/// Commands one after the other, each as the mark before it and the end of the one before allow.
fn commands(tokens: &[Token], place: &mut Place<'_>) -> Result<u8, u8> {
    let (mut code, mut begin, mut before) = (0, 0, ";");
    for at in 0..=tokens.len() {
        let mark = match tokens.get(at) {
            Some(Token::Mark(mark @ (";" | "&&" | "||" | "|"))) => mark,
            None => ";",
            Some(_) => continue,
        };
        let runs = match before {
            "&&" => code == 0,
            "||" => code != 0,
            _ => true,
        };
        if mark == "|" {
            let _heard = writeln!(place.errors, "sh: there are no pipes here");
            return Ok(2);
        }
        if runs && begin < at {
            code = command(&tokens[begin..at], place)?;
        }
        (begin, before) = (at + 1, mark);
    }
    Ok(code)
}

fn command(tokens: &[Token], place: &mut Place<'_>) -> Result<u8, u8> {
    let (mut words, mut files) = (Vec::new(), Vec::new());
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        match (
            token,
            token == &Token::Mark(">") || token == &Token::Mark(">>") || token == &Token::Mark("<"),
        ) {
            (Token::Mark(mark), true) => match tokens.next() {
                Some(Token::Word(path)) => files.push((*mark, path.clone())),
                _ => return Ok(complain(place, "a file is wanted after > and <")),
            },
            (Token::Word(word), _) => words.push(word.clone()),
            (Token::Mark(mark), _) => return Ok(complain(place, mark)),
        }
    }
    let named: Vec<&str> = words.iter().map(String::as_str).collect();
    match named.as_slice() {
        ["exit"] => Err(0),
        ["exit", code] => Err(code.parse().unwrap_or(2)),
        ["cd", rest @ ..] => {
            place.directory = place.path(rest.first().unwrap_or(&"/"));
            Ok(0)
        }
        ["pwd"] => {
            let directory = place.directory.clone();
            Ok(u8::from(place.say(format_args!("{directory}\n")).is_err()))
        }
        _ => Ok(redirected(&words, &files, place)),
    }
}

fn complain(place: &mut Place<'_>, words: &str) -> u8 {
    let _heard = writeln!(place.errors, "sh: {words}");
    2
}

fn redirected(words: &[String], files: &[(&str, String)], place: &mut Place<'_>) -> u8 {
    let (mut from, mut to): (Option<File>, Option<File>) = (None, None);
    for (mark, path) in files {
        let path = place.path(path);
        let opened = match *mark {
            "<" => File::open(&path).map(|file| from = Some(file)),
            mark => open(&path, mark == ">>").map(|file| to = Some(file)),
        };
        if let Err(error) = opened {
            return complain(place, &failure(&path, &error));
        }
    }
    let directory = place.directory.clone();
    let mut inner = Place {
        input: match &mut from {
            Some(file) => file,
            None => place.input,
        },
        output: match &mut to {
            Some(file) => file,
            None => place.output,
        },
        errors: place.errors,
        directory,
    };
    run(words, &mut inner)
}

/// The words of a line, with quotes taken off and variables put in.
fn tokens(line: &str, value: &dyn Fn(&str) -> String) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let (mut word, mut quote, mut rest) = (None::<String>, None, line);
    while let Some(next) = rest.chars().next() {
        if quote.is_none() && word.is_none() && next == '#' {
            break;
        }
        let mark = MARKS
            .iter()
            .find(|mark| quote.is_none() && rest.starts_with(**mark));
        let length = match (mark, quote) {
            (Some(mark), _) => {
                found.extend(word.take().map(Token::Word));
                found.push(Token::Mark(mark));
                mark.len()
            }
            (None, None) if next.is_whitespace() => {
                found.extend(word.take().map(Token::Word));
                next.len_utf8()
            }
            (None, None) if matches!(next, '"' | '\'') => {
                quote = Some(next);
                word.get_or_insert_default();
                1
            }
            (None, Some(open)) if next == open => {
                quote = None;
                1
            }
            (None, quote) if next == '$' && quote != Some('\'') => {
                let (name, length) = variable(&rest[1..]);
                word.get_or_insert_default().push_str(&value(name));
                1 + length
            }
            (None, quote) if next == '\\' && quote != Some('\'') => {
                let escaped = rest[1..].chars().next();
                word.get_or_insert_default().extend(escaped);
                1 + escaped.map_or(0, char::len_utf8)
            }
            _ => {
                word.get_or_insert_default().push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    match quote {
        Some(quote) => Err(format!("{quote} is not closed")),
        None => {
            found.extend(word.map(Token::Word));
            Ok(found)
        }
    }
}

/// The name of a variable after `$`, and how much of the line it takes.
fn variable(rest: &str) -> (&str, usize) {
    if let Some((name, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return (name, name.len() + 2);
    }
    if rest.starts_with('?') {
        return ("?", 1);
    }
    let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let name = &rest[..end.unwrap_or(rest.len())];
    (name, name.len())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn quotes_variables_and_marks() {
        let value = |name: &str| format!("<{name}>");
        let read = |line: &str| tokens(line, &value).unwrap();
        let word = |text: &str| Token::Word(text.to_owned());
        assert_eq!(
            read("echo 'a $B' \"$B ${C}x\" d\\ e>>f&&true # no"),
            [
                word("echo"),
                word("a $B"),
                word("<B> <C>x"),
                word("d e"),
                Token::Mark(">>"),
                word("f"),
                Token::Mark("&&"),
                word("true")
            ]
        );
        assert_eq!(
            read("test '' = $?"),
            [word("test"), word(""), word("="), word("<?>")]
        );
        assert!(tokens("echo 'a", &value).is_err());
    }
}
