//! A command line for ffmpeg, put together with types.
//!
//! ```
//! use afmpeg::command::{Command, Input, Output};
//! use std::time::Duration;
//!
//! let command = Command::new()
//!     .input(Input::file("talk.mkv").seek(Duration::from_secs(90)).duration(Duration::from_secs(30)))
//!     .output(
//!         Output::file("talk.mp4")
//!             .video_codec("libx264")
//!             .video_filter("scale=640:-2")
//!             .audio_codec("aac")
//!             .option("crf", "23"),
//!     );
//! assert_eq!(
//!     command.to_string(),
//!     "ffmpeg -nostdin -y -ss 90 -t 30 -i talk.mkv -c:v libx264 -filter:v scale=640:-2 -c:a aac -crf 23 talk.mp4"
//! );
//! ```

use crate::{Error, Job, Output as JobOutput, Runtime};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// One run of ffmpeg: inputs, what is done to them, outputs.
///
/// Outputs that exist are replaced, as a job's files are its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Command {
    global: Vec<(String, Option<String>)>,
    inputs: Vec<Input>,
    filter_complex: Option<String>,
    outputs: Vec<Output>,
}

/// Something that ffmpeg reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    url: String,
    is_file: bool,
    seek: Option<Duration>,
    duration: Option<Duration>,
    format: Option<String>,
    options: Vec<(String, String)>,
}

/// Something that ffmpeg writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    url: String,
    is_file: bool,
    duration: Option<Duration>,
    format: Option<String>,
    maps: Vec<String>,
    video: Streams,
    audio: Streams,
    subtitles: Streams,
    metadata: Vec<(String, String)>,
    frames_max: Option<u64>,
    options: Vec<(String, String)>,
}

/// The options for an output's streams of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
struct Streams {
    without: bool,
    codec: Option<String>,
    filter: Option<String>,
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

impl Output {
    fn new(url: String, is_file: bool) -> Output {
        Output {
            url,
            is_file,
            duration: None,
            format: None,
            maps: Vec::new(),
            video: Streams::default(),
            audio: Streams::default(),
            subtitles: Streams::default(),
            metadata: Vec::new(),
            frames_max: None,
            options: Vec::new(),
        }
    }

    /// A file, even if its name looks like an option or URL.
    pub fn file(path: impl Into<String>) -> Output {
        Output::new(path.into(), true)
    }

    /// Standard output, in a format that needs no seeking.
    pub fn stdout(format: impl Into<String>) -> Output {
        Output::url("pipe:1").format(format)
    }

    /// Anything that ffmpeg knows by a name: a pattern of images, `pipe:1`.
    pub fn url(url: impl Into<String>) -> Output {
        Output::new(url.into(), false)
    }

    /// Nowhere: for what the filters find out.
    pub fn null() -> Output {
        Output::url("-").format("null")
    }

    /// Limits the duration of the output.
    pub fn duration(mut self, duration: Duration) -> Output {
        self.duration = Some(duration);
        self
    }

    /// The format, where the name's ending does not tell.
    pub fn format(mut self, name: impl Into<String>) -> Output {
        self.format = Some(name.into());
        self
    }

    /// Takes these streams, and no others: `0:v`, `1:a:0?`, or a label of the complex filter such as `[out]`.
    pub fn map(mut self, streams: impl Into<String>) -> Output {
        self.maps.push(streams.into());
        self
    }

    /// An encoder's name, or `copy`.
    pub fn video_codec(mut self, name: impl Into<String>) -> Output {
        self.video.codec = Some(name.into());
        self
    }

    pub fn audio_codec(mut self, name: impl Into<String>) -> Output {
        self.audio.codec = Some(name.into());
        self
    }

    pub fn subtitle_codec(mut self, name: impl Into<String>) -> Output {
        self.subtitles.codec = Some(name.into());
        self
    }

    /// All streams as they are, in another container.
    pub fn copy(self) -> Output {
        self.video_codec("copy").audio_codec("copy").subtitle_codec("copy")
    }

    /// Filters that video goes through: `scale=640:-2,fps=25`.
    pub fn video_filter(mut self, graph: impl Into<String>) -> Output {
        self.video.filter = Some(graph.into());
        self
    }

    pub fn audio_filter(mut self, graph: impl Into<String>) -> Output {
        self.audio.filter = Some(graph.into());
        self
    }

    pub fn without_video(mut self) -> Output {
        self.video.without = true;
        self
    }

    pub fn without_audio(mut self) -> Output {
        self.audio.without = true;
        self
    }

    pub fn without_subtitles(mut self) -> Output {
        self.subtitles.without = true;
        self
    }

    /// A title, an author, and so on.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Output {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Limits the number of video frames that are written.
    pub fn frames_max(mut self, count: u64) -> Output {
        self.frames_max = Some(count);
        self
    }

    /// Any other option of an output, its name without the dash: `("crf", "23")`, `("b:a", "128k")`.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Output {
        self.options.push((name.into(), value.into()));
        self
    }
}

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

/// Options of an input that would contradict what its methods say.
const INPUT_METHODS: &[&str] = &["f", "i", "ss", "t"];

/// Options of an output that would contradict what its methods say.
const OUTPUT_METHODS: &[&str] = &[
    "acodec", "af", "an", "c:a", "c:s", "c:v", "codec:a", "codec:s", "codec:v", "f", "filter:a", "filter:v",
    "frames:v", "i", "map", "metadata", "scodec", "sn", "t", "vcodec", "vf", "vframes", "vn",
];

const GLOBAL_METHODS: &[&str] = &["filter_complex", "i", "nostdin", "y"];

impl Command {
    pub fn new() -> Command {
        Command::default()
    }

    pub fn input(mut self, input: Input) -> Command {
        self.inputs.push(input);
        self
    }

    pub fn output(mut self, output: Output) -> Command {
        self.outputs.push(output);
        self
    }

    /// A graph of filters over several inputs and outputs: `[0:v][1:v]hstack[out]`.
    pub fn filter_complex(mut self, graph: impl Into<String>) -> Command {
        self.filter_complex = Some(graph.into());
        self
    }

    /// A global option with a value, its name without the dash: `("loglevel", "error")`.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Command {
        self.global.push((name.into(), Some(value.into())));
        self
    }

    /// A global option without a value: `hide_banner`.
    pub fn flag(mut self, name: impl Into<String>) -> Command {
        self.global.push((name.into(), None));
        self
    }

    /// The arguments that this stands for, the program's name included, unless they contradict each other.
    pub fn argv(&self) -> Result<Vec<String>, Contradiction> {
        self.check()?;
        Ok(self.arguments())
    }

    /// A job for [`Runtime::run`]; it still has to be given its files and limits.
    pub fn job(&self) -> Result<Job, Contradiction> {
        Ok(Job::new(self.argv()?))
    }

    fn arguments(&self) -> Vec<String> {
        // Standard input may be a file of the caller's, and is not to be searched for keys that are pressed.
        let mut argv: Vec<String> = ["ffmpeg", "-nostdin", "-y"].map(str::to_owned).into();
        for (name, value) in &self.global {
            argv.push(format!("-{name}"));
            argv.extend(value.clone());
        }
        let mut push = |name: &str, value: &str| argv.extend([format!("-{name}"), value.to_owned()]);
        for input in &self.inputs {
            optional(&mut push, "ss", &input.seek.map(seconds));
            optional(&mut push, "t", &input.duration.map(seconds));
            optional(&mut push, "f", &input.format);
            for (name, value) in &input.options {
                push(name, value);
            }
            push("i", &name(&input.url, input.is_file));
        }
        optional(&mut push, "filter_complex", &self.filter_complex);
        for output in &self.outputs {
            let mut push = |name: &str, value: &str| argv.extend([format!("-{name}"), value.to_owned()]);
            for map in &output.maps {
                push("map", map);
            }
            for (streams, letter) in [(&output.video, "v"), (&output.audio, "a"), (&output.subtitles, "s")] {
                optional(&mut push, &format!("c:{letter}"), &streams.codec);
                optional(&mut push, &format!("filter:{letter}"), &streams.filter);
            }
            optional(&mut push, "frames:v", &output.frames_max.map(|count| count.to_string()));
            optional(&mut push, "t", &output.duration.map(seconds));
            for (key, value) in &output.metadata {
                push("metadata", &format!("{key}={value}"));
            }
            for (name, value) in &output.options {
                push(name, value);
            }
            optional(&mut push, "f", &output.format);
            let without = [
                (&output.video, "-vn"),
                (&output.audio, "-an"),
                (&output.subtitles, "-sn"),
            ];
            let without = without.into_iter().filter(|(streams, _)| streams.without);
            argv.extend(without.map(|(_, option)| option.to_owned()));
            argv.push(name(&output.url, output.is_file));
        }
        argv
    }

    fn check(&self) -> Result<(), Contradiction> {
        if self.outputs.is_empty() {
            return Err(Contradiction::NoOutput);
        }
        if self.inputs.is_empty() && self.filter_complex.is_none() {
            return Err(Contradiction::NoInput);
        }
        for (name, _) in &self.global {
            check_option(name, GLOBAL_METHODS)?;
        }
        for (name, _) in self.inputs.iter().flat_map(|input| &input.options) {
            check_option(name, INPUT_METHODS)?;
        }
        for (name, _) in self.outputs.iter().flat_map(|output| &output.options) {
            check_option(name, OUTPUT_METHODS)?;
        }
        let mut written = BTreeSet::new();
        let read: BTreeSet<&str> = self
            .inputs
            .iter()
            .filter(|input| input.is_file)
            .map(|input| &*input.url)
            .collect();
        if read.contains("") {
            return Err(Contradiction::EmptyName);
        }
        for input in &self.inputs {
            if input.duration == Some(Duration::ZERO) {
                return Err(Contradiction::Empty { url: input.url.clone() });
            }
        }
        for output in &self.outputs {
            output.check(self.inputs.len())?;
            let url = &output.url;
            if output.is_file && read.contains(&**url) {
                return Err(Contradiction::ReadAndWritten { url: url.clone() });
            }
            // Any number of outputs may go nowhere.
            if output.format.as_deref() != Some("null") && !written.insert(url) {
                return Err(Contradiction::WrittenTwice { url: url.clone() });
            }
        }
        self.check_labels()
    }

    /// Every label that the complex filter leaves open must be taken by an output, and the other way round.
    fn check_labels(&self) -> Result<(), Contradiction> {
        let made = self.filter_complex.as_deref().map(open_labels).unwrap_or_default();
        let mut taken = BTreeSet::new();
        for output in &self.outputs {
            for map in output.maps.iter().filter(|map| map.starts_with('[')) {
                if !made.contains(map) {
                    return Err(Contradiction::UnknownLabel {
                        url: output.url.clone(),
                        label: map.clone(),
                    });
                }
                taken.insert(map.clone());
            }
        }
        match made.difference(&taken).next() {
            Some(label) => Err(Contradiction::UnusedLabel { label: label.clone() }),
            None => Ok(()),
        }
    }
}

impl Output {
    fn check(&self, inputs: usize) -> Result<(), Contradiction> {
        let url = || self.url.clone();
        if self.url.is_empty() {
            return Err(Contradiction::EmptyName);
        }
        if self.duration == Some(Duration::ZERO) || self.frames_max == Some(0) {
            return Err(Contradiction::Empty { url: url() });
        }
        let kinds = [
            (&self.video, "video"),
            (&self.audio, "audio"),
            (&self.subtitles, "subtitles"),
        ];
        for (streams, kind) in kinds {
            if streams.without && (streams.codec.is_some() || streams.filter.is_some()) {
                return Err(Contradiction::WithoutAndWith { url: url(), kind });
            }
            if streams.codec.as_deref() == Some("copy") && streams.filter.is_some() {
                return Err(Contradiction::CopiedAndFiltered { url: url(), kind });
            }
        }
        if kinds.iter().all(|(streams, _)| streams.without) && self.maps.is_empty() {
            return Err(Contradiction::Nothing { url: url() });
        }
        for map in &self.maps {
            let number: String = map
                .trim_start_matches('-')
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            if number.parse().is_ok_and(|number: usize| number >= inputs) {
                return Err(Contradiction::UnknownInput {
                    url: url(),
                    map: map.clone(),
                    inputs,
                });
            }
        }
        Ok(())
    }
}

fn check_option(name: &str, methods: &[&str]) -> Result<(), Contradiction> {
    if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
        return Err(Contradiction::OptionName { name: name.to_owned() });
    }
    if methods.contains(&name) {
        return Err(Contradiction::OptionHasMethod { name: name.to_owned() });
    }
    Ok(())
}

/// The labels, in brackets, that a graph names once: those named twice join two of its filters, and those with a colon
/// or only digits are streams of the inputs.
fn open_labels(graph: &str) -> BTreeSet<String> {
    let mut once = BTreeSet::new();
    let mut quoted = false;
    let mut label: Option<String> = None;
    let mut characters = graph.chars();
    while let Some(character) = characters.next() {
        match (character, &mut label) {
            ('\\', _) => drop(characters.next()),
            ('\'', None) => quoted = !quoted,
            (']', Some(name)) => {
                let is_stream = name.contains(':') || name.chars().all(|character| character.is_ascii_digit());
                let name = format!("[{name}]");
                if !is_stream && !once.remove(&name) {
                    once.insert(name);
                }
                label = None;
            }
            (character, Some(name)) => name.push(character),
            ('[', None) if !quoted => label = Some(String::new()),
            _ => {}
        }
    }
    once
}

fn optional(push: &mut impl FnMut(&str, &str), name: &str, value: &Option<String>) {
    if let Some(value) = value {
        push(name, value);
    }
}

/// Whole seconds as such, others with as many digits as they need.
fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A file whose name ffmpeg could take for an option or a protocol is named in full.
fn name(url: &str, is_file: bool) -> String {
    let is_plain = !url.contains(':') && !url.starts_with('-');
    if is_file && !is_plain {
        format!("file:{url}")
    } else {
        url.to_owned()
    }
}

impl fmt::Display for Command {
    /// Returns the command as a shell would take it, without checking it.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,+@%".contains(character);
        for (index, argument) in self.arguments().iter().enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            if !argument.is_empty() && argument.chars().all(is_plain) {
                formatter.write_str(argument)?;
            } else {
                write!(formatter, "'{}'", argument.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

impl Runtime {
    /// Runs a command as a job that is given its files and limits by `set_up`.
    ///
    /// Unlike with [`Runtime::run`], it is an error if ffmpeg fails, with ffmpeg's own words.
    ///
    /// ```no_run
    /// # use afmpeg::{MemoryFs, Runtime, command::{Command, Input, Output}};
    /// # use std::{sync::Arc, time::Duration};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = Runtime::from_file("o3-gpl.wasm")?;
    /// let files = MemoryFs::new(256 << 20);
    /// files.add_file("in.mov", std::fs::read("in.mov")?)?;
    /// let command = Command::new().input(Input::file("in.mov")).output(Output::file("out.mp4"));
    /// runtime.run_job(&command, |job| {
    ///     job.file_system(".", Arc::new(files.clone())).timeout(Duration::from_secs(60))
    /// })?;
    /// let mp4 = files.take_file("out.mp4")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_job(&self, command: &Command, set_up: impl FnOnce(Job) -> Job) -> Result<JobOutput, Error> {
        let job = command.job().map_err(|source| Error::Command { source })?;
        self.run(set_up(job))?.into_success()
    }
}
