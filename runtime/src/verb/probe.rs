//! `afmpeg probe`: what a media file is.

use super::info::print;
use super::{Failure, module};
use crate::cli::{self, Sandbox};
use crate::verb::run::limits;
use afmpeg::probe::{MediaType, Probe, Rational, Stream};
use afmpeg::{Job, MemoryFs, Stdin};
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(args: cli::Probe, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let job = match args.file.to_str() {
        Some("-") => Job::probe("pipe:0").stdin(Stdin::Inherit),
        _ => {
            let (folder, name) = alone(&args.file)?;
            Job::probe(name).file_system(FOLDER, Arc::new(folder))
        }
    };
    let probe = module::runtime(sandbox)?.probe(limits(job, sandbox))?;
    if args.json {
        let json = serde_json::to_string_pretty(&probe).map_err(|error| Failure::job(error.to_string()))?;
        print(&json)?;
    } else {
        print(&summary(&probe))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a file that the user names is found by the program.
pub const FOLDER: &str = "/input";

/// A file system with nothing but this file, and its name there: the program sees none of its neighbours.
pub fn alone(path: &Path) -> Result<(MemoryFs, String), Failure> {
    let failed = |error| Failure::job(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    // FFmpeg tells some formats by a name's ending.
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("media");
    let is_plain = extension.chars().all(|character| character.is_ascii_alphanumeric());
    let name = format!("file.{}", if is_plain { extension } else { "media" });
    let folder = MemoryFs::new(0);
    folder.add_reader(&name, Arc::new(file)).map_err(failed)?;
    Ok((folder, format!("{FOLDER}/{name}")))
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
    lines.extend(probe.streams.iter().map(stream));
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
            if let (Some(width), Some(height)) = (stream.width, stream.height) {
                words.push(format!("{width}x{height}"));
            }
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
