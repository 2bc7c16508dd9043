//! Tools for files and directories.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::mounts::{between, failure, mounted};
use crate::show::carry;
use crate::{Ended, Place, flags};

pub(crate) fn ls(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (letters, mut paths) = flags(arguments, "1aAlhR")?;
    if paths.is_empty() {
        paths.push(".".to_owned());
    }
    let long = letters.contains('l');
    let several = paths.len() > 1 || letters.contains('R');
    let mut waiting: Vec<String> = paths.iter().rev().map(|named| place.path(named)).collect();
    while let Some(path) = waiting.pop() {
        let Some(names) = names(&path)? else {
            let metadata = fs::metadata(&path).map_err(|error| failure(&path, &error))?;
            line(place, (&path, long), Some(&metadata))?;
            continue;
        };
        if several {
            place.say(format_args!("{path}:\n"))?;
        }
        let hidden = |name: &&String| name.starts_with('.') && !letters.contains(['a', 'A']);
        for name in names.iter().filter(|name| !hidden(name)) {
            let whole = format!("{}/{name}", path.trim_end_matches('/'));
            line(place, (name, long), fs::metadata(&whole).ok().as_ref())?;
            if letters.contains('R') && Path::new(&whole).is_dir() {
                waiting.push(whole);
            }
        }
    }
    Ok(0)
}

/// The sorted names in a directory; none if it is a file.
fn names(path: &str) -> Result<Option<Vec<String>>, String> {
    let mut names = between(path, &mounted());
    match fs::read_dir(path) {
        Ok(entries) => {
            let found = entries.flatten();
            names.extend(found.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        // Above the volumes there is nothing else.
        Err(_) if !names.is_empty() || path == "/" => {}
        Err(_) if Path::new(path).is_file() => return Ok(None),
        Err(error) => return Err(failure(path, &error)),
    }
    names.sort();
    names.dedup();
    Ok(Some(names))
}

fn line(
    place: &mut Place<'_>,
    (name, long): (&str, bool),
    metadata: Option<&Metadata>,
) -> Result<(), String> {
    if !long {
        return place.say(format_args!("{name}\n"));
    }
    let kind = match metadata {
        Some(metadata) if metadata.is_file() => '-',
        Some(metadata) if metadata.is_symlink() => 'l',
        _ => 'd',
    };
    let size = metadata.map_or(0, Metadata::len);
    let time = time(metadata);
    place.say(format_args!("{kind} {size:>12} {time} {name}\n"))
}

/// When it was changed, as RFC 3339 has it.
fn time(metadata: Option<&Metadata>) -> String {
    let modified = metadata.and_then(|metadata| metadata.modified().ok());
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let seconds = since.map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Of days since 1970 (the era arithmetic of proleptic Gregorian calendars, begun in March).
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

pub(crate) fn stat(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (_, paths) = flags(arguments, "L")?;
    for named in &paths {
        let path = place.path(named);
        let metadata = fs::metadata(&path).map_err(|error| failure(&path, &error))?;
        let kind = if metadata.is_dir() {
            "directory"
        } else {
            "regular file"
        };
        let (size, time) = (metadata.len(), time(Some(&metadata)));
        place.say(format_args!(
            "  File: {path}\n  Size: {size}\t{kind}\nModify: {time}\n"
        ))?;
    }
    Ok(0)
}

pub(crate) fn test(arguments: &[String], place: &mut Place<'_>) -> Ended {
    if let Some((not, rest)) = arguments.split_first()
        && not == "!"
    {
        return test(rest, place).map(|code| u8::from(code == 0));
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let holds = match words.as_slice() {
        [flag @ ("-d" | "-e" | "-f" | "-s"), named] => {
            let path = place.path(named);
            let metadata = fs::metadata(&path).ok();
            let directory = metadata.as_ref().is_some_and(Metadata::is_dir)
                || !between(&path, &mounted()).is_empty();
            match *flag {
                "-d" => directory,
                "-e" => metadata.is_some() || directory,
                "-f" => metadata.is_some_and(|metadata| metadata.is_file()),
                _ => metadata.is_some_and(|metadata| metadata.len() > 0),
            }
        }
        ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [one, "=", other] => one == other,
        [one, "!=", other] => one != other,
        _ => {
            return Err(
                "only -d, -e, -f, -s PATH, -n, -z TEXT, A = B, A != B and ! are known".to_owned(),
            );
        }
    };
    Ok(u8::from(!holds))
}

pub(crate) fn mkdir(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (letters, paths) = flags(arguments, "p")?;
    for named in &paths {
        let path = place.path(named);
        let made = match letters.contains('p') {
            true => make_all(&path),
            false => fs::create_dir(&path),
        };
        made.map_err(|error| failure(&path, &error))?;
    }
    Ok(0)
}

/// A directory with those above it. What is above the volumes is not there, and not made.
pub(crate) fn make_all(path: &str) -> std::io::Result<()> {
    if Path::new(path).is_dir() || !between(path, &mounted()).is_empty() {
        return Ok(());
    }
    match path.rsplit_once('/') {
        Some((above, _)) if !above.is_empty() => make_all(above)?,
        _ => {}
    }
    fs::create_dir(path)
}

pub(crate) fn rm(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (letters, paths) = flags(arguments, "rRf")?;
    for named in &paths {
        let path = place.path(named);
        let all = letters.contains(['r', 'R']) && Path::new(&path).is_dir();
        let removed = if all {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if letters.contains('f') && error.kind() == std::io::ErrorKind::NotFound => {
            }
            Err(error) => return Err(failure(&path, &error)),
            Ok(()) => {}
        }
    }
    Ok(0)
}

/// Source and destination, which is inside a directory if it is one.
fn two(arguments: &[String], place: &Place<'_>) -> Result<(String, String), String> {
    let (_, paths) = flags(arguments, "f")?;
    let [from, to] = paths.as_slice() else {
        return Err("a source and a destination are wanted".to_owned());
    };
    let (from, mut to) = (place.path(from), place.path(to));
    if Path::new(&to).is_dir() {
        let name = from.rsplit('/').next().unwrap_or_default();
        to = format!("{to}/{name}");
    }
    Ok((from, to))
}

pub(crate) fn cp(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (from, to) = two(arguments, place)?;
    let mut source = fs::File::open(&from).map_err(|error| failure(&from, &error))?;
    let mut target = fs::File::create(&to).map_err(|error| failure(&to, &error))?;
    carry(&mut source, &mut target).map_err(|error| failure(&to, &error))?;
    Ok(0)
}

pub(crate) fn mv(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (from, to) = two(arguments, place)?;
    fs::rename(&from, &to).map_err(|error| failure(&to, &error))?;
    Ok(0)
}
