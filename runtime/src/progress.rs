//! Reports of ffmpeg's progress while it runs.

use crate::fs::{DirEntry, File, FileSystem, FileType, Metadata, OpenOptions, Opened};
use crate::job::Job;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
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

    /// Sends each of ffmpeg's reports through a channel, which closes when the job ends.
    pub fn progress_channel(self) -> (Job, mpsc::Receiver<Progress>) {
        let (sender, receiver) = mpsc::channel();
        // Nobody has to listen.
        let job = self.progress(move |progress| drop(sender.send(progress.clone())));
        (job, receiver)
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
