//! Which chains of filters can be cut, and how many frames around a segment they have to see.
//!
//! Filters are told by a list: one that is not in it might remember what is long past, so that its command is left whole.

use super::whole::Whole;
use crate::probe::Rational;

/// What a chain of filters needs of a cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many frames before the first of a segment it has to see, and after the last.
    pub before: usize,
    pub after: usize,
    /// It makes other frames than one of each.
    pub changes_times: bool,
    /// It reads files besides the input.
    pub reads_files: bool,
    /// The constant rate of what comes out, in frames a second, if a filter makes it constant.
    pub rate: Option<Rational>,
}

impl Chain {
    /// Whether a segment's frames depend on no others.
    pub fn is_stateless(&self) -> bool {
        self.before == 0 && self.after == 0 && !self.changes_times
    }

    fn saw(&mut self, before: usize, after: usize) {
        self.before += before;
        self.after += after;
    }
}

/// Filters that make a frame of one frame, by that and its time alone.
pub(super) const STATELESS: &[&str] = &[
    "ass",
    "avgblur",
    "bilateral",
    "boxblur",
    "cas",
    "chromahold",
    "chromakey",
    "chromanr",
    "chromashift",
    "colorbalance",
    "colorchannelmixer",
    "colorhold",
    "colorkey",
    "colorlevels",
    "colormatrix",
    "colorspace",
    "colortemperature",
    "convolution",
    "copy",
    "crop",
    "curves",
    "deband",
    "delogo",
    "dilation",
    "drawbox",
    "drawgrid",
    "drawtext",
    "edgedetect",
    "eq",
    "erosion",
    "exposure",
    "fieldorder",
    "fillborders",
    "format",
    "gblur",
    "gradfun",
    "hflip",
    "histeq",
    "hue",
    "lenscorrection",
    "limiter",
    "lut",
    "lut3d",
    "lutrgb",
    "lutyuv",
    "median",
    "monochrome",
    "negate",
    "nlmeans",
    "null",
    "pad",
    "perspective",
    "pixelize",
    "prewitt",
    "removegrain",
    "rgbashift",
    "rotate",
    "scale",
    "selectivecolor",
    "setdar",
    "setparams",
    "setrange",
    "setsar",
    "sharpen",
    "smartblur",
    "sobel",
    "subtitles",
    "swapuv",
    "tonemap",
    "transpose",
    "unsharp",
    "vflip",
    "vibrance",
    "zscale",
];

/// Words in options that ask for more than a frame and its time.
const COUNTS: &[&str] = &[
    "n",
    "frame_num",
    "start_number",
    "localtime",
    "reload",
    "random",
    "timecode",
];

/// Functions that keep a number from one frame to the next.
const REMEMBERS: &[&str] = &["st(", "ld("];

/// Filters whose places may be made of the places that the frame before had.
const PLACED: &[&str] = &["crop", "drawtext"];

/// Filters and options that read files.
const FILES: &[&str] = &["ass", "subtitles", "lut3d", "fontfile", "textfile", "psfile"];

/// What hqdn3d has seen before so many frames is less than a step of brightness.
const FADED_FRAMES: usize = 50;

/// More frames than a plan decodes twice for one segment.
const SEEN_MAX: usize = 100;

/// Reads a graph of which each filter can be cut.
pub fn read(graph: &str) -> Result<Chain, Whole> {
    if graph.contains(['[', ';']) {
        return Err(Whole::new("its filters are more than a chain"));
    }
    let mut chain = Chain::default();
    for filter in split(graph, ',') {
        let (name, options) = filter.split_once('=').unwrap_or((&filter, ""));
        let name = name.split('@').next().unwrap_or(name).trim();
        add(&mut chain, name, options)?;
        let remembers = REMEMBERS.iter().any(|function| options.contains(function));
        chain.reads_files |= words(&filter).any(|word| FILES.contains(&word));
        let counts = |word: &str| COUNTS.contains(&word) || (name == "perspective" && matches!(word, "on" | "in"));
        if words(options).any(counts) || remembers || (PLACED.contains(&name) && is_placed_anew(options)) {
            return Err(Whole::new(format!(
                "the filter {name} counts frames, or asks for more than a frame"
            )));
        }
    }
    match chain.before.max(chain.after) > SEEN_MAX {
        true => Err(Whole::new("its filters see too many frames at a time")),
        false => Ok(chain),
    }
}

fn add(chain: &mut Chain, name: &str, options: &str) -> Result<(), Whole> {
    let unknown = || Whole::new(format!("the filter {name} is not known to act on each frame by itself"));
    if STATELESS.contains(&name) {
        return Ok(());
    }
    if chain.rate.is_some() {
        // How many frames it sees would be of another rate than the input's.
        return Err(unknown());
    }
    match name {
        "fps" => {
            chain.rate = Some(rate(options).ok_or_else(unknown)?);
            chain.changes_times = true;
            chain.saw(1, 1);
        }
        "yadif" | "bwdif" => {
            let usual = if name == "yadif" { "send_frame" } else { "send_field" };
            match option(options, "mode", 0).unwrap_or(usual) {
                "0" | "send_frame" | "2" | "send_frame_nospatial" => {}
                "1" | "send_field" | "3" | "send_field_nospatial" => chain.changes_times = true,
                _ => return Err(unknown()),
            }
            chain.saw(2, 2);
        }
        "tmix" => {
            let frames = option(options, "frames", 0).unwrap_or("3");
            let frames = frames.parse().ok().filter(|frames| *frames <= SEEN_MAX);
            let frames = frames.ok_or_else(unknown)?;
            chain.saw(frames, 0);
        }
        "hqdn3d" => chain.saw(FADED_FRAMES, 0),
        "fade" if is_by_time(options) => {}
        _ => return Err(unknown()),
    }
    Ok(())
}

fn words(options: &str) -> impl Iterator<Item = &str> {
    options.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
}

/// Whether a place depends on the one of the frame before: `x=x+1`.
fn is_placed_anew(options: &str) -> bool {
    split(options, ':').iter().any(|option| {
        let (name, value) = option.split_once('=').unwrap_or(("", option));
        matches!(name, "" | "x" | "y") && words(value).any(|word| matches!(word, "x" | "y"))
    })
}

/// The value of a filter's option, by its name or, without one, by its place.
fn option<'a>(options: &'a str, name: &str, place: usize) -> Option<&'a str> {
    let named = options.split(':').filter_map(|option| option.split_once('='));
    let value = named
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value)
        .next_back();
    let placed = || options.split(':').nth(place).filter(|option| !option.contains('='));
    value.or_else(placed).filter(|value| !value.is_empty())
}

/// The rate of the filter fps that has no other option.
fn rate(options: &str) -> Option<Rational> {
    let text = options.strip_prefix("fps=").unwrap_or(options);
    super::units::rate(text)
}

/// Whether a fade begins and ends at times rather than at numbers of frames.
fn is_by_time(options: &str) -> bool {
    let mut parts = options.split(':');
    let kind = parts.next().unwrap_or_default();
    let first = kind.split_once('=').unwrap_or(("type", kind));
    let rest = parts.map(|part| part.split_once('=').unwrap_or(("", part)));
    let names: Vec<&str> = [first].into_iter().chain(rest).map(|(name, _)| name).collect();
    let known = ["type", "t", "st", "start_time", "d", "duration", "alpha", "c", "color"];
    names.iter().all(|name| known.contains(name)) && names.iter().any(|name| matches!(*name, "d" | "duration"))
}

/// Splits where the character is neither quoted nor escaped; quotes stay.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for character in text.chars() {
        if character == at && !is_quoted && !is_escaped {
            parts.push(String::new());
            continue;
        }
        is_quoted ^= character == '\'' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped && !is_quoted;
        if let Some(last) = parts.last_mut() {
            last.push(character);
        }
    }
    parts
}
