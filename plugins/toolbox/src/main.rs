//! `toolbox`: what `kubectl exec` and `cp` run beside a container, in the container's sandbox. A component has no shell and no `ls` of its
//! own; these see what the component sees: its environment, its volumes, its network.

mod archive;
mod files;
mod mounts;
mod shell;
mod show;
mod web;

use std::io::{Read, Write};
use std::process::ExitCode;

/// Where a tool reads and writes, and where it is.
pub(crate) struct Place<'a> {
    pub(crate) input: &'a mut dyn Read,
    pub(crate) output: &'a mut dyn Write,
    pub(crate) errors: &'a mut dyn Write,
    /// Absolute; what relative paths begin at.
    pub(crate) directory: String,
}

/// An exit code, or words for a failure.
pub(crate) type Ended = Result<u8, String>;

/// A tool.
type Tool = fn(&[String], &mut Place<'_>) -> Ended;

/// Sorted by name.
const TOOLS: [(&str, Tool); 17] = [
    ("cat", show::cat),
    ("cp", files::cp),
    ("echo", show::echo),
    ("env", show::env),
    ("false", |_, _| Ok(1)),
    ("head", show::head),
    ("ls", files::ls),
    ("mkdir", files::mkdir),
    ("mv", files::mv),
    ("rm", files::rm),
    ("sh", shell::sh),
    ("stat", files::stat),
    ("tar", archive::tar),
    ("tee", show::tee),
    ("test", files::test),
    ("true", |_, _| Ok(0)),
    ("wget", web::wget),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let (mut input, mut output, mut errors) =
        (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut place = Place {
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        directory: "/".to_owned(),
    };
    ExitCode::from(run(&words, &mut place))
}

/// Runs a tool by its name, wherever people expect it to be.
pub(crate) fn run(words: &[String], place: &mut Place<'_>) -> u8 {
    let Some((first, arguments)) = words.split_first() else {
        return 0;
    };
    let name = first.rsplit('/').next().unwrap_or(first);
    let tool = TOOLS.iter().find(|(known, _)| *known == name);
    let ended = match tool {
        Some((_, tool)) => tool(arguments, place),
        None if name == "toolbox" => usage(place),
        None => Err(format!("there is no such tool; there are: {}", names())),
    };
    let flushed = place.output.flush().map_err(|error| error.to_string());
    match ended.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(words) => {
            // Nobody may listen any more.
            let _heard = writeln!(place.errors, "{name}: {words}");
            1
        }
    }
}

fn usage(place: &mut Place<'_>) -> Ended {
    place.say(format_args!("{}\n", names()))?;
    Ok(0)
}

fn names() -> String {
    TOOLS.map(|(name, _)| name).join(", ")
}

impl Place<'_> {
    /// Writes to the output.
    pub(crate) fn say(&mut self, words: std::fmt::Arguments<'_>) -> Result<(), String> {
        let written = self.output.write_fmt(words);
        written.map_err(|error| error.to_string())
    }

    /// The whole path of what a person named.
    pub(crate) fn path(&self, named: &str) -> String {
        mounts::whole(&self.directory, named)
    }
}

/// The arguments without those that are flags, and the letters of the flags; `--` ends them. Refuses a letter that is not known.
pub(crate) fn flags(arguments: &[String], known: &str) -> Result<(String, Vec<String>), String> {
    let (mut letters, mut rest, mut over) = (String::new(), Vec::new(), false);
    for argument in arguments {
        match argument.strip_prefix('-') {
            Some("-") if !over => over = true,
            Some(found) if !over && !found.is_empty() => {
                if let Some(unknown) = found.chars().find(|letter| !known.contains(*letter)) {
                    return Err(format!("-{unknown} is not known here; -[{known}] is"));
                }
                letters.push_str(found);
            }
            _ => rest.push(argument.clone()),
        }
    }
    Ok((letters, rest))
}

#[cfg(test)]
mod tests;
