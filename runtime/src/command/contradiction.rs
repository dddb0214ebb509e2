//! What makes a command senseless.

/// Why a command makes no sense, found before ffmpeg is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    #[error("the command has no output")]
    NoOutput,

    #[error("the command has neither an input nor a complex filter that could be a source")]
    NoInput,

    #[error("{url} is written twice")]
    WrittenTwice { url: String },

    #[error("{url} is read and written")]
    ReadAndWritten { url: String },

    #[error("the {kind} of {url} is to be copied, and to go through a filter")]
    CopiedAndFiltered { url: String, kind: &'static str },

    #[error("{url} is to have no {kind}, and has a codec or filter for it")]
    WithoutAndWith { url: String, kind: &'static str },

    #[error("{url} is to have no streams at all")]
    Nothing { url: String },

    #[error("{url} takes {label}, which the complex filter does not make")]
    UnknownLabel { url: String, label: String },

    #[error("no output takes {label}, which the complex filter makes")]
    UnusedLabel { label: String },

    #[error("{url} takes {map}, and there are {inputs} inputs")]
    UnknownInput { url: String, map: String, inputs: usize },

    #[error("{url} is to be of no length")]
    Empty { url: String },

    #[error("`{name}` is no option's name: it must not be empty or begin with a dash")]
    OptionName { name: String },

    #[error("-{name} is given by option(), and has a method of its own")]
    OptionHasMethod { name: String },

    #[error("the name of an input or output is empty")]
    EmptyName,
}
