//! The parts of a command whose video may be fed: several inputs, a chain or a graph of filters, one output.
//!
//! Options of the output are told by the same list as those of a command that is cut by seeking. Inputs may have some more, as they
//! are read as in one job.

use crate::parallel::whole::Whole;
use crate::parallel::words::{Reach, Words, base, is_global, is_of_input, value_of};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The output's, without its filters, the streams that it takes, and any input.
    pub words: Words,
    pub inputs: Vec<Input>,
    pub chain: Option<String>,
    pub graph: Option<String>,
    /// The values of `-map`.
    pub maps: Vec<String>,
    /// The value of `-fps_mode`, unless it is for ffmpeg to decide.
    pub fps_mode: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// But for those of its reach.
    pub options: Vec<String>,
    pub reach: Reach,
    pub name: String,
}

/// Options of inputs that a segment's own decoder would have to follow, and a feeder's does.
const OF_INPUTS: &[&str] = &[
    "display_rotation",
    "framerate",
    "ignore_loop",
    "itsoffset",
    "loop",
    "pattern_type",
    "pixel_format",
    "r",
    "safe",
    "start_number",
    "stream_loop",
    "video_size",
];

type Pending = Vec<(String, Option<String>)>;

impl Command {
    pub fn read(args: &[String]) -> Result<Command, Whole> {
        let mut command = Command::default();
        let mut pending = Pending::new();
        // What is left for the reader of the output's words.
        let (mut globals, mut rest) = (Vec::new(), Vec::new());
        let mut has_output = false;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else {
                for (name, value) in pending.drain(..) {
                    command.output_option(&name, value, &mut rest)?;
                }
                has_output = true;
                rest.push(arg.clone());
                continue;
            };
            let value = value_of(name, &mut args)?;
            match (base(name), has_output) {
                ("i", false) => {
                    let mut input = Input {
                        name: value.unwrap_or_default(),
                        ..Input::default()
                    };
                    for (name, value) in pending.drain(..) {
                        command.input_option(&name, value, &mut input)?;
                    }
                    command.inputs.push(input);
                }
                (base, false) if is_global(base) && (base != "bitexact" || command.inputs.is_empty()) => {
                    globals.extend([Some(arg.clone()), value].into_iter().flatten());
                }
                (_, false) => pending.push((name.to_owned(), value)),
                (_, true) => rest.extend([Some(arg.clone()), value].into_iter().flatten()),
            }
        }
        if command.inputs.is_empty() {
            return Err(Whole::new("it has no input and output"));
        }
        if command.chain.is_some() && command.graph.is_some() {
            return Err(Whole::new("it has a chain of filters and a graph"));
        }
        globals.extend(["-i".to_owned(), String::new()]);
        command.words = Words::read(&[globals, rest].concat())?;
        command.words.has_graph = command.graph.is_some();
        match command.inputs.iter().find(|input| is_stream(&input.name)) {
            Some(_) => Err(Whole::new("an input is no file, and can be read only once")),
            None => Ok(command),
        }
    }

    fn input_option(&mut self, name: &str, value: Option<String>, input: &mut Input) -> Result<(), Whole> {
        let text = value.as_deref().unwrap_or_default();
        if matches!(name, "filter_complex" | "lavfi") {
            return self.take_graph(text);
        }
        if input.reach.take(name, text)? {
            return Ok(());
        }
        if !is_of_input(base(name)) && !OF_INPUTS.contains(&name) {
            return Err(Whole::new(format!("-{name} before the input may move or change it")));
        }
        input
            .options
            .extend([Some(format!("-{name}")), value].into_iter().flatten());
        Ok(())
    }

    fn output_option(&mut self, name: &str, value: Option<String>, rest: &mut Vec<String>) -> Result<(), Whole> {
        let text = value.clone().unwrap_or_default();
        match (base(name), name) {
            ("filter_complex" | "lavfi", _) => return self.take_graph(&text),
            ("vf", _) | (_, "filter:v" | "filter:v:0" | "filter:V") => self.chain = Some(text),
            ("filter", "filter") => return Err(Whole::new("-filter does not say of which streams")),
            ("map", _) => self.maps.push(text),
            ("fps_mode" | "vsync", _) => {
                self.fps_mode = match text.as_str() {
                    "vfr" | "2" => Some("vfr".to_owned()),
                    "cfr" | "1" => Some("cfr".to_owned()),
                    _ => None,
                };
                rest.extend([Some(format!("-{name}")), value].into_iter().flatten());
            }
            _ => rest.extend([Some(format!("-{name}")), value].into_iter().flatten()),
        }
        Ok(())
    }

    fn take_graph(&mut self, graph: &str) -> Result<(), Whole> {
        match self.graph.replace(graph.to_owned()) {
            None => Ok(()),
            Some(_) => Err(Whole::new("it has several graphs of filters")),
        }
    }
}

/// Whether an input can be read only once.
fn is_stream(name: &str) -> bool {
    name == "-" || ["pipe:", "fd:", "/dev/"].iter().any(|start| name.starts_with(start))
}
