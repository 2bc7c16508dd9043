//! Why no component, no bindings or no project came of it.

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The WIT files of a project do not say what they should.
    #[error("wit: {0}")]
    Wit(String),
    /// A core module cannot become a component.
    #[error("the compiler made a module that does not fit the world: {0}")]
    Unfit(String),
    /// A module exports nothing that a policy could ask.
    #[error(
        "the module answers no template and no hook: import a package such as osier.dev/plugin/listentry and say what answers"
    )]
    Silent,
    /// A world that has more than functions in interfaces, each of another name.
    #[error("{0} is no function of an interface with a name of its own")]
    Shapeless(String),
    /// A component that was made with room for a text does not have it.
    #[error("the room for the plugin's text is not in the component")]
    Room,
    /// There is no such template in this language.
    #[error("no template `{template}` in {language}; there are {known}")]
    Template {
        /// What was asked for.
        template: String,
        /// In which language.
        language: &'static str,
        /// What there is.
        known: String,
    },
}

impl Error {
    /// With the whole chain of a tool's error on one line.
    pub(crate) fn wit(error: impl std::fmt::Display) -> Self {
        Self::Wit(one_line(&format!("{error:#}")))
    }

    pub(crate) fn unfit(error: impl std::fmt::Display) -> Self {
        Self::Unfit(one_line(&format!("{error:#}")))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
