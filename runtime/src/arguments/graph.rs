//! The files that a filter graph names.

use super::Role;
use super::text::{split, token};

#[derive(Debug, Default)]
pub struct Found {
    pub files: Vec<(String, Role)>,
    /// Files that hold the value of an option: `drawtext=/text=FILE`.
    pub values_in_files: Vec<String>,
    pub draws_text: bool,
}

/// An option of a filter that names a file.
struct Takes {
    filters: &'static [&'static str],
    /// The option's names.
    keys: &'static [&'static str],
    /// Its place among those that are given without a name.
    position: Option<usize>,
    role: Role,
}

const fn takes(
    filters: &'static [&'static str],
    keys: &'static [&'static str],
    position: Option<usize>,
    role: Role,
) -> Takes {
    Takes {
        filters,
        keys,
        position,
        role,
    }
}

/// The filters of FFmpeg 9 that read or write files.
const TAKES: &[Takes] = &[
    takes(&["movie", "amovie"], &["filename"], Some(0), Role::Input),
    takes(&["subtitles", "ass"], &["filename", "f"], Some(0), Role::Input),
    takes(&["subtitles", "ass"], &["fontsdir"], None, Role::Searches),
    takes(&["lut3d", "lut1d"], &["file"], Some(0), Role::Reads),
    takes(&["drawtext"], &["fontfile"], Some(0), Role::Reads),
    takes(&["drawtext"], &["textfile"], None, Role::Reads),
    takes(&["flite", "qrencode", "qrencodesrc"], &["textfile"], None, Role::Reads),
    takes(&["drawvg"], &["file"], None, Role::Reads),
    takes(&["showcqt"], &["fontfile", "axisfile"], None, Role::Reads),
    takes(&["removelogo"], &["filename", "f"], Some(0), Role::Reads),
    takes(&["curves", "selectivecolor"], &["psfile"], None, Role::Reads),
    takes(&["cellauto", "life"], &["filename", "f"], Some(0), Role::Reads),
    takes(&["nnedi"], &["weights"], Some(0), Role::Reads),
    takes(&["fsync"], &["file", "f"], Some(0), Role::Reads),
    takes(&["loudnorm"], &["stats_file"], None, Role::Output),
    takes(&["paletteuse"], &["debug_kdtree"], None, Role::Output),
    takes(&["curves"], &["plot"], None, Role::Output),
    takes(&["sendcmd", "asendcmd"], &["filename", "f"], None, Role::Reads),
    takes(&["arnndn"], &["model", "m"], Some(0), Role::Reads),
    takes(&["sofalizer"], &["sofa"], Some(0), Role::Reads),
    takes(&["find_rect"], &["object"], Some(0), Role::Reads),
    takes(&["cover_rect"], &["cover"], Some(0), Role::Reads),
    takes(&["vidstabdetect"], &["result"], None, Role::Output),
    takes(&["vidstabtransform"], &["input"], Some(0), Role::Reads),
    takes(
        &["psnr", "ssim", "xpsnr", "vif"],
        &["stats_file", "f"],
        Some(0),
        Role::Output,
    ),
    takes(&["vmafmotion"], &["stats_file"], Some(0), Role::Output),
    takes(&["libvmaf"], &["log_path"], None, Role::Output),
    takes(&["metadata", "ametadata"], &["file"], None, Role::Output),
    takes(&["signature"], &["filename"], None, Role::Output),
    takes(&["deshake"], &["filename"], None, Role::Output),
    takes(&["firequalizer"], &["dumpfile"], None, Role::Output),
    takes(&["whisper"], &["model", "vad_model"], None, Role::Reads),
    takes(&["whisper"], &["destination"], None, Role::Output),
    takes(
        &["dnn_processing", "dnn_classify", "dnn_detect", "derain", "sr"],
        &["model", "labels"],
        None,
        Role::Reads,
    ),
];

/// Finds the files in a graph such as `movie=a.mp4[a];[0:v][a]overlay`.
pub fn names(graph: &str) -> Found {
    let mut found = Found::default();
    let mut rest = graph;
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\n', '\t', '\r', ',', ';']);
        if let Some(label) = rest.strip_prefix('[') {
            rest = label.split_once(']').map_or("", |(_, rest)| rest);
            continue;
        }
        let (name, after) = token(rest, "=,;[");
        rest = after;
        let mut options = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            (options, rest) = token(after, "[],;");
        }
        rest = rest.strip_prefix(']').unwrap_or(rest);
        filter(name.split('@').next().unwrap_or(&name), &options, &mut found);
    }
    found
}

fn filter(name: &str, options: &str, found: &mut Found) {
    found.draws_text |= matches!(name, "drawtext" | "subtitles" | "ass");
    let is_key = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '/';
    for (position, option) in split_options(options).iter().enumerate() {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) if key.trim().chars().all(is_key) => (Some(key.trim()), value),
            _ => (None, option.as_str()),
        };
        let (value, _) = token(value, "");
        if key.is_some_and(|key| key.starts_with('/')) {
            found.values_in_files.push(value);
            continue;
        }
        let takes = TAKES.iter().find(|takes| {
            takes.filters.contains(&name)
                && match key {
                    Some(key) => takes.keys.contains(&key),
                    None => takes.position == Some(position),
                }
        });
        // `-` is standard output.
        if let Some(takes) = takes.filter(|_| value != "-") {
            found.files.push((value, takes.role));
        }
    }
    if name == "libvmaf" {
        models(options, found);
    }
}

/// Splits at colons, and leaves quotes and escapes to what reads the parts.
fn split_options(options: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        let last = parts.len() - 1;
        match character {
            ':' if !quoted => parts.push(String::new()),
            '\\' if !quoted => {
                parts[last].push(character);
                parts[last].extend(characters.next());
            }
            _ => {
                quoted ^= character == '\'';
                parts[last].push(character);
            }
        }
    }
    parts
}

/// `model=path=FILE\\:name=a|path=OTHER`
fn models(options: &str, found: &mut Found) {
    for option in split(options, ':') {
        let models = option.strip_prefix("model=").unwrap_or_default();
        for path in models.split(['|', ':']).filter_map(|part| part.strip_prefix("path=")) {
            found.files.push((path.to_owned(), Role::Reads));
        }
    }
}
