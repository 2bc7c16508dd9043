//! What is to be run beside a container and which of its streams are wanted, as `kubectl exec` and `attach` write it in a query.

use osier_api::Status;

/// A command and the streams that its caller wants; a container that is attached to has no command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// The words.
    pub command: Vec<String>,
    /// The caller writes to it.
    pub stdin: bool,
    /// The caller reads what it writes.
    pub stdout: bool,
    /// The caller reads what it complains of.
    pub stderr: bool,
    /// The caller sits at a terminal.
    pub tty: bool,
}

impl ExecOptions {
    /// Reads a query.
    ///
    /// # Errors
    /// A bad request that says what is missing.
    pub fn read(query: &str) -> Result<Self, Status> {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let set = matches!(&*value, "true" | "1");
            match &*name {
                "command" => found.command.push(value.into_owned()),
                "stdin" => found.stdin = set,
                "stdout" => found.stdout = set,
                "stderr" => found.stderr = set,
                "tty" => found.tty = set,
                _ => {}
            }
        }
        if !(found.stdin || found.stdout || found.stderr) {
            let words = "at least one of stdin, stdout and stderr must be true";
            return Err(Status::bad_request(words));
        }
        // Upstream refuses a terminal with a stream of errors; old clients ask for both, and are given the terminal.
        found.stderr &= !found.tty;
        Ok(found)
    }

    /// The query that [`ExecOptions::read`] reads back.
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for word in &self.command {
            query.append_pair("command", word);
        }
        for (name, set) in [
            ("stdin", self.stdin),
            ("stdout", self.stdout),
            ("stderr", self.stderr),
            ("tty", self.tty),
        ] {
            if set {
                query.append_pair(name, "true");
            }
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_query_says_all_that_is_asked(
            command in proptest::collection::vec(any::<String>(), 0..5),
            (stdin, tty, errors) in any::<(bool, bool, bool)>(),
        ) {
            let stderr = errors && !tty;
            let asked = ExecOptions { command, stdin, stdout: true, stderr, tty };
            prop_assert_eq!(ExecOptions::read(&asked.query()), Ok(asked));
        }
    }

    #[test]
    fn somebody_must_want_something() {
        let refused = ExecOptions::read("command=ls&stdin=false").unwrap_err();
        assert_eq!(refused.code, 400);
        let terminal = ExecOptions::read("stdout=1&stderr=true&tty=true").unwrap();
        assert!(terminal.tty && !terminal.stderr);
    }
}
