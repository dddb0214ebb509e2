//! `afmpeg probe`: describes a media file.

use super::failure::Failure;
use super::info::print;
use super::input::{self, Alone, FOLDER, Given};
use super::module;
use super::run::limits;
use crate::cli::{self, Sandbox};
use afmpeg::probe::{MediaType, Probe, Rational, Stream, StreamGroup, TileGrid};
use afmpeg::{Error, Job, Stdin};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

pub fn run(args: cli::Probe, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let runtime = module::runtime(sandbox)?;
    let deadline = sandbox.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let probe = match input::open(&args.file, args.pipe.pipe_max)? {
        Given::File(file) => runtime.probe(file_job(file, sandbox, deadline))?,
        Given::Pipe(pipe) => {
            let reader = pipe.reader().map_err(|error| Failure::job(error.to_string()))?;
            // A stream can be described by its beginning, and may have no end.
            let job = Job::probe("pipe:0").stdin(Stdin::Reader(Box::new(reader)));
            match runtime.probe(limits(job, sandbox)) {
                // Some formats can only be read with the end of the file available.
                Err(Error::Program { .. }) => runtime.probe(file_job(pipe.into_file(deadline)?, sandbox, deadline))?,
                result => result?,
            }
        }
    };
    if args.json {
        let json = serde_json::to_string_pretty(&probe).map_err(|error| Failure::job(error.to_string()))?;
        print(&json)?;
    } else {
        print(&summary(&probe))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn file_job(file: Alone, sandbox: &Sandbox, deadline: Option<Instant>) -> Job {
    let job = limits(Job::probe(file.name).file_system(FOLDER, file.folder), sandbox);
    deadline.into_iter().fold(job, |job, deadline| {
        job.timeout(deadline.saturating_duration_since(Instant::now()))
    })
}

fn summary(probe: &Probe) -> String {
    let format = &probe.format;
    let mut lines = vec![format!(
        "format    {}",
        format.format_long_name.as_ref().unwrap_or(&format.format_name)
    )];
    lines.extend(format.duration.map(|seconds| format!("duration  {}", time(seconds))));
    lines.extend(
        format
            .size
            .map(|bytes| format!("size      {:.1} MB", bytes as f64 / 1e6)),
    );
    lines.extend(format.bit_rate.map(|bits| format!("bit rate  {} kbit/s", bits / 1000)));
    // A picture in tiles is one line, and not one for each tile.
    let mut tiles = BTreeSet::new();
    for group in &probe.stream_groups {
        if let Some(grid) = group.tile_grid() {
            tiles.extend(group.streams.iter().map(|stream| stream.index));
            lines.push(tiled(group, grid));
        }
    }
    let others = probe.streams.iter().filter(|stream| !tiles.contains(&stream.index));
    lines.extend(others.map(stream));
    for chapter in &probe.chapters {
        let title = chapter.tags.get("title").map_or("", String::as_str);
        lines.push(format!(
            "chapter   {} {title}",
            time(chapter.start_time.unwrap_or_default())
        ));
    }
    lines.join("\n")
}

fn stream(stream: &Stream) -> String {
    let mut words = vec![stream.codec_name.clone().unwrap_or_else(|| "unknown codec".to_owned())];
    words.extend(stream.profile.clone());
    match stream.codec_type {
        MediaType::Video => {
            words.extend(size(
                stream.display_width.zip(stream.display_height),
                stream.width.zip(stream.height),
                stream.rotation_degrees,
                stream.sample_aspect_ratio,
            ));
            words.extend(stream.pix_fmt.clone());
            let rate = stream.avg_frame_rate.and_then(Rational::value);
            words.extend(rate.map(|rate| format!("{} fps", (rate * 1000.0).round() / 1000.0)));
        }
        MediaType::Audio => {
            words.extend(stream.sample_rate.map(|rate| format!("{rate} Hz")));
            words.extend(
                stream
                    .channel_layout
                    .clone()
                    .or_else(|| Some(format!("{} channels", stream.channels?))),
            );
        }
        _ => {}
    }
    words.extend(stream.bit_rate.map(|bits| format!("{} kbit/s", bits / 1000)));
    words.extend(stream.tags.get("language").cloned());
    let kind = match stream.codec_type {
        MediaType::Video => "video",
        MediaType::Audio => "audio",
        MediaType::Subtitle => "subtitle",
        MediaType::Data => "data",
        MediaType::Attachment => "attached",
        _ => "other",
    };
    format!("{kind:<8}  {}", words.join(", "))
}

/// The size as displayed, and how it comes about where that is not how it is stored.
fn size(
    displayed: Option<(u32, u32)>,
    stored: Option<(u32, u32)>,
    rotation_degrees: u32,
    sample_aspect_ratio: Option<Rational>,
) -> Option<String> {
    let (width, height) = displayed.or(stored)?;
    let (stored_width, stored_height) = stored?;
    let mut notes = Vec::new();
    if (width, height) != (stored_width, stored_height) {
        notes.push(format!("stored {stored_width}x{stored_height}"));
    }
    if rotation_degrees != 0 {
        notes.push(format!("rotated {rotation_degrees} degrees clockwise"));
    }
    let is_square = |ratio: &Rational| ratio.value().is_none_or(|value| value == 1.0 || value == 0.0);
    if let Some(ratio) = sample_aspect_ratio.filter(|ratio| !is_square(ratio)) {
        notes.push(format!("pixels {}:{}", ratio.numerator, ratio.denominator));
    }
    Some(match notes.is_empty() {
        true => format!("{width}x{height}"),
        false => format!("{width}x{height} ({})", notes.join(", ")),
    })
}

/// A picture that is put together of tiles; what they are is the same for all.
fn tiled(group: &StreamGroup, grid: &TileGrid) -> String {
    let tile = group.streams.first();
    let mut words = Vec::new();
    words.extend(tile.and_then(|tile| tile.codec_name.clone()));
    words.extend(tile.and_then(|tile| tile.profile.clone()));
    words.extend(size(
        grid.display_width.zip(grid.display_height),
        grid.width.zip(grid.height),
        grid.rotation_degrees,
        None,
    ));
    words.extend(tile.and_then(|tile| tile.pix_fmt.clone()));
    words.push(format!("{} tiles", group.streams.len()));
    format!("{:<8}  {}", "picture", words.join(", "))
}

fn time(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let thousandths = ((seconds.max(0.0) - whole as f64) * 1000.0) as u64;
    format!(
        "{}:{:02}:{:02}.{thousandths:03}",
        whole / 3600,
        whole / 60 % 60,
        whole % 60
    )
}
