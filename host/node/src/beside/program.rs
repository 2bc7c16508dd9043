//! What a command's first word means. Pure.

/// What the toolbox has, sorted.
pub(super) const TOOLS: [&str; 17] = [
    "cat", "cp", "echo", "env", "false", "head", "ls", "mkdir", "mv", "rm", "sh", "stat", "tar",
    "tee", "test", "true", "wget",
];

/// What a container's component offers.
pub(super) struct Own<'a> {
    /// Its exported functions.
    pub(super) functions: &'a [String],
    /// It exports `wasi:cli/run`.
    pub(super) is_program: bool,
    /// What the container is called, and what its program calls itself.
    pub(super) names: [Option<&'a str>; 2],
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// An exported function.
    Function,
    /// The container's own program.
    Program,
    /// A tool of the toolbox.
    Tool,
    /// Nothing, and why.
    Nothing(String),
}

/// A function by its name; the program by a name of the container; a tool, wherever people expect it; and whatever else is for the
/// program to understand.
pub(super) fn choose(word: &str, own: &Own<'_>) -> Choice {
    if own.functions.iter().any(|name| name == word) {
        return Choice::Function;
    }
    if own.is_program && own.names.contains(&Some(word)) {
        return Choice::Program;
    }
    let tool = ["/bin/", "/usr/bin/"]
        .iter()
        .find_map(|folder| word.strip_prefix(folder))
        .unwrap_or(word);
    if tool == "toolbox" || TOOLS.binary_search(&tool).is_ok() {
        return Choice::Tool;
    }
    if own.is_program {
        return Choice::Program;
    }
    Choice::Nothing(format!(
        "{word:?} is not found: beside this container run {}{}",
        functions(own),
        TOOLS.join(", ")
    ))
}

/// Those that are no handlers of requests.
fn functions(own: &Own<'_>) -> String {
    let own = own.functions.iter();
    let callable = own.filter(|name| !name.starts_with("wasi:"));
    callable.map(|name| format!("its own {name}, ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_sorted() {
        assert!(TOOLS.is_sorted());
    }

    #[test]
    fn the_first_word_decides() {
        let functions = [
            "greet".to_owned(),
            "wasi:http/incoming-handler@0.2.0#handle".to_owned(),
        ];
        let service = Own {
            functions: &functions,
            is_program: false,
            names: [Some("web"), Some("web")],
        };
        assert_eq!(choose("greet", &service), Choice::Function);
        assert_eq!(choose("ls", &service), Choice::Tool);
        assert_eq!(choose("/bin/cat", &service), Choice::Tool);
        let Choice::Nothing(words) = choose("bash", &service) else {
            unreachable!("it has no program");
        };
        assert!(
            words.contains("its own greet, cat, ") && !words.contains("wasi:"),
            "{words}"
        );
        let program = Own {
            functions: &[],
            is_program: true,
            names: [Some("main"), Some("cat")],
        };
        assert_eq!(
            choose("cat", &program),
            Choice::Program,
            "it calls itself so"
        );
        assert_eq!(choose("ls", &program), Choice::Tool);
        assert_eq!(choose("migrate", &program), Choice::Program);
    }
}
