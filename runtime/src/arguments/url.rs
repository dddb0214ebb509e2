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
    if name.is_empty() || name == "-" {
        return Vec::new();
    }
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

/// The outputs of the muxer `tee`: `[f=mp4]a.mp4|[f=mpegts:onfail=ignore]b.ts`.
pub fn tee(outputs: &str) -> Vec<String> {
    let outputs = text::split(outputs, '|');
    let name = |output: String| match output.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, name)) => name.to_owned(),
        None => output,
    };
    outputs.into_iter().map(name).collect()
}
