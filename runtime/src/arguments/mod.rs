//! What the arguments of ffmpeg and ffprobe name: files, folders and descriptors.
//!
//! This only reads words. It knows the options and filters that take names of files, and follows FFmpeg's own rules for
//! quoting and for telling options from files. An option that it does not know names nothing here: the program is then
//! refused a file, and never given too much.

mod graph;
mod options;
mod text;
mod url;

use options::Takes;
use std::collections::{BTreeMap, BTreeSet};

/// Which of FFmpeg's programs the arguments are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Ffmpeg,
    Ffprobe,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Ffmpeg => "ffmpeg",
            Program::Ffprobe => "ffprobe",
        }
    }
}

/// What a program does with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// An input, with what it refers to beside it: a playlist's parts, a sequence's pictures.
    Input,
    /// An output, with what is made beside it: parts, logs.
    Output,
    /// A single file that is read.
    Reads,
    /// A folder that is searched.
    Searches,
}

/// All that arguments name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Names of files as they are written, without a protocol.
    pub files: BTreeSet<(String, Role)>,
    /// Descriptors other than those of the three standard streams.
    pub descriptors: BTreeSet<u32>,
    /// Addresses of the network.
    pub remote: BTreeSet<String>,
    /// There is text to be drawn, for which fonts are sought.
    pub draws_text: bool,
}

/// Reads a text that an argument names: a list of files, a filter graph. `None` if there is none.
pub type ReadText<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Finds what the arguments after a program's name refer to.
pub fn named(program: Program, args: &[String], read_text: ReadText) -> Named {
    let mut reader = Reader {
        program,
        read_text,
        pending: BTreeMap::new(),
        depth: 0,
        named: Named::default(),
    };
    let mut words = args.iter();
    let mut has_options = true;
    while let Some(word) = words.next() {
        match word
            .strip_prefix('-')
            .filter(|_| has_options)
            .filter(|name| !name.is_empty())
        {
            // What follows is no option: of ffmpeg the next word, of ffprobe all.
            Some("-") => match program {
                Program::Ffmpeg => words.next().into_iter().for_each(|word| reader.plain(word)),
                Program::Ffprobe => has_options = false,
            },
            Some(name) if options::has_value(program, name) => {
                let Some(value) = words.next() else { break };
                reader.option(name, value);
            }
            Some(_) => {}
            None => reader.plain(word),
        }
    }
    reader.named
}

/// The file that the variable FFREPORT names, as in `file=/logs/a.log:level=32`.
pub fn report(value: &str) -> Option<String> {
    let options = text::split(value, ':').into_iter();
    options
        .rev()
        .find_map(|option| option.strip_prefix("file=").map(str::to_owned))
}

struct Reader<'a> {
    program: Program,
    read_text: ReadText<'a>,
    /// The options for the next file.
    pending: BTreeMap<String, String>,
    /// How many lists name the list that is read.
    depth: u32,
    named: Named,
}

/// A list may name itself.
const LISTS_MAX: u32 = 8;

impl Reader<'_> {
    fn option(&mut self, name: &str, value: &str) {
        // `-/filter_complex FILE`: the value is in a file.
        let (name, value) = match name.strip_prefix('/') {
            Some(name) => {
                self.named.files.insert((value.to_owned(), Role::Reads));
                (name, (self.read_text)(value).unwrap_or_default())
            }
            None => (name, value.to_owned()),
        };
        let name = name.split(':').next().unwrap_or(name);
        match options::takes(self.program, name) {
            Some(Takes::Input) => self.input(&value),
            Some(Takes::Output) => self.url(&value, Role::Output),
            Some(Takes::Reads) => self.url(&value, Role::Reads),
            Some(Takes::Graph) => self.graph(&value),
            Some(Takes::GraphFile) => {
                self.named.files.insert((value.clone(), Role::Reads));
                let graph = (self.read_text)(&value).unwrap_or_default();
                self.graph(&graph);
            }
            Some(Takes::KeyFile) => self.key_file(&value),
            Some(Takes::EncoderOptions) => self.encoder_options(&value),
            Some(Takes::NextFile) => drop(self.pending.insert(name.to_owned(), value)),
            None => {}
        }
    }

    /// A word that is no option: an output of ffmpeg, the input of ffprobe.
    fn plain(&mut self, word: &str) {
        match self.program {
            Program::Ffprobe => self.input(word),
            Program::Ffmpeg => {
                let options = std::mem::take(&mut self.pending);
                match options.get("f").map(String::as_str) {
                    Some("tee") => {
                        for (options, output) in url::tee(word) {
                            for (name, value) in options {
                                self.option(&name, &value);
                            }
                            self.pending.clear();
                            self.url(&output, Role::Output);
                        }
                    }
                    Some("null") => {}
                    _ => self.url_with(&options, word, Role::Output),
                }
            }
        }
    }

    fn input(&mut self, name: &str) {
        let options = std::mem::take(&mut self.pending);
        match options.get("f").map(String::as_str) {
            Some("lavfi") => self.graph(name),
            Some("concat") => {
                self.url(name, Role::Input);
                // Without it, a list may name only what lies beside it.
                if options.get("safe").is_some_and(|safe| safe != "1") {
                    self.list(name);
                }
            }
            _ => self.url_with(&options, name, Role::Input),
        }
    }

    fn url_with(&mut self, options: &BTreeMap<String, String>, name: &str, role: Role) {
        let is_glob = options
            .get("pattern_type")
            .is_some_and(|pattern| pattern.starts_with("glob"));
        // The files of a pattern lie in the folder that its first part without wildcards leads to.
        match name.find(['*', '?', '[', '{']).filter(|_| is_glob) {
            Some(end) => self.url(&format!("{}%d", &name[..end]), role),
            None => self.url(name, role),
        }
        if let Some(number) = options.get("fd").filter(|_| name == "fd:") {
            self.named
                .descriptors
                .extend(number.parse::<u32>().ok().filter(|number| *number > 2));
        }
    }

    fn url(&mut self, name: &str, role: Role) {
        for target in url::targets(name) {
            match target {
                url::Target::File(path) => drop(self.named.files.insert((path, role))),
                url::Target::Descriptor(number) => drop(self.named.descriptors.insert(number)),
                url::Target::Remote(address) => drop(self.named.remote.insert(address)),
                url::Target::List(path) => {
                    self.named.files.insert((path.clone(), Role::Reads));
                    if self.depth == LISTS_MAX {
                        continue;
                    }
                    self.depth += 1;
                    for line in (self.read_text)(&path).unwrap_or_default().lines() {
                        self.url(line.trim(), role);
                    }
                    self.depth -= 1;
                }
            }
        }
    }

    /// The files of a list for the concat demuxer, each of them and nothing beside it.
    fn list(&mut self, name: &str) {
        let path = name.strip_prefix("file:").unwrap_or(name);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in (self.read_text)(path).unwrap_or_default().lines() {
            let Some(entry) = line
                .trim_start()
                .strip_prefix("file")
                .filter(|rest| rest.starts_with([' ', '\t']))
            else {
                continue;
            };
            let (entry, _) = text::token(entry, "");
            for target in url::targets(&entry) {
                if let url::Target::File(entry) = target {
                    let is_absolute = entry.starts_with('/') || folder.is_empty();
                    let entry = if is_absolute {
                        entry
                    } else {
                        format!("{folder}/{entry}")
                    };
                    self.named.files.insert((entry, Role::Reads));
                }
            }
        }
    }

    fn graph(&mut self, graph: &str) {
        let found = graph::names(graph);
        self.named.draws_text |= found.draws_text;
        for (name, role) in found.files {
            self.url(&name, role);
        }
        for path in found.values_in_files {
            self.named.files.insert((path, Role::Reads));
        }
    }

    /// The file of HLS's keys: an address, then the key's file.
    fn key_file(&mut self, name: &str) {
        self.url(name, Role::Reads);
        let key = (self.read_text)(name).and_then(|text| text.lines().nth(1).map(str::to_owned));
        if let Some(key) = key {
            self.url(key.trim(), Role::Reads);
        }
    }

    /// Options such as x264's, of which some name files.
    fn encoder_options(&mut self, value: &str) {
        for pair in text::split(value, ':') {
            match pair.split_once('=') {
                Some(("stats" | "x265-stats" | "dump-yuv" | "csv" | "analysis-save" | "log-file", path)) => {
                    self.url(path, Role::Output)
                }
                Some(("cqmfile" | "qpfile" | "zonefile" | "analysis-load" | "scaling-list", path)) => {
                    self.url(path, Role::Reads);
                }
                _ => {}
            }
        }
    }
}
