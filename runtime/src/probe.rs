//! ffprobe's description of a file, with types.

use crate::error::Error;
use crate::job::Job;
use crate::runtime::Runtime;
use crate::stdio::Stdout;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A media file's format, streams and chapters.
///
/// Other fields of ffprobe are kept under their own names in `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Said")]
#[non_exhaustive]
pub struct Probe {
    pub format: Format,
    pub streams: Vec<Stream>,
    /// Streams that belong together, such as the tiles of one picture.
    pub stream_groups: Vec<StreamGroup>,
    pub chapters: Vec<Chapter>,
}

/// A description as ffprobe prints it, from which the sizes as displayed are still to be worked out.
#[derive(Deserialize)]
struct Said {
    format: Format,
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    stream_groups: Vec<StreamGroup>,
    /// The first picture, for its rotation: photos state it there.
    #[serde(default)]
    frames: Vec<SaidOfFrame>,
    #[serde(default)]
    chapters: Vec<Chapter>,
}

#[derive(Deserialize)]
struct SaidOfFrame {
    stream_index: Option<u32>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl From<Said> for Probe {
    fn from(said: Said) -> Probe {
        let mut probe = Probe {
            format: said.format,
            streams: said.streams,
            stream_groups: said.stream_groups,
            chapters: said.chapters,
        };
        let mut rotations = BTreeMap::new();
        for frame in &said.frames {
            if let Some((index, rotation)) = frame.stream_index.zip(rotation_degrees(&frame.other)) {
                rotations.entry(index).or_insert(rotation);
            }
        }
        for stream in &mut probe.streams {
            if let Some(rotation) = rotations.get(&stream.index) {
                stream.rotation_degrees = *rotation;
            }
            stream.work_out();
        }
        for group in &mut probe.stream_groups {
            for stream in &mut group.streams {
                stream.work_out();
            }
            for grid in &mut group.components {
                grid.work_out();
            }
        }
        probe
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Format {
    /// The short names of the format, separated by commas, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub format_name: String,
    pub format_long_name: Option<String>,
    /// In seconds.
    #[serde(default, deserialize_with = "number")]
    pub start_time: Option<f64>,
    /// In seconds.
    #[serde(default, deserialize_with = "number")]
    pub duration: Option<f64>,
    /// In bytes.
    #[serde(default, deserialize_with = "number")]
    pub size: Option<u64>,
    /// In bits per second.
    #[serde(default, deserialize_with = "number")]
    pub bit_rate: Option<u64>,
    /// The certainty of the format, from 0 to 100.
    pub probe_score: Option<u32>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stream {
    pub index: u32,
    #[serde(default)]
    pub codec_type: MediaType,
    pub codec_name: Option<String>,
    pub codec_long_name: Option<String>,
    pub profile: Option<String>,
    /// The size as it is stored, in pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// The width of a pixel by its height, where it is known.
    #[serde(default, with = "aspect", skip_serializing_if = "Option::is_none")]
    pub sample_aspect_ratio: Option<Rational>,
    /// The clockwise rotation of the picture for display, in degrees: 90, 180 or 270, or an odd angle.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rotation_degrees: u32,
    /// The size as it is displayed: cropped, turned, and with square pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_height: Option<u32>,
    pub pix_fmt: Option<String>,
    pub sample_fmt: Option<String>,
    /// In samples per second.
    #[serde(default, deserialize_with = "number")]
    pub sample_rate: Option<u32>,
    pub channels: Option<u32>,
    pub channel_layout: Option<String>,
    pub r_frame_rate: Option<Rational>,
    pub avg_frame_rate: Option<Rational>,
    pub time_base: Option<Rational>,
    /// In seconds.
    #[serde(default, deserialize_with = "number")]
    pub start_time: Option<f64>,
    /// In seconds.
    #[serde(default, deserialize_with = "number")]
    pub duration: Option<f64>,
    /// In bits per second.
    #[serde(default, deserialize_with = "number")]
    pub bit_rate: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub nb_frames: Option<u64>,
    /// Such as `default`, `forced` or `attached_pic`, with 1 for those that hold.
    #[serde(default)]
    pub disposition: BTreeMap<String, i32>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Streams that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamGroup {
    pub index: u32,
    /// The kind of the group, such as `Tile Grid`.
    #[serde(rename = "type")]
    pub group_type: Option<String>,
    #[serde(default)]
    pub streams: Vec<Stream>,
    /// The pictures that are put together, where the group is a tile grid.
    #[serde(default)]
    pub components: Vec<TileGrid>,
    /// Such as `default`, with 1 for those that hold.
    #[serde(default)]
    pub disposition: BTreeMap<String, i32>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A picture that is stored in tiles, each of them a stream. Groups of other types leave it empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TileGrid {
    /// The number of tiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nb_tiles: Option<u32>,
    /// The size of the picture, in pixels, before it is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The clockwise rotation of the picture for display, in degrees.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rotation_degrees: u32,
    /// The size as it is displayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_height: Option<u32>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl StreamGroup {
    /// The picture that the streams make together, if the group is a tile grid.
    pub fn tile_grid(&self) -> Option<&TileGrid> {
        let grid = self.components.first()?;
        (self.group_type.as_deref() == Some("Tile Grid")).then_some(grid)
    }
}

impl Stream {
    /// Returns whether the stream is a single picture that accompanies others, such as a cover.
    pub fn is_attached_picture(&self) -> bool {
        self.disposition.get("attached_pic") == Some(&1)
    }

    fn work_out(&mut self) {
        self.rotation_degrees = rotation_degrees(&self.other).unwrap_or(self.rotation_degrees);
        let width = self
            .width
            .map(|width| cropped(width, &self.other, ["crop_left", "crop_right"]));
        let height = self
            .height
            .map(|height| cropped(height, &self.other, ["crop_top", "crop_bottom"]));
        let size = display_size(width, height, self.sample_aspect_ratio, self.rotation_degrees);
        (self.display_width, self.display_height) = size.unzip();
    }
}

impl TileGrid {
    fn work_out(&mut self) {
        self.rotation_degrees = rotation_degrees(&self.other).unwrap_or(self.rotation_degrees);
        let size = display_size(self.width, self.height, None, self.rotation_degrees);
        (self.display_width, self.display_height) = size.unzip();
    }
}

fn rotation_degrees(described: &Map<String, Value>) -> Option<u32> {
    let side_data = described.get("side_data_list").and_then(Value::as_array);
    let rotation = side_data.into_iter().flatten().find_map(|data| data.get("rotation"));
    rotation.and_then(Value::as_f64).map(clockwise)
}

/// Returns a side without the edges that exist only because codecs use blocks.
fn cropped(side: u32, described: &Map<String, Value>, edges: [&str; 2]) -> u32 {
    let side_data = described.get("side_data_list").and_then(Value::as_array);
    let edge = |name: &str| {
        let mut given = side_data
            .into_iter()
            .flatten()
            .filter_map(|data| data.get(name)?.as_u64());
        given.next().unwrap_or(0)
    };
    let cropped: u64 = edges.map(edge).into_iter().fold(0, u64::saturating_add);
    u64::from(side).checked_sub(cropped).map_or(side, |left| left as u32)
}

/// FFmpeg counts the angle of a display matrix counterclockwise.
fn clockwise(degrees: f64) -> u32 {
    // A float that is out of range becomes the nearest number.
    ((-degrees).round() as i64).rem_euclid(360) as u32
}

/// Returns the rotation of stream groups, by index, from ffprobe's log: its JSON does not have it.
fn rotations_of_groups(log: &str) -> BTreeMap<u32, u32> {
    let mut rotations = BTreeMap::new();
    let mut group = None;
    for line in log.lines().map(str::trim_start) {
        if let Some(rest) = line.strip_prefix("Stream group #0:") {
            let end = rest.find(|character: char| !character.is_ascii_digit());
            group = rest[..end.unwrap_or(rest.len())].parse().ok();
        } else if line.starts_with("Stream #") {
            group = None;
        } else if let (Some(group), Some(rest)) = (group, line.strip_prefix("Display Matrix: rotation of "))
            && let Some(degrees) = rest.split(' ').next().and_then(|degrees| degrees.parse().ok())
        {
            rotations.insert(group, clockwise(degrees));
        }
    }
    rotations
}

/// FFmpeg's players and filters make pixels square by their width, and turn the picture by right angles.
fn display_size(
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<Rational>,
    rotation_degrees: u32,
) -> Option<(u32, u32)> {
    let (width, height) = (width.filter(|side| *side > 0)?, height.filter(|side| *side > 0)?);
    let aspect = sample_aspect_ratio
        .and_then(Rational::value)
        .filter(|aspect| *aspect > 0.0);
    let is_upright = rotation_degrees % 180 != 90;
    let stretched = |side: u32, aspect: f64| (f64::from(side) * aspect).round().max(1.0) as u32;
    Some(match (is_upright, aspect.unwrap_or(1.0)) {
        (true, aspect) => (stretched(width, aspect), height),
        // Turned, the height is as wide as the pixels are high.
        (false, aspect) => (stretched(height, 1.0 / aspect), width),
    })
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Chapter {
    pub id: i64,
    /// In seconds.
    #[serde(default, deserialize_with = "number")]
    pub start_time: Option<f64>,
    /// In seconds.
    #[serde(default, deserialize_with = "number")]
    pub end_time: Option<f64>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MediaType {
    Video,
    Audio,
    Subtitle,
    Data,
    Attachment,
    #[default]
    #[serde(other)]
    Unknown,
}

/// A fraction as FFmpeg writes it: `30000/1001`. `0/0` stands for what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rational {
    pub numerator: i64,
    pub denominator: i64,
}

impl Rational {
    /// The fraction as a number, unless it is over zero.
    pub fn value(self) -> Option<f64> {
        (self.denominator != 0).then(|| self.numerator as f64 / self.denominator as f64)
    }
}

/// A text that is no fraction, such as `30000/1001` or `4:3`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a fraction")]
pub struct ParseRationalError {
    text: String,
}

impl FromStr for Rational {
    type Err = ParseRationalError;

    fn from_str(text: &str) -> Result<Rational, ParseRationalError> {
        let parsed = text.split_once(['/', ':']).and_then(|(numerator, denominator)| {
            Some(Rational {
                numerator: numerator.parse().ok()?,
                denominator: denominator.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| ParseRationalError { text: text.to_owned() })
    }
}

/// Aspect ratios, which ffprobe writes with a colon, and as `0:1` or `N/A` where it does not know them.
mod aspect {
    use super::Rational;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(ratio: &Option<Rational>, serializer: S) -> Result<S::Ok, S::Error> {
        match ratio {
            Some(ratio) => serializer.collect_str(&format_args!("{}:{}", ratio.numerator, ratio.denominator)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rational>, D::Error> {
        match Option::<String>::deserialize(deserializer)?.as_deref() {
            None | Some("N/A") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(de::Error::custom),
        }
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}/{}", self.numerator, self.denominator)
    }
}

impl Serialize for Rational {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rational {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rational, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A number that ffprobe may write as a string; what it does not know it calls `N/A`.
fn number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Null => return Ok(None),
        value => return Err(de::Error::custom(format!("`{value}` is not a number"))),
    };
    if text == "N/A" {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| de::Error::custom(format!("`{text}` is not a number")))
}

impl Job {
    /// Creates a job for [`Runtime::probe`] on one input; it needs a directory or an input stream that contains the
    /// input.
    pub fn probe(input: impl Into<std::ffi::OsString>) -> Job {
        let options = "ffprobe -v info -hide_banner -of json -show_format -show_streams -show_stream_groups \
                       -show_chapters -show_entries frame=stream_index:frame_side_data=rotation -read_intervals %+#1 -i";
        Job::new(options.split_whitespace()).arg(input)
    }
}

/// The most that a description may have: more than those of a thousand streams, and little enough for anybody's memory.
const SIZE_MAX_BYTES: usize = 4 << 20;
const VALUES_MAX: usize = 256 << 10;

impl Runtime {
    /// Runs a job made by [`Job::probe`] and reads what it prints on standard output, which does not count as written.
    ///
    /// Media from anywhere can make a program print anything: a description of more than 4 MiB is
    /// [`Error::ProbeTooLarge`].
    pub fn probe(&self, job: Job) -> Result<Probe, Error> {
        let job = job.streams_uncounted().stdout(Stdout::Capture {
            limit_bytes: SIZE_MAX_BYTES,
        });
        let output = self.run(job)?.into_success()?;
        if output.stdout_dropped_bytes > 0 {
            return Err(too_large(format!("it has more than {SIZE_MAX_BYTES} bytes")));
        }
        if values(&output.stdout) > VALUES_MAX {
            return Err(too_large(format!("it has more than {VALUES_MAX} values")));
        }
        let mut probe: Probe =
            serde_json::from_slice(&output.stdout).map_err(|source| Error::ProbeUnreadable { source })?;
        let rotations = rotations_of_groups(&String::from_utf8_lossy(&output.stderr));
        for group in &mut probe.stream_groups {
            for (grid, rotation) in group.components.iter_mut().zip(rotations.get(&group.index)) {
                grid.rotation_degrees = *rotation;
                grid.work_out();
            }
        }
        Ok(probe)
    }
}

fn too_large(reason: String) -> Error {
    Error::ProbeTooLarge { reason }
}

/// About as many values as a JSON text has, each of which takes much more memory than it has bytes.
fn values(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}
