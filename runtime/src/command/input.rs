//! What a command reads.

use std::time::Duration;

/// Something that ffmpeg reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub(super) url: String,
    pub(super) is_file: bool,
    pub(super) seek: Option<Duration>,
    pub(super) duration: Option<Duration>,
    pub(super) format: Option<String>,
    pub(super) options: Vec<(String, String)>,
}

impl Input {
    fn new(url: String, is_file: bool) -> Input {
        Input {
            url,
            is_file,
            seek: None,
            duration: None,
            format: None,
            options: Vec::new(),
        }
    }

    /// A file, even if its name looks like an option or URL.
    pub fn file(path: impl Into<String>) -> Input {
        Input::new(path.into(), true)
    }

    /// Standard input.
    pub fn stdin() -> Input {
        Input::url("pipe:0")
    }

    /// Anything that ffmpeg knows by a name: `concat:a.ts|b.ts`, a pattern of images.
    pub fn url(url: impl Into<String>) -> Input {
        Input::new(url.into(), false)
    }

    /// A source that filters make, such as `testsrc=size=320x240:rate=25`.
    pub fn filter(graph: impl Into<String>) -> Input {
        Input::new(graph.into(), false).format("lavfi")
    }

    /// Sets the position at which reading begins.
    pub fn seek(mut self, position: Duration) -> Input {
        self.seek = Some(position);
        self
    }

    /// Sets the duration that is read.
    pub fn duration(mut self, duration: Duration) -> Input {
        self.duration = Some(duration);
        self
    }

    /// The format, where it is not to be guessed.
    pub fn format(mut self, name: impl Into<String>) -> Input {
        self.format = Some(name.into());
        self
    }

    /// Any other option of an input, its name without the dash.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Input {
        self.options.push((name.into(), value.into()));
        self
    }
}
