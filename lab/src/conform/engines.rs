//! What runs a module's programs, each as a process of its own in a folder that is all it can reach.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use xtask::flags::Engine;

use xtask::process::{self, Invocation};

/// Where the engines find what they need.
pub struct Engines {
    /// Holds the module as ffmpeg.wasm and ffprobe.wasm.
    modules: PathBuf,
    /// Where compiled code is kept.
    compiled: PathBuf,
    /// Holds the scripts for node and wasmtime.
    scripts: PathBuf,
    /// Python's package `wasmtime`.
    wasmtime: PathBuf,
    /// Holds ffmpeg and ffprobe for this machine.
    native: PathBuf,
    /// The record of the module's pack.
    pack: PathBuf,
    limit: Duration,
}

impl Engines {
    pub fn new(
        module: &Path,
        folder: &Path,
        root: &Path,
        wasmtime: PathBuf,
        native: PathBuf,
        pack: PathBuf,
        limit: Duration,
    ) -> Result<Engines> {
        let modules = folder.join("modules");
        if modules.exists() {
            fs::remove_dir_all(&modules)?;
        }
        fs::create_dir_all(&modules).with_context(|| format!("cannot create {}", modules.display()))?;
        for name in ["ffmpeg.wasm", "ffprobe.wasm"] {
            symlink(module, modules.join(name))?;
        }
        let compiled = folder.join("compiled");
        fs::create_dir_all(&compiled)?;
        Ok(Engines {
            modules,
            compiled,
            scripts: root.join("conformance"),
            wasmtime,
            native,
            pack,
            limit,
        })
    }

    /// The process that runs one command of a job.
    pub fn invocation(&self, engine: Engine, command: &str, folder: &Path) -> Result<Invocation> {
        let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
        let module = self.modules.join("ffmpeg.wasm").display().to_string();
        let mut invocation = match engine {
            Engine::Afmpeg | Engine::Pack => {
                let own = process::own_program()?;
                let invocation = Invocation::new(own.display().to_string(), folder)
                    .arguments(["program", "--compiled", &self.compiled.display().to_string()])
                    .arguments(["--owner", &std::process::id().to_string()])
                    .arguments(["--limit", &self.limit.as_secs_f64().to_string()]);
                let invocation = match engine {
                    Engine::Pack => invocation.arguments(["--pack", &self.pack.display().to_string()]),
                    _ => invocation,
                };
                invocation.arguments(["--"]).arguments([self
                    .modules
                    .join(format!("{program}.wasm"))
                    .display()
                    .to_string()])
            }
            Engine::Node => Invocation::new("node", folder)
                // With these calls node 20 aborts now and then.
                .arguments(["--no-warnings", "--no-turbo-fast-api-calls"])
                .arguments([self.scripts.join("node.mjs").display().to_string()])
                .arguments([module, program.to_owned()]),
            Engine::Wasmtime => Invocation::new("python3", folder)
                .arguments([self.scripts.join("wasmtime_wasi.py").display().to_string()])
                .arguments([module, self.compiled.join("wasmtime").display().to_string()])
                .arguments([program]),
            Engine::Native => Invocation::new(self.native.join(program).display().to_string(), folder),
        };
        if engine == Engine::Wasmtime {
            let path = self.wasmtime.display().to_string();
            invocation.environment.insert("PYTHONPATH".into(), path);
        }
        Ok(invocation.arguments(rest.split_whitespace()))
    }

    /// Runs one command; its exit code. What it printed lies in the files that are given.
    pub fn run(&self, engine: Engine, command: &str, folder: &Path, output: File, errors: &Path) -> Result<i32> {
        let mut log = File::create(errors).with_context(|| format!("cannot write {}", errors.display()))?;
        let invocation = self.invocation(engine, command, folder)?;
        std::io::Write::write_all(&mut log, format!("$ {}\n", invocation.pasteable()).as_bytes())?;
        match invocation.run_within(self.limit, output, log)? {
            None => bail!("it was killed after {} s", self.limit.as_secs_f64()),
            Some(status) => match status.code() {
                Some(code) => Ok(code),
                None => bail!("signal {} ended it", status.signal().unwrap_or_default()),
            },
        }
    }

    /// Has wasmtime compile the module, which each of its processes then loads.
    pub fn prepare(&self, engine: Engine, scratch: &Path) -> Result<()> {
        let output = File::create(scratch.join("prepared"))?;
        let errors = scratch.join("preparing");
        match self.run(engine, "ffmpeg -version", scratch, output, &errors) {
            Ok(0) => Ok(()),
            Ok(code) => bail!(
                "{} cannot run the module: `ffmpeg -version` ended with {code}\n{}",
                engine.name(),
                fs::read_to_string(&errors).unwrap_or_default()
            ),
            Err(error) => Err(error.context(format!("{} cannot run the module", engine.name()))),
        }
    }
}
