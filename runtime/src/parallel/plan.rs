//! How a command is cut: from its words and its input alone.

use super::source::Source;
use super::whole::Whole;
use super::words::{self, Words};
use crate::probe::{MediaType, Stream};
use serde::Serialize;

/// The jobs that a command is cut into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// In order; each makes the picture of its stretch as fragmented MP4 on standard output.
    pub segments: Vec<Segment>,
    /// The arguments of the job that joins: it has the segments, one after another, on standard input, and makes all else of the
    /// input itself. [`Plan::FIRST_TIME`] stands for the time of the first frame.
    pub join: Vec<String>,
    pub output: String,
    /// The output's name until it is whole.
    pub partial: String,
    #[serde(skip)]
    pub(super) may_overwrite: bool,
}

/// A stretch of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Segment {
    /// The time of its first frame, in units of the time base of the input's video; without it, it begins with the input.
    pub start: Option<i64>,
    /// The time of the first frame after it.
    pub end: Option<i64>,
    pub args: Vec<String>,
}

impl Plan {
    /// Stands for the time of the first frame, in seconds, which the first segment tells.
    pub const FIRST_TIME: &str = "FIRST_TIME";
}

/// How long segments are at least: longer ones in longer videos, as each costs a key frame and what an encoder learns.
const SEGMENT_MIN_SECONDS: f64 = 4.0;
const SEGMENT_MAX_SECONDS: f64 = 30.0;
/// As many segments are wanted, so that few cores end at about the same time.
const SEGMENTS_WANTED: f64 = 12.0;

/// Encoders of which each segment begins with a frame that needs none before, and whose parameters are those of every segment.
const ENCODERS: &[&str] = &[
    "libx264",
    "h264",
    "libopenh264",
    "libx265",
    "hevc",
    "libkvazaar",
    "libvpx-vp9",
    "vp9",
    "libsvtav1",
    "ffv1",
    "prores",
    "prores_ks",
    "prores_aw",
    "mjpeg",
    "mpeg4",
];

/// Endings, or names of formats, of outputs that take frames at their own times.
const MP4: &[&str] = &["mp4", "m4v", "mov"];
const MATROSKA: &[&str] = &["mkv", "matroska"];
const WEBM: &[&str] = &["webm"];

/// What each fragment has: one frame, its times as they are.
const FRAGMENTS: &str = "+empty_moov+default_base_moof+frag_every_frame+frag_discont";

/// Added to the times in segments, in seconds: decoding begins before the time of the first frame, and fragments have no time before
/// zero.
pub(super) const OFFSET_SECONDS: u32 = 1000;

/// Decides how a command is cut.
pub fn plan(words: &Words, source: &Source) -> Result<Plan, Whole> {
    let encoder = check_output(words)?;
    if let Some(filters) = &words.filters {
        words::check_filters(filters)?;
    }
    let cuts = cuts(source);
    if cuts.is_empty() {
        return Err(Whole::new("the input is too short, or has too few key frames"));
    }
    let bounds: Vec<Option<i64>> = [None]
        .into_iter()
        .chain(cuts.into_iter().map(Some))
        .chain([None])
        .collect();
    let segments = bounds.windows(2).map(|bounds| Segment {
        start: bounds[0],
        end: bounds[1],
        args: segment(words, source, encoder, bounds[0], bounds[1]),
    });
    let partial = partial(&words.output).ok_or_else(|| Whole::new("the output's name has no ending"))?;
    Ok(Plan {
        segments: segments.collect(),
        join: join(words, source, encoder, &partial)?,
        output: words.output.clone(),
        partial,
        may_overwrite: words.may_overwrite,
    })
}

/// The encoder of the picture, if the output is one that a plan makes.
fn check_output(words: &Words) -> Result<&str, Whole> {
    let container = words.container();
    let is = |names: &[&str]| names.contains(&container);
    if words.output.contains("://") || words.output.starts_with("pipe:") || words.output == "-" {
        return Err(Whole::new("the output is no file"));
    }
    let usual = match () {
        () if is(MP4) || is(MATROSKA) => "h264",
        () if is(WEBM) => "libvpx-vp9",
        () => {
            return Err(Whole::new(format!(
                "the output's format, {container:?}, is none of mp4, mov, mkv and webm"
            )));
        }
    };
    let encoder = words.encoder().unwrap_or(usual);
    if words
        .value(&["flags"])
        .is_some_and(|flags| flags.contains("ilme") || flags.contains("ildct"))
    {
        return Err(Whole::new("the video is encoded interlaced"));
    }
    match encoder {
        "copy" => Err(Whole::new("the video is copied")),
        encoder if ENCODERS.contains(&encoder) => check_rate(words, encoder).map(|()| encoder),
        encoder => Err(Whole::new(format!(
            "the encoder {encoder} is not known to begin anew at any frame"
        ))),
    }
}

/// Checks that the rate of a frame does not depend on frames long before.
fn check_rate(words: &Words, encoder: &str) -> Result<(), Whole> {
    // It looks at the last second or so.
    if encoder == "libopenh264" {
        return Ok(());
    }
    let has_rate = words.value(&["b", "vb"]).is_some_and(|rate| rate != "0");
    if has_rate || words.value(&["maxrate", "minrate", "bufsize"]).is_some() {
        return Err(Whole::new(
            "its bit rate is one of the whole video: -crf, -q:v and the like are not",
        ));
    }
    let wants_quality = matches!(encoder, "libvpx-vp9" | "vp9" | "mpeg4" | "mjpeg");
    if wants_quality && words.value(&["crf", "q", "qscale"]).is_none() {
        return Err(Whole::new(format!(
            "{encoder} has no -crf or -q:v, and so a bit rate of the whole video"
        )));
    }
    Ok(())
}

/// The times at which segments begin, but for the first.
fn cuts(source: &Source) -> Vec<i64> {
    let times = || source.packets.iter().map(|packet| packet.time);
    let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    let length = source.seconds(last - first);
    let wanted = (length / SEGMENTS_WANTED).clamp(SEGMENT_MIN_SECONDS, SEGMENT_MAX_SECONDS);
    let mut keys: Vec<i64> = source
        .packets
        .iter()
        .filter(|packet| packet.is_key)
        .map(|packet| packet.time)
        .collect();
    keys.sort_unstable();
    let mut cuts = Vec::new();
    let mut begin = first;
    for key in keys {
        // The last one is not shorter than half of the others.
        let is_far = source.seconds(key - begin) >= wanted && source.seconds(last - key) >= wanted / 2.0;
        if is_far {
            cuts.push(key);
            begin = key;
        }
    }
    cuts
}

fn segment(words: &Words, source: &Source, encoder: &str, start: Option<i64>, end: Option<i64>) -> Vec<String> {
    let begin = source.start();
    let mut args = Args::default();
    args.add([
        "-nostdin",
        "-hide_banner",
        "-loglevel",
        "error",
        "-copyts",
        "-start_at_zero",
    ]);
    let filter_threads = words.globals.iter().position(|word| word == "-filter_threads");
    if let Some(value) = filter_threads.and_then(|at| words.globals.get(at + 1)) {
        args.add(["-filter_threads", value]);
    }
    args.add(&words.of_input);
    let mut trim = Vec::new();
    if let Some(start) = start {
        // Rounded up, since the key frame before would cost its whole group of pictures.
        let seconds = source.seconds(start - begin);
        args.add([
            "-noaccurate_seek",
            "-ss",
            &format!("{:.6}", (seconds * 1e6).ceil() / 1e6),
        ]);
        trim.push(format!("start_pts={}", start - begin));
    }
    args.add(["-i", &words.input, "-map", &format!("0:{}", source.picture)]);
    // Chapters would be a track of their own.
    args.add(["-map_metadata", "-1", "-map_chapters", "-1"]);
    trim.extend(end.map(|end| format!("end_pts={}", end - begin)));
    let filters = [Some(format!("trim={}", trim.join(":"))), words.filters.clone()];
    args.add(["-vf", &filters.into_iter().flatten().collect::<Vec<_>>().join(",")]);
    if words.encoder().is_none() {
        args.add(["-c:v", encoder]);
    }
    let mut picture = words.picture.clone();
    if matches!(encoder, "libx264" | "h264") {
        // Parameters that depend on nothing but the options.
        match picture.iter().position(|word| word.starts_with("-x264-params")) {
            Some(at) if at + 1 < picture.len() => picture[at + 1].push_str(":stitchable=1"),
            _ => picture.extend(["-x264-params".to_owned(), "stitchable=1".to_owned()]),
        }
    }
    args.add(&picture);
    args.add([
        "-fps_mode",
        "vfr",
        "-output_ts_offset",
        &OFFSET_SECONDS.to_string(),
        "-avoid_negative_ts",
        "disabled",
    ]);
    args.add([
        "-f",
        container(encoder),
        "-movflags",
        FRAGMENTS,
        "-use_editlist",
        "0",
        "pipe:1",
    ]);
    args.words
}

/// The format of segments.
fn container(encoder: &str) -> &'static str {
    if encoder.starts_with("prores") { "mov" } else { "mp4" }
}

fn join(words: &Words, source: &Source, encoder: &str, partial: &str) -> Result<Vec<String>, Whole> {
    let mut args = Args::default();
    args.add(&words.globals);
    args.add([
        "-nostdin",
        "-y",
        "-f",
        container(encoder),
        "-itsoffset",
        Plan::FIRST_TIME,
        "-i",
        "pipe:0",
    ]);
    args.add(&words.of_input);
    args.add(["-i", &words.input]);
    let mut place = None;
    let chosen = streams(words, source)?;
    for (at, &index) in chosen.iter().enumerate() {
        let is_picture = index == source.picture;
        if is_picture && place.replace(at).is_some() {
            return Err(Whole::new("it maps the video twice"));
        }
        args.add([
            "-map",
            &if is_picture {
                "0:v:0".to_owned()
            } else {
                format!("1:{index}")
            },
        ]);
    }
    if place.is_none() {
        return Err(Whole::new("the output has no video"));
    }
    for option in ["-map_metadata", "-map_chapters"] {
        if !words.other.iter().any(|word| word == option) {
            args.add([option, "1"]);
        }
    }
    args.add(tags(words, source));
    args.add(dispositions(words, source, &chosen));
    args.add(shifted(&words.other)?);
    args.add(["-c:v", "copy"]);
    if let Some(format) = &words.format {
        args.add(["-f", format]);
    }
    args.add([partial]);
    Ok(args.words)
}

/// Gives the picture the tags that it has in the input. With `-map_metadata` for one stream, ffmpeg would leave those of others out.
fn tags(words: &Words, source: &Source) -> Vec<String> {
    if words.other.iter().any(|word| word == "-1") {
        return Vec::new();
    }
    const OF_SEGMENTS: [&str; 4] = ["encoder", "handler_name", "language", "vendor_id"];
    let tags = source.picture().into_iter().flat_map(|stream| &stream.tags);
    let tags = tags.filter(|(name, _)| !name.eq_ignore_ascii_case("encoder"));
    let cleared = OF_SEGMENTS.map(|name| format!("{name}="));
    let tags = cleared
        .into_iter()
        .chain(tags.map(|(name, value)| format!("{name}={value}")));
    tags.flat_map(|tag| ["-metadata:s:v:0".to_owned(), tag]).collect()
}

/// Says which streams are marked as default and the like, where that is not what ffmpeg does for itself.
fn dispositions(words: &Words, source: &Source, chosen: &[u32]) -> Vec<String> {
    let of_picture = source.picture().into_iter().flat_map(|stream| &stream.disposition);
    let of_picture = of_picture
        .filter(|(_, holds)| **holds == 1)
        .map(|(name, _)| name.as_str());
    let of_picture: Vec<&str> = of_picture.collect();
    if of_picture == ["default"] {
        return Vec::new();
    }
    let value = if of_picture.is_empty() {
        "0".to_owned()
    } else {
        of_picture.join("+")
    };
    let mut args = vec!["-disposition:v:0".to_owned(), value];
    if words.other.iter().any(|word| word.starts_with("-disposition")) {
        return args;
    }
    // What it does for each kind of which there are several, unless anything is said of any stream.
    for (kind, letter) in [(MediaType::Audio, 'a'), (MediaType::Subtitle, 's')] {
        let streams = source.probe.streams.iter();
        let of_kind = streams.filter(|stream| stream.codec_type == kind && chosen.contains(&stream.index));
        let marked: Vec<bool> = of_kind
            .map(|stream| stream.disposition.get("default") == Some(&1))
            .collect();
        if marked.len() > 1 && !marked.contains(&true) {
            args.extend([format!("-disposition:{letter}:0"), "+default".to_owned()]);
        }
    }
    args
}

/// The options with the number that the input has here, where they name it.
fn shifted(options: &[String]) -> Result<Vec<String>, Whole> {
    let mut shifted = options.to_vec();
    for at in 1..options.len() {
        if options[at - 1].starts_with("-map_metadata") || options[at - 1] == "-map_chapters" {
            shifted[at] = match options[at].as_str() {
                "0" => "1".to_owned(),
                "-1" => "-1".to_owned(),
                other => {
                    return Err(Whole::new(format!(
                        "{} {other} is not one that a plan follows",
                        options[at - 1]
                    )));
                }
            };
        }
    }
    Ok(shifted)
}

/// The indices of the streams that the output has, in its order.
fn streams(words: &Words, source: &Source) -> Result<Vec<u32>, Whole> {
    let streams = &source.probe.streams;
    let leaves_out = |kind: MediaType| {
        let letter = match kind {
            MediaType::Audio => 'a',
            MediaType::Subtitle => 's',
            MediaType::Data => 'd',
            _ => return false,
        };
        words.without.contains(letter)
    };
    let mut chosen = Vec::new();
    if words.maps.is_empty() {
        chosen.push(source.picture);
        // As ffmpeg chooses: more channels, and more than that the stream that is marked.
        let score = |stream: &&Stream| {
            let is_default = stream.disposition.get("default") == Some(&1);
            (is_default, stream.channels.unwrap_or_default())
        };
        let of_kind = |kind| streams.iter().filter(move |stream| stream.codec_type == kind);
        let audio = of_kind(MediaType::Audio).filter(|stream| stream.codec_name.is_some());
        // The first of equals.
        let best = audio.rev().max_by_key(score);
        chosen.extend(best.map(|stream| stream.index));
        let container = words.container();
        if MATROSKA.contains(&container) || WEBM.contains(&container) {
            const PICTURES: [&str; 4] = ["dvd_subtitle", "dvb_subtitle", "hdmv_pgs_subtitle", "xsub"];
            let is_text = |stream: &&Stream| {
                stream
                    .codec_name
                    .as_deref()
                    .is_some_and(|codec| !PICTURES.contains(&codec))
            };
            chosen.extend(of_kind(MediaType::Subtitle).find(is_text).map(|stream| stream.index));
        }
    }
    for map in &words.maps {
        let found = mapped(map, streams)?;
        if found.is_empty() && !map.ends_with('?') {
            return Err(Whole::new(format!("-map {map} matches no stream")));
        }
        chosen.extend(found);
    }
    let kind = |index: &u32| {
        streams
            .iter()
            .find(|stream| stream.index == *index)
            .map(|stream| stream.codec_type)
    };
    chosen.retain(|index| kind(index).is_some_and(|kind| !leaves_out(kind)));
    let is_cover = |index: &u32| {
        streams
            .iter()
            .any(|stream| stream.index == *index && stream.is_attached_picture())
    };
    if chosen.iter().any(is_cover) {
        return Err(Whole::new("it maps a cover picture"));
    }
    Ok(chosen)
}

/// The streams that one `-map` means.
fn mapped(map: &str, streams: &[Stream]) -> Result<Vec<u32>, Whole> {
    let unknown = || Whole::new(format!("-map {map} is not one that a plan follows"));
    let mut parts = map.trim_end_matches('?').split(':');
    if parts.next() != Some("0") {
        return Err(unknown());
    }
    let parts: Vec<&str> = parts.collect();
    let kind = |letter: &str| {
        Some(match letter {
            "v" | "V" => MediaType::Video,
            "a" => MediaType::Audio,
            "s" => MediaType::Subtitle,
            "d" => MediaType::Data,
            _ => return None,
        })
    };
    let of_kind = |letter: &str| {
        let kind = kind(letter).ok_or_else(unknown)?;
        let streams = streams.iter().filter(move |stream| stream.codec_type == kind);
        let streams = streams.filter(|stream| letter != "V" || !stream.is_attached_picture());
        Ok::<_, Whole>(streams.map(|stream| stream.index).collect::<Vec<u32>>())
    };
    match parts[..] {
        [] => Ok(streams.iter().map(|stream| stream.index).collect()),
        [one] => match one.parse::<u32>() {
            Ok(index) => Ok(streams
                .iter()
                .map(|stream| stream.index)
                .filter(|other| *other == index)
                .collect()),
            Err(_) => of_kind(one),
        },
        [one, number] => {
            let number: usize = number.parse().map_err(|_| unknown())?;
            Ok(of_kind(one)?.into_iter().nth(number).into_iter().collect())
        }
        _ => Err(unknown()),
    }
}

/// `out.partial.mp4` of `out.mp4`.
fn partial(output: &str) -> Option<String> {
    let (stem, ending) = output.rsplit_once('.')?;
    (!ending.contains('/') && !stem.is_empty()).then(|| format!("{stem}.partial.{ending}"))
}

#[derive(Default)]
struct Args {
    words: Vec<String>,
}

impl Args {
    fn add(&mut self, words: impl IntoIterator<Item = impl AsRef<str>>) {
        self.words
            .extend(words.into_iter().map(|word| word.as_ref().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fmt::Write;

    const PROBE: &str = r#"{
        "format": { "format_name": "matroska,webm", "start_time": "1.500000" },
        "streams": [
            { "index": 0, "codec_type": "audio", "codec_name": "aac", "channels": 2, "time_base": "1/1000" },
            { "index": 1, "codec_type": "video", "codec_name": "h264", "time_base": "1/1000",
              "disposition": { "original": 1, "default": 1, "forced": 0 },
              "tags": { "language": "ger", "Encoder": "x", "BPS": "9", "title": "A" } },
            { "index": 2, "codec_type": "audio", "codec_name": "ac3", "channels": 6, "time_base": "1/1000" },
            { "index": 3, "codec_type": "subtitle", "codec_name": "hdmv_pgs_subtitle", "time_base": "1/1000" },
            { "index": 4, "codec_type": "subtitle", "codec_name": "subrip", "time_base": "1/1000" }
        ]
    }"#;

    /// A frame each 40 ms, from 1.5 s on, with a key frame each two seconds.
    fn source(frames: i64) -> Source {
        let mut index = String::new();
        for frame in 0..frames {
            let flags = if frame % 50 == 0 { "K__" } else { "___" };
            let _ = writeln!(index, "{},{flags}", 1500 + 40 * frame);
        }
        Source::new(serde_json::from_str(PROBE).unwrap(), 1, &index).unwrap()
    }

    const CUT: &[(i64, &str)] = &[
        (
            300,
            "-y -i in.mkv -vf scale=640:-2 -c:v libx264 -crf 23 -c:a aac -b:a 128k out.mp4",
        ),
        (
            300,
            "-i a/in.mkv -x264-params bframes=5 -metadata title=x -ac 2 -f matroska b/out.x",
        ),
        (
            300,
            "-i in.mkv -map 0:a:1 -map 0:v -map 0:s? -map_metadata 0 -c:v prores_ks -profile:v 3 -c:s copy out.mov",
        ),
        (300, "-i in.mkv -sn -crf 30 -b:v 0 -c:a libopus out.webm"),
        (
            300,
            "-v error -filter_threads 2 -f matroska -i in.mkv -map 0 -map_metadata -1 -tag:v hvc1 -c:v libx265 -fps_mode vfr out.mkv",
        ),
        (4000, "-i in.mkv -c:v libx265 -an out.mkv"),
    ];

    /// What is written down for the same plans in TypeScript as well: packages/npm/tests/plan.test.js reads it.
    #[test]
    fn plans_follow_from_a_command_and_its_input() {
        let read = |command: &str| Words::read(&command.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let plans = CUT.iter().map(|(frames, command)| {
            let plan = plan(&read(command).unwrap(), &source(*frames)).unwrap();
            let segments =
                plan.segments.iter().take(3).map(
                    |segment| json!({ "start": segment.start, "end": segment.end, "args": segment.args.join(" ") }),
                );
            json!({
                "command": command,
                "frames": frames,
                "count": plan.segments.len(),
                "segments": segments.collect::<Vec<_>>(),
                "join": plan.join.join(" "),
                "output": plan.output,
                "partial": plan.partial,
            })
        });
        let whole = WHOLE.iter().map(|(frames, command, _)| {
            let whole = read(command)
                .and_then(|words| plan(&words, &source(*frames)))
                .unwrap_err();
            json!({ "command": command, "frames": frames, "reason": whole.to_string() })
        });
        let seconds = [
            0.0,
            4.0,
            0.000_000_5,
            0.007_812_5,
            0.023_437_5,
            -0.007_812_5,
            41.708_334,
        ];
        let [valued, flags] = words::tables();
        let all = json!({
            "probe": serde_json::from_str::<serde_json::Value>(PROBE).unwrap(),
            "valued": valued,
            "flags": flags,
            "stateless": words::STATELESS,
            "encoders": ENCODERS,
            "plans": plans.collect::<Vec<_>>(),
            "whole": whole.collect::<Vec<_>>(),
            "seconds": seconds.map(|seconds| json!([seconds, format!("{seconds:.6}")])),
        });
        insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
    }

    /// Each by words of the reason.
    const WHOLE: &[(i64, &str, &str)] = &[
        (300, "-i in.mkv -foo 1 out.mp4", "-foo is not known"),
        (300, "-i in.mkv -vf scale=2:2,tmix out.mp4", "the filter tmix"),
        (300, "-i in.mkv -vf hue=H=n out.mp4", "the filter hue counts frames"),
        (
            300,
            "-i in.mkv -force_key_frames expr:1 out.mp4",
            "-force_key_frames is not known",
        ),
        (
            300,
            "-i in.mkv -map 1:v out.mp4",
            "-map 1:v is not one that a plan follows",
        ),
        (300, "-i in.mkv -map 0:a out.mp4", "the output has no video"),
        (300, "-i in.mkv -map 0:v -map 0:v out.mp4", "it maps the video twice"),
        (300, "-i in.mkv -c:v libtheora out.mkv", "the encoder libtheora"),
        (300, "-i in.mkv pipe:1", "the output is no file"),
        (300, "-i in.mkv -crf", "-crf has no value"),
        (
            300,
            "-i in.mkv -c:v libx264 -b:v 1M out.mp4",
            "its bit rate is one of the whole video",
        ),
        (
            300,
            "-i in.mkv -c:v libx264 -crf 23 -maxrate 1M -bufsize 2M out.mp4",
            "its bit rate is one of the whole video",
        ),
        (300, "-i in.mkv -c:v libx264 -flags +ilme out.mp4", "interlaced"),
        (300, "-i in.mkv out.webm", "libvpx-vp9 has no -crf"),
        (100, "-i a b.mp4", "too short"),
    ];

    #[test]
    fn each_option_and_filter_that_is_not_known_leaves_a_command_whole() {
        for (frames, command, reason) in WHOLE {
            let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let whole = Words::read(&args)
                .and_then(|words| plan(&words, &source(*frames)))
                .unwrap_err();
            assert!(whole.to_string().contains(reason), "{command}: {whole}");
        }
    }
}
