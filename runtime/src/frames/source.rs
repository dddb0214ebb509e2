//! Facts about the input of pictures.

use super::call::Call;
use crate::command::{Command, Input, Output};
use crate::error::Error;
use crate::job::Job;
use crate::probe::{MediaType, Probe, Rational, Stream};
use crate::stdio::Stdout;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub struct Source {
    pub input: String,
    /// The group of streams that makes up the picture, if it is stored in tiles.
    grid: Option<u32>,
    /// The size as displayed, where it is known.
    size: Option<(u32, u32)>,
    /// The file's start time, in seconds.
    start: f64,
    /// The duration of the video, or else of the file, in seconds, if they state one.
    duration: Option<f64>,
    length: Option<f64>,
    frame_rate: Option<f64>,
    frames: Option<u64>,
    /// The file has no other pictures than covers.
    is_cover: bool,
    /// The end of the video, once it has been searched for.
    end: OnceLock<Option<End>>,
}

/// The end of a video, as its packets show it. Times are in seconds from the beginning of the file.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// The time of the last picture.
    pub last: f64,
    /// The time until which it is shown.
    pub end: f64,
    /// The number of pictures, if all were counted.
    pub pictures: Option<u64>,
}

/// The part of a long video, from its end, in which the last picture is searched for first.
const TAIL_SECONDS: f64 = 60.0;

impl Source {
    pub fn look(call: &Call, input: &str) -> Result<Source, Error> {
        let probe = call.probe(Job::probe(input))?;
        let pictures = probe
            .streams
            .iter()
            .filter(|stream| stream.codec_type == MediaType::Video);
        // Tiles are no pictures of their own.
        let is_tile = |stream: &&Stream| {
            let mut groups = probe.stream_groups.iter().filter(|group| group.tile_grid().is_some());
            groups.any(|group| group.streams.iter().any(|tile| tile.index == stream.index))
        };
        let video = pictures
            .clone()
            .filter(|stream| !stream.is_attached_picture() && !is_tile(stream))
            .max_by_key(|stream| preference(stream));
        let shown = video.or_else(|| pictures.clone().next());
        let grid = grid(&probe, video);
        let size = match (grid, shown) {
            (Some((_, size)), _) => Some(size),
            (None, Some(stream)) => stream.display_width.zip(stream.display_height),
            (None, None) => return Err(Error::frame("the file has neither video nor a picture")),
        };
        let rate = |stream: &Stream| {
            let rates = [stream.avg_frame_rate, stream.r_frame_rate];
            let mut known = rates.into_iter().flatten().filter_map(Rational::value);
            known.find(|rate| *rate > 0.0)
        };
        Ok(Source {
            input: input.to_owned(),
            grid: grid.map(|(index, _)| index),
            size,
            start: probe.format.start_time.unwrap_or(0.0),
            duration: video
                .and_then(|stream| stream.duration)
                .or(probe.format.duration)
                .filter(|duration| *duration > 0.0),
            length: probe.format.duration,
            frame_rate: shown.and_then(rate),
            frames: video.and_then(|stream| stream.nb_frames),
            is_cover: video.is_none() && grid.is_none(),
            end: OnceLock::new(),
        })
    }

    /// Returns whether the picture is put together of tiles, and so the only one.
    pub fn is_tiled(&self) -> bool {
        self.grid.is_some()
    }

    /// Returns the size of the pictures, if it is known.
    pub fn scaled(&self, width: Option<u32>, height: Option<u32>) -> Option<(u32, u32)> {
        if let (Some(width), Some(height)) = (width, height) {
            return Some((width, height));
        }
        let (own_width, own_height) = self.size?;
        let follow = |side: u32, own: u32, other: u32| {
            let followed = f64::from(side) * f64::from(other) / f64::from(own);
            followed.round().max(1.0) as u32
        };
        Some(match (width, height) {
            (Some(width), None) => (width, follow(width, own_width, own_height)),
            (None, Some(height)) => (follow(height, own_height, own_width), height),
            _ => (own_width, own_height),
        })
    }

    /// A command that makes pictures of the file with these filters.
    pub fn command(&self, input: Input, filters: &str, output: Output) -> Command {
        match self.grid {
            // FFmpeg puts the tiles together by a complex filter of its own, and takes no simple one beside it.
            Some(group) => Command::new()
                .input(input)
                .filter_complex(format!("[0:g:{group}]{filters}[picture]"))
                .output(output.map("[picture]")),
            // Which of several streams is shown is FFmpeg's choice: it knows which have packets.
            None => Command::new().input(input).output(output.video_filter(filters)),
        }
    }

    /// Returns the duration of the file in seconds, if the file states one.
    pub fn length(&self) -> Option<f64> {
        self.length
    }

    /// Returns the number of pictures, as far as it is known without reading packets.
    pub fn pictures(&self) -> Option<u64> {
        let counted = || Some((self.duration? * self.frame_rate?).ceil() as u64);
        self.frames.or_else(counted)
    }

    /// Finds the end of the video, which often differs from the stated one: sound may be longer, and live recordings
    /// state no duration.
    pub fn end(&self, call: &Call) -> Result<Option<End>, Error> {
        match self.end.get() {
            Some(end) => Ok(*end),
            None => {
                let end = self.find_end(call)?;
                Ok(*self.end.get_or_init(|| end))
            }
        }
    }

    fn find_end(&self, call: &Call) -> Result<Option<End>, Error> {
        let tail = self.duration.filter(|duration| *duration > 2.0 * TAIL_SECONDS);
        if let Some(duration) = tail {
            let from = self.start + duration - TAIL_SECONDS;
            if let Some(end) = self.read_packets(call, Some(from))? {
                return Ok(Some(End { pictures: None, ..end }));
            }
        }
        self.read_packets(call, None)
    }

    fn read_packets(&self, call: &Call, from: Option<f64>) -> Result<Option<End>, Error> {
        let packets = Arc::new(Mutex::new(Packets::default()));
        // The packets of a long video are many lines; none of them is kept.
        let lines = Lines {
            line: Vec::new(),
            packets: packets.clone(),
        };
        let options =
            "ffprobe -v error -of csv=p=0 -show_entries packet=pts_time,dts_time,duration_time -select_streams";
        let mut job = Job::new(options.split(' ')).arg(if self.is_cover { "v" } else { "V" });
        if let Some(from) = from {
            job = job.arg("-read_intervals").arg(format!("{from:.6}%"));
        }
        let job = job.arg("-i").arg(&self.input).stdout(Stdout::Writer(Box::new(lines)));
        // A damaged end is no reason to do without what came before it.
        call.run(job)?;
        let packets = *packets.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(packets.end(self.start, self.frame_rate))
    }
}

/// The size of the tile grid that FFmpeg would show rather than a single stream, and the number of its group.
fn grid(probe: &Probe, video: Option<&Stream>) -> Option<(u32, (u32, u32))> {
    let grids = probe.stream_groups.iter().filter_map(|group| {
        let grid = group.tile_grid()?;
        let size = grid.display_width.zip(grid.display_height)?;
        Some((area(grid.width, grid.height), group.index, size))
    });
    // Of grids that are as large, the first.
    let (largest, index, size) = grids.max_by_key(|(area, index, _)| (*area, u32::MAX - index))?;
    (Some(largest) >= video.map(preference)).then_some((index, size))
}

/// FFmpeg's order of preference among several videos; of tile grids, only the area counts.
fn preference(stream: &Stream) -> u64 {
    const OF_DEFAULT: u64 = 5_000_000;
    let is_default = stream.disposition.get("default") == Some(&1);
    area(stream.width, stream.height) + if is_default { OF_DEFAULT } else { 0 }
}

fn area(width: Option<u32>, height: Option<u32>) -> u64 {
    u64::from(width.unwrap_or(0)) * u64::from(height.unwrap_or(0))
}

/// A summary of a video's packets.
#[derive(Clone, Copy, Default)]
struct Packets {
    count: u64,
    /// The time of the latest packet, and its end.
    latest: Option<(f64, Option<f64>)>,
}

impl Packets {
    /// Takes a line such as `1.000000,0.960000,0.040000`.
    fn add(&mut self, line: &str) {
        let mut fields = line.split(',').map(|field| field.trim().parse::<f64>().ok());
        let mut next = || fields.next().flatten();
        let (pts, dts, duration) = (next(), next(), next());
        self.count += 1;
        if let Some(time) = pts.or(dts)
            && self.latest.is_none_or(|(latest, _)| time >= latest)
        {
            self.latest = Some((time, duration.map(|duration| time + duration)));
        }
    }

    fn end(self, start: f64, frame_rate: Option<f64>) -> Option<End> {
        let frame = frame_rate.map_or(0.0, |rate| 1.0 / rate);
        let end = match self.latest {
            Some((last, end)) => End {
                last: (last - start).max(0.0),
                end: (end.unwrap_or(last + frame) - start).max(0.0),
                pictures: Some(self.count),
            },
            // Streams without a container have no times; FFmpeg gives them some by the frame rate.
            None => End {
                last: self.count.checked_sub(1)? as f64 * frame,
                end: self.count as f64 * frame,
                pictures: Some(self.count),
            },
        };
        Some(end)
    }
}

/// Reads lines as they are written.
struct Lines {
    line: Vec<u8>,
    packets: Arc<Mutex<Packets>>,
}

/// Longer lines than ffprobe writes of a packet are none of a packet.
const LINE_SIZE_MAX_BYTES: usize = 1024;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    if let Ok(line) = std::str::from_utf8(&self.line) {
                        self.packets.lock().unwrap_or_else(PoisonError::into_inner).add(line);
                    }
                    self.line.clear();
                }
                byte if self.line.len() < LINE_SIZE_MAX_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl End {
    /// A time at which the last picture, and none before it, is found.
    pub fn last_at(&self) -> Duration {
        /// Far less than between pictures, and more than FFmpeg rounds by.
        const BEFORE_SECONDS: f64 = 0.0005;
        Duration::try_from_secs_f64(self.last - BEFORE_SECONDS).unwrap_or(Duration::ZERO)
    }
}
