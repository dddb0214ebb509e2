//! What is said over the queue, as JSON: jobs, and what became of them. docs/cluster.md has the same for other languages.

use super::error::Error;
use crate::pack::Hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The version of these messages.
pub const VERSION: u32 = 1;

/// A job: the line of a list of `afmpeg batch`, with where inputs and outputs lie.
///
/// ```
/// # use afmpeg::cluster::JobMessage;
/// let job = JobMessage::from_json(
///     r#"{"id": "7", "args": ["-i", "in.mov", "out.mp4"],
///         "inputs": {"in.mov": "s3://media/in/7.mov"}, "outputs": {"out.mp4": "s3://media/out/7.mp4"}}"#,
/// )?;
/// assert_eq!(job.outputs["out.mp4"], "s3://media/out/7.mp4");
/// # Ok::<(), afmpeg::cluster::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JobMessage {
    #[serde(default = "current_version")]
    pub version: u32,
    /// The submitter's name of the job. The same work under another name is another job.
    pub id: String,
    #[serde(default)]
    pub program: Program,
    /// After the program's name.
    pub args: Vec<String>,
    /// In seconds; by default the most that the worker gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// The address of each file that the program may read, by its name there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The address of each file that the program writes, by its name there. A name that ends in `/` is a folder, whose files get
    /// their names below the address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// The address that standard output goes to; otherwise it comes with the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The module by name, or by digest as `sha256:…`; by default the worker's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Whether many workers make it, if it can be cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parallel: bool,
    /// The address below which encoded segments of a parallel job lie until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    #[default]
    Ffmpeg,
    Ffprobe,
}

/// Limits of a job; those that are absent are the worker's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_memory_max_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_max_bytes: Option<u64>,
}

impl Limits {
    fn is_empty(&self) -> bool {
        *self == Limits::default()
    }
}

fn current_version() -> u32 {
    VERSION
}

/// The longest name of a job.
const ID_MAX_BYTES: usize = 256;
/// The longest message. Servers take a megabyte by default.
pub(super) const MESSAGE_MAX_BYTES: usize = 512 << 10;
/// Each input takes memory of the worker.
const FILES_MAX: usize = 256;

impl JobMessage {
    /// A job of ffmpeg.
    pub fn new(id: impl Into<String>, args: impl IntoIterator<Item = impl Into<String>>) -> JobMessage {
        JobMessage {
            version: VERSION,
            id: id.into(),
            args: args.into_iter().map(Into::into).collect(),
            ..JobMessage::default()
        }
    }

    /// Reads a job as it comes from the queue, where anybody may have put it.
    pub(super) fn from_message(payload: &[u8]) -> Result<JobMessage, Error> {
        let wrong = |reason: String| Error::Job { reason };
        if payload.len() > MESSAGE_MAX_BYTES {
            let size_bytes = payload.len();
            return Err(wrong(format!(
                "its message has {size_bytes} bytes, of at most {MESSAGE_MAX_BYTES}"
            )));
        }
        let text = std::str::from_utf8(payload).map_err(|error| wrong(error.to_string()))?;
        JobMessage::from_json(text)
    }

    /// Reads a job, and checks what can be checked without asking anybody.
    pub fn from_json(text: &str) -> Result<JobMessage, Error> {
        #[derive(Deserialize)]
        struct Versioned {
            version: Option<u32>,
        }
        let wrong = |reason: String| Error::Job { reason };
        let versioned: Versioned = serde_json::from_str(text).map_err(|error| wrong(told(&error)))?;
        if let Some(version) = versioned.version.filter(|version| *version != VERSION) {
            return Err(wrong(format!(
                "its version is {version}, and this is version {VERSION}"
            )));
        }
        let job: JobMessage = serde_json::from_str(text).map_err(|error| wrong(told(&error)))?;
        job.check().map_err(wrong)?;
        Ok(job)
    }

    fn check(&self) -> Result<(), String> {
        if self.id.is_empty() || self.id.len() > ID_MAX_BYTES {
            return Err(format!("its id is empty, or longer than {ID_MAX_BYTES} bytes"));
        }
        if self.time().is_none() {
            return Err("the timeout is no number of seconds".to_owned());
        }
        if self.inputs.len() + self.outputs.len() > FILES_MAX {
            return Err(format!("it has more than {FILES_MAX} inputs and outputs"));
        }
        let mut names = self.inputs.keys().chain(self.outputs.keys());
        if let Some(name) = names.find(|name| !is_plain(name)) {
            return Err(format!(
                "`{name}` is no name of a file: it must be relative, without `..` and empty parts"
            ));
        }
        if let Some(name) = self.inputs.keys().find(|name| self.outputs.contains_key(*name)) {
            return Err(format!("`{name}` is both an input and an output"));
        }
        if self.args.iter().any(|arg| arg.contains('\0')) {
            return Err("an argument has a zero byte".to_owned());
        }
        let is_cut = self.parallel && (self.program != Program::Ffmpeg || self.work.is_none());
        if is_cut {
            return Err("a parallel job is one of ffmpeg, and names an address for `work`".to_owned());
        }
        Ok(())
    }

    /// The time that it asks for, or for the most that there is; nothing if that is no time.
    pub(super) fn time(&self) -> Option<Duration> {
        match self.timeout {
            None => Some(Duration::MAX),
            Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        }
    }

    /// What is sent.
    pub fn to_json(&self) -> String {
        // Texts, numbers and maps of texts: nothing in it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The key of the job.
    pub fn key(&self) -> Key {
        Key::of(self.to_json().as_bytes())
    }
}

/// What is wrong with a message, without what stands in it: that may be an address with a signature. A plain name of a key is told.
fn told(error: &serde_json::Error) -> String {
    let words = error.to_string();
    if error.classify() != serde_json::error::Category::Data {
        return words;
    }
    let name = words.split('`').nth(1).unwrap_or_default();
    let is_plain = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_of_name = [
        "missing field `",
        "duplicate field `",
        "unknown field `",
        "unknown variant `",
    ]
    .iter()
    .any(|start| words.starts_with(start));
    match words.rsplit_once(", expected ") {
        _ if is_of_name && is_plain => words,
        Some((_, expected)) => format!("it has something else than {expected}"),
        None => format!(
            "it has what is of no job at line {} column {}",
            error.line(),
            error.column()
        ),
    }
}

/// Whether this is a name in the sandbox's folder; that of a folder ends in `/`.
fn is_plain(name: &str) -> bool {
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    name.len() <= 1024 && name.split('/').all(is_part)
}

/// The name of a job on the queue: the SHA-256 of its message's bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    pub fn of(message: &[u8]) -> Key {
        Key(Hex(&Sha256::digest(message)).to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Key, Error> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.len() == 64 && text.bytes().all(is_digit) {
            true => Ok(Key(text.to_owned())),
            false => Err(Error::NoJob { key: text.to_owned() }),
        }
    }
}

/// What became of a job so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl Status {
    /// Whether it stays as it is, until the job is submitted again.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Done | Status::Failed | Status::Cancelled)
    }
}

/// The result of a job, with the fields of `afmpeg batch`'s and some more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    pub id: String,
    pub status: Status,
    pub exit_code: Option<i32>,
    /// Why it failed, in ffmpeg's words where it was ffmpeg that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last of what was written to standard output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    pub queue_seconds: f64,
    pub run_seconds: f64,
    pub memory_peak_bytes: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// The key of the job.
    pub job_sha256: Key,
    pub worker: String,
    /// How often it was begun.
    pub attempts: u32,
    /// How many segments a parallel job was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<usize>,
}

impl Outcome {
    pub(super) fn new(id: &str, key: &Key, status: Status) -> Outcome {
        Outcome {
            id: id.to_owned(),
            status,
            exit_code: None,
            error: None,
            stdout: String::new(),
            queue_seconds: 0.0,
            run_seconds: 0.0,
            memory_peak_bytes: 0,
            bytes_read: 0,
            bytes_written: 0,
            job_sha256: key.clone(),
            worker: String::new(),
            attempts: 0,
            segments: None,
        }
    }

    pub(super) fn failed(id: &str, key: &Key, error: String) -> Outcome {
        Outcome {
            error: Some(cut_words(&error)),
            ..Outcome::new(id, key, Status::Failed)
        }
    }
}

/// The longest that the words of a failure are. They may quote what somebody has put into a message.
const WORDS_MAX: usize = 4000;

pub(super) fn cut_words(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

/// Something that is known of a job: its state, and while it runs its progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    pub version: u32,
    pub key: Key,
    pub id: String,
    pub status: Status,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worker: String,
    #[serde(default)]
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Reached>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// How far a running job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reached {
    pub frame: u64,
    pub fps: f64,
    /// Of the output.
    pub time_seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_or_refused_with_a_reason() {
        let refused = |text: &str| JobMessage::from_json(text).unwrap_err().to_string();
        for (text, reason) in [
            ("no JSON", "expected"),
            (r#"{"id": "1"}"#, "args"),
            (r#"{"version": 2, "id": "1", "args": [], "more": 1}"#, "version is 2"),
            (r#"{"id": "1", "args": [], "secret": "x"}"#, "secret"),
            (r#"{"id": "1", "args": {}}"#, "something else than a sequence at line 1"),
            (
                r#"{"id": "1", "args": [], "inputs": "https://a/b?signature"}"#,
                "something else than a map at line 1 column",
            ),
            (
                r#"{"id": "1", "args": [], "https://a/b?signature": 1}"#,
                "something else than one of",
            ),
            (r#"{"id": "", "args": []}"#, "id is empty"),
            (r#"{"id": "1", "args": [], "timeout": -1}"#, "timeout"),
            (r#"{"id": "1", "args": [], "inputs": {"../x": "s3://a/b"}}"#, "../x"),
            (r#"{"id": "1", "args": [], "outputs": {"/x": "s3://a/b"}}"#, "/x"),
            (
                r#"{"id": "1", "args": [], "inputs": {"x": "s3://a/b"}, "outputs": {"x": "s3://a/b"}}"#,
                "both",
            ),
            (r#"{"id": "1", "args": [], "parallel": true}"#, "work"),
            (r#"{"id": "1", "args": ["\u0000"]}"#, "zero byte"),
        ] {
            assert!(refused(text).contains(reason), "{text}: {}", refused(text));
            assert!(!refused(text).contains("signature"), "{text}: {}", refused(text));
        }
        let job = JobMessage::from_json(r#"{"args": ["-version"], "id": "1"}"#).unwrap();
        assert_eq!(job, JobMessage::new("1", ["-version"]));
        assert_eq!(JobMessage::from_json(&job.to_json()).unwrap().key(), job.key());
    }
}
