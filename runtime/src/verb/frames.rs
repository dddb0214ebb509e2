//! `afmpeg frames`: pictures of a video.

use super::failure::Failure;
use super::info::print;
use super::input::{self, FOLDER, Given};
use super::module;
use super::run::limits;
use crate::cli::{self, Sandbox};
use afmpeg::Frames;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

pub fn run(args: cli::Frames, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let as_asked = match args.image.extension().and_then(|extension| extension.to_str()) {
        Some("png") => Frames::png,
        Some("jpg" | "jpeg") => Frames::jpeg,
        _ => {
            let message = format!("{}: the name must end in .png, .jpg or .jpeg", args.image.display());
            return Err(Failure::usage(message));
        }
    };
    let deadline = sandbox.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    // Pictures are sought for, so that a pipe must first be a file.
    let video = match input::open(&args.video, args.pipe.pipe_max)? {
        Given::File(file) => file,
        Given::Pipe(pipe) => pipe.into_file(deadline)?,
    };
    let mut frames = as_asked(Frames::of(video.name));
    if !args.at.is_empty() {
        frames = frames.at(args.at);
    } else if let Some(interval) = args.every {
        frames = frames.every(interval);
    } else if let Some((columns, rows)) = args.sheet {
        frames = frames.contact_sheet(columns, rows);
    }
    frames = args.width.into_iter().fold(frames, Frames::width);
    frames = args.height.into_iter().fold(frames, Frames::height);

    let runtime = module::runtime(sandbox)?;
    let made = runtime.frames(&frames, |job| {
        let job = limits(job, sandbox).file_system(FOLDER, video.folder.clone());
        deadline.into_iter().fold(job, |job, deadline| {
            job.timeout(deadline.saturating_duration_since(Instant::now()))
        })
    })?;
    let count = made.len();
    let mut described = Vec::new();
    for (index, frame) in made.iter().enumerate() {
        let path = if count == 1 {
            args.image.clone()
        } else {
            numbered(&args.image, index + 1, count)
        };
        save(&path, &frame.image).map_err(|error| Failure::setup(format!("{}: {error}", path.display())))?;
        described.push(json!({
            "file": path,
            "time_seconds": frame.time.as_secs_f64(),
            "width": frame.width,
            "height": frame.height,
        }));
    }
    if args.json {
        print(&format!("{:#}", json!(described)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `frame.png` as `frame-07.png`, with as many digits as the last number has, but at least three.
fn numbered(path: &Path, number: usize, count: usize) -> PathBuf {
    let digits = count.to_string().len().max(3);
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(
        "{}-{number:0digits$}.{}",
        part(path.file_stem()),
        part(path.extension())
    ))
}

/// Writes a file such that no partial file is ever seen.
fn save(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    #[cfg(not(unix))]
    let builder = tempfile::Builder::new();
    // Others may read a picture as they may other files: the process's own mask decides.
    #[cfg(unix)]
    let builder = {
        let mut builder = tempfile::Builder::new();
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder
    };
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
