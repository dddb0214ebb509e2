//! The parts of a command, and what each option acts on.
//!
//! Options are told by a list: one that is not in it might act across frames, so that its command is left whole.

use super::units;
use super::whole::Whole;
use crate::probe::Rational;
use std::collections::BTreeMap;

/// A command with one input and one output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub globals: Vec<String>,
    /// The options before the input, but for those of its reach.
    pub of_input: Vec<String>,
    pub of_input_reach: Reach,
    pub input: String,
    /// The options of the output for its picture, without filters.
    pub picture: Vec<String>,
    /// Those for all else of the output.
    pub other: Vec<String>,
    pub of_output_reach: Reach,
    pub filters: Option<String>,
    /// The filters are those of a graph, so that the picture has nothing of what the input says of it.
    pub has_graph: bool,
    /// The constant rate that is asked for, in frames a second.
    pub rate: Option<Rational>,
    /// A constant rate is asked for, without saying which.
    pub is_constant: bool,
    /// The values of `-map`.
    pub maps: Vec<String>,
    pub format: Option<String>,
    pub output: String,
    /// The kinds of streams that the output shall not have: `a`, `s`, `d`.
    pub without: String,
    pub may_overwrite: bool,
    /// The options of the picture by their names, without specifiers of streams.
    values: BTreeMap<String, String>,
    graph: Option<String>,
}

/// The part of a file that is wanted: `-ss`, `-t` and `-to`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub start_us: Option<i64>,
    duration_us: Option<i64>,
    stop_us: Option<i64>,
    /// The options as they are given.
    pub words: Vec<String>,
}

impl Reach {
    /// Takes an option if it is one of these.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, Whole> {
        let place = match name {
            "ss" => &mut self.start_us,
            "t" => &mut self.duration_us,
            "to" => &mut self.stop_us,
            _ => return Ok(false),
        };
        let time = units::time_us(value);
        *place = Some(time.ok_or_else(|| Whole::new(format!("-{name} {value} is not a time that a plan follows")))?);
        self.words.extend([format!("-{name}"), value.to_owned()]);
        Ok(true)
    }

    /// How long it is, if it is not as long as there is something.
    pub fn length_us(&self) -> Option<i64> {
        let start_us = self.start_us.unwrap_or_default();
        self.duration_us
            .or_else(|| self.stop_us.map(|stop_us| stop_us - start_us))
    }
}

/// What an option acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acts {
    /// The whole run.
    Globally,
    /// How the input is read and decoded.
    OnInput,
    /// The picture, frame by frame or in its encoder.
    OnPicture,
    /// Sound, subtitles, the container.
    OnOther,
    /// What is beyond a frame, or unlike anything that a plan has.
    OnAll,
    /// Either; a specifier of streams tells, and without one both have it.
    OnBoth,
}

/// Options with a value.
const VALUED: &[(Acts, &[&str])] = &[
    (
        Acts::Globally,
        &[
            "loglevel",
            "v",
            "stats_period",
            "progress",
            "filter_threads",
            "cpuflags",
            "max_alloc",
        ],
    ),
    (
        Acts::OnInput,
        &[
            "probesize",
            "analyzeduration",
            "fflags",
            "f",
            "threads",
            "c",
            "codec",
            "vcodec",
            "acodec",
            "scodec",
        ],
    ),
    (
        Acts::OnPicture,
        &[
            "vcodec",
            "vb",
            "crf",
            "preset",
            "tune",
            "level",
            "pix_fmt",
            "g",
            "keyint_min",
            "bf",
            "refs",
            "qp",
            "qmin",
            "qmax",
            "qdiff",
            "maxrate",
            "minrate",
            "bufsize",
            "x264-params",
            "x264opts",
            "x265-params",
            "svtav1-params",
            "aq-mode",
            "aq-strength",
            "rc-lookahead",
            "me_range",
            "me_method",
            "motion-est",
            "subq",
            "trellis",
            "coder",
            "deadline",
            "quality",
            "cpu-used",
            "row-mt",
            "tile-columns",
            "tile-rows",
            "auto-alt-ref",
            "lag-in-frames",
            "static-thresh",
            "sc_threshold",
            "s",
            "aspect",
            "color_range",
            "color_primaries",
            "color_trc",
            "colorspace",
            "chroma_sample_location",
            "sws_flags",
            "threads",
            "slices",
            "slicecrc",
            "context",
            "vendor",
            "bits_per_mb",
            "quant_mat",
            "mbd",
            "cmp",
            "subcmp",
            "rc_mode",
            "qcomp",
            "b_strategy",
            "weightp",
            "weightb",
            "8x8dct",
            "partitions",
            "direct-pred",
            "rdoq",
            "huffman",
            "mpv_flags",
        ],
    ),
    (
        Acts::OnOther,
        &[
            "acodec",
            "scodec",
            "ab",
            "ar",
            "ac",
            "aq",
            "af",
            "sample_fmt",
            "channel_layout",
            "ch_layout",
            "aac_coder",
            "cutoff",
            "movflags",
            "brand",
            "video_track_timescale",
            "metadata",
            "map_metadata",
            "map_chapters",
            "disposition",
            "max_muxing_queue_size",
            "max_interleave_delta",
            "vtag",
            "atag",
            "stag",
            "tag",
            "application",
            "vbr",
            "compression_level",
            "reserve_index_space",
            "cluster_time_limit",
            "cues_to_front",
            "default_mode",
            "write_tmcd",
            "muxrate",
            "muxdelay",
            "muxpreload",
            "mpegts_flags",
            "avoid_negative_ts",
            "use_editlist",
            "write_btrt",
            "hls_time",
            "hls_init_time",
            "hls_list_size",
            "hls_flags",
            "hls_playlist_type",
            "hls_segment_type",
            "hls_segment_filename",
            "hls_fmp4_init_filename",
            "hls_allow_cache",
            "hls_base_url",
            "start_number",
            "seg_duration",
            "frag_duration",
            "adaptation_sets",
            "init_seg_name",
            "media_seg_name",
            "use_template",
            "use_timeline",
            "dash_segment_type",
        ],
    ),
    (
        Acts::OnBoth,
        &[
            "c", "codec", "b", "q", "qscale", "profile", "flags", "strict", "filter", "fflags",
        ],
    ),
];

/// Options without a value.
const FLAGS: &[(Acts, &[&str])] = &[
    (
        Acts::Globally,
        &[
            "hide_banner",
            "stats",
            "nostats",
            "y",
            "n",
            "nostdin",
            "stdin",
            "bitexact",
        ],
    ),
    (Acts::OnInput, &["noautorotate", "autorotate", "bitexact"]),
    (Acts::OnOther, &["an", "sn", "dn"]),
    (
        Acts::OnAll,
        &[
            "accurate_seek",
            "noaccurate_seek",
            "benchmark",
            "copy_unknown",
            "copyinkf",
            "copyts",
            "dump",
            "fix_sub_duration",
            "ignore_unknown",
            "re",
            "report",
            "shortest",
            "start_at_zero",
            "vn",
            "xerror",
        ],
    ),
    (Acts::OnBoth, &["bitexact"]),
];

impl Words {
    pub fn read(args: &[String]) -> Result<Words, Whole> {
        let mut words = Words::default();
        let mut pending: Vec<(String, Option<String>)> = Vec::new();
        let mut args = args.iter();
        let (mut has_input, mut has_output) = (false, false);
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else {
                if has_output {
                    return Err(Whole::new("it has several outputs"));
                }
                has_output = true;
                words.output = arg.clone();
                for (name, value) in pending.drain(..) {
                    words.output_option(&name, value)?;
                }
                continue;
            };
            if has_output && name != "y" && name != "n" {
                return Err(Whole::new("it has several outputs, or options after its output"));
            }
            let (base, value) = (base(name), value_of(name, &mut args)?);
            if name == "i" {
                if has_input {
                    return Err(Whole::new("it has several inputs"));
                }
                has_input = true;
                words.input = value.unwrap_or_default();
                for (name, value) in pending.drain(..) {
                    words.input_option(&name, value)?;
                }
            } else if is_global(base) && !(base == "bitexact" && has_input) {
                words.may_overwrite |= base == "y";
                words.globals.extend([Some(arg.clone()), value].into_iter().flatten());
            } else {
                pending.push((name.to_owned(), value));
            }
        }
        if !has_input || !has_output {
            return Err(Whole::new("it has no input and output"));
        }
        if words.globals.iter().any(|word| word == "-n") && words.may_overwrite {
            return Err(Whole::new("it has both -y and -n"));
        }
        if let Some(graph) = words.graph.take() {
            words.take_graph(&graph)?;
        }
        Ok(words)
    }

    /// The value of the first of these options of the picture that is given.
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.values.get(*name)).map(String::as_str)
    }

    /// The encoder of the picture, if it is named.
    pub fn encoder(&self) -> Option<&str> {
        self.value(&["c", "codec", "vcodec"])
    }

    /// The options of the whole run, but for whether the output may be overwritten, which is known before.
    pub fn globals_of_join(&self) -> impl Iterator<Item = &String> {
        self.globals.iter().filter(|word| !matches!(word.as_str(), "-y" | "-n"))
    }

    /// The values of an option of the output, with any specifier, by the option as it is given.
    pub fn pairs_of<'a>(&'a self, option: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.other.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
        pairs.filter(move |(name, _)| name.split(':').next() == Some(option))
    }

    /// The output's format, or its ending if none is named.
    pub fn container(&self) -> &str {
        let ending = self.output.rsplit_once('.').map_or("", |(_, ending)| ending);
        self.format.as_deref().unwrap_or(ending)
    }

    /// Takes a graph that is one chain from the input's picture to the output's for what it is.
    fn take_graph(&mut self, graph: &str) -> Result<(), Whole> {
        const PICTURES: [&str; 4] = ["[0:v]", "[0:v:0]", "[0:V]", "[0:V:0]"];
        let more = || Whole::new("its filters are more than a chain");
        if self.filters.is_some() {
            return Err(Whole::new("it has a chain of filters and a graph"));
        }
        let chain = graph.trim();
        let chain = PICTURES
            .iter()
            .find_map(|picture| chain.strip_prefix(picture))
            .unwrap_or(chain);
        let (chain, label) = match chain.strip_suffix(']').and_then(|chain| chain.rsplit_once('[')) {
            Some((chain, label)) => (chain, Some(format!("[{label}]"))),
            None => (chain, None),
        };
        let is_unmapped = self.maps.is_empty();
        let mapped = self
            .maps
            .iter_mut()
            .filter(|map| Some(map.as_str()) == label.as_deref());
        let mut mapped: Vec<&mut String> = mapped.collect();
        match (&label, &mut mapped[..]) {
            (Some(_), [map]) => **map = "0:V:0".to_owned(),
            (None, []) if is_unmapped => {}
            _ => return Err(more()),
        }
        self.filters = Some(chain.trim().to_owned());
        self.has_graph = true;
        Ok(())
    }

    fn input_option(&mut self, name: &str, value: Option<String>) -> Result<(), Whole> {
        if self.of_input_reach.take(name, value.as_deref().unwrap_or_default())? {
            return Ok(());
        }
        if !is_of_input(base(name)) {
            return Err(Whole::new(format!("-{name} before the input may move or change it")));
        }
        self.of_input
            .extend([Some(format!("-{name}")), value].into_iter().flatten());
        Ok(())
    }

    fn output_option(&mut self, name: &str, value: Option<String>) -> Result<(), Whole> {
        let (base, specifier) = name.split_once(':').unwrap_or((name, ""));
        let kind = specifier.split(':').next().unwrap_or("");
        let words = || [Some(format!("-{name}")), value.clone()].into_iter().flatten();
        let text = value.clone().unwrap_or_default();
        if self.of_output_reach.take(name, &text)? {
            return Ok(());
        }
        match (base, kind) {
            ("filter_complex" | "lavfi", _) => {
                if self.graph.replace(text).is_some() {
                    return Err(Whole::new("it has several graphs of filters"));
                }
                return Ok(());
            }
            ("r", "" | "v" | "V") => {
                let rate = units::rate(&text);
                self.rate =
                    Some(rate.ok_or_else(|| Whole::new(format!("-r {text} is not a rate that a plan follows")))?);
                return Ok(());
            }
            ("map", _) => {
                self.maps.push(text);
                return Ok(());
            }
            ("f", _) => {
                self.format = Some(text);
                return Ok(());
            }
            ("vf", _) | ("filter", "v") => {
                self.filters = Some(text);
                return Ok(());
            }
            ("fps_mode" | "vsync", _) if matches!(text.as_str(), "vfr" | "auto" | "-1" | "2") => return Ok(()),
            ("fps_mode" | "vsync", _) if matches!(text.as_str(), "cfr" | "1") => {
                self.is_constant = true;
                return Ok(());
            }
            ("an" | "sn" | "dn", _) => self.without.push_str(&base[..1]),
            _ => {}
        }
        let acts = acts(base);
        let (picture, other) = match kind {
            "v" | "V" => (acts.contains(&Acts::OnPicture) || acts.contains(&Acts::OnBoth), false),
            "a" | "s" | "d" | "t" => (false, acts.contains(&Acts::OnOther) || acts.contains(&Acts::OnBoth)),
            "" if acts.contains(&Acts::OnBoth) => (true, true),
            "" => (acts.contains(&Acts::OnPicture), acts.contains(&Acts::OnOther)),
            // Metadata of streams, of chapters, of programs.
            _ => (false, matches!(base, "metadata" | "map_metadata" | "disposition")),
        };
        // A tag and a disposition of the picture belong to the container.
        let other = other || (matches!(base, "tag" | "disposition" | "metadata" | "map_metadata") && !kind.is_empty());
        if !picture && !other {
            return Err(Whole::new(format!(
                "-{name} is not known to act on each frame by itself"
            )));
        }
        if picture {
            self.values.insert(base.to_owned(), text);
            self.picture.extend(words());
        }
        if other {
            self.other.extend(words());
        }
        Ok(())
    }
}

/// The name of an option without its specifier of streams.
pub fn base(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// Takes the value of an option from the arguments behind it, if it has one.
pub fn value_of<'a>(name: &str, args: &mut impl Iterator<Item = &'a String>) -> Result<Option<String>, Whole> {
    if is_flag(base(name)) {
        return Ok(None);
    }
    match args.next() {
        Some(value) => Ok(Some(value.clone())),
        None => Err(Whole::new(format!("-{name} has no value"))),
    }
}

/// Whether an option has no value.
pub fn is_flag(name: &str) -> bool {
    FLAGS.iter().any(|(_, names)| names.contains(&name))
}

/// Whether an option may stand before an input, and acts on it.
pub fn is_of_input(name: &str) -> bool {
    acts(name).contains(&Acts::OnInput)
}

/// Whether an option is one of the whole run.
pub fn is_global(name: &str) -> bool {
    acts(name).contains(&Acts::Globally)
}

fn acts(name: &str) -> Vec<Acts> {
    let lists = VALUED.iter().chain(FLAGS);
    lists
        .filter(|(_, names)| names.contains(&name))
        .map(|(acts, _)| *acts)
        .collect()
}

/// The tables of options: in each line what they act on, and their names.
#[cfg(test)]
pub(super) fn tables() -> [Vec<Vec<String>>; 2] {
    [VALUED, FLAGS].map(|table| {
        let line = |(acts, names): &(Acts, &[&str])| -> Vec<String> {
            let names = names.iter().map(|name| (*name).to_owned());
            [format!("{acts:?}")].into_iter().chain(names).collect()
        };
        table.iter().map(line).collect()
    })
}
