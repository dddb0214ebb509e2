//! The command as a whole: its arguments, and the search for contradictions.

use super::contradiction::Contradiction;
use super::input::Input;
use super::output::Output;
use crate::error::Error;
use crate::job::Job;
use crate::output::Output as JobOutput;
use crate::runtime::Runtime;
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
