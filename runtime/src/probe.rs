//! What ffprobe says of a file, with types.

use crate::{Error, Job, Runtime};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A media file's format, streams and chapters.
///
/// Whatever ffprobe says beyond the fields here is kept under its own name in `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    pub format: Format,
    #[serde(default)]
    pub streams: Vec<Stream>,
    #[serde(default)]
    pub chapters: Vec<Chapter>,
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
    /// How sure the format is, up to 100.
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
    pub width: Option<u32>,
    pub height: Option<u32>,
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

impl FromStr for Rational {
    type Err = String;

    fn from_str(text: &str) -> Result<Rational, String> {
        let parsed = text.split_once('/').and_then(|(numerator, denominator)| {
            Some(Rational {
                numerator: numerator.parse().ok()?,
                denominator: denominator.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| format!("`{text}` is not a fraction"))
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
    /// A job for [`Runtime::probe`] that looks at one input; it needs a directory or an input stream to find it in.
    pub fn probe(input: impl Into<std::ffi::OsString>) -> Job {
        let options = "ffprobe -v error -of json -show_format -show_streams -show_chapters -i";
        Job::new(options.split(' ')).arg(input)
    }
}

impl Runtime {
    /// Runs a job made by [`Job::probe`] and reads what it prints.
    pub fn probe(&self, job: Job) -> Result<Probe, Error> {
        let output = self.run(job)?.into_success()?;
        match serde_json::from_slice(&output.stdout) {
            Ok(probe) => Ok(probe),
            Err(source) => Err(Error::ProbeUnreadable { source }),
        }
    }
}
