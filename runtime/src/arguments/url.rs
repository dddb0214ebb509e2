//! What an input or output leads to.

use super::text;

#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    File(String),
    /// A file with an address in each line.
    List(String),
    Descriptor(u32),
    Remote(String),
}

/// The characters of a protocol's name.
fn is_scheme(character: char) -> bool {
    character.is_ascii_alphanumeric() || "+-.".contains(character)
}

/// Finds the files, descriptors and addresses behind a name, through protocols that read other names.
pub fn targets(name: &str) -> Vec<Target> {
    within(name, 0)
}

/// More than anybody means.
const DEPTH_MAX: u32 = 16;

fn within(name: &str, depth: u32) -> Vec<Target> {
    if name.is_empty() || name == "-" || depth == DEPTH_MAX {
        return Vec::new();
    }
    let targets = |inner| within(inner, depth + 1);
    if name.starts_with("subfile,") {
        let inner = name.split_once(",,:").map_or("", |(_, inner)| inner);
        return targets(inner);
    }
    let (scheme, rest) = match name.split_once(':') {
        Some((scheme, rest)) if !scheme.is_empty() && scheme.chars().all(is_scheme) && !is_drive(scheme) => {
            // Options may follow a protocol: `crypto+file:`.
            (scheme, rest)
        }
        _ => return file(name),
    };
    match scheme.split_once('+').map_or(scheme, |(outer, _)| outer) {
        "file" => file(rest),
        "cache" | "async" | "crypto" | "md5" | "hls" => targets(rest),
        "concat" | "tee" => rest.split('|').flat_map(targets).collect(),
        "concatf" => vec![Target::List(rest.strip_prefix("file:").unwrap_or(rest).to_owned())],
        "pipe" => rest.parse().map(descriptor).unwrap_or_default(),
        "data" | "fd" => Vec::new(),
        _ => vec![Target::Remote(name.to_owned())],
    }
}

fn is_drive(scheme: &str) -> bool {
    cfg!(windows) && scheme.len() == 1
}

/// A name of the host's directories of descriptors is the descriptor.
fn file(path: &str) -> Vec<Target> {
    let number = ["/dev/fd/", "/proc/self/fd/"]
        .iter()
        .find_map(|folder| path.strip_prefix(folder)?.parse().ok());
    match (number, path) {
        (Some(number), _) => descriptor(number),
        (None, "/dev/stdin" | "/dev/stdout" | "/dev/stderr" | "/dev/null" | "/dev/zero") => Vec::new(),
        (None, "/dev/random" | "/dev/urandom") => Vec::new(),
        (None, path) => vec![Target::File(path.to_owned())],
    }
}

fn descriptor(number: u32) -> Vec<Target> {
    // The three standard streams are there anyway.
    if number > 2 {
        vec![Target::Descriptor(number)]
    } else {
        Vec::new()
    }
}

/// The outputs of the muxer `tee`, with their options: `[f=mp4]a.mp4|[f=mpegts:onfail=ignore]b.ts`.
pub fn tee(outputs: &str) -> Vec<(Vec<(String, String)>, String)> {
    let option = |option: String| {
        let (name, value) = option.split_once('=')?;
        Some((name.trim().to_owned(), value.to_owned()))
    };
    let output = |output: String| match output.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((options, name)) => {
            let options = text::split(options, ':').into_iter().filter_map(option);
            (options.collect(), name.to_owned())
        }
        None => (Vec::new(), output),
    };
    text::split(outputs, '|').into_iter().map(output).collect()
}
