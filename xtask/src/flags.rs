//! The whole command line, in one place.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds FFmpeg as a sandboxed WebAssembly module, reproducibly",
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  cargo xtask build --profile o3-gpl     build one module into artifacts/
  cargo xtask build --all                build every profile
  cargo xtask build --profile o3-gpl --dry-run
  cargo xtask fetch --all                download everything that builds need
  cargo xtask test                       all checks, on real video

Exit codes: 0 done, 1 a build or check failed, 2 usage, an invalid profile or pin file, 3 something is missing in the
environment (a program, an input that no origin has, space on the disk).

Environment: AFMPEG_CACHE_DIR moves the cache (default: afmpeg in the user's cache directory); AFMPEG_MIRROR names folders
with source archives, separated as in PATH; WASI_SDK_PATH names an unpacked wasi-sdk to use."
)]
pub struct Flags {
    /// The repository to work on, for tests of this tool; its own otherwise
    #[arg(long, hide = true, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build modules, with their records, into artifacts/
    Build(Build),
    /// Download what builds and tests need into the cache, and do nothing else
    Fetch(Fetch),
    /// Run all checks: formatting, lints, Rust tests, guest tests, and a module on real video
    Test(Test),
}

#[derive(Debug, Clone, Args)]
pub struct Origins {
    /// A folder with source archives under any names; may be given several times
    #[arg(long, value_name = "DIR")]
    pub mirror: Vec<PathBuf>,
    /// Forbid fetching: everything must be in the cache or a mirror
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Profiles {
    /// A profile: the name of a file in profiles/, without .toml; may be given several times
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Every profile
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub profiles: Profiles,
    #[command(flatten)]
    pub origins: Origins,
    /// Compile with this many processes at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<usize>,
    /// Print the plan as JSON and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Stop after this step of the plan, and publish nothing
    #[arg(long, value_name = "STEP")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    pub profiles: Profiles,
    #[command(flatten)]
    pub origins: Origins,
}

#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    pub origins: Origins,
    /// The profile whose module is tested; may be given several times
    #[arg(long, value_name = "NAME", default_values = ["o3-gpl"])]
    pub profile: Vec<String>,
    /// Run the guest's tests alone, which need no module
    #[arg(long)]
    pub guest: bool,
}
