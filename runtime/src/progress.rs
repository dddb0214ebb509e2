//! Reports of ffmpeg's progress while it runs.

use crate::fs::{DirEntry, File, FileSystem, FileType, Metadata, OpenOptions, Opened};
use crate::job::Job;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A progress report of ffmpeg.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Video frames written.
    pub frame: u64,
    /// Frames a second.
    pub fps: f64,
    /// The duration of the output so far.
    pub time: Duration,
    /// Duration of the output per elapsed time: 2 is twice as fast as real time.
    pub speed: Option<f64>,
    pub total_size_bytes: Option<u64>,
    /// The report is the last one.
    pub finished: bool,
}

impl Progress {
    /// Returns the completed part, from 0 to 1, of an output of this total duration.
    pub fn fraction(&self, duration: Duration) -> f64 {
        match duration {
            _ if self.finished => 1.0,
            Duration::ZERO => 0.0,
            _ => (self.time.as_secs_f64() / duration.as_secs_f64()).min(1.0),
        }
    }

    /// Takes one line of ffmpeg's report; returns whether it was the last line of it.
    fn read(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.split_once('=') else {
            return false;
        };
        let value = value.trim();
        match key {
            "frame" => self.frame = value.parse().unwrap_or(self.frame),
            "fps" => self.fps = value.parse().unwrap_or(self.fps),
            "total_size" => self.total_size_bytes = value.parse().ok(),
            "out_time_us" => self.time = value.parse().map_or(self.time, Duration::from_micros),
            "speed" => self.speed = value.trim_end_matches('x').trim().parse().ok(),
            "progress" => {
                self.finished = value == "end";
                return true;
            }
            _ => {}
        }
        false
    }
}

/// The path, in the guest, of the folder for reports.
const FOLDER: &str = "/afmpeg";
const FILE: &str = "progress";

impl Job {
    /// Calls this with each of ffmpeg's reports, about ten times a second.
    ///
    /// The job must be one of ffmpeg. The call comes from the job's thread, which waits for it to return, and has at
    /// least 4 MiB of stack.
    pub fn progress(mut self, report: impl FnMut(&Progress) + Send + 'static) -> Job {
        let options = [
            "-progress".to_owned(),
            format!("{FOLDER}/{FILE}"),
            "-stats_period".to_owned(),
            "0.1".to_owned(),
        ];
        let after_name = self.args.len().min(1);
        self.args.splice(after_name..after_name, options.map(Into::into));
        let report = Arc::new(Mutex::new(Report {
            call: Box::new(report),
            progress: Progress::default(),
            line: Vec::new(),
        }));
        self.file_system(FOLDER, Arc::new(ReportFolder(report)))
    }

    /// Sends ffmpeg's reports through a channel, which closes when the job ends.
    ///
    /// Nobody has to listen: the newest 64 wait to be received, and those before them are dropped.
    pub fn progress_channel(self) -> (Job, ProgressReceiver) {
        let channel = Arc::new(Channel::default());
        let sender = Sender(channel.clone());
        let job = self.progress(move |progress| sender.send(progress));
        (job, ProgressReceiver(channel))
    }
}

/// A program can report without end.
const WAITING_MAX: usize = 64;

#[derive(Debug, Default)]
struct Channel {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    reports: VecDeque<Progress>,
    is_closed: bool,
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job's end of a channel.
struct Sender(Arc<Channel>);

impl Sender {
    fn send(&self, progress: &Progress) {
        let mut waiting = self.0.lock();
        if waiting.reports.len() == WAITING_MAX {
            waiting.reports.pop_front();
        }
        waiting.reports.push_back(progress.clone());
        self.0.changed.notify_all();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// The caller's end of [`Job::progress_channel`], with the methods of [`std::sync::mpsc::Receiver`]. As an iterator it
/// waits for each report, and ends when the job does.
#[derive(Debug)]
pub struct ProgressReceiver(Arc<Channel>);

impl ProgressReceiver {
    /// Waits for a report.
    pub fn recv(&self) -> Result<Progress, RecvError> {
        let waiting = self.0.changed.wait_while(self.0.lock(), |waiting| {
            waiting.reports.is_empty() && !waiting.is_closed
        });
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.reports.pop_front().ok_or(RecvError)
    }

    /// Waits for a report, no longer than this.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Progress, RecvTimeoutError> {
        let waiting = self.0.changed.wait_timeout_while(self.0.lock(), timeout, |waiting| {
            waiting.reports.is_empty() && !waiting.is_closed
        });
        let (mut waiting, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        match waiting.reports.pop_front() {
            Some(progress) => Ok(progress),
            None if waiting.is_closed => Err(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Returns a report that has come already.
    pub fn try_recv(&self) -> Result<Progress, TryRecvError> {
        let mut waiting = self.0.lock();
        match waiting.reports.pop_front() {
            Some(progress) => Ok(progress),
            None if waiting.is_closed => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl Iterator for ProgressReceiver {
    type Item = Progress;

    fn next(&mut self) -> Option<Progress> {
        self.recv().ok()
    }
}

type SharedReport = Arc<Mutex<Report>>;

struct Report {
    call: Box<dyn FnMut(&Progress) + Send>,
    progress: Progress,
    line: Vec<u8>,
}

/// ffmpeg's lines are short; longer ones are ignored.
const LINE_SIZE_MAX_BYTES: usize = 1024;

/// A directory with one file, into which reports are written.
struct ReportFolder(SharedReport);

impl FileSystem for ReportFolder {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        match path {
            "." if !options.changes() => Ok(Opened::Directory),
            FILE if !options.directory && !options.exclusive => Ok(Opened::File(Box::new(ReportFile(self.0.clone())))),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        match path {
            "." => Ok(Metadata::new(FileType::Directory, 0, 1)),
            FILE => Ok(Metadata::new(FileType::Other, 0, 2)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn read_dir(&self, _path: &str) -> io::Result<Vec<DirEntry>> {
        Ok(vec![DirEntry::new(FILE, 2, FileType::Other)])
    }
}

struct ReportFile(SharedReport);

impl File for ReportFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata::new(FileType::Other, 0, 2))
    }

    fn read_at(&mut self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&mut self, buffer: &[u8], _offset: u64) -> io::Result<usize> {
        let report = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in buffer {
            if byte != b'\n' {
                if report.line.len() < LINE_SIZE_MAX_BYTES {
                    report.line.push(byte);
                }
                continue;
            }
            if report.progress.read(&String::from_utf8_lossy(&report.line)) {
                (report.call)(&report.progress);
            }
            report.line.clear();
        }
        Ok(buffer.len())
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn set_len(&mut self, _size_bytes: u64) -> io::Result<()> {
        Ok(())
    }
}
