//! The whole command line.

use crate::cli_values::seconds;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

/// FFmpeg in a sandbox: the programs ffmpeg and ffprobe as one WebAssembly module that sees only what you give it
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_long_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub sandbox: Sandbox,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that only these verbs have a use for. Another one refuses them, as its user expects something of them.
const OPTIONS_OF_VERBS: [(&[&str], &[&str]); 2] = [
    (
        &["dir", "dir_read_only", "fonts", "allow_url", "no_current_dir"],
        &["ffmpeg", "ffprobe", "batch"],
    ),
    (&["parallel", "resume", "dry_run", "progress"], &["ffmpeg"]),
];

impl Cli {
    /// Reads the command line; ends the process where it is wrong, or asks for help.
    pub fn read() -> Cli {
        let mut command = Cli::command();
        let matches = command.get_matches_mut();
        let read = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command));
        let read = read.and_then(|cli| match misplaced(&matches) {
            None => Ok(cli),
            Some(reason) => Err(command.error(ErrorKind::ArgumentConflict, reason)),
        });
        read.unwrap_or_else(|error| error.exit())
    }
}

fn misplaced(matches: &ArgMatches) -> Option<String> {
    let verb = matches.subcommand_name()?;
    let groups = OPTIONS_OF_VERBS.iter().filter(|(_, verbs)| !verbs.contains(&verb));
    let mut options = groups.flat_map(|(options, verbs)| options.iter().map(move |option| (option, verbs)));
    let (option, verbs) = options.find(|(option, _)| matches.value_source(option) == Some(ValueSource::CommandLine))?;
    let option = option.replace('_', "-");
    Some(format!("--{option} is for {}, and not for {verb}", verbs.join(", ")))
}

const AFTER_HELP: &str = "\
Examples:
  afmpeg ffmpeg -i in.mp4 -vf scale=640:-2 out.mp4
  afmpeg ffprobe -v error -show_format -of json in.mp4
  cat in.mkv | afmpeg ffmpeg -i pipe:0 -c:a aac -f matroska pipe:1 > out.mkv
  afmpeg --dir-read-only /media --dir /tmp/out ffmpeg -i /media/in.mp4 /tmp/out/out.mkv
  afmpeg ffmpeg -i in.mp4 -vf drawtext=text=Hello:fontsize=48:fontcolor=white out.mp4
  afmpeg --fonts /usr/share/fonts ffmpeg -i in.mp4 -vf subtitles=zh.srt out.mp4
  afmpeg --parallel ffmpeg -i in.mkv -c:v libx264 -c:a aac out.mp4
  afmpeg --memory-max 512M --timeout 60 ffmpeg -i untrusted.mp4 thumbnail.png
  afmpeg probe in.mp4
  afmpeg frames in.mp4 sheet.jpg --sheet 4x3 --width 320
  afmpeg batch jobs.jsonl
  afmpeg pull o3-gpl@9.0.2-1 --public-key afmpeg.pub --from https://media.example/afmpeg/9.0.2-1

The current directory can be read and written, under relative and absolute paths; everything else only if it is given \
with --dir or --dir-read-only.

The module is the first of: --module PATH; the variable AFMPEG_MODULE; the one built last by `cargo xtask build`, in \
the current directory or one above it.

Exit codes: those of ffmpeg and ffprobe are passed on; a line on standard error that begins with `afmpeg:` says what \
the sandbox had to do with a failure, such as a limit that was reached. The command's own:
    1  what was asked for cannot be made of this media
    2  the command line is wrong
    3  no module was found
    4  the module cannot be used
    5  a folder, a stream or a list of jobs cannot be set up
   70  the program crashed, or the command is at fault
  124  the time given with --timeout is over";

#[derive(Clone, Debug, Args)]
pub struct Sandbox {
    /// The module to run: a .wasm file, or one compressed with gzip or brotli [default: see below]
    #[arg(long, value_name = "PATH")]
    pub module: Option<PathBuf>,

    /// What runs the module: wasmtime, which compiles it, or its pack, native code made before, NAME.MACHINE.so beside it; auto
    /// takes the pack if there is one
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: Engine,

    /// A folder that the program may read and write, by its own name or as GUEST; may be repeated
    #[arg(long, value_name = "HOST[::GUEST]", value_parser = folder)]
    pub dir: Vec<Folder>,

    /// A folder that the program may read; may be repeated
    #[arg(long, value_name = "HOST[::GUEST]", value_parser = folder)]
    pub dir_read_only: Vec<Folder>,

    /// A folder of fonts for subtitles and drawtext, besides the module's own, DejaVu Sans
    #[arg(long, value_name = "DIR")]
    pub fonts: Option<PathBuf>,

    /// Let inputs be read from web addresses that begin so, such as https://media.example/videos/; may be repeated
    #[arg(long, value_name = "URL", value_parser = crate::remote::prefix)]
    pub allow_url: Vec<url::Url>,

    /// Keep the current directory from the program
    #[arg(long)]
    pub no_current_dir: bool,

    /// Pass on a variable of the environment, or set one; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// The most memory that the program may use, such as 512M or 2G
    #[arg(long, value_name = "SIZE", value_parser = size_bytes, default_value = "4G")]
    pub memory_max: u64,

    /// End the program after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// The most that the program may write to all its files and streams together, such as 2G
    #[arg(long, value_name = "SIZE", value_parser = size_bytes)]
    pub written_max: Option<u64>,

    /// The most memory that this command may hold for the program besides the program's own, such as 1G
    #[arg(long, value_name = "SIZE", value_parser = size_bytes, default_value = "4G")]
    pub host_memory_max: u64,

    /// Number of files that the program may have open at a time
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    pub open_files_max: usize,

    /// Number of files and folders that the program may create
    #[arg(long, value_name = "COUNT")]
    pub names_max: Option<u64>,

    /// Make the output depend on the input alone: clocks stand at 1970, and random numbers come from this seed
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    pub fixed: Option<u64>,

    /// Show a bar in place of ffmpeg's own lines about its progress
    #[arg(long)]
    pub progress: bool,

    /// Cut the video into segments and encode them at the same time, on all cores or N; what cannot be cut runs as one job,
    /// which with `require` is an error. The output does not depend on N
    #[arg(long, value_name = "N|require", value_parser = wish, num_args = 0..=1, default_missing_value = "",
        require_equals = true)]
    pub parallel: Option<Wish>,

    /// With --parallel: keep encoded segments in the cache until the output is whole, and take those that an interrupted run of the
    /// same command has left there
    #[arg(long, requires = "parallel")]
    pub resume: bool,

    /// With --parallel: print how the video would be cut, as JSON, and make nothing
    #[arg(long, requires = "parallel")]
    pub dry_run: bool,

    /// Folder of compiled code [default: afmpeg/aot in XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "PATH", conflicts_with = "no_cache")]
    pub cache_dir: Option<PathBuf>,

    /// Compile the module anew
    #[arg(long)]
    pub no_cache: bool,
}

/// What `--parallel` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How many segments are encoded at a time, if not as many as there are cores.
    pub workers: Option<NonZero<usize>>,
    pub is_required: bool,
}

fn wish(text: &str) -> Result<Wish, String> {
    let mut wish = Wish::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        match word {
            "require" => wish.is_required = true,
            count => {
                let count = count.parse();
                wish.workers = Some(count.map_err(|_| format!("`{word}` is neither a number of cores nor `require`"))?);
            }
        }
    }
    Ok(wish)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Auto,
    Wasmtime,
    Pack,
}

impl From<Engine> for afmpeg::Engine {
    fn from(engine: Engine) -> afmpeg::Engine {
        match engine {
            Engine::Auto => afmpeg::Engine::Auto,
            Engine::Wasmtime => afmpeg::Engine::Wasmtime,
            Engine::Pack => afmpeg::Engine::Pack,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run FFmpeg's ffmpeg; all that follows is passed to it
    #[command(disable_help_flag = true)]
    Ffmpeg(GuestArgs),
    /// Run FFmpeg's ffprobe; all that follows is passed to it
    #[command(disable_help_flag = true)]
    Ffprobe(GuestArgs),
    /// Say what a media file is
    Probe(Probe),
    /// Save pictures of a video: at some times, every few seconds, or a contact sheet
    Frames(Frames),
    /// Run many jobs in parallel, each a line of JSON; run it again to resume after an interruption
    Batch(Batch),
    /// Take jobs from a queue that many machines share
    #[cfg(feature = "cluster")]
    Worker(crate::cli_cluster::Worker),
    /// Give jobs to workers, each a line of JSON
    #[cfg(feature = "cluster")]
    Submit(crate::cli_cluster::Submit),
    /// Say what became of jobs
    #[cfg(feature = "cluster")]
    Status(crate::cli_cluster::Which),
    /// End jobs that wait or run
    #[cfg(feature = "cluster")]
    Cancel(crate::cli_cluster::Which),
    /// Print what happens to jobs, as it happens
    #[cfg(feature = "cluster")]
    Watch(crate::cli_cluster::Watch),
    /// Compile the module now, so that the next start takes milliseconds
    Compile,
    /// Get a module of a release, verify it, and print where it lies
    Pull(Pull),
    /// Put ffmpeg and ffprobe into a folder, for programs that call them
    Shims(Shims),
    /// Say what the module is: version, licence, components, size
    Info(Info),
    /// Print a script that completes this command's words in a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  afmpeg probe talk.mkv
  afmpeg probe --json talk.mkv
  cat talk.mkv | afmpeg probe -")]
pub struct Probe {
    /// The file or pipe, or - for standard input
    pub file: PathBuf,

    #[command(flatten)]
    pub pipe: Pipe,

    /// Print all that ffprobe knows as JSON, with sizes as displayed beside those that are stored
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  afmpeg frames talk.mkv thumbnail.jpg --at 12.5 --width 320
  afmpeg frames talk.mkv frame.png --every 60
  afmpeg frames talk.mkv sheet.jpg --sheet 5x4 --width 240
  cat photo.heic | afmpeg frames - photo.jpg

Pictures are as they are displayed: turned upright, their pixels square. Where several pictures come out, numbers are put before the ending: frame-001.png, frame-002.png.")]
pub struct Frames {
    /// The video, picture or pipe, or - for standard input
    pub video: PathBuf,

    /// The image file, ending in .png, .jpg or .jpeg
    pub image: PathBuf,

    /// Times in seconds, separated by commas: for each, the picture that comes then or next [default: 0]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, value_delimiter = ',')]
    pub at: Vec<Duration>,

    /// The first picture in each interval of this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "at")]
    pub every: Option<Duration>,

    /// One image with this many pictures of the whole video, each 320 pixels wide unless a size is given
    #[arg(long, value_name = "COLUMNSxROWS", value_parser = grid, conflicts_with_all = ["at", "every"])]
    pub sheet: Option<(u32, u32)>,

    /// The width of a picture in pixels [default: that of the video, or what the height asks for]
    #[arg(long)]
    pub width: Option<u32>,

    /// The height of a picture in pixels [default: that of the video, or what the width asks for]
    #[arg(long)]
    pub height: Option<u32>,

    #[command(flatten)]
    pub pipe: Pipe,

    /// Print times, sizes and files as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A job is a line such as
  {\"id\": \"7\", \"args\": [\"-i\", \"in/7.mov\", \"-vf\", \"scale=640:-2\", \"out/7.mp4\"]}
with \"program\": \"ffprobe\" for the other program and \"timeout\": 60 for a limit of its own, in seconds. \
Outputs that exist are replaced.

A result is a line such as
  {\"id\": \"7\", \"status\": \"done\", \"exit_code\": 0, \"run_seconds\": 1.2, ...}
with `status` `done` or `failed`, then with `error`; `stdout`, of text, its last 16 MiB, and `stdout_dropped_bytes` before \
those; `queue_seconds`, `memory_peak_bytes`, `bytes_read` and `bytes_written`; and `job_sha256`, of the job as it was. Results \
are printed as they come and kept in the file of results once their outputs are on the disk; jobs that are done there are not \
run again, unless they have changed. One batch at a time can work on a file of results.

Exit codes: 0 if all jobs are done, 1 if some failed.")]
pub struct Batch {
    /// The jobs, or - for standard input
    pub jobs: PathBuf,

    /// File of results [default: the name of the jobs, with .results.jsonl; none for standard input]
    #[arg(long, value_name = "PATH")]
    pub results: Option<PathBuf>,

    /// Number of jobs that run at a time [default: the number of cores]
    #[arg(long, value_name = "COUNT")]
    pub parallel: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  afmpeg pull o3-gpl@9.0.2-1 --public-key afmpeg.pub --from https://media.example/afmpeg/9.0.2-1
  afmpeg pull o3-gpl@9.0.2-1 --public-key afmpeg.pub --from oci://registry.example/afmpeg
  afmpeg --module \"$(afmpeg pull o3-gpl@9.0.2-1 --public-key afmpeg.pub)\" ffmpeg -i in.mp4 out.mp4

A module is verified each time: the signature of its release, that it is of the version that was asked for, the sums of its \
files, and its record. A download that broke off goes on where it was.

Exit codes: 0 it is there and verified, 2 the command line is wrong, 3 it could not be had, its name has no version, or it \
is not to be trusted.")]
pub struct Pull {
    /// A module and its version, such as o3-gpl@9.0.2-1
    pub release: String,

    /// A folder, http(s)://HOST/PATH or oci://HOST/PATH; several are asked in order, and without any only what is kept
    #[arg(long, value_name = "PLACE")]
    pub from: Vec<String>,

    /// The key that the release must be signed with: minisign's file of it, or the line in that
    #[arg(long, value_name = "KEY")]
    pub public_key: String,

    /// Another host that servers may send downloads on to; may be repeated
    #[arg(long, value_name = "HOST")]
    pub redirect_host: Vec<String>,

    /// Folder of pulled modules [default: afmpeg/releases in XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "PATH")]
    pub into: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(afmpeg --module o3-gpl.wasm shims ~/.local/lib/afmpeg)\"
  FFMPEG_PATH=~/.local/lib/afmpeg/ffmpeg node app.js

The two programs reach the files that their arguments name: inputs' folders for reading, outputs' folders, and the \
current directory. The file afmpeg.toml in the folder says what else, and these variables:
  AFMPEG_SANDBOX         dirs, files, folders or machine: what of the arguments counts
  AFMPEG_DIRS            folders to read and write, separated as in PATH
  AFMPEG_DIRS_READ_ONLY  folders to read
  AFMPEG_ALLOW_URL       beginnings of web addresses that inputs may have, separated by spaces
  AFMPEG_MODULE          the module
  AFMPEG_POLICY          another file than afmpeg.toml")]
pub struct Shims {
    /// The folder; it is made if it is not there
    pub folder: PathBuf,

    /// Replace other programs of these names
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Info {
    /// Print it as JSON, with the names of all components
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Pipe {
    /// The most of a pipe that is copied to a temporary file, where a file is needed
    #[arg(long, value_name = "SIZE", value_parser = size_bytes, default_value = "4G")]
    pub pipe_max: u64,
}

#[derive(Debug, Args)]
pub struct GuestArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

#[derive(Clone, Debug)]
pub struct Folder {
    pub host: PathBuf,
    pub guest: Option<String>,
}

fn folder(value: &str) -> Result<Folder, String> {
    let (host, guest) = match value.split_once("::") {
        Some((host, guest)) => (host, Some(guest.to_owned())),
        None => (value, None),
    };
    if host.is_empty() || guest.as_deref() == Some("") {
        return Err("an empty name".to_owned());
    }
    Ok(Folder {
        host: host.into(),
        guest,
    })
}

fn grid(value: &str) -> Result<(u32, u32), String> {
    let sides = value
        .split_once('x')
        .ok_or("two numbers with an x between them are wanted, such as 4x3")?;
    let side = |text: &str| text.parse().map_err(|error| format!("`{text}`: {error}"));
    Ok((side(sides.0)?, side(sides.1)?))
}

fn size_bytes(value: &str) -> Result<u64, String> {
    let digits = value.trim_end_matches(|character: char| !character.is_ascii_digit());
    let shift = match value[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        unit => return Err(format!("`{unit}` is none of the units K, M and G")),
    };
    let number: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}
