//! How a video is fed: from its command and the descriptions of its inputs alone.

use super::command::{Command, Input};
use super::graph::Graph;
use super::said;
use crate::parallel::args::Args;
use crate::parallel::assembly::{self, FIRST_TIME};
use crate::parallel::formats::{self, DASH, HLS, MATROSKA, WEBM};
use crate::parallel::plan::{self, FRAGMENTS, Feed, OFFSET_SECONDS, Plan, Way};
use crate::parallel::rate::Rate;
use crate::parallel::units::{self, seconds};
use crate::parallel::whole::Whole;
use crate::parallel::words::is_flag;
use crate::probe::{MediaType, Probe, Rational, Stream};
use std::collections::BTreeSet;

/// What a plan needs of the module.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The formats of pixels that the encoder takes, in its order.
    pub pixels: Vec<String>,
}

/// A stream, by the numbers of its input and in it.
type Place = (usize, u32);

/// What the output has, and what is read for it.
struct Chosen {
    /// The streams of the output in its order.
    outputs: Vec<Taken>,
    /// The stream with the picture, unless it is a graph's.
    picture: Option<Place>,
    /// The graphs with the picture and with sound.
    picture_graph: Option<Graph>,
    sound_graphs: Vec<Graph>,
    /// The streams that the picture is made of, and all that one job reads.
    of_picture: BTreeSet<Place>,
    of_sound: BTreeSet<Place>,
}

enum Taken {
    Picture,
    Stream(Place),
    /// A label of a graph of sound.
    Sound(String),
}

/// How long segments are, and the shortest video that is cut into them.
const SEGMENT_MIN_SECONDS: f64 = 4.0;
const SEGMENT_MAX_SECONDS: f64 = 30.0;
const PARTS: f64 = 12.0;
const LENGTH_MIN_SECONDS: f64 = 8.0;

/// The label of the picture in the feeder's graph.
const MADE: &str = "[afmpeg_frames]";

/// The encoder whose formats of pixels a plan has to know.
pub fn encoder(command: &Command) -> Result<&str, Whole> {
    let encoder = plan::check_output(&command.words)?;
    match Rate::read(&command.words, encoder)? {
        None => Ok(encoder),
        Some(_) => Err(Whole::new(
            "its bit rate needs two passes over frames, which are fed once: -crf, -q:v and the like do not",
        )),
    }
}

pub fn plan(command: &Command, probes: &[Probe], module: &Module) -> Result<Plan, Whole> {
    let words = &command.words;
    let encoder = encoder(command)?;
    let chosen = choose(command, probes)?;
    let partial = plan::partial(&words.output).ok_or_else(|| Whole::new("the output's name has no ending"))?;
    let tail = tail(command, encoder, module)?;
    let container = words.container();
    Ok(Plan {
        way: Way::Feed(Feed {
            feeder: feeder(command, probes, &chosen, &tail)?,
            frames: frames(command, probes, &chosen)?,
            segment: segment(command, encoder),
            rate: rate(command),
            is_constant: fps_mode(command, probes, &chosen)?.iter().any(|word| word == "cfr"),
            rate_part_max: if encoder == "mpeg4" { 65535 } else { u64::MAX },
        }),
        segments: Vec::new(),
        join: join(command, probes, &chosen, encoder, &partial)?,
        output: words.output.clone(),
        partial,
        is_playlist: HLS.contains(&container) || DASH.contains(&container),
        level: None,
        reads_files: true,
        may_overwrite: words.may_overwrite,
        inputs: command.inputs.iter().map(|input| input.name.clone()).collect(),
    })
}

fn stream(probes: &[Probe], (input, index): Place) -> Option<&Stream> {
    probes.get(input)?.streams.iter().find(|stream| stream.index == index)
}

fn choose(command: &Command, probes: &[Probe]) -> Result<Chosen, Whole> {
    let mut chosen = Chosen {
        outputs: Vec::new(),
        picture: None,
        picture_graph: None,
        sound_graphs: Vec::new(),
        of_picture: BTreeSet::new(),
        of_sound: BTreeSet::new(),
    };
    let label = choose_graphs(command, probes, &mut chosen)?;
    // What has no label is there without being asked for, and first.
    if label == Some(None) {
        chosen.outputs.push(Taken::Picture);
    }
    let sounds: Vec<Option<String>> = chosen
        .sound_graphs
        .iter()
        .flat_map(|graph| graph.open())
        .map(|open| open.label)
        .collect();
    if sounds.contains(&None) {
        return Err(Whole::new("its filters make sound that has no label"));
    }
    match command.maps.is_empty() {
        true if sounds.is_empty() && label.as_ref().is_none_or(Option::is_none) => {
            automatic(command, probes, &mut chosen)?;
        }
        // ffmpeg says what is wrong with it.
        true => return Err(Whole::new("what its filters make is not mapped")),
        false => {
            for map in &command.maps {
                mapped(map, probes, label.as_ref(), &sounds, &mut chosen)?;
            }
        }
    }
    let is_mapped = |label: &Option<String>| {
        let map = label.as_ref().map(|label| format!("[{label}]"));
        command.maps.iter().any(|other| Some(other) == map.as_ref())
    };
    if !sounds.iter().all(is_mapped) {
        return Err(Whole::new("what its filters make is not mapped"));
    }
    drop_unwanted(&command.words.without, probes, &mut chosen);
    let is_picture = |taken: &&Taken| matches!(taken, Taken::Picture);
    match chosen.outputs.iter().filter(is_picture).count() {
        1 => Ok(chosen),
        0 => Err(Whole::new("the output has no video")),
        _ => Err(Whole::new("it maps several videos")),
    }
}

/// Parts the command's graph into the one with the picture and those with sound. The label of the picture, if there is a graph
/// with it.
fn choose_graphs(command: &Command, probes: &[Probe], chosen: &mut Chosen) -> Result<Option<Option<String>>, Whole> {
    let several = || Whole::new("its filters make more than one video, or sound as well");
    let mut label = None;
    let Some(text) = &command.graph else {
        return Ok(None);
    };
    let graph = Graph::read(text)?;
    graph.check()?;
    for part in graph.parts() {
        let streams = part_streams(&part, probes)?;
        if part.is_sound() {
            chosen.of_sound.extend(streams);
            chosen.sound_graphs.push(part);
            continue;
        }
        let open = part.open();
        let ([open], None) = (&open[..], &chosen.picture_graph) else {
            return Err(several());
        };
        label = Some(open.label.clone());
        chosen.of_picture.extend(streams);
        chosen.picture_graph = Some(part);
    }
    match chosen.sound_graphs.iter().any(Graph::has_unlabelled_input) {
        true => Err(Whole::new("its filters of sound do not say which streams they take")),
        false => Ok(label),
    }
}

/// Leaves out the kinds of streams that the command does not want: `-an`, `-sn`, `-dn`.
fn drop_unwanted(without: &str, probes: &[Probe], chosen: &mut Chosen) {
    let letter = |kind| match kind {
        MediaType::Audio => Some('a'),
        MediaType::Subtitle => Some('s'),
        MediaType::Data => Some('d'),
        _ => None,
    };
    chosen.outputs.retain(|taken| match taken {
        Taken::Stream(place) => !stream(probes, *place)
            .and_then(|stream| letter(stream.codec_type))
            .is_some_and(|letter| without.contains(letter)),
        _ => true,
    });
}

/// The streams of the inputs that a part of a graph takes.
fn part_streams(part: &Graph, probes: &[Probe]) -> Result<BTreeSet<Place>, Whole> {
    let mut places = BTreeSet::new();
    let wanted = if part.is_sound() {
        MediaType::Audio
    } else {
        MediaType::Video
    };
    for label in part.streams() {
        let unknown = || {
            Whole::new(format!(
                "the stream [{label}] of its filters is not one that a plan follows"
            ))
        };
        let (input, specifier) = label.split_once(':').unwrap_or((label, ""));
        let Ok(input) = input.parse::<usize>() else {
            // The names that a chain's own ends may have.
            return Err(unknown());
        };
        let streams = &probes.get(input).ok_or_else(unknown)?.streams;
        let index = match specifier {
            "" => first(streams, wanted),
            _ => assembly::mapped(&format!("0:{specifier}"), streams)
                .map_err(|_| unknown())?
                .first()
                .copied(),
        };
        places.insert((input, index.ok_or_else(unknown)?));
    }
    if part.has_unlabelled_input() && !part.is_sound() {
        // It takes the first of a kind, or is a source and takes none.
        let found = probes.iter().enumerate().find_map(|(input, probe)| {
            let index = first(&probe.streams, MediaType::Video)?;
            Some((input, index))
        });
        places.extend(found);
    }
    Ok(places)
}

fn first(streams: &[Stream], kind: MediaType) -> Option<u32> {
    let mut of_kind = streams.iter().filter(|stream| stream.codec_type == kind);
    of_kind.next().map(|stream| stream.index)
}

/// Chooses as ffmpeg does where nothing is mapped.
fn automatic(command: &Command, probes: &[Probe], chosen: &mut Chosen) -> Result<(), Whole> {
    let words = &command.words;
    let all = |kind| {
        let inputs = probes.iter().enumerate();
        inputs.flat_map(move |(input, probe)| {
            let of_kind = probe.streams.iter().filter(move |stream| stream.codec_type == kind);
            of_kind.map(move |stream| (input, stream))
        })
    };
    if chosen.picture_graph.is_none() {
        let videos = all(MediaType::Video).filter(|(_, stream)| !stream.is_attached_picture());
        let videos: Vec<(usize, &Stream)> = videos.collect();
        let [(input, video)] = videos[..] else {
            return Err(Whole::new(match videos.len() {
                0 => "the input has no video",
                _ => "there are several videos: with -map it could be fed",
            }));
        };
        take_picture((input, video.index), chosen);
    }
    // Of each input the stream with more channels, and more than that one that is marked; of these the one with most channels, the
    // first of equals.
    let is_default = |stream: &Stream| stream.disposition.get("default") == Some(&1);
    let channels = |stream: &Stream| stream.channels.unwrap_or_default();
    let best_of = |input: usize| {
        let of_input =
            all(MediaType::Audio).filter(move |(other, stream)| *other == input && stream.codec_name.is_some());
        let of_input: Vec<(usize, &Stream)> = of_input.collect();
        of_input
            .into_iter()
            .rev()
            .max_by_key(|(_, stream)| (is_default(stream), channels(stream)))
    };
    let sounds = (0..probes.len()).rev().filter_map(best_of);
    let sound = sounds.max_by_key(|(_, stream)| channels(stream));
    chosen
        .outputs
        .extend(sound.map(|(input, stream)| Taken::Stream((input, stream.index))));
    let container = words.container();
    let subtitle = all(MediaType::Subtitle).find(|(_, stream)| assembly::takes_subtitle(words, stream));
    chosen
        .outputs
        .extend(subtitle.map(|(input, stream)| Taken::Stream((input, stream.index))));
    if HLS.contains(&container) && !words.without.contains('s') && all(MediaType::Subtitle).next().is_some() {
        return Err(Whole::new(
            "subtitles of a playlist are not ones that a plan follows: with -sn it could be cut",
        ));
    }
    Ok(())
}

fn take_picture(place: Place, chosen: &mut Chosen) {
    chosen.picture = Some(place);
    chosen.of_picture.insert(place);
    chosen.outputs.push(Taken::Picture);
}

/// Takes what one `-map` means.
fn mapped(
    map: &str,
    probes: &[Probe],
    picture: Option<&Option<String>>,
    sounds: &[Option<String>],
    chosen: &mut Chosen,
) -> Result<(), Whole> {
    let unknown = || Whole::new(format!("-map {map} is not one that a plan follows"));
    if let Some(label) = map.strip_prefix('[').and_then(|map| map.strip_suffix(']')) {
        let label = Some(label.trim().to_owned());
        let taken = match () {
            () if picture == Some(&label) => Taken::Picture,
            () if sounds.contains(&label) => Taken::Sound(map.to_owned()),
            () => return Err(unknown()),
        };
        chosen.outputs.push(taken);
        return Ok(());
    }
    let (input, rest) = map.split_once(':').unwrap_or((map, ""));
    let is_optional = map.ends_with('?');
    let input: usize = input.trim_end_matches('?').parse().map_err(|_| unknown())?;
    let streams = &probes.get(input).ok_or_else(unknown)?.streams;
    let alike = if rest.is_empty() {
        "0".to_owned()
    } else {
        format!("0:{rest}")
    };
    let found = assembly::mapped(&alike, streams).map_err(|_| unknown())?;
    if found.is_empty() && !is_optional {
        return Err(Whole::new(format!("-map {map} matches no stream")));
    }
    for index in found {
        match stream(probes, (input, index)) {
            Some(stream) if stream.is_attached_picture() => return Err(Whole::new("it maps a cover picture")),
            Some(stream) if stream.codec_type == MediaType::Video => match chosen.picture {
                None => take_picture((input, index), chosen),
                Some(_) => return Err(Whole::new("it maps several videos")),
            },
            _ => chosen.outputs.push(Taken::Stream((input, index))),
        }
    }
    Ok(())
}

/// The filters after those of the command: what ffmpeg would add for the encoder, and what tells what raw frames lack.
fn tail(command: &Command, encoder: &str, module: &Module) -> Result<String, Whole> {
    let words = &command.words;
    let is_plain = |text: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte);
        !text.is_empty() && text.bytes().all(known)
    };
    let plain = |name: &str, usual: &str| {
        let value = words.value(&[name]).unwrap_or(usual);
        match is_plain(value) && !(name == "pix_fmt" && value.starts_with('+')) {
            true => Ok(value.to_owned()),
            false => Err(Whole::new(format!("-{name} {value} is not one that a plan follows"))),
        }
    };
    let mut tail = String::new();
    if words.value(&["s"]).is_some() {
        tail.push_str(&format!(
            "scale=s={}:flags={},",
            plain("s", "")?,
            plain("sws_flags", "bicubic")?
        ));
    }
    let pixels = match words.value(&["pix_fmt"]) {
        Some(_) => plain("pix_fmt", "")?,
        None if module.pixels.is_empty() => {
            return Err(Whole::new(format!(
                "the module says nothing of pixels that {encoder} takes"
            )));
        }
        None => module.pixels.join("|"),
    };
    let ranges = match words.value(&["color_range"]) {
        Some("tv" | "mpeg" | "limited" | "1") => "tv",
        Some("pc" | "jpeg" | "full" | "2") => "pc",
        Some(other) => {
            return Err(Whole::new(format!(
                "-color_range {other} is not one that a plan follows"
            )));
        }
        None if encoder == "mjpeg" && words.value(&["strict"]).is_some() => {
            return Err(Whole::new("-strict changes what mjpeg takes"));
        }
        // What an encoder says that it takes.
        None if ["ffv1", "prores", "prores_ks", "prores_aw", "mpeg4"].contains(&encoder) => "tv",
        None => "tv|pc",
    };
    let space = match words.value(&["colorspace"]) {
        Some(_) => format!(":color_spaces={}", plain("colorspace", "")?),
        None => String::new(),
    };
    tail.push_str(&format!(
        "format=pix_fmts={pixels}{space}:color_ranges={ranges},{}=checksum=0",
        said::FILTER
    ));
    Ok(tail)
}

fn add_input(args: &mut Args, input: &Input) {
    args.add(&input.options);
    args.add(&input.reach.words);
    args.add(["-i", &input.name]);
}

/// The arguments of the job that decodes and filters.
fn feeder(command: &Command, probes: &[Probe], chosen: &Chosen, tail: &str) -> Result<Vec<String>, Whole> {
    let words = &command.words;
    let mut args = Args::default();
    args.add(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]);
    let filter_threads = words.globals.iter().position(|word| word == "-filter_threads");
    if let Some(value) = filter_threads.and_then(|at| words.globals.get(at + 1)) {
        args.add(["-filter_threads", value]);
    }
    for input in &command.inputs {
        add_input(&mut args, input);
    }
    match (&chosen.picture_graph, chosen.picture) {
        (Some(graph), _) => {
            let open = graph.open();
            let open = open.first().ok_or_else(|| Whole::new("its filters make no video"))?;
            args.add(["-filter_complex", &graph.followed_by(open, tail, MADE), "-map", MADE]);
        }
        (None, Some((input, index))) => {
            args.add(["-map", &format!("{input}:{index}"), "-vf"]);
            match &command.chain {
                None => args.add([tail]),
                Some(chain) => {
                    let graph = Graph::read(chain)?;
                    graph.check()?;
                    let open = graph.open();
                    let [open] = &open[..] else {
                        return Err(Whole::new("its filters make more than one video"));
                    };
                    args.add([graph.followed_by(open, tail, "")]);
                }
            }
        }
        (None, None) => return Err(Whole::new("the output has no video")),
    }
    args.add(["-map_metadata", "-1", "-map_chapters", "-1"]);
    args.add(&words.of_output_reach.words);
    if let Some(Rational { numerator, denominator }) = words.rate {
        args.add(["-r", &format!("{numerator}/{denominator}")]);
    }
    args.add(fps_mode(command, probes, chosen)?);
    if let Some(flags) = words.value(&["sws_flags"]) {
        args.add(["-sws_flags", flags]);
    }
    args.add(["-c:v", "rawvideo", "-f", "nut", "-write_index", "0"]);
    args.add(["-avoid_negative_ts", "disabled", "pipe:1"]);
    let unread = unread(command, probes, chosen, |place| chosen.of_picture.contains(&place));
    args.add(read(&unread, |input| input));
    Ok(args.words)
}

/// How frames are left out or doubled, where the format would say it.
fn fps_mode(command: &Command, probes: &[Probe], chosen: &Chosen) -> Result<Vec<String>, Whole> {
    let words = &command.words;
    let container = words.container();
    let mode = match &command.fps_mode {
        Some(mode) => mode.as_str(),
        None if words.rate.is_some() => return Ok(Vec::new()),
        None if HLS.contains(&container) || DASH.contains(&container) => {
            // ffmpeg leaves out the beginning then, which it does not do when it is asked for a constant rate.
            let is_alone = chosen
                .picture
                .and_then(|(input, _)| probes.get(input))
                .is_some_and(|probe| probe.streams.len() == 1);
            if is_alone {
                return Err(Whole::new(
                    "frames of a playlist are at a constant rate, from where they begin",
                ));
            }
            "cfr"
        }
        None => "vfr",
    };
    Ok(["-fps_mode", mode].map(str::to_owned).into())
}

/// The rate of frames that is asked for.
fn rate(command: &Command) -> Option<(u64, u64)> {
    let rate = command.words.rate?;
    Some((
        u64::try_from(rate.numerator).ok()?,
        u64::try_from(rate.denominator).ok()?,
    ))
}

/// The streams that one job reads and this one would not, of inputs where that changes times.
fn unread(command: &Command, probes: &[Probe], chosen: &Chosen, is_read: impl Fn(Place) -> bool) -> Vec<Place> {
    let outputs = chosen.outputs.iter().filter_map(|taken| match taken {
        Taken::Stream(place) => Some(*place),
        _ => None,
    });
    let all: BTreeSet<Place> = outputs
        .chain(chosen.of_picture.clone())
        .chain(chosen.of_sound.clone())
        .collect();
    let counts = |(input, _): &Place| {
        let is = |names: &[&str]| {
            let mut formats = probes[*input].format.format_name.split(',');
            formats.any(|format| names.contains(&format))
        };
        let seeks = command.inputs[*input].reach.start_us.is_some();
        // A loop is as long as the longest of the streams that are read.
        let repeats = command.inputs[*input].options.iter().any(|word| word == "-stream_loop");
        is(formats::DISCONTINUOUS) || (seeks && is(&["matroska"])) || repeats
    };
    all.into_iter()
        .filter(counts)
        .filter(|place| !is_read(*place))
        .collect()
}

/// One more output, so that they are read.
fn read(places: &[Place], number: impl Fn(usize) -> usize) -> Vec<String> {
    if places.is_empty() {
        return Vec::new();
    }
    let mut args = Args::default();
    for (input, index) in places {
        args.add(["-map", &format!("{}:{index}", number(*input))]);
    }
    args.add(["-c", "copy", "-f", "null", "-"]);
    args.words
}

/// The arguments of the job that encodes a segment.
fn segment(command: &Command, encoder: &str) -> Vec<String> {
    let words = &command.words;
    let mut args = Args::default();
    args.add(["-nostdin", "-hide_banner", "-loglevel", "error", "-copyts"]);
    // The head says what the first frames would tell.
    args.add(["-f", "nut", "-fpsprobesize", "0", "-i", "pipe:0", "-map", "0:v:0"]);
    args.add(["-map_metadata", "-1", "-map_chapters", "-1", "-vf", Feed::FRAME_FILTERS]);
    if words.encoder().is_none() {
        args.add(["-c:v", encoder]);
    }
    let mut picture = plan::picture(words, encoder, false);
    // They were scaled before.
    let scales = |word: &String| matches!(word.split(':').next(), Some("-s" | "-sws_flags"));
    while let Some(at) = picture.iter().position(scales) {
        picture.drain(at..(at + 2).min(picture.len()));
    }
    args.add(picture);
    args.add(["-fps_mode", "passthrough", "-enc_time_base", Feed::TIME_BASE]);
    args.add(["-output_ts_offset", &OFFSET_SECONDS.to_string()]);
    args.add(["-avoid_negative_ts", "disabled"]);
    args.add(["-f", formats::of_segments(encoder), "-movflags", FRAGMENTS]);
    args.add(["-use_editlist", "0", "pipe:1"]);
    args.words
}

/// The inputs that the job which joins reads behind the segments.
struct Joined {
    needed: BTreeSet<usize>,
    /// The first one with chapters has those of the output.
    chapters: Option<usize>,
}

impl Joined {
    fn new(command: &Command, probes: &[Probe], chosen: &Chosen) -> Joined {
        let words = &command.words;
        let chapters = match words.pairs_of("-map_chapters").next() {
            Some(_) => None,
            None => probes.iter().position(|probe| !probe.chapters.is_empty()),
        };
        let named = words.pairs_of("-map_metadata").chain(words.pairs_of("-map_chapters"));
        let named = named.filter_map(|(_, input)| input.parse::<usize>().ok());
        let mut needed: BTreeSet<usize> = chosen.of_sound.iter().map(|(input, _)| *input).collect();
        needed.extend(chosen.outputs.iter().filter_map(|taken| match taken {
            Taken::Stream((input, _)) => Some(*input),
            _ => None,
        }));
        needed.extend(chapters);
        needed.extend(named.filter(|input| *input < command.inputs.len()));
        if words.pairs_of("-map_metadata").next().is_none() {
            needed.insert(0);
        }
        Joined { needed, chapters }
    }

    /// The number that an input has in the job.
    fn number(&self, input: usize) -> Option<usize> {
        self.needed.iter().position(|other| *other == input).map(|at| at + 1)
    }

    /// The label or map of an input's stream by that number.
    fn label(&self, label: &str) -> String {
        let (input, rest) = label.split_once(':').unwrap_or((label, ""));
        let number = input.parse().ok().and_then(|input| self.number(input));
        let separator = if rest.is_empty() { "" } else { ":" };
        number.map_or_else(|| label.to_owned(), |number| format!("{number}{separator}{rest}"))
    }

    /// The graph of the output's sound.
    fn sound_graph(&self, chosen: &Chosen) -> String {
        let graphs = chosen.sound_graphs.iter().map(|graph| {
            let streams: Vec<String> = graph.streams().into_iter().map(str::to_owned).collect();
            graph.text(|label| match streams.iter().any(|stream| stream == label) {
                true => self.label(label),
                false => label.to_owned(),
            })
        });
        graphs.collect::<Vec<_>>().join(";")
    }

    fn map(&self, taken: &Taken) -> String {
        match taken {
            Taken::Picture => "0:v:0".to_owned(),
            Taken::Sound(label) => label.clone(),
            Taken::Stream((input, index)) => self.label(&format!("{input}:{index}")),
        }
    }

    /// The streams that nothing takes, read all the same as one job does.
    fn unread(&self, command: &Command, probes: &[Probe], chosen: &Chosen) -> Vec<String> {
        let is_read = |place: Place| {
            let is_there = |taken: &Taken| matches!(taken, Taken::Stream(other) if *other == place);
            chosen.of_sound.contains(&place) || chosen.outputs.iter().any(is_there)
        };
        let mut unread = unread(command, probes, chosen, is_read);
        unread.retain(|(input, _)| self.needed.contains(input));
        read(&unread, |input| self.number(input).unwrap_or_default())
    }
}

/// The arguments of the job that joins.
fn join(
    command: &Command,
    probes: &[Probe],
    chosen: &Chosen,
    encoder: &str,
    partial: &str,
) -> Result<Vec<String>, Whole> {
    let words = &command.words;
    let joined = Joined::new(command, probes, chosen);
    let has_more = chosen.outputs.len() > 1 || !probes.iter().all(|probe| probe.chapters.is_empty());
    let start_us = words.of_output_reach.start_us.filter(|_| has_more);

    let mut args = Args::default();
    args.add(words.globals_of_join());
    args.add(["-nostdin", "-y", "-f", formats::of_segments(encoder), "-itsoffset"]);
    match start_us {
        None => args.add([FIRST_TIME]),
        Some(start_us) => args.add([format!("{FIRST_TIME}+{}", seconds(start_us))]),
    }
    args.add(["-i", "pipe:0"]);
    for input in &joined.needed {
        add_input(&mut args, &command.inputs[*input]);
    }
    if !chosen.sound_graphs.is_empty() {
        args.add(["-filter_complex", &joined.sound_graph(chosen)]);
    }
    for taken in &chosen.outputs {
        args.add(["-map", &joined.map(taken)]);
    }
    if words.pairs_of("-map_metadata").next().is_none() {
        args.add(["-map_metadata", "1"]);
    }
    if let Some(number) = joined.chapters.and_then(|input| joined.number(input)) {
        args.add(["-map_chapters", &number.to_string()]);
    }
    let picture = chosen.picture.and_then(|place| stream(probes, place));
    let streams = chosen.outputs.iter().filter_map(|taken| match taken {
        Taken::Stream(place) => stream(probes, *place),
        _ => None,
    });
    args.add(assembly::tags(words, picture));
    args.add(assembly::dispositions(words, picture, &streams.collect::<Vec<_>>()));
    args.add(assembly::shifted(&words.other, |input| joined.number(input))?);
    if let Some(start_us) = start_us {
        args.add(["-ss", &seconds(start_us)]);
    }
    if let Some(length_us) = words.of_output_reach.length_us() {
        if length_us <= 0 {
            return Err(Whole::new("its -t or -to leaves nothing"));
        }
        args.add(["-t", &seconds(length_us)]);
    }
    args.add(["-c:v", "copy"]);
    if tells_rate(command) {
        args.add(["-r:v", Feed::FRAME_RATE]);
    }
    args.add(assembly::playlist(words)?);
    if let Some(format) = &words.format {
        args.add(["-f", format]);
    }
    args.add([partial]);
    args.add(joined.unread(command, probes, chosen));
    Ok(args.words)
}

/// Whether the container says a rate of frames, which the job that joins would take from the times of the first ones.
fn tells_rate(command: &Command) -> bool {
    let container = command.words.container();
    MATROSKA.contains(&container) || WEBM.contains(&container)
}

/// How many frames a segment has.
fn frames(command: &Command, probes: &[Probe], chosen: &Chosen) -> Result<u64, Whole> {
    // How long what is read of an input is, as far as it says.
    let length = |input: usize| {
        let given = &command.inputs[input];
        let repeats = ["-loop", "-stream_loop"]
            .iter()
            .any(|name| given.options.iter().any(|word| word == name));
        let start = given.reach.start_us.unwrap_or_default() as f64 / 1e6;
        let all = probes[input]
            .format
            .duration
            .filter(|_| !repeats)
            .map(|all| all - start);
        let wanted = given.reach.length_us().map(|length_us| length_us as f64 / 1e6);
        match (all, wanted) {
            (Some(all), Some(wanted)) => Some(all.min(wanted)),
            (all, wanted) => all.or(wanted),
        }
    };
    let inputs: BTreeSet<usize> = chosen.of_picture.iter().map(|(input, _)| *input).collect();
    let lengths: Vec<f64> = inputs.iter().filter_map(|input| length(*input)).collect();
    let mut length = lengths.into_iter().reduce(f64::max);
    let start = command.words.of_output_reach.start_us.unwrap_or_default() as f64 / 1e6;
    length = length.map(|length| length - start);
    if let Some(length_us) = command.words.of_output_reach.length_us() {
        let wanted = length_us as f64 / 1e6;
        length = Some(length.map_or(wanted, |length| length.min(wanted)));
    }
    if length.is_some_and(|length| length < LENGTH_MIN_SECONDS) {
        return Err(Whole::new("the video is too short"));
    }
    let seconds = (length.unwrap_or(f64::MAX) / PARTS).clamp(SEGMENT_MIN_SECONDS, SEGMENT_MAX_SECONDS);
    let graph = command
        .graph
        .as_deref()
        .or(command.chain.as_deref())
        .and_then(|text| Graph::read(text).ok());
    let of_filter = graph.and_then(|graph| graph.rate()).and_then(|rate| units::rate(&rate));
    // Graphs of several videos may make a frame for each of each.
    let of_inputs = chosen.of_picture.iter().filter_map(|place| stream(probes, *place));
    let mut of_inputs: Vec<f64> = of_inputs
        .filter_map(|stream| stream.avg_frame_rate.and_then(Rational::value))
        .collect();
    of_inputs.sort_by(f64::total_cmp);
    of_inputs.dedup();
    let given = command.words.rate.or(of_filter).and_then(Rational::value);
    let rate = given.or_else(|| Some(of_inputs.iter().sum()));
    let rate = rate.filter(|rate| (1.0..=1000.0).contains(rate)).unwrap_or(25.0);
    Ok((seconds * rate).round().max(1.0) as u64)
}

/// What ffprobe is told of an input before its name.
pub fn probe_args(input: &Input) -> Vec<String> {
    const KNOWN: &[&str] = &[
        "f",
        "framerate",
        "pattern_type",
        "pixel_format",
        "safe",
        "start_number",
        "video_size",
    ];
    let mut args = Vec::new();
    let mut options = input.options.iter();
    while let Some(option) = options.next() {
        let name = option.trim_start_matches('-');
        let value = if is_flag(name) { None } else { options.next() };
        if let Some(value) = value.filter(|_| KNOWN.contains(&name)) {
            args.extend([option.clone(), value.clone()]);
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILM: &str = r#"{
        "format": { "format_name": "matroska,webm", "duration": "96" },
        "streams": [
            { "index": 0, "codec_type": "video", "codec_name": "h264", "avg_frame_rate": "24/1", "disposition": { "default": 1 } },
            { "index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 2, "disposition": { "default": 1 } },
            { "index": 2, "codec_type": "subtitle", "codec_name": "subrip" }
        ]
    }"#;
    const STREAM: &str = r#"{
        "format": { "format_name": "mpegts", "duration": "100" },
        "streams": [
            { "index": 0, "codec_type": "audio", "codec_name": "mp2", "channels": 6 },
            { "index": 1, "codec_type": "video", "codec_name": "h264", "avg_frame_rate": "50/1" }
        ],
        "chapters": [{ "id": 0, "start_time": "0", "end_time": "9" }]
    }"#;
    const LOGO: &str = r#"{
        "format": { "format_name": "png_pipe" },
        "streams": [{ "index": 0, "codec_type": "video", "codec_name": "png", "avg_frame_rate": "25/1" }]
    }"#;

    fn planned(command: &str, probes: &[&str]) -> Result<Plan, Whole> {
        let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let probes: Vec<Probe> = probes
            .iter()
            .map(|probe| serde_json::from_str(probe).unwrap())
            .collect();
        let module = Module {
            pixels: ["yuv420p", "yuv444p"].map(str::to_owned).into(),
        };
        plan(&Command::read(&args)?, &probes, &module)
    }

    fn feed(plan: &Plan) -> &Feed {
        match &plan.way {
            Way::Feed(feed) => feed,
            Way::Seek => panic!("it is cut by seeking"),
        }
    }

    const FORMAT: &str = "format=pix_fmts=yuv420p|yuv444p:color_ranges=tv|pc,showinfo@afmpeg=checksum=0";

    #[test]
    fn a_chain_is_fed_from_one_input() {
        let command = "-v error -y -ss 6 -i a.mkv -vf minterpolate=fps=48 -ss 1 -t 48 -c:v libx264 -crf 20 -c:a copy -metadata x=y b.mkv";
        let plan = planned(command, &[FILM]).unwrap();
        let fed = feed(&plan);
        assert_eq!(
            fed.feeder.join(" "),
            format!(
                "-nostdin -hide_banner -nostats -loglevel level+info -ss 6 -i a.mkv -map 0:0 -vf minterpolate=fps=48[afmpeg_made];\
                 [afmpeg_made]{FORMAT} -map_metadata -1 -map_chapters -1 -ss 1 -t 48 -fps_mode vfr -c:v rawvideo -f nut \
                 -write_index 0 -avoid_negative_ts disabled pipe:1 -map 0:1 -map 0:2 -c copy -f null -"
            )
        );
        assert_eq!(fed.frames, 192);
        assert_eq!(
            fed.segment.join(" "),
            "-nostdin -hide_banner -loglevel error -copyts -f nut -fpsprobesize 0 -i pipe:0 -map 0:v:0 -map_metadata -1 \
             -map_chapters -1 -vf FRAME_FILTERS -c:v libx264 -crf 20 -x264-params stitchable=1 -fps_mode passthrough \
             -enc_time_base TIME_BASE -output_ts_offset 1000 -avoid_negative_ts disabled -f mp4 -movflags \
             +empty_moov+default_base_moof+frag_every_frame+frag_discont -use_editlist 0 pipe:1"
        );
        assert_eq!(
            plan.join.join(" "),
            "-v error -nostdin -y -f mp4 -itsoffset FIRST_TIME+1.000000 -i pipe:0 -ss 6 -i a.mkv -map 0:v:0 -map 1:1 -map 1:2 \
             -map_metadata 1 -metadata:s:v:0 encoder= -metadata:s:v:0 handler_name= -metadata:s:v:0 language= \
             -metadata:s:v:0 vendor_id= -c:a copy -metadata x=y -ss 1.000000 -t 48.000000 -c:v copy -r:v FRAME_RATE b.partial.mkv -map 1:0 -c copy \
             -f null -"
        );
    }

    #[test]
    fn a_graph_is_fed_from_several_inputs() {
        let command = "-i a.mkv -i b.ts -loop 1 -i c.png -filter_complex \
                       [1:v][2]overlay=shortest=1[v];[0:a]volume=2[s] -map [v] -map [s] -map 1:a -r 25 -s 64x32 out.mp4";
        let plan = planned(command, &[FILM, STREAM, LOGO]).unwrap();
        let fed = feed(&plan).feeder.join(" ");
        let graph = format!("[1:v][2]overlay=shortest=1[v];[v]scale=s=64x32:flags=bicubic,{FORMAT}[afmpeg_frames]");
        assert!(
            fed.contains(&format!(
                "-loop 1 -i c.png -filter_complex {graph} -map [afmpeg_frames]"
            )),
            "{fed}"
        );
        assert!(
            fed.contains("-r 25/1 -c:v rawvideo") && !fed.contains("fps_mode"),
            "{fed}"
        );
        assert!(fed.ends_with("pipe:1 -map 1:0 -c copy -f null -"), "{fed}");
        assert_eq!(feed(&plan).frames, 208);
        assert!(!feed(&plan).segment.contains(&"-s".to_owned()));
        let join = plan.join.join(" ");
        assert!(
            join.contains("-i pipe:0 -i a.mkv -i b.ts -filter_complex [1:a]volume=2[s] -map 0:v:0 -map [s] -map 2:0"),
            "{join}"
        );
        assert!(join.contains("-map_metadata 1 -map_chapters 2 "), "{join}");
        assert!(join.ends_with("out.partial.mp4 -map 2:1 -c copy -f null -"), "{join}");
    }

    #[test]
    fn what_would_not_be_the_same_is_left_whole() {
        for (command, reason) in [
            ("-i a.mkv -vf minterpolate -b:v 1M b.mp4", "two passes"),
            (
                "-i a.mkv -vf fps=30,psnr b.mp4",
                "the filter psnr is for what it prints",
            ),
            ("-i a.mkv -i a.mkv b.mp4", "several videos"),
            (
                "-i a.mkv -filter_complex split[a][b] -map [a] -map [b] b.mp4",
                "more than one video",
            ),
            (
                "-i a.mkv -filter_complex [0:v]null[v];[0:a]anull[a] -map [v] b.mp4",
                "not mapped",
            ),
            ("-i a.mkv -filter_complex [7:v]null b.mp4", "[7:v]"),
            ("-i a.mkv -filter_complex [0:v]null[v] b.mp4", "not mapped"),
            ("-i a.mkv -vf tblend -pix_fmt yuv420p|x b.mp4", "-pix_fmt yuv420p|x"),
            ("-i a.mkv -map 0:v -map 0:v b.mp4", "several videos"),
            ("-i a.mkv -map 0:a b.mp4", "no video"),
            ("-t 3 -i a.mkv b.mp4", "too short"),
            ("-i pipe:0 b.mp4", "only once"),
            ("-sseof -9 -i a.mkv b.mp4", "-sseof before the input"),
            ("-i a.mkv -i b.mp4", "no input and output"),
        ] {
            let count = command.matches("-i ").count();
            let whole = planned(command, &[FILM, FILM][..count]).unwrap_err().to_string();
            assert!(whole.contains(reason), "{command}: {whole}");
        }
    }
}
