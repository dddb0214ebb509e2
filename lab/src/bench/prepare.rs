//! Prepares a run: programs, modules, inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use afmpeg::Pack;
use anyhow::{Context, Result, bail};

use super::host::Host;
use super::measure::Subject;
use super::samples::{FORMAT_VERSION, Header, ModuleSizes};
use super::workloads::{Round, Runner, Workloads};
use crate::media::Input;
use crate::module::{load_as, need_cache};
use xtask::build::native;
use xtask::digest::{self, Key};
use xtask::error::environment;
use xtask::inputs::fetch::Fetcher;
use xtask::inputs::tests;
use xtask::plan::native::Native;
use xtask::process::{self, Invocation};
use xtask::progress::Progress;
use xtask::project::Project;

const INPUT_LIMIT: Duration = Duration::from_secs(600);

/// Runners and their inputs, ready to be measured.
pub struct Prepared {
    pub header: Header,
    subjects: BTreeMap<Runner, Result<Place, String>>,
    /// Input -> its file.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Of quality measurements.
    pub native: PathBuf,
}

/// The files of a runner.
#[derive(Clone)]
enum Place {
    Module {
        path: PathBuf,
        compiled: PathBuf,
        pack: Option<PathBuf>,
        all_cores: bool,
    },
    Native {
        folder: PathBuf,
        one_core: bool,
    },
    Peer {
        script: PathBuf,
        package: PathBuf,
    },
}

impl Prepared {
    pub fn new(
        project: &Project,
        fetcher: &Fetcher,
        workloads: &Workloads,
        rounds: &[Round],
        quick: bool,
        progress: &Progress,
    ) -> Result<Prepared> {
        let host = Host::here()?;
        let cores = host.cores;
        let mut prepared = Prepared {
            header: Header {
                format_version: FORMAT_VERSION,
                quick,
                modules: BTreeMap::new(),
                workloads_sha256: digest::file(&Workloads::path(&project.root))?,
                inputs_sha256: BTreeMap::new(),
                runners: BTreeMap::new(),
                host,
            },
            subjects: BTreeMap::new(),
            inputs: BTreeMap::new(),
            native: PathBuf::new(),
        };
        let build = |native| native::build(project, fetcher, native, native::PROFILE, cores, progress);
        prepared.native = build(Native::WithAssembly)?;
        for case in rounds.iter().flat_map(|round| &round.cases) {
            if prepared.subjects.contains_key(&case.runner) {
                continue;
            }
            let place = match &case.runner {
                Runner::Module(profile) => prepared.module(project, profile, false, progress)?,
                Runner::All(_) => {
                    let profile = case.runner.profile().context("all cores are a profile's")?;
                    prepared.module(project, profile, true, progress)?
                }
                Runner::Pack(_) => prepared.pack(project, &case.runner, progress)?,
                Runner::Native | Runner::NativeAll => Ok(Place::Native {
                    folder: prepared.native.clone(),
                    one_core: case.runner == Runner::Native,
                }),
                Runner::NativeC => Ok(Place::Native {
                    folder: build(Native::WithoutAssembly)?,
                    one_core: true,
                }),
                Runner::Peer => peer(project, fetcher)?,
            };
            prepared.subjects.insert(case.runner.clone(), place);
        }
        prepared.describe_runners(project)?;
        prepared.make_inputs(project, fetcher, workloads, rounds, progress)?;
        for (runner, place) in &prepared.subjects {
            if let Err(reason) = place {
                eprintln!("warning: {} is left out, and its rows say so: {reason}", runner.name());
            }
        }
        Ok(prepared)
    }

    /// The inputs of these rounds, and those that they are made of.
    fn make_inputs(
        &mut self,
        project: &Project,
        fetcher: &Fetcher,
        workloads: &Workloads,
        rounds: &[Round],
        progress: &Progress,
    ) -> Result<()> {
        let cases = rounds.iter().flat_map(|round| &round.cases);
        let inputs = cases.flat_map(|case| &workloads.workload[&case.workload].inputs);
        let mut wanted: BTreeSet<&str> = inputs.map(String::as_str).collect();
        // Backwards, since an input is made of earlier ones.
        for input in workloads.input.iter().rev() {
            if wanted.contains(input.name.as_str()) {
                wanted.extend(input.command.iter().flat_map(|command| command.split(' ')));
            }
        }
        for input in &workloads.input {
            if !wanted.contains(input.name.as_str()) {
                continue;
            }
            let work = progress.start(&format!("bench {}", input.name));
            let path = self.input(project, fetcher, input)?;
            work.finish("ready", None);
            let sha256 = digest::file(&path)?;
            self.header.inputs_sha256.insert(input.name.clone(), sha256);
            self.inputs.insert(input.name.clone(), path);
        }
        Ok(())
    }

    fn module(
        &mut self,
        project: &Project,
        profile: &str,
        all_cores: bool,
        progress: &Progress,
    ) -> Result<Result<Place, String>> {
        let path = project.root.join("artifacts").join(format!("{profile}.wasm"));
        if !path.is_file() {
            return Ok(Err(format!("it is not built: cargo xtask build --profile {profile}")));
        }
        let compiled = project.cache.path("bench", &format!("compiled-{profile}"));
        let work = progress.start(&format!("bench {profile}"));
        // Once, so that no measurement meets a cold cache without asking for it.
        load_as("module", &path, &compiled).with_context(|| format!("profile {profile}"))?;
        work.finish("compiled", None);
        self.header.modules.insert(profile.to_owned(), sizes(&path)?);
        let compiled = compiled.join("module");
        Ok(Ok(Place::Module {
            path,
            compiled,
            pack: None,
            all_cores,
        }))
    }

    fn pack(&mut self, project: &Project, runner: &Runner, progress: &Progress) -> Result<Result<Place, String>> {
        let profile = runner.profile().context("a pack is of a profile")?;
        let path = project.root.join("artifacts").join(format!("{profile}.wasm"));
        let pack = match Pack::beside(&path) {
            Ok(pack) => pack,
            Err(error) => return Ok(Err(error.chain())),
        };
        let compiled = project.cache.path("bench", &format!("compiled-{}", runner.name()));
        let work = progress.start(&format!("bench {}", runner.name()));
        let builder = afmpeg::Runtime::builder().cache_folder(&compiled).pack(&pack);
        let runtime = builder
            .from_file(&path)
            .with_context(|| format!("the pack of {profile}"))?;
        need_cache(&runtime)?;
        work.finish("loaded", None);
        let sizes = sizes(pack.path())?;
        self.header.modules.insert(runner.name().to_owned(), sizes);
        Ok(Ok(Place::Module {
            path,
            compiled,
            pack: Some(pack.path().to_owned()),
            all_cores: false,
        }))
    }

    fn describe_runners(&mut self, project: &Project) -> Result<()> {
        let version = &project.pins.source("ffmpeg")?.version;
        let version_of = |program| {
            Invocation::new(program, &project.root)
                .arguments(["--version"])
                .output()
        };
        let compiler = version_of("cc")?;
        let compiler = compiler.lines().next().unwrap_or_default();
        for (runner, place) in &self.subjects {
            let text = match (runner, place) {
                (Runner::Module(_) | Runner::Pack(_) | Runner::All(_), _) | (_, Err(_)) => continue,
                (Runner::Peer, Ok(_)) => format!(
                    "@ffmpeg/core {} in node {}",
                    project.pins.source("ffmpeg-core")?.version,
                    version_of("node")?.trim()
                ),
                (_, Ok(_)) => format!("FFmpeg {version} by {compiler}"),
            };
            self.header.runners.insert(runner.name().to_owned(), text);
        }
        Ok(())
    }

    /// An input from the cache, made where it is missing.
    fn input(&self, project: &Project, fetcher: &Fetcher, input: &Input) -> Result<PathBuf> {
        let Some(command) = &input.command else {
            return tests::video(project, fetcher);
        };
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let program = self.native.join(&words[0]);
        // A folder of the cache has what it holds in its name.
        let programs = self.native.file_name().context("a folder of the cache has a name")?;
        let mut key = Key::new("bench input")
            .field(&input.name)
            .field(command)
            .field(programs.as_encoded_bytes());
        let mut sources = Vec::new();
        for (name, path) in &self.inputs {
            if !words.contains(name) {
                continue;
            }
            key = key.field(name).field(digest::file(path)?);
            sources.push((name, path));
        }
        let (folder, _) = project.cache.folder("bench", &key.finish(), |folder| {
            for (name, path) in &sources {
                fs::copy(path, folder.join(name))?;
            }
            let invocation = Invocation::new(program.display().to_string(), folder).arguments(&words[1..]);
            let log = project.cache.path("logs", &format!("bench-{}.log", input.name));
            let file = fs::File::create(&log)?;
            match invocation.run_within(INPUT_LIMIT, file.try_clone()?, file)? {
                Some(status) if status.success() && folder.join(&input.name).is_file() => {}
                _ => bail!(
                    "the input {} could not be made\ncommand: {}\nits last lines:\n{}",
                    input.name,
                    invocation.pasteable(),
                    process::last_lines(&log)?
                ),
            }
            for (name, _) in &sources {
                fs::remove_file(folder.join(name))?;
            }
            Ok(())
        })?;
        Ok(folder.join(&input.name))
    }

    /// The subject of a runner, or the reason why it cannot run.
    pub fn subject(&self, runner: &Runner, cold: bool) -> Result<Subject, String> {
        match self.subjects[runner].clone()? {
            Place::Module {
                path,
                compiled,
                pack,
                all_cores,
            } => Ok(Subject::Module {
                path,
                compiled,
                cold,
                pack,
                all_cores,
            }),
            Place::Native { folder, one_core } => Ok(Subject::Native { folder, one_core }),
            Place::Peer { script, package } => Ok(Subject::Peer { script, package }),
        }
    }
}

/// A file's sizes, as it is and compressed.
fn sizes(path: &Path) -> Result<ModuleSizes> {
    let size = |more: &str| -> Result<u64> {
        let mut name = path.as_os_str().to_owned();
        name.push(more);
        let metadata = fs::metadata(&name).with_context(|| format!("cannot read {}", name.display()))?;
        Ok(metadata.len())
    };
    Ok(ModuleSizes {
        sha256: digest::file(path)?,
        size_bytes: size("")?,
        gzip_bytes: size(".gz")?,
        brotli_bytes: size(".br")?,
    })
}

fn peer(project: &Project, fetcher: &Fetcher) -> Result<Result<Place, String>> {
    if !process::is_installed("node") {
        let missing = process::missing_program("node");
        return Ok(Err(format!(
            "{missing}: {}",
            missing.hint.as_deref().unwrap_or_default()
        )));
    }
    let package = fetcher.tree("ffmpeg-core", project.pins.source("ffmpeg-core")?)?;
    Ok(Ok(Place::Peer {
        script: project.root.join("bench/peer.mjs"),
        package: package.join("dist/umd"),
    }))
}

/// A file for a job, the same as the input and not a copy of it.
pub fn give(input: &Path, folder: &Path, name: &str) -> Result<()> {
    let target = folder.join(name);
    fs::hard_link(input, &target)
        .or_else(|_| fs::copy(input, &target).map(drop))
        .map_err(|error| environment(format!("cannot put {name} into {}: {error}", folder.display())).into())
}
