//! The whole command line.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
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

const AFTER_HELP: &str = "\
Examples:
  afmpeg ffmpeg -i in.mp4 -vf scale=640:-2 out.mp4
  afmpeg ffprobe -v error -show_format -of json in.mp4
  cat in.mp4 | afmpeg ffmpeg -i pipe:0 -f matroska pipe:1 > out.mkv
  afmpeg --dir-read-only /media --dir /tmp/out ffmpeg -i /media/in.mp4 /tmp/out/out.mkv
  afmpeg --memory-max 512M --timeout 60 ffmpeg -i untrusted.mp4 thumbnail.png

The current directory can be read and written, under relative and absolute paths; everything else only if it is given \
with --dir or --dir-read-only.

The module is the first of: --module PATH; the variable AFMPEG_MODULE; the one built last by `cargo xtask build`, in \
the current directory or one above it.

Exit codes: those of ffmpeg and ffprobe are passed on. The command's own come with a line on standard error that \
begins with `afmpeg:`
    2  the command line is wrong
    3  no module was found
    4  the module cannot be used
    5  a folder or stream cannot be set up
   70  the program crashed, or the command is at fault
  124  the time given with --timeout is over";

#[derive(Debug, Args)]
pub struct Sandbox {
    /// The module to run: a .wasm file, or one compressed with gzip or brotli [default: see below]
    #[arg(long, value_name = "PATH")]
    pub module: Option<PathBuf>,

    /// A folder that the program may read and write, by its own name or as GUEST; may be repeated
    #[arg(long, value_name = "HOST[::GUEST]", value_parser = folder)]
    pub dir: Vec<Folder>,

    /// A folder that the program may read; may be repeated
    #[arg(long, value_name = "HOST[::GUEST]", value_parser = folder)]
    pub dir_read_only: Vec<Folder>,

    /// Keep the current directory from the program
    #[arg(long)]
    pub no_current_dir: bool,

    /// Pass on a variable of the environment, or set one; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// The most memory that the program may use, such as 512M or 2G
    #[arg(long, value_name = "SIZE", value_parser = size_bytes, default_value = "4G")]
    pub memory_max: u64,

    /// End the program after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// Where compiled code is kept [default: afmpeg/aot in XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "PATH", conflicts_with = "no_cache")]
    pub cache_dir: Option<PathBuf>,

    /// Compile the module anew
    #[arg(long)]
    pub no_cache: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run FFmpeg's ffmpeg; all that follows is passed to it
    #[command(disable_help_flag = true)]
    Ffmpeg(GuestArgs),
    /// Run FFmpeg's ffprobe; all that follows is passed to it
    #[command(disable_help_flag = true)]
    Ffprobe(GuestArgs),
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

fn seconds(value: &str) -> Result<Duration, String> {
    let number: f64 = value.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}
