//! Pictures at times, each by a job of its own.

use super::call::{Call, FOLDER};
use super::frame::{Frame, picture};
use super::source::Source;
use super::wanted::Frames;
use crate::command::{Input, Output};
use crate::error::Error;
use std::time::Duration;

/// The most pixels that a picture may have: more than any camera's, and few enough to encode them in a module's 4 GiB.
const PICTURE_PIXELS_MAX: u64 = 1 << 28;

pub(super) fn at(call: &Call, frames: &Frames, times: &[Duration]) -> Result<Vec<Frame>, Error> {
    if times.is_empty() {
        return Ok(Vec::new());
    }
    let source = Source::look(call, &frames.input)?;
    check_size(&source, frames)?;
    call.all(times, |time| {
        let frame = frame_at(call, &source, frames, *time)?;
        call.keep(&frame.image)?;
        Ok(frame)
    })
}

/// Returns the picture at a time, by seeking if possible.
fn frame_at(call: &Call, source: &Source, frames: &Frames, time: Duration) -> Result<Frame, Error> {
    let failed = match seek(call, source, frames, time) {
        // Some files cannot be sought in.
        Err(error @ (Error::NoFrame { .. } | Error::Program { .. })) => error,
        result => return result,
    };
    if time.is_zero() {
        return Err(failed);
    }
    let Some(end) = source.end(call)? else {
        return Err(failed);
    };
    // A single picture is there to be seen at any time.
    if end.pictures != Some(1) && time.as_secs_f64() > source.length().map_or(end.end, |length| length.max(end.end)) {
        return Err(Error::NoFrame { time });
    }
    if time <= end.last_at() {
        let select = format!("select='gte(t,{})',", time.as_secs_f64());
        let output = single_file().frames_max(1);
        match run_single(call, source, frames, Input::file(&source.input), &select, output, time) {
            Err(Error::NoFrame { .. }) => {}
            result => return result,
        }
    }
    last(call, source, frames, time, end.last_at())
}

/// The last picture of all. The last packet may hold none, or be damaged.
fn last(call: &Call, source: &Source, frames: &Frames, time: Duration, last_at: Duration) -> Result<Frame, Error> {
    const FURTHER_BACK: Duration = Duration::from_secs(10);
    for from in [last_at, last_at.saturating_sub(FURTHER_BACK)] {
        // Each picture takes the place of the one before it.
        match run_single(call, source, frames, input(source, from), "", single_file(), time) {
            Err(Error::NoFrame { .. } | Error::Program { .. }) => {}
            result => return result,
        }
    }
    run_single(
        call,
        source,
        frames,
        input(source, Duration::ZERO),
        "",
        single_file(),
        time,
    )
}

/// The picture that FFmpeg shows first if it begins at this time.
pub(super) fn seek(call: &Call, source: &Source, frames: &Frames, time: Duration) -> Result<Frame, Error> {
    let output = single_file().frames_max(1);
    run_single(call, source, frames, input(source, time), "", output, time)
}

/// Without a reason to seek it is better not done: many formats, such as those of stills, don't take it.
fn input(source: &Source, time: Duration) -> Input {
    let input = Input::file(&source.input);
    if time.is_zero() { input } else { input.seek(time) }
}

/// A file that holds the picture that was written last.
fn single_file() -> Output {
    Output::url(format!("{FOLDER}/frame"))
        .format("image2")
        .option("update", "1")
}

fn run_single(
    call: &Call,
    source: &Source,
    frames: &Frames,
    input: Input,
    filters: &str,
    output: Output,
    time: Duration,
) -> Result<Frame, Error> {
    let filters = format!("{filters}{}", frames.format.filters(&frames.scale()));
    let command = source.command(input, &filters, frames.format.apply(output));
    let folder = call.run_into([], command, size_max_bytes(source, frames))?;
    match folder.take_file("frame") {
        Ok(file) => picture(frames.format, file, time),
        // FFmpeg finds nothing wrong with a time after the end.
        Err(_) => Err(Error::NoFrame { time }),
    }
}

pub(super) fn check_size(source: &Source, frames: &Frames) -> Result<(), Error> {
    let Some((width, height)) = source.scaled(frames.width, frames.height) else {
        return Ok(());
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PICTURE_PIXELS_MAX {
        return Err(Error::frame(format!(
            "a picture of {width}x{height} has {pixels} pixels, and may have {PICTURE_PIXELS_MAX}: ask for a smaller one"
        )));
    }
    Ok(())
}

/// As large as one picture can be, where its size is known.
pub(super) fn size_max_bytes(source: &Source, frames: &Frames) -> Option<u64> {
    let (width, height) = source.scaled(frames.width, frames.height)?;
    Some(frames.format.size_max_bytes(u64::from(width) * u64::from(height)))
}
