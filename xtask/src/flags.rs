//! The whole command line, in one place.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::inputs::source::check_digest;

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
  cargo xtask build --profile o3-gpl --pack x86_64-linux
                                         and native code of it, for runtimes that load that
  cargo xtask fetch --all                download everything that builds need
  cargo xtask test                       all checks, on real video
  cargo xtask fate --profile o3-gpl      FFmpeg's own test suite on a module
  cargo xtask conform                    the same jobs in several engines
  cargo xtask fuzz                       hostile host calls and damaged media, at length
  cargo xtask clients                    the suites of programs that call ffmpeg, on the shims
  cargo xtask bench --quick              how fast a module is, beside native FFmpeg
  cargo xtask repro --profile oz-lgpl    build twice and compare
  cargo xtask dist --all                 a release folder in dist/
  cargo xtask bump ffmpeg 9.0.3          another version of an input

Exit codes: 0 done, 1 a build or check failed, 2 usage, an invalid profile or pin file, 3 something is missing in \
the environment (a program, an input that no origin has, space on the disk).

Environment: AFMPEG_CACHE_DIR moves the cache (default: afmpeg in the user's cache directory); AFMPEG_MIRROR names \
folders with source archives, separated as in PATH; WASI_SDK_PATH names an unpacked wasi-sdk to use, and \
BINARYEN_PATH an unpacked Binaryen of the pinned version."
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
    /// Pin another version of an input: fetch, verify, patch, build, test, and say what has changed
    Bump(Bump),
    /// Check the runtime's crates for musl, macOS and Windows, without a compiled standard library for them
    CheckTargets(CheckTargets),
    /// Download what builds and tests need into the cache, and do nothing else
    Fetch(Fetch),
    /// Run all checks: formatting, lints, Rust tests, guest tests, a module on real video, and a part of FATE
    Test(Test),
    /// Run FATE, FFmpeg's own test suite, on modules in artifacts/
    Fate(Fate),
    /// Run the same jobs on a module in several engines, and natively, and compare what comes out
    Conform(Conform),
    /// Run hostile host calls and damaged media through the runtime and a module, at length
    Fuzz(Fuzz),
    /// Run the test suites of programs that call ffmpeg, with native FFmpeg and with the shims, and compare
    Clients(Clients),
    /// Build FFmpeg for this machine from the module's sources, with assembly and without, to compare modules with
    Native(Native),
    /// Make a pack of any module: native code that stays in the module's sandbox, for runtimes that load it
    Pack(Pack),
    /// Measure how fast modules are, beside FFmpeg for this machine; fill the tables of docs/performance.md
    Bench(Bench),
    /// Measure the package for npm beside another FFmpeg, in a browser and in node; fill the tables of
    /// docs/performance/javascript.md
    BenchJs(BenchJs),
    /// Measure SIMD kernels beside C code, and fill the tables of docs/performance/kernels.md
    Kernels(Kernels),
    /// Take one measurement, for `bench`
    #[command(hide = true)]
    Sample(Sample),
    /// Measure what each library and each component of FFmpeg adds to a module; fill the tables of docs/size.md
    Sizes(Sizes),
    /// Write a release folder: modules, records, sums, signature, licences, sources, bill of materials, provenance
    Dist(Dist),
    /// Build modules twice, in surroundings that differ in all that may differ, and compare
    Repro(Repro),
    /// Make packages for npm or Python, of modules of artifacts/ or of a release folder
    Package(Package),
    /// Publish the modules of a release folder in an OCI registry
    Push(Push),
    /// Run a program of FATE, for FATE's makefiles
    #[command(hide = true)]
    Program(Program),
}

/// That of docs/size.md: it has every library.
pub const SIZES_PROFILE: &str = "o3-gpl-full";

#[derive(Debug, Args)]
pub struct Sizes {
    /// The profile whose module is looked at; it is built as far as is needed. The tables of another one are printed
    #[arg(long, value_name = "NAME", default_value = SIZES_PROFILE)]
    pub profile: String,
    /// Write all sizes, in bytes, to this file, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub origins: Origins,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Origins {
    /// A folder with source archives under any names; may be given several times
    #[arg(long, value_name = "DIR")]
    pub mirror: Vec<PathBuf>,
    /// Forbid fetching: everything must be in the cache or a mirror
    #[arg(long)]
    pub offline: bool,
}

impl Origins {
    /// As they are given on a command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        for mirror in &self.mirror {
            arguments.extend(["--mirror".to_owned(), mirror.display().to_string()]);
        }
        if self.offline {
            arguments.push("--offline".to_owned());
        }
        arguments
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Profiles {
    /// A profile: LEVEL-LICENCE and names of sets and levers of profiles/, such as o3-lgpl-audio; may be given several times
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Every profile that is shipped
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask build --profile o3-gpl
  cargo xtask build --profile o3-gpl --pack x86_64-linux     and its packs for x86-64-v2 and x86-64-v3
  cargo xtask build --profile oz-lgpl-audio --pack aarch64-linux --pack x86_64-v3-linux

A pack is artifacts/PROFILE.MACHINE.so with a record of the same name; docs/packs.md says what it is. Machines: \
x86_64-v2-linux, x86_64-v3-linux, aarch64-linux, and x86_64-linux for the first two.")]
pub struct Build {
    #[command(flatten)]
    pub profiles: Profiles,
    /// Make packs of the modules, too, for this machine; may be given several times
    #[arg(long, value_name = "MACHINE", conflicts_with = "until")]
    pub pack: Vec<String>,
    #[command(flatten)]
    pub origins: Origins,
    /// Compile with this many processes at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Print the plan as JSON and build nothing; the tools that its keys are made of are fetched where they are missing
    #[arg(long)]
    pub dry_run: bool,
    /// Stop after this step of the plan, and publish nothing
    #[arg(long, value_name = "STEP")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A pack is native code of one module for one kind of machine: docs/packs.md. Its record lies beside it, as NAME.json beside \
NAME.so. Machines: x86_64-v2-linux, x86_64-v3-linux, aarch64-linux, and x86_64-linux for the first two.

Examples:
  cargo xtask pack program.wasm                          program.x86_64-v3-linux.so beside it
  cargo xtask pack program.wasm --machine x86_64-linux --machine aarch64-linux
  cargo xtask pack program.wasm --machine x86_64-v2-linux --to out/program.so

Exit codes: 0 done, 1 it failed, 2 usage, or a module that no pack can be made of, 3 something is missing.")]
pub struct Pack {
    /// The module: a WASI program, which exports _start and memory
    #[arg(value_name = "FILE.wasm")]
    pub module: PathBuf,
    /// The pack [default: MODULE.MACHINE.so beside the module]
    #[arg(long, value_name = "FILE.so")]
    pub to: Option<PathBuf>,
    /// What the pack runs on; may be given several times [default: the best that this machine is]
    #[arg(long, value_name = "MACHINE")]
    pub machine: Vec<String>,
    #[command(flatten)]
    pub origins: Origins,
    /// Compile with this many processes at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// Where `bump` may stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BumpStage {
    /// When the pin file is changed
    Pin,
    /// When the modules are built and compared
    Build,
    /// When all tests have passed
    Test,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Addresses are made of the pinned ones by replacing the version. What comes must be verified: by upstream's signature \
with the key that is pinned as signed_by, by a digest that you give, or as the same file or tree that a verified origin \
has. An origin that does not have the new version, or has something else, is left out and named. The pin file changes in \
one write, and only if our patches apply, too. A run that was interrupted after that continues when it is started again.

Examples:
  cargo xtask bump ffmpeg 9.0.3 --dry-run
  cargo xtask bump ffmpeg 9.0.3 --key ffmpeg-devel.asc
  cargo xtask bump zlib 1.3.3 --registry-version libz-sys=1.1.32 --sha256 DIGEST --until pin

Exit codes: 0 done, 1 a wrong signature, a patch that does not apply, a failed build or test, 2 usage, or nothing \
verifies it, 3 no origin has it, or something is missing in the environment.")]
pub struct Bump {
    /// A source that ffmpeg-src/ pins, such as ffmpeg
    pub source: String,
    /// Upstream's new version, written as the old one is in the pin file
    pub version: String,
    #[command(flatten)]
    pub origins: Origins,
    /// Upstream's public key, where it can't be fetched; its fingerprint must be the pinned one
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The digest that an origin's archive must have; may be given several times, for origins with archives of their own
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    pub sha256: Vec<String>,
    /// Pin what comes although nothing verifies it
    #[arg(long)]
    pub trust_first_use: bool,
    /// The version that a registry's package has, where it is one of its own; may be given several times
    #[arg(long, value_name = "PACKAGE=VERSION", value_parser = package_version)]
    pub registry_version: Vec<(String, String)>,
    /// Build and test this profile; may be given several times [default: all]
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Compile with this many processes at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// How far to go
    #[arg(long, value_enum, default_value = "test")]
    pub until: BumpStage,
    /// Fetch, verify and patch, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write what was done and what has changed as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn sha256(value: &str) -> Result<String, String> {
    check_digest(value)?;
    Ok(value.to_owned())
}

fn package_version(value: &str) -> Result<(String, String), String> {
    let (package, version) = value.split_once('=').ok_or("it is written PACKAGE=VERSION")?;
    Ok((package.to_owned(), version.to_owned()))
}

#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    pub profiles: Profiles,
    #[command(flatten)]
    pub origins: Origins,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Every test that needs no samples is run, and with --samples the others too. A run that was killed goes on where it was, and \
what has passed is not run again as long as module, runtime and tests are the same; --anew forgets it. What may fail stands \
in conformance/fate.toml.

Exit codes: 0 all is as expected, 1 a test failed or a known failure passed, 2 usage, an unknown profile, an invalid \
conformance/fate.toml, 3 no module (cargo xtask build makes it) or something else is missing.")]
pub struct Fate {
    #[command(flatten)]
    pub origins: Origins,
    /// The profile whose module is tested; may be given several times
    #[arg(long, value_name = "NAME", default_values = ["o3-gpl"])]
    pub profile: Vec<String>,
    /// Test this module instead of the profile's own in artifacts/
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// Run only tests of such a name, and those they need; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub filter: Vec<String>,
    /// Run only the tests that `cargo xtask test` runs
    #[arg(long, conflicts_with = "filter")]
    pub slice: bool,
    /// Run so many tests at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// FATE's samples, as `make fate-rsync` of FFmpeg fetches them: runs the tests that need them too
    #[arg(long, value_name = "DIR")]
    pub samples: Option<PathBuf>,
    /// Kill a test that takes longer [default: see conformance/fate.toml]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub test_seconds: Option<Duration>,
    /// Forget what has passed before
    #[arg(long)]
    pub anew: bool,
    /// List the tests and run none
    #[arg(long)]
    pub list: bool,
    /// Run ffmpeg and ffprobe by the pack beside the module
    #[arg(long)]
    pub pack: bool,
    /// Write results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
The jobs, and where and why a native result may differ, stand in conformance/jobs.toml.

Exit codes: 0 all engines agree, 1 one differs, 2 usage, an unknown profile, an invalid conformance/jobs.toml, 3 no module \
(cargo xtask build makes it) or something else is missing.")]
pub struct Conform {
    #[command(flatten)]
    pub origins: Origins,
    /// The profile whose module is run
    #[arg(long, value_name = "NAME", default_value = "o3-gpl")]
    pub profile: String,
    /// Run this module instead of the profile's own in artifacts/
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// Compare only with these engines; may be given several times
    #[arg(long, value_enum)]
    pub engine: Vec<Engine>,
    /// Run only jobs of such a name; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub filter: Vec<String>,
    /// Run only the jobs that `cargo xtask test` runs
    #[arg(long, conflicts_with = "filter")]
    pub slice: bool,
    /// Run so many jobs at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// List the jobs and run none
    #[arg(long)]
    pub list: bool,
    /// Write results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What a module is run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Our own runtime, which the others are compared with
    Afmpeg,
    /// node and its WASI
    Node,
    /// wasmtime and its WASI
    Wasmtime,
    /// Our own runtime, by the pack beside the module; only where it is asked for
    Pack,
    /// No WebAssembly: FFmpeg built from the same sources for this machine, without assembly
    Native,
}

impl Engine {
    /// Those that every module is run by.
    pub const ALL: [Engine; 4] = [Engine::Afmpeg, Engine::Node, Engine::Wasmtime, Engine::Native];

    pub fn name(self) -> &'static str {
        match self {
            Engine::Afmpeg => "afmpeg",
            Engine::Node => "node",
            Engine::Wasmtime => "wasmtime",
            Engine::Pack => "pack",
            Engine::Native => "native",
        }
    }
}

/// One half of `fuzz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FuzzKind {
    /// Sequences of hostile host calls, which need no module
    Calls,
    /// Damaged media
    Media,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Sequences of host calls run on all kinds of file systems at once; media, real and made by the module, are damaged and read by \
every demuxer and decoder. A case is made of the seed and its number alone. It runs in release, in a process a core. A crash of \
the module is run again on o3-gpl-scalar, and must stand in conformance/fuzz.toml with its cause; its files and command are kept \
in the cache. docs/fuzz.md has more.

Examples:
  cargo xtask fuzz                                   10^6 host calls and 50,000 damaged media
  cargo xtask fuzz --quick                           what `cargo xtask test` runs
  cargo xtask fuzz --only media --media 5000 --seed 7
  cargo xtask fuzz --only media --case 1234          one case again, with all that the program says
  cargo xtask fuzz --guided 1000000                  as many inputs by libFuzzer, where a C++ compiler is

Exit codes: 0 nothing new was found, 1 something was, 2 usage, an unknown profile, an invalid conformance/fuzz.toml, 3 no module \
(cargo xtask build makes it) or something else is missing.")]
pub struct Fuzz {
    #[command(flatten)]
    pub origins: Origins,
    /// The profile whose module is run
    #[arg(long, value_name = "NAME", default_value = "o3-gpl")]
    pub profile: String,
    /// Run this module instead of the profile's own in artifacts/
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// Run the pack beside the module
    #[arg(long)]
    pub pack: bool,
    /// Compare crashes with this module instead of that of o3-gpl-scalar in artifacts/
    #[arg(long, value_name = "FILE")]
    pub scalar: Option<PathBuf>,
    /// So many host calls, some dozens in a sequence
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub calls: u64,
    /// So many damaged media
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub media: u64,
    /// Run one half alone
    #[arg(long, value_enum)]
    pub only: Option<FuzzKind>,
    /// A few seconds of each half
    #[arg(long, conflicts_with_all = ["calls", "media"])]
    pub quick: bool,
    /// Other cases come of another seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Run this case of damaged media again and print all that the program says
    #[arg(long, value_name = "N", conflicts_with = "quick")]
    pub case: Option<u64>,
    /// Have libFuzzer find so many sequences of host calls by what they reach, and do nothing else
    #[arg(long, value_name = "N", conflicts_with_all = ["media", "only", "quick", "case"])]
    pub guided: Option<u64>,
    /// Run so many cases at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Write results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// That of docs/clients.md.
pub const CLIENTS_PROFILE: &str = "o3-gpl";

#[derive(Debug, Args)]
#[command(after_help = "\
The clients, where their suites come from, and which tests fail for what reason stand in conformance/clients.toml. A suite with \
a failure that has no reason there is run once more, and one that was as expected is not run again while it, module and \
programs are the same. Repositories are fetched by git, at a commit, unless a folder has a clone.

Examples:
  cargo xtask clients                           all, and the tables of docs/clients.md
  cargo xtask clients pydub moviepy             these
  cargo xtask clients --clones ~/src pydub      with ~/src/pydub instead of upstream's repository

Exit codes: 0 all is as expected, 1 a test failed or a known failure passed, 2 usage, an invalid conformance/clients.toml, 3 no \
module (cargo xtask build makes it) or something else is missing.")]
pub struct Clients {
    /// Run only the suites of these clients
    #[arg(value_name = "NAME")]
    pub client: Vec<String>,
    #[command(flatten)]
    pub origins: Origins,
    /// A folder with clones of clients' repositories, under the repositories' names; may be given several times
    #[arg(long, value_name = "DIR")]
    pub clones: Vec<PathBuf>,
    /// The profile whose module is run
    #[arg(long, value_name = "NAME", default_value = CLIENTS_PROFILE)]
    pub profile: String,
    /// Run this module instead of the profile's own in artifacts/
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// Run again what was as expected before
    #[arg(long)]
    pub anew: bool,
    /// Make shims of this command instead of building it
    #[arg(long, value_name = "FILE")]
    pub afmpeg: Option<PathBuf>,
    /// Compile with this many processes at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// List the clients and run none
    #[arg(long)]
    pub list: bool,
    /// Write results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Both builds have all of FFmpeg's components, the libraries of any profile, and lie in the cache; what is there is not built again. It \
prints where. `cargo xtask bench` builds them by itself.")]
pub struct Native {
    #[command(flatten)]
    pub origins: Origins,
    /// Compile with this many processes at once [default: the number of cores]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "\
What is measured stands in bench/workloads.toml. Samples are written as they come: a run that was killed goes on where \
it was. Nothing else should run meanwhile; how busy the machine was with other work stands in the samples and in the \
report.

Examples:
  cargo xtask bench --quick                         about a minute
  cargo xtask bench                                 everything, into bench/results/full.jsonl
  cargo xtask bench --report                        tables and plots of docs/performance.md from those samples
  cargo xtask bench --filter effort --samples a.jsonl
  cargo xtask bench --compare old.jsonl new.jsonl   what has changed, and what is noise

Exit codes: 0 done, 1 something became slower or is over its size budget, 2 usage, an invalid bench/workloads.toml, \
samples of something else, 3 something is missing in the environment.")]
pub struct Bench {
    #[command(flatten)]
    pub origins: Origins,
    /// Measure a little of everything in about a minute
    #[arg(long)]
    pub quick: bool,
    /// Measure only series of such a name; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub filter: Vec<String>,
    /// Where samples lie [default: bench/results/full.jsonl; with --quick a file in the cache]
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// Forget the samples that are there, as --quick always does
    #[arg(long)]
    pub anew: bool,
    /// List what would be measured, and measure nothing
    #[arg(long, conflicts_with_all = ["report", "compare"])]
    pub list: bool,
    /// Fill the tables of docs/performance.md and draw its plots from the samples, and measure nothing
    #[arg(long, conflicts_with = "compare")]
    pub report: bool,
    /// Say what has changed between two files of samples, and measure nothing
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub compare: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The package with the module of a profile is installed into an empty folder and measured in turn with @ffmpeg/core, in pages \
of Chromium that was just started and in node. Nothing else should run meanwhile. bench/javascript has the pages.

Examples:
  cargo xtask bench-js                           all cases, some ten minutes
  cargo xtask bench-js --rounds 1 --case probe   one case, printed and not kept
  cargo xtask bench-js --report                  the tables of docs/performance/javascript.md from the samples

Exit codes: 0 done, 1 a case failed, 2 usage, a page without the blocks that are filled, 3 no module (cargo xtask build makes \
it), no browser, or something else is missing.")]
pub struct BenchJs {
    #[command(flatten)]
    pub origins: Origins,
    /// The profile whose module is measured
    #[arg(long, value_name = "NAME", default_value = "o3-gpl")]
    pub profile: String,
    /// Measure each case so often; a figure is the median
    #[arg(long, value_name = "N", default_value = "5")]
    pub rounds: NonZeroUsize,
    /// Measure only this case, and keep no samples; may be given several times
    #[arg(long, value_name = "NAME")]
    pub case: Vec<String>,
    /// The browser, one of Chromium's kind [default: chromium on PATH]
    #[arg(long, value_name = "FILE")]
    pub browser: Option<PathBuf>,
    /// Fill the tables from the samples, and measure nothing
    #[arg(long, conflicts_with = "case")]
    pub report: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What is measured stands in bench/kernels.toml. The programs are made by steps of the profiles named there, which compile \
for some minutes where the cache lacks them, and run in our runtime. Nothing else should run meanwhile.

Exit codes: 0 done, 1 a program failed or has no time of a kernel, 2 usage, an invalid bench/kernels.toml, a page without the \
blocks that are filled, 3 something is missing in the environment.")]
pub struct Kernels {
    #[command(flatten)]
    pub origins: Origins,
    /// Run each program so often; a figure is the median
    #[arg(long, value_name = "N", default_value = "3")]
    pub runs: NonZeroUsize,
}

#[derive(Debug, Args)]
pub struct Sample {
    /// What to measure, as JSON
    pub request: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask dist --all --secret-key ~/.minisign/minisign.key
  cargo xtask dist --profile o3-gpl --out /tmp/trial --allow-dirty

The modules must have been built from what is committed. The same commit makes the same folder, except for the \
signature: minisign's signatures are randomised. docs/release.md says how a release is published and verified.

Environment: MINISIGN_PASSWORD has the password of the secret key, which is asked for otherwise.")]
pub struct Dist {
    #[command(flatten)]
    pub profiles: Profiles,
    #[command(flatten)]
    pub origins: Origins,
    /// Where to write it [default: dist/VERSION]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Sign the sums with this secret key of minisign
    #[arg(long, value_name = "FILE")]
    pub secret_key: Option<PathBuf>,
    /// Release although the repository has changes that are not committed
    #[arg(long)]
    pub allow_dirty: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Between the two builds differ: the folders of repository, cache and SDK, HOME, USER, LOGNAME, TZ, the locale, \
SOURCE_DATE_EPOCH, umask, the times of the repository's files, the number of processes and of wasm-opt's cores, and the time. \
Nothing is taken from the cache but downloads, and with --from the steps before that one. docs/reproducibility.md has results.

Examples:
  cargo xtask repro --profile oz-lgpl
  cargo xtask repro --profile oz-lgpl --from optimise --until optimise   wasm-opt alone

Exit codes: 0 the same bytes, 1 a difference, which is shown with the first step that made it, or a failed build.")]
pub struct Repro {
    #[command(flatten)]
    pub profiles: Profiles,
    #[command(flatten)]
    pub origins: Origins,
    /// Take the results of the steps before this one from the cache, and repeat what follows
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// Stop after this step of the plan and compare what there is
    #[arg(long, value_name = "STEP")]
    pub until: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PackageKind {
    /// For browsers, node, Deno, Bun and edge runtimes: `import { Runtime } from 'afmpeg'`
    Npm,
    /// For Python: `import afmpeg`
    Wheel,
    /// The page that converts videos in a browser, a folder `web` for any static server
    Web,
}

#[derive(Debug, Args)]
#[command(after_help = "\
For npm there are two packages: afmpeg, the library, and @afmpeg/NAME, a module. They are compiled by node, with what npm \
installs by packages/npm/package-lock.json. For Python there are afmpeg, compiled for this machine, and afmpeg-NAME, a module.

Examples:
  cargo xtask package npm --profile o3-gpl --to dist
  cargo xtask package wheel --profile o3-gpl --to dist
  cargo xtask package npm --release dist/9.0.2-1 --profile o3-gpl
  cargo xtask package web --profile o3-gpl --to dist
  npm install ./dist/afmpeg-9.0.2-1.tgz ./dist/afmpeg-o3-gpl-9.0.2-1.tgz")]
pub struct Package {
    #[arg(value_enum)]
    pub kind: PackageKind,
    /// The signed release folder to take modules from [default: artifacts/]
    #[arg(long, value_name = "DIR")]
    pub release: Option<PathBuf>,
    /// Only of these modules [default: all in the release]; may be given several times
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Make the packages of modules, and not the library
    #[arg(long)]
    pub modules_only: bool,
    /// Where to write the packages
    #[arg(long, alias = "out", value_name = "DIR", default_value = "dist")]
    pub to: PathBuf,
    #[command(flatten)]
    pub origins: Origins,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask push oci://registry.example/afmpeg --release dist/9.0.2-1

Each module becomes oci://HOST/PATH/NAME:VERSION, which tools for WebAssembly in registries can pull, and beside it what \
`afmpeg pull` verifies it by.

Environment: AFMPEG_REGISTRY_USER and AFMPEG_REGISTRY_PASSWORD, where the registry wants a login; \
AFMPEG_REGISTRY_TOKEN_SERVER names the HOST of the server that gives its tokens, where that is another one.")]
pub struct Push {
    /// The registry, and what comes before the names of modules in it
    #[arg(value_name = "oci://HOST/PATH")]
    pub registry: String,
    /// The signed release folder
    #[arg(long, value_name = "DIR")]
    pub release: PathBuf,
}

#[derive(Debug, Args)]
pub struct Program {
    /// Where compiled code is kept
    #[arg(long, value_name = "DIR")]
    pub compiled: PathBuf,
    /// The process without which this one ends
    #[arg(long, value_name = "ID")]
    pub owner: i32,
    /// End after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub limit: Duration,
    /// A folder that the program may read
    #[arg(long, value_name = "DIR")]
    pub read: Option<PathBuf>,
    /// The record of a pack by which it runs
    #[arg(long, value_name = "FILE")]
    pub pack: Option<PathBuf>,
    /// A WebAssembly file and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub command: Vec<OsString>,
}

/// How many processes work at once.
pub fn jobs(asked: Option<NonZeroUsize>) -> Result<usize> {
    Ok(asked.map_or_else(std::thread::available_parallelism, Ok)?.get())
}

fn seconds(value: &str) -> Result<Duration, String> {
    let number: f64 = value.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
pub struct CheckTargets {
    #[command(flatten)]
    pub origins: Origins,
}

/// How much `test` checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// What needs no module, in a minute or two: format, lints, and the tests of the runtime and of the release client
    Quick,
    /// The guest's tests and those of SIMD kernels alone
    Guest,
    /// Everything
    #[default]
    Full,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask test quick                 before each commit
  cargo xtask test                       before a push
  cargo xtask fetch --all && cargo xtask test --offline")]
pub struct Test {
    #[arg(value_enum, default_value_t)]
    pub tier: Tier,
    #[command(flatten)]
    pub origins: Origins,
    /// The profile whose module is tested; may be given several times
    #[arg(long, value_name = "NAME", default_values = ["o3-gpl"])]
    pub profile: Vec<String>,
}
