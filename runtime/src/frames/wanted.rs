//! What pictures are wanted.

use super::format::Format;
use std::time::Duration;

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
    pub(super) input: String,
    pub(super) which: Which,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) format: Format,
    pub(super) size_max_bytes: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Which {
    At(Vec<Duration>),
    Every(Duration),
    Sheet { columns: u32, rows: u32 },
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
    pub(super) fn scale(&self) -> String {
        match (self.width, self.height) {
            (None, None) => "'max(1,round(iw*sar))':ih".to_owned(),
            (Some(width), None) => format!("{width}:'max(1,round({width}/dar))'"),
            (None, Some(height)) => format!("'max(1,round({height}*dar))':{height}"),
            (Some(width), Some(height)) => format!("{width}:{height}"),
        }
    }
}
