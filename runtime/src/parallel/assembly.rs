//! The job that joins: how the segments and all else of the input become the output.

use super::args::Args;
use super::formats;
use super::source::Source;
use super::units;
use super::whole::Whole;
use super::words::Words;
use crate::probe::{MediaType, Stream};

/// Stands for the time of the first frame, in seconds, which the first segment tells.
pub const FIRST_TIME: &str = "FIRST_TIME";

/// The arguments of the job that joins.
pub fn args(words: &Words, source: &Source, encoder: &str, partial: &str) -> Result<Vec<String>, Whole> {
    let mut args = Args::default();
    args.add(words.globals_of_join());
    args.add([
        "-nostdin",
        "-y",
        "-f",
        formats::of_segments(encoder),
        "-itsoffset",
        FIRST_TIME,
        "-i",
        "pipe:0",
    ]);
    args.add(&words.of_input);
    args.add(&words.of_input_reach.words);
    args.add(["-i", &words.input]);
    let chosen = streams(words, source)?;
    let starts_late = words.of_output_reach.start_us.is_some();
    if starts_late && (chosen.len() > 1 || !source.probe.chapters.is_empty()) {
        return Err(Whole::new(
            "-ss after the input is for sound and chapters as well: before the input it could be cut",
        ));
    }
    args.add(maps(source, &chosen)?);
    for option in ["-map_metadata", "-map_chapters"] {
        if words.pairs_of(option).next().is_none() {
            args.add([option, "1"]);
        }
    }
    args.add(tags(words, source.picture()));
    let streams = source.probe.streams.iter();
    let streams: Vec<&Stream> = streams.filter(|stream| chosen.contains(&stream.index)).collect();
    args.add(dispositions(words, source.picture(), &streams));
    args.add(shifted(&words.other, |input| (input == 0).then_some(1))?);
    if let Some(length_us) = words.of_output_reach.length_us() {
        args.add(["-t", &units::seconds(length_us)]);
    }
    args.add(["-c:v", "copy"]);
    args.add(playlist(words)?);
    if let Some(format) = &words.format {
        args.add(["-f", format]);
    }
    args.add([partial]);
    // Where the input begins, and which packets of sound are read before a key frame, depends on whether its picture is read.
    let begins_with_all = source.is(formats::DISCONTINUOUS) && chosen.len() > 1;
    if begins_with_all || (words.of_input_reach.start_us.is_some() && source.is(&["matroska"])) {
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

/// Takes the picture from the segments, and all else from the input.
fn maps(source: &Source, chosen: &[u32]) -> Result<Vec<String>, Whole> {
    match chosen.iter().filter(|index| **index == source.picture).count() {
        1 => {}
        0 => return Err(Whole::new("the output has no video")),
        _ => return Err(Whole::new("it maps the video twice")),
    }
    let map = |index: &u32| match *index == source.picture {
        true => "0:v:0".to_owned(),
        false => format!("1:{index}"),
    };
    Ok(chosen
        .iter()
        .flat_map(|index| ["-map".to_owned(), map(index)])
        .collect())
}

/// What makes the files of a playlist those of the whole output, rather than of the unfinished one.
pub fn playlist(words: &Words) -> Result<Vec<String>, Whole> {
    let container = words.container();
    if !formats::HLS.contains(&container) && !formats::DASH.contains(&container) {
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
    if formats::DASH.contains(&container) {
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
pub fn tags(words: &Words, picture: Option<&Stream>) -> Vec<String> {
    // ffmpeg copies none to any stream then.
    let is_manual = |(name, value): (&str, &str)| match name.strip_prefix("-map_metadata") {
        Some("") => value == "-1",
        Some(specifier) => specifier.starts_with(":s"),
        None => false,
    };
    if words.pairs_of("-map_metadata").any(is_manual) {
        return Vec::new();
    }
    const OF_SEGMENTS: [&str; 4] = ["encoder", "handler_name", "language", "vendor_id"];
    let picture = picture.filter(|_| !words.has_graph);
    let tags = picture.into_iter().flat_map(|stream| &stream.tags);
    let tags = tags.filter(|(name, _)| !name.eq_ignore_ascii_case("encoder"));
    let cleared = OF_SEGMENTS.map(|name| format!("{name}="));
    let tags = cleared
        .into_iter()
        .chain(tags.map(|(name, value)| format!("{name}={value}")));
    tags.flat_map(|tag| ["-metadata:s:v:0".to_owned(), tag]).collect()
}

/// Says which streams are marked as default and the like, where that is not what ffmpeg does for itself.
pub fn dispositions(words: &Words, picture: Option<&Stream>, chosen: &[&Stream]) -> Vec<String> {
    let picture = picture.filter(|_| !words.has_graph);
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
        let of_kind = chosen.iter().filter(|stream| stream.codec_type == kind);
        let marked: Vec<bool> = of_kind
            .map(|stream| stream.disposition.get("default") == Some(&1))
            .collect();
        if marked.len() > 1 && !marked.contains(&true) {
            args.extend([format!("-disposition:{letter}:0"), "+default".to_owned()]);
        }
    }
    args
}

/// The options with the number that an input has here, where they name it.
pub fn shifted(options: &[String], number: impl Fn(usize) -> Option<usize>) -> Result<Vec<String>, Whole> {
    let mut shifted = options.to_vec();
    for at in 1..options.len() {
        if options[at - 1].starts_with("-map_metadata") || options[at - 1] == "-map_chapters" {
            let other = options[at].as_str();
            let here = match other {
                "-1" => Some(other.to_owned()),
                _ => other.parse().ok().and_then(&number).map(|number| number.to_string()),
            };
            shifted[at] =
                here.ok_or_else(|| Whole::new(format!("{} {other} is not one that a plan follows", options[at - 1])))?;
        }
    }
    Ok(shifted)
}

/// The indices of the streams that the output has, in its order.
pub fn streams(words: &Words, source: &Source) -> Result<Vec<u32>, Whole> {
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
        let subtitle = of_kind(MediaType::Subtitle).find(|stream| takes_subtitle(words, stream));
        chosen.extend(subtitle.map(|stream| stream.index));
        if formats::HLS.contains(&container)
            && !words.without.contains('s')
            && of_kind(MediaType::Subtitle).next().is_some()
        {
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

/// Whether ffmpeg takes such a subtitle for the output by itself, if it comes first.
pub fn takes_subtitle(words: &Words, stream: &Stream) -> bool {
    const PICTURES: [&str; 4] = ["dvd_subtitle", "dvb_subtitle", "hdmv_pgs_subtitle", "xsub"];
    // With an encoder that is named, it takes any.
    if ["-c:s", "-codec:s", "-scodec"]
        .iter()
        .any(|name| words.other.iter().any(|word| word == name))
    {
        return true;
    }
    let container = words.container();
    let is_text = stream
        .codec_name
        .as_deref()
        .is_some_and(|codec| !PICTURES.contains(&codec));
    is_text && (formats::MATROSKA.contains(&container) || formats::WEBM.contains(&container))
}

/// The streams that one `-map` means.
pub fn mapped(map: &str, streams: &[Stream]) -> Result<Vec<u32>, Whole> {
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
