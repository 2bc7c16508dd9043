//! Tools that show: files, words, the environment.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use crate::mounts::failure;
use crate::{Ended, Place, flags};

/// Bytes that are carried at once.
const PIECE: usize = 64 * 1024;

/// Carries all that can be read, as it comes.
pub(crate) fn carry(from: &mut dyn Read, to: &mut dyn Write) -> std::io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut carried = 0;
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            return Ok(carried);
        }
        to.write_all(&piece[..length])?;
        // Whoever follows waits for each word.
        to.flush()?;
        carried += length as u64;
    }
}

pub(crate) fn cat(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (_, paths) = flags(arguments, "u")?;
    let words = |error: std::io::Error| error.to_string();
    if paths.is_empty() {
        carry(place.input, place.output).map_err(words)?;
    }
    for named in &paths {
        if named == "-" {
            carry(place.input, place.output).map_err(words)?;
            continue;
        }
        let path = place.path(named);
        let mut file = File::open(&path).map_err(|error| failure(&path, &error))?;
        carry(&mut file, place.output).map_err(|error| failure(&path, &error))?;
    }
    Ok(0)
}

pub(crate) fn head(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (lines, paths) = match arguments {
        [flag, lines, paths @ ..] if flag == "-n" => (lines.as_str(), paths),
        [flag, paths @ ..] if flag.starts_with('-') => {
            (flag.trim_start_matches("-n").trim_start_matches('-'), paths)
        }
        paths => ("10", paths),
    };
    let lines: usize = lines
        .parse()
        .map_err(|_| format!("{lines:?} is no number of lines"))?;
    let mut text = Vec::new();
    match paths {
        [] => drop(
            place
                .input
                .read_to_end(&mut text)
                .map_err(|error| error.to_string())?,
        ),
        paths => {
            for named in paths {
                let path = place.path(named);
                text.extend(std::fs::read(&path).map_err(|error| failure(&path, &error))?);
            }
        }
    }
    let shown = text.split_inclusive(|byte| *byte == b'\n').take(lines);
    let written = place.output.write_all(&shown.collect::<Vec<_>>().concat());
    written.map_err(|error| error.to_string())?;
    Ok(0)
}

pub(crate) fn echo(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (words, end) = match arguments {
        [first, words @ ..] if first == "-n" => (words, ""),
        words => (words, "\n"),
    };
    place.say(format_args!("{}{end}", words.join(" ")))?;
    Ok(0)
}

pub(crate) fn env(arguments: &[String], place: &mut Place<'_>) -> Ended {
    if let Some(word) = arguments.first() {
        return Err(format!(
            "{word:?}: it shows the container's environment, and takes no arguments"
        ));
    }
    for (name, value) in std::env::vars() {
        place.say(format_args!("{name}={value}\n"))?;
    }
    Ok(0)
}

pub(crate) fn tee(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (letters, paths) = flags(arguments, "a")?;
    let mut files = Vec::new();
    for named in &paths {
        let path = place.path(named);
        let file = open(&path, letters.contains('a'));
        files.push(file.map_err(|error| failure(&path, &error))?);
    }
    let mut piece = vec![0; PIECE];
    let words = |error: std::io::Error| error.to_string();
    loop {
        let length = place.input.read(&mut piece).map_err(words)?;
        if length == 0 {
            return Ok(0);
        }
        for file in &mut files {
            file.write_all(&piece[..length]).map_err(words)?;
        }
        place.output.write_all(&piece[..length]).map_err(words)?;
        place.output.flush().map_err(words)?;
    }
}

/// A file to write: from its beginning, or at its end.
pub(crate) fn open(path: &str, append: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append);
    options.open(path)
}
