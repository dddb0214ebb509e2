//! A folder for each test, and programs run in it under a watch.

use crate::measure::Packets;
use crate::{engine, inputs};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The video, in every test's folder: H.264 in 1280x720 with a single keyframe, and AAC in 5.1.
pub const SOURCE: &str = "source.mp4";
pub const SOURCE_FRAMES: usize = 132;
pub const SOURCE_FRAMES_PER_SECOND: usize = 25;
pub const SOURCE_SAMPLES_PER_SECOND: usize = 48_000;

/// Far longer than any job here takes, even on a busy host: a job that reaches it hangs.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The first start compiles the module.
const TIMEOUT_FIRST: Duration = Duration::from_secs(900);

/// The module under test, and its description of itself.
pub struct Module {
    path: PathBuf,
    pub encoders: BTreeSet<String>,
}

impl Module {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The module, compiled before any test uses it, so that tests that start together do not all compile it.
pub fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        let path = inputs::module();
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::new(&path, folder.path(), "", "ffmpeg -v error -encoders");
        run.timeout = TIMEOUT_FIRST;
        let listing = run.ok().text();
        // The legend above the line of dashes has the same shape as the list below it.
        let (_, list) = listing.split_once("------").unwrap();
        let encoders = list
            .lines()
            .filter_map(|line| Some(line.split_whitespace().nth(1)?.to_owned()))
            .collect();
        Module { path, encoders }
    })
}

/// A folder with `ffmpeg` and `ffprobe` of the module, whose compiled code is that of all tests.
pub fn shims() -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_afmpeg"))
        .arg("--module")
        .arg(module().path())
        .arg("shims")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut policy = OpenOptions::new()
        .append(true)
        .open(folder.path().join("afmpeg.toml"))
        .unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    writeln!(policy, "cache-dir = {cache:?}\nengine = {:?}", engine::name()).unwrap();
    folder
}

/// The module in this process, for tests of the library.
pub fn runtime() -> &'static afmpeg::Runtime {
    static RUNTIME: OnceLock<afmpeg::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
        engine::builder().cache_folder(cache).from_file(&module().path).unwrap()
    })
}

/// The real media that other projects test with, all files of theirs.
pub fn real_media() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = inputs::media();
    let mut files = vec![inputs::video()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

/// A test's own folder, with the video in it, in which programs run.
pub struct Studio {
    folder: TempDir,
}

impl Studio {
    pub fn new() -> Studio {
        module();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::copy(inputs::video(), folder.path().join(SOURCE)).unwrap();
        Studio { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command with the module, in this folder, for tests that speak with it while it runs.
    pub fn command(&self) -> Command {
        command(module().path(), self.folder.path())
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    /// The sorted names of the files that begin so.
    pub fn files(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }

    /// Runs ffmpeg with arguments that are separated by white space.
    pub fn ffmpeg(&self, arguments: impl AsRef<str>) -> Run {
        self.afmpeg("", &format!("ffmpeg -hide_banner {}", arguments.as_ref()))
    }

    /// Runs ffmpeg, which must succeed.
    pub fn make(&self, arguments: impl AsRef<str>) -> Ended {
        self.ffmpeg(arguments).ok()
    }

    /// Runs any program of the module, with options for its sandbox.
    pub fn afmpeg(&self, options: &str, command: &str) -> Run {
        Run::new(&module().path, self.folder.path(), options, command)
    }

    /// Returns ffprobe's whole output for a file, its frames counted by decoding them.
    pub fn probe(&self, file: &str) -> Value {
        let command =
            format!("ffprobe -v error -of json -count_frames -show_format -show_streams -show_chapters {file}");
        serde_json::from_slice(&self.afmpeg("", &command).ok().stdout).unwrap()
    }

    /// The raw frames of the picture that these arguments give, in a pixel format.
    pub fn frames(&self, arguments: impl AsRef<str>, pixels: Pixels) -> Vec<Vec<u8>> {
        let options = format!("-an -fps_mode passthrough -f rawvideo -pix_fmt {}", pixels.format);
        let raw = self.make(format!("{} {options} pipe:1", arguments.as_ref())).stdout;
        let size_bytes = pixels.frame_size_bytes();
        assert_eq!(
            raw.len() % size_bytes,
            0,
            "{} bytes are no whole frames of {size_bytes}",
            raw.len()
        );
        raw.chunks_exact(size_bytes).map(<[u8]>::to_vec).collect()
    }

    /// The interleaved samples of the sound that these arguments give, between -1 and 1.
    pub fn samples(&self, arguments: impl AsRef<str>) -> Vec<f32> {
        let raw = self.make(format!("{} -vn -f f32le pipe:1", arguments.as_ref())).stdout;
        let (samples, rest) = raw.as_chunks::<4>();
        assert!(rest.is_empty());
        samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The packets that these arguments give, each by its hash: with `-c copy` those of a file, else decoded frames.
    pub fn packets(&self, arguments: impl AsRef<str>) -> Packets {
        Packets::parse(&self.make(format!("{} -f framemd5 pipe:1", arguments.as_ref())).text())
    }
}

/// The layout of raw frames.
#[derive(Clone, Copy)]
pub struct Pixels {
    pub format: &'static str,
    pub width: usize,
    pub height: usize,
}

impl Pixels {
    pub const fn new(format: &'static str, width: usize, height: usize) -> Pixels {
        Pixels { format, width, height }
    }

    pub fn frame_size_bytes(self) -> usize {
        let area = self.width * self.height;
        match self.format {
            "rgb24" | "yuv444p" => area * 3,
            "yuv420p" => area + 2 * self.width.div_ceil(2) * self.height.div_ceil(2),
            format => panic!("the size of {format} is not known here"),
        }
    }
}

/// A program that is about to run.
#[must_use]
pub struct Run {
    command: Command,
    line: String,
    input: Option<Vec<u8>>,
    timeout: Duration,
}

/// The command with a module, in a folder.
fn command(module: &Path, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afmpeg"));
    command.current_dir(folder);
    // The settings of FFmpeg in the environment of the tests must not affect the test.
    for variable in ["AV_LOG_FORCE_COLOR", "AV_LOG_FORCE_256COLOR", "FFREPORT"] {
        command.env_remove(variable);
    }
    // Nor must a proxy, which has other ideas of this machine's own addresses.
    for variable in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(variable).env_remove(variable.to_ascii_lowercase());
    }
    command.arg("--module").arg(module).args(["--engine", engine::name()]);
    command
        .arg("--cache-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot"));
    command
}

impl Run {
    fn new(module: &Path, folder: &Path, options: &str, line: &str) -> Run {
        let mut command = command(module, folder);
        command.args(options.split_whitespace());
        command.args(line.split_whitespace());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let options = if options.is_empty() {
            String::new()
        } else {
            format!("{options} ")
        };
        let line = format!("afmpeg {options}{line}");
        Run {
            command,
            line,
            input: None,
            timeout: TIMEOUT,
        }
    }

    /// Sets the data that the program reads from its standard input, through a pipe.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.command.stdin(Stdio::piped());
        self.input = Some(input.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self
    }

    /// Runs the program, which must succeed.
    pub fn ok(self) -> Ended {
        self.end().succeeded()
    }

    /// Runs the program, which must end with this exit code of its own and say this.
    pub fn fails(self, exit_code: i32, message: &str) -> Ended {
        let ended = self.end();
        assert_eq!(ended.exit_code, Some(exit_code), "{ended}");
        assert!(
            ended.stderr.contains(message),
            "`{message}` is not among what was said:\n{ended}"
        );
        ended
    }

    pub fn end(self) -> Ended {
        together([self]).remove(0)
    }

    fn start(mut self) -> Running {
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.line));
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // A program may end without reading all of it.
            thread::spawn(move || stdin.write_all(&input));
        }
        Running {
            line: self.line,
            stdout: child.stdout.take().map(collect),
            stderr: child.stderr.take().map(collect),
            child,
            started: Instant::now(),
            timeout: self.timeout,
            usage: None,
            ended: None,
        }
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// All that came through a stream, or nothing if the stream was given to another program.
fn collected(reader: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    reader.map(|reader| reader.join().unwrap()).unwrap_or_default()
}

/// Runs programs at the same time.
pub fn together(runs: impl IntoIterator<Item = Run>) -> Vec<Ended> {
    let mut running: Vec<Running> = runs.into_iter().map(Run::start).collect();
    while !running.iter_mut().all(Running::poll) {
        thread::sleep(Duration::from_millis(5));
    }
    running.iter_mut().map(Running::end).collect()
}

/// Runs programs at the same time, each with its output as the next one's input, through pipes of the operating system.
pub fn pipeline<const LENGTH: usize>(mut runs: [Run; LENGTH]) -> Vec<Ended> {
    for position in 1..LENGTH {
        let (reader, writer) = pipe().unwrap();
        runs[position - 1].command.stdout(writer);
        runs[position].command.stdin(reader);
    }
    together(runs)
}

struct Running {
    line: String,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    started: Instant,
    timeout: Duration,
    usage: Option<Usage>,
    ended: Option<(Option<i32>, Duration)>,
}

impl Running {
    fn poll(&mut self) -> bool {
        if self.ended.is_none() {
            self.usage = Usage::of(self.child.id()).or(self.usage);
            self.ended = self
                .child
                .try_wait()
                .unwrap()
                .map(|status| (status.code(), self.started.elapsed()));
            if self.ended.is_none() && self.started.elapsed() > self.timeout {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                self.ended = Some((None, self.started.elapsed()));
                panic!("hangs, and was killed\n{}", self.end());
            }
        }
        self.ended.is_some()
    }

    fn end(&mut self) -> Ended {
        let (exit_code, wall_time) = self.ended.unwrap();
        Ended {
            line: std::mem::take(&mut self.line),
            exit_code,
            stdout: collected(self.stdout.take()),
            stderr: String::from_utf8_lossy(&collected(self.stderr.take())).into_owned(),
            wall_time,
            usage: self.usage,
        }
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing running behind.
    fn drop(&mut self) {
        if self.ended.is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The resources that a process has used so far; on Linux.
#[derive(Clone, Copy)]
pub struct Usage {
    pub cpu_time: Duration,
    pub memory_peak_bytes: u64,
}

impl Usage {
    fn of(process: u32) -> Option<Usage> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in brackets, may hold spaces. Times are the 14th and 15th fields, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse().unwrap_or(0))
            .sum();
        Some(Usage {
            cpu_time: Duration::from_millis(ticks * 10),
            memory_peak_bytes: peak_kib * 1024,
        })
    }
}

/// A program that has ended.
pub struct Ended {
    line: String,
    /// None if a signal killed it.
    pub exit_code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub wall_time: Duration,
    pub usage: Option<Usage>,
}

impl Ended {
    pub fn succeeded(self) -> Ended {
        assert_eq!(self.exit_code, Some(0), "{self}");
        self
    }

    pub fn text(self) -> String {
        String::from_utf8(self.stdout).unwrap()
    }

    /// The word that follows these in what the program said.
    pub fn said_after(&self, label: &str) -> &str {
        let (_, rest) = self
            .stderr
            .rsplit_once(label)
            .unwrap_or_else(|| panic!("`{label}` was not said:\n{self}"));
        rest.split_whitespace().next().unwrap()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let last = &lines[lines.len().saturating_sub(20)..];
        writeln!(
            formatter,
            "{}\nended with {:?} after {:?}:",
            self.line, self.exit_code, self.wall_time
        )?;
        writeln!(formatter, "{}", last.join("\n"))
    }
}
