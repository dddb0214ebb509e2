//! Pictures out of a video: thumbnails and contact sheets.

mod call;
mod format;
mod sheet;
mod source;

use crate::command::{Input, Output};
use crate::{Error, Job, Runtime};
use bytes::Bytes;
use call::{Call, FOLDER};
use format::Format;
use source::Source;
use std::io;
use std::time::Duration;

pub use call::IntoJob;

/// A description of the pictures to take of a video.
///
/// ```no_run
/// # use afmpeg::{Access, Frames, HostDir, Runtime};
/// # use std::{sync::Arc, time::Duration};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::from_file("o3-gpl.wasm")?;
/// let folder = Arc::new(HostDir::open("/srv/videos", Access::ReadOnly)?);
/// let wanted = Frames::of("talk.mkv").at([Duration::from_secs(5), Duration::from_secs(60)]).width(320).jpeg();
/// let frames = runtime.frames(&wanted, |job| job.file_system(".", folder.clone()))?;
/// for frame in frames {
///     std::fs::write(format!("{:?}.jpg", frame.time), frame.image)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a description of frames does nothing until a runtime makes them"]
pub struct Frames {
    input: String,
    which: Which,
    width: Option<u32>,
    height: Option<u32>,
    format: Format,
    size_max_bytes: u64,
}

#[derive(Clone, Debug)]
enum Which {
    At(Vec<Duration>),
    Every(Duration),
    Sheet { columns: u32, rows: u32 },
}

/// One picture.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The time that was asked for, from the beginning of the video; a contact sheet has that of its first picture.
    pub time: Duration,
    pub width: u32,
    pub height: u32,
    /// A JPEG or PNG file, or the pixels themselves: red, green, blue and alpha, a byte each, in rows from the top.
    pub image: Bytes,
}

impl Frames {
    /// Pictures of a video; by default one, of its beginning.
    ///
    /// The input can be anything of which ffmpeg shows a picture: a still, an animation, the cover of a sound file.
    pub fn of(input: impl Into<String>) -> Frames {
        Frames {
            input: input.into(),
            which: Which::At(vec![Duration::ZERO]),
            width: None,
            height: None,
            format: Format::Png,
            size_max_bytes: 1 << 30,
        }
    }

    /// Takes pictures at these times, from the beginning of the video. For each time it is the first picture at or
    /// after it; the last picture lasts to the end of the file, a still for all times.
    pub fn at(mut self, times: impl IntoIterator<Item = Duration>) -> Frames {
        self.which = Which::At(times.into_iter().collect());
        self
    }

    /// Takes the first picture of each interval of this length, from the beginning to the end. An interval without a
    /// picture gives none.
    pub fn every(mut self, interval: Duration) -> Frames {
        self.which = Which::Every(interval);
        self
    }

    /// Takes this number of pictures at even intervals from the whole video, and puts them together to a single image.
    /// They are 320 pixels wide unless a size is given; the image may have up to 67,108,864 pixels.
    pub fn contact_sheet(mut self, columns: u32, rows: u32) -> Frames {
        self.which = Which::Sheet { columns, rows };
        self
    }

    /// Sets the width of each picture in pixels; the height follows unless it is set too. Pictures are as they are
    /// displayed: rotated upright, with square pixels.
    pub fn width(mut self, pixels: u32) -> Frames {
        self.width = Some(pixels);
        self
    }

    /// Sets the height of each picture in pixels; the width follows unless it is set too.
    pub fn height(mut self, pixels: u32) -> Frames {
        self.height = Some(pixels);
        self
    }

    /// As JPEG files.
    pub fn jpeg(mut self) -> Frames {
        self.format = Format::Jpeg;
        self
    }

    /// As PNG files, the default.
    pub fn png(mut self) -> Frames {
        self.format = Format::Png;
        self
    }

    /// As pixels.
    pub fn rgba(mut self) -> Frames {
        self.format = Format::Rgba;
        self
    }

    /// Limits the size of all pictures of one call together, in bytes; 1 GiB by default.
    pub fn size_max_bytes(mut self, bytes: u64) -> Frames {
        self.size_max_bytes = bytes;
        self
    }

    /// Returns the arguments of FFmpeg's scaler.
    fn scale(&self) -> String {
        match (self.width, self.height) {
            (None, None) => "'max(1,round(iw*sar))':ih".to_owned(),
            (Some(width), None) => format!("{width}:'max(1,round({width}/dar))'"),
            (None, Some(height)) => format!("'max(1,round({height}*dar))':{height}"),
            (Some(width), Some(height)) => format!("{width}:{height}"),
        }
    }
}

/// The most pixels that a picture may have: more than any camera's, and few enough to encode them in a module's 4 GiB.
const PICTURE_PIXELS_MAX: u64 = 1 << 28;

impl Runtime {
    /// Makes pictures of a video. `set_up` gives files and limits to each of the jobs; it may fail.
    ///
    /// The jobs run in parallel, under one deadline: the timeout of the first counts for all together, from the
    /// beginning. The first failure ends the others. Each job opens the input anew, so it must be a file and not a
    /// stream.
    pub fn frames<J: IntoJob>(&self, frames: &Frames, set_up: impl Fn(Job) -> J + Sync) -> Result<Vec<Frame>, Error> {
        if frames.width == Some(0) || frames.height == Some(0) {
            return Err(wrong("a picture cannot be 0 pixels wide or high"));
        }
        let set_up = |job| set_up(job).into_job();
        let call = Call::new(self, &set_up, frames.size_max_bytes);
        match &frames.which {
            Which::At(times) => at(&call, frames, times),
            Which::Every(interval) => every(&call, frames, *interval),
            Which::Sheet { columns, rows } => sheet::make(&call, frames, *columns, *rows),
        }
    }
}

fn at(call: &Call, frames: &Frames, times: &[Duration]) -> Result<Vec<Frame>, Error> {
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
fn seek(call: &Call, source: &Source, frames: &Frames, time: Duration) -> Result<Frame, Error> {
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

fn every(call: &Call, frames: &Frames, interval: Duration) -> Result<Vec<Frame>, Error> {
    if interval.is_zero() {
        return Err(wrong("the interval between pictures is zero"));
    }
    let source = Source::look(call, &frames.input)?;
    check_size(&source, frames)?;
    let interval_seconds = interval.as_secs_f64();
    let numbered = sheet::first_of_each(call, &source, frames, None, |time| {
        format!("max(0,floor(({time}+{HALF_MICROSECOND})/{interval_seconds}))")
    })?;
    let mut all = Vec::new();
    for (number, file) in numbered {
        let time = Duration::try_from_secs_f64(number as f64 * interval_seconds).unwrap_or(Duration::MAX);
        call.keep(&file)?;
        all.push(picture(frames.format, file, time)?);
    }
    if all.is_empty() {
        return Err(Error::NoFrame { time: Duration::ZERO });
    }
    Ok(all)
}

/// Half a microsecond: more than the rounding error of a time that was a floating-point number.
const HALF_MICROSECOND: &str = "0.0000005";

fn check_size(source: &Source, frames: &Frames) -> Result<(), Error> {
    let Some((width, height)) = source.scaled(frames.width, frames.height) else {
        return Ok(());
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PICTURE_PIXELS_MAX {
        return Err(wrong(format!(
            "a picture of {width}x{height} has {pixels} pixels, and may have {PICTURE_PIXELS_MAX}: ask for a smaller one"
        )));
    }
    Ok(())
}

/// As large as one picture can be, where its size is known.
fn size_max_bytes(source: &Source, frames: &Frames) -> Option<u64> {
    let (width, height) = source.scaled(frames.width, frames.height)?;
    Some(frames.format.size_max_bytes(u64::from(width) * u64::from(height)))
}

fn picture(format: Format, file: Bytes, time: Duration) -> Result<Frame, Error> {
    let (width, height, image) = format.read(file).ok_or_else(|| wrong("a picture has no size"))?;
    Ok(Frame {
        time,
        width,
        height,
        image,
    })
}

fn wrong(message: impl Into<String>) -> Error {
    Error::Frame {
        source: io::Error::new(io::ErrorKind::InvalidInput, message.into()),
    }
}
