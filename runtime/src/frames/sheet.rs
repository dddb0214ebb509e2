//! Many pictures of one video: in one pass over it, or each sought for; and the sheet that they are put together to.

use super::call::{Call, FOLDER};
use super::format::{Format, PAM};
use super::frame::{Frame, picture};
use super::single::{check_size, seek, size_max_bytes};
use super::source::{End, Source};
use super::wanted::Frames;
use crate::command::{Command, Input, Output};
use crate::error::Error;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The default width of the pictures of a sheet, in pixels.
const WIDTH_DEFAULT: u32 = 320;

/// The most pixels that a sheet may have. Its parts are in memory as well, with four bytes a pixel.
const SHEET_PIXELS_MAX: u64 = 1 << 26;

const PICTURES_MAX: u32 = 10_000;

/// The most pictures in the video, per requested one, for which all of it is decoded in one pass. Seeking decodes too:
/// on average half of the pictures between two keyframes.
const PASS_MAX: u64 = 60;

pub fn make(call: &Call, frames: &Frames, columns: u32, rows: u32) -> Result<Vec<Frame>, Error> {
    let count = columns
        .checked_mul(rows)
        .filter(|count| (1..=PICTURES_MAX).contains(count));
    let count = count.ok_or_else(|| Error::frame(format!("a contact sheet has from 1 to {PICTURES_MAX} pictures")))?;
    let source = Source::look(call, &frames.input)?;
    let mut parts = Frames {
        format: Format::Rgba,
        ..frames.clone()
    };
    if frames.width.is_none() && frames.height.is_none() {
        parts.width = Some(WIDTH_DEFAULT);
    }
    let size = source.scaled(parts.width, parts.height);
    if let Some((width, height)) = size {
        check_sheet(columns, rows, width, height)?;
    }
    check_size(&source, &parts)?;
    let end = source.end(call)?;
    let end = end.ok_or(Error::NoFrame { time: Duration::ZERO })?;
    // All of one size, even if the video changes its own. A single picture may say itself how it is to be turned.
    if let Some((width, height)) = size.filter(|_| end.pictures != Some(1) && !source.is_tiled()) {
        (parts.width, parts.height) = (Some(width), Some(height));
    }
    let files = pictures(call, &source, &parts, count, &end)?;
    let first = picture(Format::Rgba, files[0].clone(), Duration::ZERO)?;
    check_sheet(columns, rows, first.width, first.height)?;

    let named = files
        .into_iter()
        .enumerate()
        .map(|(index, file)| (format!("part{index:05}.{PAM}"), file));
    let input = Input::url(format!("{FOLDER}/part%05d.{PAM}"))
        .format("image2")
        .option("c:v", PAM);
    let output = Output::url(format!("{FOLDER}/sheet"))
        .format("image2")
        .option("update", "1")
        .frames_max(1)
        .video_filter(format!("tile={columns}x{rows},{}", frames.format.filters("iw:ih")));
    let command = Command::new().input(input).output(frames.format.apply(output));
    let pixels = u64::from(first.width) * u64::from(first.height) * u64::from(count);
    let folder = call.run_into(named, command, Some(frames.format.size_max_bytes(pixels)))?;
    let file = folder.take_file("sheet").map_err(|source| Error::Frame { source })?;
    call.keep(&file)?;
    Ok(vec![picture(frames.format, file, time_of(0, count, &end))?])
}

fn check_sheet(columns: u32, rows: u32, width: u32, height: u32) -> Result<(), Error> {
    let sides = [columns, rows, width, height].map(u128::from);
    let pixels: u128 = sides.into_iter().product();
    if pixels <= u128::from(SHEET_PIXELS_MAX) {
        return Ok(());
    }
    Err(Error::frame(format!(
        "a sheet of {columns}x{rows} pictures of {width}x{height} has {pixels} pixels, and may have {SHEET_PIXELS_MAX}: \
         ask for fewer or smaller pictures"
    )))
}

/// The middle of each part of the video, as far as there are pictures.
fn time_of(index: u32, count: u32, end: &End) -> Duration {
    let time = end.end * (f64::from(index) + 0.5) / f64::from(count);
    Duration::try_from_secs_f64(time).map_or(Duration::ZERO, |time| time.min(end.last_at()))
}

/// Returns the files of this number of pictures, at even intervals.
fn pictures(call: &Call, source: &Source, frames: &Frames, count: u32, end: &End) -> Result<Vec<Bytes>, Error> {
    let all = end.pictures.or_else(|| source.pictures());
    if all.is_none_or(|all| all > PASS_MAX * u64::from(count))
        && let Some(found) = seek_all(call, source, frames, count, end)?
    {
        return Ok(found);
    }
    // Which of the wanted times is the latest that the picture of a time is for, counted from 1. The last picture is
    // for all that are left, and the first one is taken in any case, by the number 0 if by no other.
    let number = |time: &str| {
        let last = end.last_at().as_secs_f64();
        let (length, latest) = (end.end.max(0.001), count - 1);
        format!("1+if(gte({time},{last}),{latest},clip(floor(({time}+0.0000005)*{count}/{length}-0.5),-1,{latest}))")
    };
    let size = size_max_bytes(source, frames).map(|bytes| bytes.saturating_mul(u64::from(count) + 1));
    let numbered = first_of_each(call, source, frames, size, number)?;
    let Some((_, last)) = numbered.last() else {
        return Err(Error::NoFrame { time: Duration::ZERO });
    };
    let wanted = (1..=u64::from(count)).map(|index| {
        let at = numbered.partition_point(|(number, _)| *number < index);
        numbered.get(at).map_or(last, |(_, file)| file).clone()
    });
    let files: Vec<Bytes> = wanted.collect();
    for (_, file) in &numbered {
        call.keep(file)?;
    }
    Ok(files)
}

/// Seeks for each picture; where nothing comes after a time, the picture of the time before is taken. There is no
/// answer if the video cannot be sought in.
fn seek_all(call: &Call, source: &Source, frames: &Frames, count: u32, end: &End) -> Result<Option<Vec<Bytes>>, Error> {
    let is_in_vain = AtomicBool::new(false);
    let times: Vec<Duration> = (0..count).map(|index| time_of(index, count, end)).collect();
    let found = call.all(&times, |time| {
        if is_in_vain.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match seek(call, source, frames, *time) {
            Ok(frame) => {
                let header = format!(
                    "P7\nWIDTH {}\nHEIGHT {}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
                    frame.width, frame.height
                );
                let file = Bytes::from([header.as_bytes(), &frame.image].concat());
                call.keep(&file)?;
                Ok(Some(file))
            }
            Err(Error::NoFrame { .. }) => Ok(None),
            Err(Error::Program { .. }) => {
                is_in_vain.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    })?;
    if is_in_vain.into_inner() {
        return Ok(None);
    }
    let Some(first) = found.iter().flatten().next().cloned() else {
        return Ok(None);
    };
    let mut before = first;
    let filled = found.into_iter().map(|file| {
        before = file.unwrap_or_else(|| before.clone());
        before.clone()
    });
    Ok(Some(filled.collect()))
}

/// In one pass over the video, the first picture of each number that `number` makes of a time: numbers are not
/// negative, and those of later times not smaller. `number` is an expression of FFmpeg's over the time that it is
/// given.
pub fn first_of_each(
    call: &Call,
    source: &Source,
    frames: &Frames,
    size_max_bytes: Option<u64>,
    number: impl Fn(&str) -> String,
) -> Result<Vec<(u64, Bytes)>, Error> {
    // A picture's number becomes its time, and its time the name of its file.
    let filters = format!(
        "settb=AVTB,select='isnan(prev_selected_t)+gt({},{})',setpts='({})/TB',settb=1/1,{}",
        number("t"),
        number("prev_selected_t"),
        number("T"),
        frames.format.filters(&frames.scale())
    );
    let output = Output::url(format!("{FOLDER}/frame%012d"))
        .format("image2")
        .option("frame_pts", "1")
        .option("fps_mode", "passthrough")
        .option("enc_time_base", "filter");
    let command = source.command(Input::file(&source.input), &filters, frames.format.apply(output));
    let folder = call.run_into([], command, size_max_bytes)?;
    let mut numbered = Vec::new();
    for (name, _) in folder.files() {
        let file = folder.take_file(&name).map_err(|source| Error::Frame { source })?;
        let number = name.trim_start_matches(|character: char| !character.is_ascii_digit());
        numbered.push((
            number.parse().map_err(|_| Error::frame("a picture has no number"))?,
            file,
        ));
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered)
}
