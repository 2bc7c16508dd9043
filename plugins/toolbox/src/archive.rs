//! `tar`, as `kubectl cp` runs it: `tar cf - PATH` out of a container, `tar -xmf - -C DIRECTORY` into one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path};
use std::time::UNIX_EPOCH;

use tar::{Archive, Builder, EntryType, Header};

use crate::files::make_all;
use crate::mounts::{between, failure, mounted};
use crate::show::{carry, open};
use crate::{Ended, Place};

/// What is wanted.
#[derive(Default)]
struct Order {
    /// `c`, `x` or `t`.
    action: Option<char>,
    /// Standard input or output if it is `-` or not said.
    file: Option<String>,
    directory: Option<String>,
    verbose: bool,
    paths: Vec<String>,
}

pub(crate) fn tar(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let mut order = read(arguments)?;
    if let Some(directory) = order.directory.take() {
        place.directory = place.path(&directory);
    }
    let named = order.file.take().filter(|file| file != "-");
    let path = named.map(|file| place.path(&file));
    match order.action {
        Some('c') if order.paths.is_empty() => {
            Err("nothing is named that is to be archived".to_owned())
        }
        Some('c') => create(&order, path, place),
        Some(action) => extract(action == 't', (&order, path), place),
        None => Err("say one of c (create), x (extract) and t (list)".to_owned()),
    }
}

/// The first word may be letters without a dash; letters with values take the next words, in their order.
fn read(arguments: &[String]) -> Result<Order, String> {
    let mut order = Order::default();
    let mut words = arguments.iter().enumerate();
    while let Some((at, word)) = words.next() {
        let letters = match word.strip_prefix('-') {
            // What belongs to whom and who may read it has no meaning in WASI.
            Some(long) if long.starts_with('-') => match long {
                "-no-same-permissions" | "-no-same-owner" | "-touch" => continue,
                _ => return Err(format!("{word} is not known here")),
            },
            Some(letters) if !letters.is_empty() => letters,
            None if at == 0 => word,
            _ => {
                order.paths.push(word.clone());
                continue;
            }
        };
        for letter in letters.chars() {
            let mut value = || {
                let next = words.next().map(|(_, word)| word.clone());
                next.ok_or_else(|| format!("-{letter} wants a value"))
            };
            match letter {
                'c' | 'x' | 't' => order.action = Some(letter),
                'f' => order.file = Some(value()?),
                'C' => order.directory = Some(value()?),
                'v' => order.verbose = true,
                'm' | 'p' | 'o' => {}
                _ => {
                    return Err(format!(
                        "-{letter} is not known here; c, x, t, f, C, v and m are"
                    ));
                }
            }
        }
    }
    Ok(order)
}

fn create(order: &Order, path: Option<String>, place: &mut Place<'_>) -> Ended {
    let wanted: Vec<String> = order.paths.iter().map(|named| place.path(named)).collect();
    let names: Vec<String> = order
        .paths
        .iter()
        .map(|named| named.trim_start_matches('/').to_owned())
        .collect();
    let mut file;
    let to: &mut dyn Write = match &path {
        Some(path) => {
            file = open(path, false).map_err(|error| failure(path, &error))?;
            &mut file
        }
        None => place.output,
    };
    let mut builder = Builder::new(to);
    for (path, name) in wanted.iter().zip(&names) {
        add(&mut builder, path, name)?;
        if order.verbose {
            let _heard = writeln!(place.errors, "{name}");
        }
    }
    builder.finish().map_err(|error| error.to_string())?;
    Ok(0)
}

/// A file, or a directory with all that is below.
fn add(builder: &mut Builder<&mut dyn Write>, path: &str, name: &str) -> Result<(), String> {
    let told = |error: &io::Error| failure(path, error);
    let volumes = between(path, &mounted());
    let metadata = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(_) if !volumes.is_empty() => None,
        Err(error) => return Err(told(&error)),
    };
    let mut header = Header::new_gnu();
    let modified = metadata
        .as_ref()
        .and_then(|metadata| metadata.modified().ok());
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    header.set_mtime(since.map_or(0, |since| since.as_secs()));
    if let Some(metadata) = metadata.filter(fs::Metadata::is_file) {
        let file = File::open(path).map_err(|error| told(&error))?;
        header.set_mode(0o644);
        header.set_size(metadata.len());
        // No more than was said: a file that grows would break the archive.
        let bytes = file.take(metadata.len());
        return builder
            .append_data(&mut header, name, bytes)
            .map_err(|error| told(&error));
    }
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    if !name.is_empty() {
        let named = format!("{}/", name.trim_end_matches('/'));
        let appended = builder.append_data(&mut header, named, io::empty());
        appended.map_err(|error| told(&error))?;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let found = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut below: Vec<String> = volumes.into_iter().chain(found).collect();
    below.sort();
    below.dedup();
    // Two dots are how the files of a volume are changed all at once: what they lead to is there by its name.
    for entry in below.iter().filter(|entry| !entry.starts_with("..")) {
        let inside = |above: &str| format!("{}/{entry}", above.trim_end_matches('/'));
        let name = if name.is_empty() {
            entry.clone()
        } else {
            inside(name)
        };
        add(builder, &inside(path), &name)?;
    }
    Ok(())
}

fn extract(
    only_list: bool,
    (order, path): (&Order, Option<String>),
    place: &mut Place<'_>,
) -> Ended {
    let mut file;
    let from: &mut dyn Read = match &path {
        Some(path) => {
            file = File::open(path).map_err(|error| failure(path, &error))?;
            &mut file
        }
        None => place.input,
    };
    let mut archive = Archive::new(from);
    let entries = archive.entries().map_err(|error| error.to_string())?;
    for entry in entries {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = entry.path().map_err(|error| error.to_string())?;
        let name = name.to_string_lossy().into_owned();
        if only_list || order.verbose {
            let written = writeln!(place.output, "{name}");
            written.map_err(|error| error.to_string())?;
        }
        if !only_list {
            let kind = entry.header().entry_type();
            unpack(kind, (&place.directory, &name), &mut entry)?;
        }
    }
    Ok(0)
}

/// What is no file and no directory is left out: WASI makes neither links that lead elsewhere nor devices.
fn unpack(
    kind: EntryType,
    (directory, name): (&str, &str),
    bytes: &mut dyn Read,
) -> Result<(), String> {
    let above = Path::new(name)
        .components()
        .any(|part| part == Component::ParentDir);
    if above {
        return Err(format!("{name}: a path with .. is not extracted"));
    }
    let path = crate::mounts::whole(directory, name.trim_start_matches('/'));
    let told = |error: io::Error| failure(&path, &error);
    if kind.is_dir() {
        return make_all(&path).map_err(told);
    }
    if !kind.is_file() {
        return Ok(());
    }
    if let Some((folder, _)) = path
        .rsplit_once('/')
        .filter(|(folder, _)| !folder.is_empty())
    {
        make_all(folder).map_err(|error| failure(folder, &error))?;
    }
    let mut file = open(&path, false).map_err(told)?;
    carry(bytes, &mut file).map(drop).map_err(told)
}
