//! Pictures out of a video: thumbnails and contact sheets.

use crate::command::{Command, Input, Output};
use crate::fs::MemoryFs;
use crate::probe::{MediaType, Probe};
use crate::{Error, Job, Runtime};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Which pictures are wanted of a video, and how.
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
}

#[derive(Clone, Debug)]
enum Which {
    At(Vec<Duration>),
    Every(Duration),
    Sheet { columns: u32, rows: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Jpeg,
    Png,
    Rgba,
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
    /// Pictures of a video, one of its beginning unless others are asked for.
    pub fn of(input: impl Into<String>) -> Frames {
        Frames {
            input: input.into(),
            which: Which::At(vec![Duration::ZERO]),
            width: None,
            height: None,
            format: Format::Png,
        }
    }

    /// At these times. For each the first picture is taken that is shown then or later.
    pub fn at(mut self, times: impl IntoIterator<Item = Duration>) -> Frames {
        self.which = Which::At(times.into_iter().collect());
        self
    }

    /// One in every so long, from the beginning to the end.
    pub fn every(mut self, interval: Duration) -> Frames {
        self.which = Which::Every(interval);
        self
    }

    /// A single image of so many pictures, taken at even intervals from the whole video.
    pub fn contact_sheet(mut self, columns: u32, rows: u32) -> Frames {
        self.which = Which::Sheet { columns, rows };
        self
    }

    /// The width of each picture in pixels; the height follows unless it is given too.
    pub fn width(mut self, pixels: u32) -> Frames {
        self.width = Some(pixels);
        self
    }

    /// The height of each picture in pixels; the width follows unless it is given too.
    pub fn height(mut self, pixels: u32) -> Frames {
        self.height = Some(pixels);
        self
    }

    /// As JPEG files.
    pub fn jpeg(mut self) -> Frames {
        self.format = Format::Jpeg;
        self
    }

    /// As PNG files, which is what is made without another word.
    pub fn png(mut self) -> Frames {
        self.format = Format::Png;
        self
    }

    /// As pixels.
    pub fn rgba(mut self) -> Frames {
        self.format = Format::Rgba;
        self
    }

    fn scale(&self) -> Option<String> {
        let side = |pixels: Option<u32>| pixels.map_or("-2".to_owned(), |pixels| pixels.to_string());
        let is_scaled = self.width.is_some() || self.height.is_some();
        is_scaled.then(|| format!("scale={}:{}", side(self.width), side(self.height)))
    }
}

/// Where a job finds the folder that its pictures go to.
const FOLDER: &str = "/frames";

/// As many bytes of pictures as one job may make.
const FOLDER_SIZE_MAX_BYTES: u64 = 1 << 30;

/// An image format that says its size in a few bytes of text, with the pixels behind it.
const PAM: &str = "pam";

impl Format {
    /// The encoder, with the options that make a good picture of it.
    fn apply(self, output: Output) -> Output {
        match self {
            // FFmpeg's scale of quality for JPEG goes from 2, the best, to 31.
            Format::Jpeg => output
                .video_codec("mjpeg")
                .option("q:v", "3")
                .option("pix_fmt", "yuvj420p"),
            Format::Png => output.video_codec("png"),
            Format::Rgba => output.video_codec(PAM).option("pix_fmt", "rgba"),
        }
    }

    /// The size of a picture, and its bytes as they are handed out.
    fn read(self, file: Bytes) -> Option<(u32, u32, Bytes)> {
        let number = |at: usize| {
            let bytes = file.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        match self {
            // The header chunk is the first, after a signature of 8 bytes, a length and a name of 4 each.
            Format::Png => Some((number(16)?, number(20)?, file.clone())),
            Format::Jpeg => {
                let (width, height) = jpeg_size(&file)?;
                Some((width, height, file))
            }
            Format::Rgba => {
                const END: &[u8] = b"ENDHDR\n";
                let end = file.windows(END.len()).position(|bytes| bytes == END)?;
                let header = std::str::from_utf8(&file[..end]).ok()?;
                let field = |name: &str| {
                    let mut lines = header.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
                };
                Some((field("WIDTH ")?, field("HEIGHT ")?, file.slice(end + END.len()..)))
            }
        }
    }
}

/// The size in a JPEG file's frame header, which follows any number of other segments.
fn jpeg_size(file: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let segment = file.get(at..)?;
        let (marker, length) = (
            *segment.get(1)?,
            u16::from_be_bytes([*segment.get(2)?, *segment.get(3)?]),
        );
        // The markers of frame headers, less the three in their midst that mean something else.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let side = |at: usize| {
                Some(u32::from(u16::from_be_bytes([
                    *segment.get(at)?,
                    *segment.get(at + 1)?,
                ])))
            };
            return Some((side(7)?, side(5)?));
        }
        at += 2 + usize::from(length);
    }
}

impl Runtime {
    /// Makes pictures of a video. The jobs that this takes run in parallel; `set_up` gives each its files and limits.
    pub fn frames(&self, frames: &Frames, set_up: impl Fn(Job) -> Job + Sync) -> Result<Vec<Frame>, Error> {
        if frames.width == Some(0) || frames.height == Some(0) {
            return Err(wrong("a picture cannot be 0 pixels wide or high"));
        }
        match &frames.which {
            Which::At(times) => self.frames_at(frames, frames.format, times, &set_up),
            Which::Every(interval) => self.frames_every(frames, *interval, &set_up),
            Which::Sheet { columns, rows } => self.contact_sheet(frames, *columns, *rows, &set_up),
        }
    }

    fn frames_at(
        &self,
        frames: &Frames,
        format: Format,
        times: &[Duration],
        set_up: &(impl Fn(Job) -> Job + Sync),
    ) -> Result<Vec<Frame>, Error> {
        let next = AtomicUsize::new(0);
        let run = || {
            let mut made = Vec::new();
            while let Some(time) = times.get(next.fetch_add(1, Ordering::Relaxed)) {
                made.push((*time, self.frame_at(frames, format, *time, set_up)));
            }
            made
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(times.len());
        let made = thread::scope(|scope| {
            let threads: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
            let mut made = run();
            for thread in threads {
                match thread.join() {
                    Ok(others) => made.extend(others),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            made
        });
        let mut all = Vec::new();
        for time in times {
            // Every time has been taken by one of the threads; the same time may be asked for twice.
            let found = made.iter().find(|(made, _)| made == time);
            match found {
                Some((_, Ok(frame))) => all.push(frame.clone()),
                _ => break,
            }
        }
        match made.into_iter().find_map(|(_, result)| result.err()) {
            Some(error) => Err(error),
            None => Ok(all),
        }
    }

    fn frame_at(
        &self,
        frames: &Frames,
        format: Format,
        time: Duration,
        set_up: &impl Fn(Job) -> Job,
    ) -> Result<Frame, Error> {
        let input = Input::file(&frames.input).seek(time);
        let output = Output::url(format!("{FOLDER}/frame"))
            .format("image2")
            .option("update", "1")
            .frames_max(1);
        let output = format.apply(output.map("0:v:0"));
        let output = match frames.scale() {
            Some(scale) => output.video_filter(scale),
            None => output,
        };
        let files = self.run_into_folder(Command::new().input(input).output(output), set_up)?;
        match files.take_file("frame") {
            Ok(file) => picture(format, file, time),
            // FFmpeg finds nothing wrong with a time after the end.
            Err(_) => Err(Error::NoFrame { time }),
        }
    }

    fn frames_every(
        &self,
        frames: &Frames,
        interval: Duration,
        set_up: &impl Fn(Job) -> Job,
    ) -> Result<Vec<Frame>, Error> {
        if interval.is_zero() {
            return Err(wrong("the interval between pictures is zero"));
        }
        // The first picture at or after each multiple of the interval, counted from the first picture of all.
        let select = format!("select='gte(t,selected_n*{})'", interval.as_secs_f64());
        let filter = match frames.scale() {
            Some(scale) => format!("setpts=PTS-STARTPTS,{select},{scale}"),
            None => format!("setpts=PTS-STARTPTS,{select}"),
        };
        let output = Output::url(format!("{FOLDER}/frame%08d"))
            .format("image2")
            .option("fps_mode", "passthrough");
        let output = frames.format.apply(output.map("0:v:0").video_filter(filter));
        let command = Command::new().input(Input::file(&frames.input)).output(output);
        let folder = self.run_into_folder(command, set_up)?;
        let mut all = Vec::new();
        for (index, (name, _)) in folder.files().into_iter().enumerate() {
            let time = interval.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            let file = folder.take_file(&name).map_err(|source| Error::Frame { source })?;
            all.push(picture(frames.format, file, time)?);
        }
        if all.is_empty() {
            return Err(Error::NoFrame { time: Duration::ZERO });
        }
        Ok(all)
    }

    fn contact_sheet(
        &self,
        frames: &Frames,
        columns: u32,
        rows: u32,
        set_up: &(impl Fn(Job) -> Job + Sync),
    ) -> Result<Vec<Frame>, Error> {
        let count = columns.checked_mul(rows).filter(|count| (1..=10_000).contains(count));
        let count = count.ok_or_else(|| wrong("a contact sheet has from 1 to 10,000 pictures"))?;
        let probe = self.probe(set_up(Job::probe(&frames.input)))?;
        let duration = video_duration(&probe).ok_or_else(|| wrong("the video does not say how long it is"))?;
        let times: Vec<Duration> = (0..count)
            .map(|index| duration.mul_f64((f64::from(index) + 0.5) / f64::from(count)))
            .collect();
        let parts = self.frames_at(frames, Format::Rgba, &times, set_up)?;

        let folder = MemoryFs::new(FOLDER_SIZE_MAX_BYTES);
        for (index, part) in parts.iter().enumerate() {
            let header = format!(
                "P7\nWIDTH {}\nHEIGHT {}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
                part.width, part.height
            );
            let file = [header.as_bytes(), &part.image].concat();
            folder
                .add_file(&format!("part{index:05}.{PAM}"), file)
                .map_err(|source| Error::Frame { source })?;
        }
        let input = Input::url(format!("{FOLDER}/part%05d.{PAM}"))
            .format("image2")
            .option("c:v", PAM);
        let output = Output::url(format!("{FOLDER}/sheet"))
            .format("image2")
            .option("update", "1")
            .frames_max(1);
        let output = frames
            .format
            .apply(output.video_filter(format!("tile={columns}x{rows}")));
        let command = Command::new().input(input).output(output);
        let job = command.job().map_err(|source| Error::Command { source })?;
        self.run(job.file_system(FOLDER, Arc::new(folder.clone())))?
            .into_success()?;
        let file = folder.take_file("sheet").map_err(|source| Error::Frame { source })?;
        Ok(vec![picture(frames.format, file, times[0])?])
    }

    fn run_into_folder(&self, command: Command, set_up: &impl Fn(Job) -> Job) -> Result<MemoryFs, Error> {
        let folder = MemoryFs::new(FOLDER_SIZE_MAX_BYTES);
        let command = command.flag("hide_banner").option("loglevel", "error");
        self.run_job(&command, |job| {
            set_up(job).file_system(FOLDER, Arc::new(folder.clone()))
        })?;
        Ok(folder)
    }
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

fn wrong(message: &str) -> Error {
    Error::Frame {
        source: io::Error::new(io::ErrorKind::InvalidInput, message),
    }
}

fn video_duration(probe: &Probe) -> Option<Duration> {
    let video = probe
        .streams
        .iter()
        .find(|stream| stream.codec_type == MediaType::Video)?;
    let seconds = video.duration.or(probe.format.duration)?;
    Duration::try_from_secs_f64(seconds).ok()
}
