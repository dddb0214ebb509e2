//! How a command is cut: from its words and its input alone.

use super::args::Args;
use super::assembly;
use super::cuts::{self, Part};
use super::filters::{self, Chain};
use super::formats::{self, DASH, HLS, MATROSKA, MP4, MPEGTS, WEBM};
use super::rate::Rate;
use super::source::Source;
use super::stretch::Stretch;
use super::units::seconds;
use super::whole::Whole;
use super::words::Words;
use crate::probe::Rational;
use serde::Serialize;

/// The jobs that a command is cut into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    pub way: Way,
    /// In order; each makes the picture of its stretch as fragmented MP4 on standard output. How many there are of a video that
    /// is fed, its feeder shows, so that there are none here.
    pub segments: Vec<Segment>,
    /// The arguments of the job that joins: it has the segments, one after another, on standard input, and makes all else of the
    /// input itself. [`Plan::FIRST_TIME`] stands for the time of the first frame.
    pub join: Vec<String>,
    pub output: String,
    /// The output's name until it is whole.
    pub partial: String,
    /// The output is a playlist, so that its frames are those that the job that joins has counted.
    pub is_playlist: bool,
    /// The arguments of a job whose output has the level that the encoder takes for the whole, where segments would have others:
    /// [`Plan::LEVEL`] stands for it.
    #[serde(skip)]
    pub(super) level: Option<Vec<String>>,
    /// What segments are made of besides the input is not known, so that none is kept.
    #[serde(skip)]
    pub(super) reads_files: bool,
    #[serde(skip)]
    pub(super) may_overwrite: bool,
    #[serde(skip)]
    pub(super) inputs: Vec<String>,
}

/// How a segment's encoder comes to its frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Way {
    /// It seeks in the input, and decodes and filters them itself.
    Seek,
    /// One job decodes and filters all.
    Feed(Feed),
}

/// The jobs of a video that is fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Feed {
    /// The arguments of the job that decodes and filters. It writes raw frames as NUT to standard output, and says on standard error
    /// what they lack.
    pub feeder: Vec<String>,
    /// How many frames a segment has; the last one may have fewer.
    pub frames: u64,
    /// The arguments of the job that encodes a segment, from NUT on standard input to fragmented MP4 on standard output.
    /// [`Feed::FRAME_FILTERS`] and [`Feed::TIME_BASE`] stand for what the feeder says.
    pub segment: Vec<String>,
    /// The rate of frames that is asked for.
    #[serde(skip)]
    pub(super) rate: Option<(u64, u64)>,
    /// The rate is constant, and one that ffmpeg has for all that say none if filters do not tell it.
    #[serde(skip)]
    pub(super) is_constant: bool,
    /// The encoder is told a rate of smaller numbers otherwise.
    #[serde(skip)]
    pub(super) rate_part_max: u64,
}

impl Feed {
    /// Stands for filters that give raw frames what the encoder is to know of them.
    pub const FRAME_FILTERS: &str = "FRAME_FILTERS";

    /// Stands for the units of the encoder's times, in seconds.
    pub const TIME_BASE: &str = "TIME_BASE";

    /// Stands for the rate of frames, in the arguments of the job that joins where its container has it.
    pub const FRAME_RATE: &str = "FRAME_RATE";
}

/// A stretch of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Segment {
    /// The time of its first frame, in units of the time base of the input's video; without it, it begins with the input.
    pub start: Option<i64>,
    /// The time of the first frame after it.
    pub end: Option<i64>,
    /// How many frames it has by the input's index, where that is sure.
    #[serde(skip)]
    pub(super) frames: Option<u64>,
    /// The arguments of a job before, which counts what is hard to encode. Both have the folder [`Plan::PASSES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_pass: Option<Vec<String>>,
    pub args: Vec<String>,
}

impl Plan {
    /// Stands for the time of the first frame, in seconds, which the first segment tells.
    pub const FIRST_TIME: &str = assembly::FIRST_TIME;

    /// Stands for the level of the video.
    pub const LEVEL: &str = "LEVEL";

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

/// What each fragment has: one frame, its times as they are.
pub(super) const FRAGMENTS: &str = "+empty_moov+default_base_moof+frag_every_frame+frag_discont";

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
    // With `-t` for the output the last one ends where its own job does.
    let ends_by_index = words.of_output_reach.words.is_empty();
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
            frames: part
                .frames
                .filter(|_| at > 0 && !chain.changes_times && (at + 1 < parts.len() || ends_by_index)),
            first_pass: share.map(|_| args(1)),
            args: args(2),
        }
    });
    let partial = partial(&words.output).ok_or_else(|| Whole::new("the output's name has no ending"))?;
    let container = words.container();
    let level = parts.first().filter(|_| rate.is_some() && takes_level(words, encoder));
    let level = level.map(|part| {
        let mut args = segment(words, source, &stretch, encoder, &chain, part, None);
        let output = args.len().saturating_sub(1);
        args.splice(output..output, ["-frames:v".to_owned(), "1".to_owned()]);
        args
    });
    Ok(Plan {
        way: Way::Seek,
        segments: segments.collect(),
        join: assembly::args(words, source, encoder, &partial)?,
        output: words.output.clone(),
        partial,
        is_playlist: HLS.contains(&container) || DASH.contains(&container),
        level,
        reads_files: chain.reads_files,
        may_overwrite: words.may_overwrite,
        inputs: vec![words.input.clone()],
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
pub(super) fn check_output(words: &Words) -> Result<&str, Whole> {
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
    if stretch.offset_us != 0 {
        let sign = if stretch.offset_us < 0 { "-" } else { "" };
        args.add(["-itsoffset", &format!("{sign}{}", seconds(stretch.offset_us.abs()))]);
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
        if takes_level(words, encoder) {
            args.add(["-level", Plan::LEVEL]);
        }
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
    args.add(["-f", formats::of_segments(encoder), "-movflags", FRAGMENTS]);
    args.add(["-use_editlist", "0", "pipe:1"]);
    args.words
}

/// Whether the level of a video with a bit rate follows from that, which is another one in each segment.
fn takes_level(words: &Words, encoder: &str) -> bool {
    let params = words.value(&["x264-params", "x264opts"]).unwrap_or_default();
    matches!(encoder, "libx264" | "h264") && words.value(&["level", "maxrate"]).is_none() && !params.contains("level")
}

/// The options of the picture, as a segment has them.
pub(super) fn picture(words: &Words, encoder: &str, has_share: bool) -> Vec<String> {
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

/// `out.partial.mp4` of `out.mp4`.
pub(super) fn partial(output: &str) -> Option<String> {
    let (stem, ending) = output.rsplit_once('.')?;
    (!ending.contains('/') && !stem.is_empty()).then(|| format!("{stem}.partial.{ending}"))
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
            { "index": 1, "codec_type": "video", "codec_name": "h264", "time_base": "1/1000", "r_frame_rate": "25/1",
              "has_b_frames": 2, "disposition": { "original": 1, "default": 1, "forced": 0 },
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
            let time = 1500 + 40 * frame;
            let _ = writeln!(index, "{time},{},{flags}", 100 + frame);
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
        (
            300,
            "-ss 1.5 -to 0:11 -i in.mkv -vf yadif=1 -c:v libx264 -c:a copy out.mp4",
        ),
        (300, "-t 11.5 -i in.mkv -vf fps=30000/1001,hflip -c:a copy out.mov"),
        (300, "-i in.mkv -vf tmix=frames=5 -t 11 -an out.mp4"),
        (
            300,
            "-i in.mkv -b:v 900k -maxrate 1.2M -bufsize 2M -preset fast -sn -f hls -hls_time 6 a/out.m3u8",
        ),
        (
            400,
            "-i in.mkv -c:v libvpx-vp9 -b:v 1M -r 25 -an -seg_duration 4 out.mpd",
        ),
        (
            300,
            "-n -i in.mkv -c:v libx264 -b:v 1M -map_metadata:g -1 -map_chapters -1 -c:s mov_text out.mp4",
        ),
        (
            300,
            "-i in.mkv -b:v 1M -level 4.1 -map_metadata:s:a 0 -c:s copy out.mkv",
        ),
        (
            400,
            "-i in.mkv -filter_complex [0:v]hflip[v] -map [v] -ss 1 -t 14 -c:v ffv1 out.mkv",
        ),
    ];

    /// What is written down for the same plans in TypeScript as well: packages/npm/tests/plan.test.js reads it.
    #[test]
    fn plans_follow_from_a_command_and_its_input() {
        let read = |command: &str| Words::read(&command.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let plans = CUT.iter().map(|(frames, command)| {
            let plan = plan(&read(command).unwrap(), &source(*frames)).unwrap();
            let segments = plan.segments.iter().take(3).map(|segment| {
                json!({
                    "start": segment.start,
                    "end": segment.end,
                    "frames": segment.frames,
                    "first_pass": segment.first_pass.as_ref().map(|args| args.join(" ")),
                    "args": segment.args.join(" "),
                })
            });
            json!({
                "command": command,
                "frames": frames,
                "count": plan.segments.len(),
                "segments": segments.collect::<Vec<_>>(),
                "level": plan.level.as_ref().map(|args| args.join(" ")),
                "join": plan.join.join(" "),
                "output": plan.output,
                "partial": plan.partial,
                "is_playlist": plan.is_playlist,
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
        let [valued, flags] = crate::parallel::words::tables();
        let all = json!({
            "probe": serde_json::from_str::<serde_json::Value>(PROBE).unwrap(),
            "valued": valued,
            "flags": flags,
            "stateless": filters::STATELESS,
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
        (
            300,
            "-i in.mkv -vf scale=2:2,minterpolate out.mp4",
            "the filter minterpolate",
        ),
        (300, "-i in.mkv -vf hue=H=n out.mp4", "the filter hue counts frames"),
        (
            300,
            "-i in.mkv -vf perspective=x0=on/10 out.mp4",
            "the filter perspective counts",
        ),
        (
            300,
            "-i in.mkv -vf rotate=a=st(0,ld(0)+1) out.mp4",
            "the filter rotate counts",
        ),
        (300, "-i in.mkv -vf crop=9:9:x+1 out.mp4", "the filter crop counts"),
        (
            300,
            "-i in.mkv -vf drawtext=text=a:x=if(t\\,x+1) out.mp4",
            "the filter drawtext counts",
        ),
        (
            300,
            "-i in.mkv -vf drawtext=timecode=00 out.mp4",
            "the filter drawtext counts",
        ),
        (300, "-i in.mkv -vf vignette out.mp4", "the filter vignette"),
        (300, "-y -n -i in.mkv out.mp4", "it has both -y and -n"),
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
            "-i in.mkv -c:v libx265 -b:v 1M out.mp4",
            "its bit rate is one of the whole video",
        ),
        (
            300,
            "-i in.mkv -c:v libvpx-vp9 -deadline realtime -b:v 1M out.mp4",
            "its bit rate is one of the whole video",
        ),
        (
            300,
            "-i in.mkv -c:v libx265 -crf 23 -maxrate 1M -bufsize 2M out.mp4",
            "its bit rate is one of the whole video",
        ),
        (
            300,
            "-i in.mkv -c:v libx264 -x264-params a=1:zones=0,9,q=9 out.mp4",
            "zones in -x264-params",
        ),
        (300, "-ss 1x -i in.mkv out.mp4", "-ss 1x is not a time"),
        (300, "-ss 99 -i in.mkv out.mp4", "after the end"),
        (300, "-i in.mkv -t 0 out.mp4", "leaves nothing"),
        (300, "-t 3 -i in.mkv out.mp4", "too short"),
        (300, "-i in.mkv -ss 1 out.mp4", "-ss after the input is for sound"),
        (300, "-i in.mkv -vf fps=5 -t 9 out.mp4", "its filters change times"),
        (300, "-i in.mkv -vf fade=in:0:30 out.mp4", "the filter fade"),
        (300, "-i in.mkv -vf fps=30:round=up out.mp4", "the filter fps"),
        (300, "-i in.mkv -vf tmix=frames=200 out.mp4", "the filter tmix"),
        (300, "-i in.mkv -vf hqdn3d,tmix=60 out.mp4", "too many frames"),
        (300, "-i in.mkv -r 30 out.mp4", "left out or doubled"),
        (300, "-i in.mkv -r 29.97 out.mp4", "not a rate"),
        (300, "-i in.mkv -f hls out.m3u8", "subtitles of a playlist"),
        (
            300,
            "-i in.mkv -sn -f hls -hls_flags single_file out.m3u8",
            "of one file",
        ),
        (
            300,
            "-i in.mkv -filter_complex [0:v]split[a][b];[a][b]hstack out.mp4",
            "more than a chain",
        ),
        (
            300,
            "-i in.mkv -filter_complex [0:v]hflip[v] -map 0:a out.mp4",
            "more than a chain",
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
