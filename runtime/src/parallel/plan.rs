//! How a command is cut: from its words and its input alone.

use super::cuts::{self, Part};
use super::filters::{self, Chain};
use super::rate::Rate;
use super::source::Source;
use super::stretch::Stretch;
use super::whole::Whole;
use super::words::Words;
use crate::probe::{MediaType, Rational, Stream};
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
    /// The output is a playlist, so that its frames are those that the job that joins has counted.
    pub is_playlist: bool,
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
    /// The arguments of a job before, which counts what is hard to encode. Both have the folder [`Plan::PASSES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_pass: Option<Vec<String>>,
    pub args: Vec<String>,
}

impl Plan {
    /// Stands for the time of the first frame, in seconds, which the first segment tells.
    pub const FIRST_TIME: &str = "FIRST_TIME";

    /// Where a segment's two passes have a writable folder of their own.
    pub const PASSES: &str = "/afmpeg-passes";
}

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
const MPEGTS: &[&str] = &["ts", "mpegts"];
const HLS: &[&str] = &["m3u8", "hls"];
const DASH: &[&str] = &["mpd", "dash"];

/// What each fragment has: one frame, its times as they are.
const FRAGMENTS: &str = "+empty_moov+default_base_moof+frag_every_frame+frag_discont";

/// Added to the times in segments, in seconds: decoding begins before the time of the first frame, and fragments have no time before
/// zero.
pub(super) const OFFSET_SECONDS: u32 = 1000;

/// Decides how a command is cut.
pub fn plan(words: &Words, source: &Source) -> Result<Plan, Whole> {
    let encoder = check_output(words)?;
    let rate = Rate::read(words, encoder)?;
    let chain = words.filters.as_deref().map_or(Ok(Chain::default()), filters::read)?;
    let stretch = Stretch::new(words, source)?;
    check_times(words, source, &stretch, &chain)?;
    let parts = cuts::parts(source, &stretch, &chain)?;
    let shares = rate.map(|rate| rate.shares(&cuts::weights(source, &parts)));
    let segments = parts.iter().enumerate().map(|(at, part)| {
        let share = shares.as_ref().map(|shares| shares[at]);
        let args = |pass| {
            segment(
                words,
                source,
                &stretch,
                encoder,
                &chain,
                part,
                share.map(|share| (share, pass)),
            )
        };
        Segment {
            start: part.begin.filter(|_| at > 0),
            end: part.end.filter(|_| at + 1 < parts.len()),
            first_pass: share.map(|_| args(1)),
            args: args(2),
        }
    });
    let partial = partial(&words.output).ok_or_else(|| Whole::new("the output's name has no ending"))?;
    let container = words.container();
    Ok(Plan {
        segments: segments.collect(),
        join: join(words, source, encoder, &partial)?,
        output: words.output.clone(),
        partial,
        is_playlist: HLS.contains(&container) || DASH.contains(&container),
        may_overwrite: words.may_overwrite,
    })
}

/// Checks that frames come at the times that the output gives them, whatever was before.
fn check_times(words: &Words, source: &Source, stretch: &Stretch, chain: &Chain) -> Result<(), Whole> {
    if chain.changes_times && !words.of_output_reach.words.is_empty() {
        return Err(Whole::new(
            "its filters change times, and -ss or -t is counted after them: before the input it is not",
        ));
    }
    let container = words.container();
    let wants_constant = words.is_constant || HLS.contains(&container) || DASH.contains(&container);
    if !wants_constant && words.rate.is_none() {
        return Ok(());
    }
    let of_input = source.picture().and_then(|stream| stream.r_frame_rate);
    let of_frames = if chain.changes_times { chain.rate } else { of_input };
    let begins = chain.changes_times && words.of_input_reach.start_us.is_none() && stretch.begins_at_zero(source);
    let is_constant = |rate| match chain.changes_times {
        // A filter has made it so.
        true => begins,
        false => stretch.is_constant(words, source, rate),
    };
    let same = |rate: Rational, other: Rational| {
        i128::from(rate.numerator) * i128::from(other.denominator)
            == i128::from(other.numerator) * i128::from(rate.denominator)
    };
    match of_frames {
        Some(rate) if words.rate.is_none_or(|wanted| same(wanted, rate)) && is_constant(rate) => Ok(()),
        _ => Err(Whole::new(
            "frames are left out or doubled for a constant rate: with the filter fps it could be cut",
        )),
    }
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
        () if is(HLS) || is(DASH) => "h264",
        () if is(WEBM) => "libvpx-vp9",
        () if is(MPEGTS) => "mpeg2video",
        () => {
            return Err(Whole::new(format!(
                "the output's format, {container:?}, is none of mp4, mov, mkv, webm, ts, hls and dash"
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
        encoder if ENCODERS.contains(&encoder) => Ok(encoder),
        encoder => Err(Whole::new(format!(
            "the encoder {encoder} is not known to begin anew at any frame"
        ))),
    }
}

fn segment(
    words: &Words,
    source: &Source,
    stretch: &Stretch,
    encoder: &str,
    chain: &Chain,
    part: &Part,
    rate: Option<(u64, u32)>,
) -> Vec<String> {
    let mut args = Args::default();
    args.add(["-nostdin", "-hide_banner", "-loglevel", "error"]);
    args.add(["-copyts", "-start_at_zero"]);
    let filter_threads = words.globals.iter().position(|word| word == "-filter_threads");
    if let Some(value) = filter_threads.and_then(|at| words.globals.get(at + 1)) {
        args.add(["-filter_threads", value]);
    }
    args.add(&words.of_input);
    if let Some(start_us) = words.of_input_reach.start_us.filter(|start_us| *start_us > 0) {
        // The clock of filters.
        args.add(["-itsoffset", &format!("-{}", seconds(start_us))]);
    }
    if let Some(seek) = part.seek {
        args.add(["-noaccurate_seek", "-ss", &seconds(cuts::seek_us(source, seek))]);
    }
    args.add(["-i", &words.input, "-map", &format!("0:{}", source.picture)]);
    // Chapters would be a track of their own.
    args.add(["-map_metadata", "-1", "-map_chapters", "-1"]);
    let filters = part.filters(source, stretch, chain, words.filters.as_deref());
    if !filters.is_empty() {
        args.add(["-vf", &filters]);
    }
    if words.encoder().is_none() {
        args.add(["-c:v", encoder]);
    }
    args.add(picture(words, encoder, rate.is_some()));
    args.add(&words.of_output_reach.words);
    args.add(["-fps_mode", "vfr"]);
    if let Some((share, pass)) = rate {
        args.add(["-b:v", &share.to_string(), "-pass", &pass.to_string()]);
        args.add(["-passlogfile", &format!("{}/log", Plan::PASSES)]);
        if pass == 1 {
            args.add(["-f", "null", "-"]);
            return args.words;
        }
        // Each segment has another.
        args.add(["-write_btrt", "0"]);
    }
    args.add(["-output_ts_offset", &OFFSET_SECONDS.to_string()]);
    args.add(["-avoid_negative_ts", "disabled"]);
    args.add(["-f", container(encoder), "-movflags", FRAGMENTS]);
    args.add(["-use_editlist", "0", "pipe:1"]);
    args.words
}

/// The options of the picture, as a segment has them.
fn picture(words: &Words, encoder: &str, has_share: bool) -> Vec<String> {
    let mut picture = words.picture.clone();
    if has_share {
        let is_rate = |word: &str| matches!(word.split(':').next(), Some("-b" | "-vb"));
        while let Some(at) = picture.iter().position(|word| is_rate(word)) {
            picture.drain(at..(at + 2).min(picture.len()));
        }
    }
    if matches!(encoder, "libx264" | "h264") {
        // Parameters that depend on nothing but the options.
        match picture.iter().position(|word| word.starts_with("-x264-params")) {
            Some(at) if at + 1 < picture.len() => picture[at + 1].push_str(":stitchable=1"),
            _ => picture.extend(["-x264-params".to_owned(), "stitchable=1".to_owned()]),
        }
    }
    picture
}

/// Microseconds as ffmpeg reads seconds.
fn seconds(us: i64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
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
    args.add(&words.of_input_reach.words);
    args.add(["-i", &words.input]);
    let mut place = None;
    let chosen = streams(words, source)?;
    let starts_late = words.of_output_reach.start_us.is_some();
    if starts_late && (chosen.len() > 1 || !source.probe.chapters.is_empty()) {
        return Err(Whole::new(
            "-ss after the input is for sound and chapters as well: before the input it could be cut",
        ));
    }
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
    if let Some(length_us) = words.of_output_reach.length_us() {
        args.add(["-t", &seconds(length_us)]);
    }
    args.add(["-c:v", "copy"]);
    args.add(playlist(words)?);
    if let Some(format) = &words.format {
        args.add(["-f", format]);
    }
    args.add([partial]);
    if words.of_input_reach.start_us.is_some() && source.is(&["matroska"]) {
        // Whether packets of sound before a key frame are read depends on whether those of the picture are.
        args.add([
            "-map",
            &format!("1:{}", source.picture),
            "-c",
            "copy",
            "-f",
            "null",
            "-",
        ]);
    }
    Ok(args.words)
}

/// What makes the files of a playlist those of the whole output, rather than of the unfinished one.
fn playlist(words: &Words) -> Result<Vec<String>, Whole> {
    let container = words.container();
    if !HLS.contains(&container) && !DASH.contains(&container) {
        return Ok(Vec::new());
    }
    let value = |name: &str| {
        let at = words.other.iter().position(|word| word == name)?;
        words.other.get(at + 1).map(String::as_str)
    };
    if words.globals.iter().any(|word| word == "-progress") {
        return Err(Whole::new(
            "-progress is of the job that would count the frames of its playlist",
        ));
    }
    if value("-hls_flags").is_some_and(|flags| flags.contains("single_file") || flags.contains("append_list")) {
        return Err(Whole::new("its playlist is of one file, or goes on with another"));
    }
    if DASH.contains(&container) {
        return Ok(Vec::new());
    }
    // A file has its name when it is whole.
    let mut args = vec!["-hls_flags".to_owned(), "+temp_file".to_owned()];
    if value("-hls_segment_filename").is_none() {
        let ending = if value("-hls_segment_type") == Some("fmp4") {
            "m4s"
        } else {
            "ts"
        };
        let stem = words.output.rsplit_once('.').map_or(&*words.output, |(stem, _)| stem);
        args.extend(["-hls_segment_filename".to_owned(), format!("{stem}%d.{ending}")]);
    }
    Ok(args)
}

/// Gives the picture the tags that it has in the input. With `-map_metadata` for one stream, ffmpeg would leave those of others out.
fn tags(words: &Words, source: &Source) -> Vec<String> {
    if words.other.iter().any(|word| word == "-1") {
        return Vec::new();
    }
    const OF_SEGMENTS: [&str; 4] = ["encoder", "handler_name", "language", "vendor_id"];
    let picture = source.picture().filter(|_| !words.has_graph);
    let tags = picture.into_iter().flat_map(|stream| &stream.tags);
    let tags = tags.filter(|(name, _)| !name.eq_ignore_ascii_case("encoder"));
    let cleared = OF_SEGMENTS.map(|name| format!("{name}="));
    let tags = cleared
        .into_iter()
        .chain(tags.map(|(name, value)| format!("{name}={value}")));
    tags.flat_map(|tag| ["-metadata:s:v:0".to_owned(), tag]).collect()
}

/// Says which streams are marked as default and the like, where that is not what ffmpeg does for itself.
fn dispositions(words: &Words, source: &Source, chosen: &[u32]) -> Vec<String> {
    let picture = source.picture().filter(|_| !words.has_graph);
    let of_picture = picture.into_iter().flat_map(|stream| &stream.disposition);
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
        if HLS.contains(&container) && !words.without.contains('s') && of_kind(MediaType::Subtitle).next().is_some() {
            return Err(Whole::new(
                "subtitles of a playlist are not ones that a plan follows: with -sn it could be cut",
            ));
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
    use std::fmt::Write;

    const PROBE: &str = r#"{
        "format": { "format_name": "matroska,webm", "start_time": "1.500000" },
        "streams": [
            { "index": 0, "codec_type": "audio", "codec_name": "aac", "channels": 2, "time_base": "1/1000" },
            { "index": 1, "codec_type": "video", "codec_name": "h264", "time_base": "1/1000", "r_frame_rate": "25/1",
              "has_b_frames": 2, "disposition": { "default": 1 } },
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
            let time = 1500 + 40 * frame;
            let _ = writeln!(index, "{time},{},{flags}", 100 + frame);
        }
        Source::new(serde_json::from_str(PROBE).unwrap(), 1, &index).unwrap()
    }

    #[test]
    fn plans_follow_from_a_command_and_its_input() {
        let mut all = String::new();
        for (frames, command) in [
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
            (4000, "-i in.mkv -c:v libx265 -an out.mkv"),
            (
                300,
                "-ss 1.5 -to 0:11 -i in.mkv -vf yadif=1 -c:v libx264 -c:a copy out.mp4",
            ),
            (
                300,
                "-i in.mkv -b:v 900k -preset fast -sn -f hls -hls_time 6 a/out.m3u8",
            ),
            (
                400,
                "-i in.mkv -filter_complex [0:v]hflip[v] -map [v] -ss 1 -t 14 -c:v ffv1 out.mkv",
            ),
        ] {
            let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let plan = plan(&Words::read(&args).unwrap(), &source(frames)).unwrap();
            let _ = writeln!(all, "{command}");
            for segment in plan.segments.iter().take(3) {
                let _ = writeln!(
                    all,
                    "    {:?} to {:?}: {}",
                    segment.start,
                    segment.end,
                    segment.args.join(" ")
                );
                if let Some(first) = &segment.first_pass {
                    let _ = writeln!(all, "        after {}", first.join(" "));
                }
            }
            let _ = writeln!(all, "    of {}; {}\n", plan.segments.len(), plan.join.join(" "));
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn each_option_and_filter_that_is_not_known_leaves_a_command_whole() {
        for (command, reason) in [
            ("-i in.mkv -foo 1 out.mp4", "-foo is not known"),
            ("-i in.mkv -vf scale=2:2,tmix out.mp4", "the filter tmix"),
            ("-i in.mkv -vf hue=H=n out.mp4", "the filter hue counts frames"),
            (
                "-i in.mkv -force_key_frames expr:1 out.mp4",
                "-force_key_frames is not known",
            ),
            ("-i in.mkv -map 1:v out.mp4", "-map 1:v is not one that a plan follows"),
            ("-i in.mkv -map 0:a out.mp4", "the output has no video"),
            ("-i in.mkv -map 0:v -map 0:v out.mp4", "it maps the video twice"),
            ("-i in.mkv -c:v libtheora out.mkv", "the encoder libtheora"),
            ("-i in.mkv pipe:1", "the output is no file"),
            ("-i in.mkv -crf", "-crf has no value"),
            (
                "-i in.mkv -c:v libx265 -b:v 1M out.mp4",
                "its bit rate is one of the whole video",
            ),
            (
                "-i in.mkv -c:v libvpx-vp9 -deadline realtime -b:v 1M out.mp4",
                "its bit rate is one of the whole video",
            ),
            (
                "-i in.mkv -c:v libx265 -crf 23 -maxrate 1M -bufsize 2M out.mp4",
                "its bit rate is one of the whole video",
            ),
            (
                "-i in.mkv -c:v libx264 -x264-params zones=0,9,q=9 out.mp4",
                "zones in -x264-params",
            ),
            ("-ss 1x -i in.mkv out.mp4", "-ss 1x is not a time"),
            ("-ss 99 -i in.mkv out.mp4", "after the end"),
            ("-i in.mkv -t 0 out.mp4", "leaves nothing"),
            ("-t 3 -i in.mkv out.mp4", "too short"),
            ("-i in.mkv -ss 1 out.mp4", "-ss after the input is for sound"),
            ("-i in.mkv -vf fps=5 -t 9 out.mp4", "its filters change times"),
            ("-i in.mkv -vf fade=in:0:30 out.mp4", "the filter fade"),
            ("-i in.mkv -vf fps=30:round=up out.mp4", "the filter fps"),
            ("-i in.mkv -r 30 out.mp4", "left out or doubled"),
            (
                "-i in.mkv -f hls -hls_flags single_file out.m3u8",
                "subtitles of a playlist",
            ),
            ("-i in.mkv -sn -f hls -hls_flags single_file out.m3u8", "of one file"),
            (
                "-i in.mkv -filter_complex [0:v]split[a][b];[a][b]hstack out.mp4",
                "more than a chain",
            ),
            (
                "-i in.mkv -filter_complex [0:v]hflip[v] -map 0:a out.mp4",
                "more than a chain",
            ),
            ("-i in.mkv -c:v libx264 -flags +ilme out.mp4", "interlaced"),
            ("-i in.mkv out.webm", "libvpx-vp9 has no -crf"),
        ] {
            let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let whole = Words::read(&args)
                .and_then(|words| plan(&words, &source(300)))
                .unwrap_err();
            assert!(whole.to_string().contains(reason), "{command}: {whole}");
        }
        let whole = plan(
            &Words::read(&["-i", "a", "b.mp4"].map(str::to_owned)).unwrap(),
            &source(100),
        )
        .unwrap_err();
        assert!(whole.to_string().contains("too short"), "{whole}");
    }
}
