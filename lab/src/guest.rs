//! Runs the guest's own tests, as WebAssembly, under the runtime. What each must do stands in guest/tests/tests.toml.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use xtask::build::facts::Tools;
use xtask::data::read_toml;
use xtask::flags::Origins;
use xtask::plan::finish::{BASE_FEATURES, GUEST_C_FLAGS, LINK_FLAGS, asyncify_arguments};
use xtask::plan::step::Action;
use xtask::plan::toolchain;
use xtask::process::{self, Invocation};
use xtask::project::Project;
use xtask::wasm::module::Module;
use xtask::wasm::suspend::{self, Callback, Callbacks};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tests {
    test: Vec<Test>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    source: String,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    exit_code: i32,
    #[serde(default)]
    stderr_contains: Vec<String>,
    #[serde(default)]
    feeds: Vec<Feed>,
    #[serde(default)]
    drains: Vec<u32>,
    timeout_seconds: u64,
}

/// What comes through a pipe, and when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feed {
    descriptor: u32,
    text: String,
    after_ms: u64,
}

/// When pipes begin to be read: after a program that can go on has filled them.
const DRAINED_AFTER: Duration = Duration::from_millis(100);

/// How a test is compiled, beside the guest's own flags.
const COMPILE_FLAGS: &str = "-O2 -Itests -D_WASI_EMULATED_PROCESS_CLOCKS";

pub fn run(project: &Project, origins: &Origins) -> Result<()> {
    let fetcher = project.fetcher(origins);
    let tools = Tools::find(project, &fetcher)?;
    let folder = project.root.join("guest");
    let tests: Tests = read_toml(&folder.join("tests/tests.toml"))?;
    if tests.test.is_empty() {
        bail!("guest/tests/tests.toml has no test");
    }
    let scratch = project.cache.scratch()?;
    write_toolchain(&tools, scratch.path())?;
    let builder = Builder {
        folder,
        scratch: scratch.path(),
        wasm_opt: tools.wasm_opt,
    };
    let threads = builder.compile_threads()?;
    let mut runtimes: BTreeMap<&str, afmpeg::Runtime> = BTreeMap::new();
    let mut failures = Vec::new();
    for test in &tests.test {
        if !runtimes.contains_key(test.source.as_str()) {
            let module = builder
                .build(&test.source, &threads)
                .with_context(|| format!("guest/tests/{}", test.source))?;
            runtimes.insert(&test.source, afmpeg::Runtime::from_file(module)?);
        }
        let faults = check(&runtimes[test.source.as_str()], test);
        println!(
            "guest test {} ... {}",
            test.name,
            if faults.is_empty() { "ok" } else { "FAILED" }
        );
        failures.extend(faults.into_iter().map(|fault| format!("{}: {fault}", test.name)));
    }
    if !failures.is_empty() {
        bail!("guest tests failed:\n  {}", failures.join("\n  "));
    }
    println!("guest tests: {} passed, 0 failed", tests.test.len());
    Ok(())
}

/// The compilers of a build, in the folder `bin` of this one.
fn write_toolchain(tools: &Tools, folder: &Path) -> Result<()> {
    fs::create_dir(folder.join("bin"))?;
    for action in toolchain::wrappers() {
        if let Action::Write { path, text } = action {
            let text = text
                .replace("{sdk}", &tools.sdk.path.display().to_string())
                .replace("{work}", &folder.display().to_string());
            process::write_program(&folder.join(path), &text)?;
        }
    }
    Ok(())
}

/// Runs a test between those that feed and drain its pipes.
fn end(runtime: &afmpeg::Runtime, test: &Test) -> Result<afmpeg::Output> {
    let argv = [test.source.clone()].into_iter().chain(test.arguments.iter().cloned());
    let mut job = afmpeg::Job::new(argv).timeout(Duration::from_secs(test.timeout_seconds));
    for &number in &test.drains {
        let (mut reader, writer) = io::pipe()?;
        job = job.descriptor(number, File::from(OwnedFd::from(writer)));
        thread::spawn(move || {
            thread::sleep(DRAINED_AFTER);
            io::copy(&mut reader, &mut io::sink())
        });
    }
    let mut open = Vec::new();
    for feed in test.feeds.clone() {
        let (reader, mut writer) = io::pipe()?;
        job = job.descriptor(feed.descriptor, File::from(OwnedFd::from(reader)));
        open.push(writer.try_clone()?);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(feed.after_ms));
            writer.write_all(feed.text.as_bytes())
        });
    }
    let output = runtime.run(job)?;
    drop(open);
    Ok(output)
}

fn check(runtime: &afmpeg::Runtime, test: &Test) -> Vec<String> {
    let output = match end(runtime, test) {
        Ok(output) => output,
        Err(error) => return vec![format!("{error:#}")],
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut faults = Vec::new();
    if output.exit_code != test.exit_code {
        faults.push(format!(
            "ended with {} instead of {}: {stderr}",
            output.exit_code, test.exit_code
        ));
    }
    if test.stderr_contains.is_empty() && !stderr.is_empty() {
        faults.push(format!("printed an error: {stderr}"));
    }
    faults.extend(
        test.stderr_contains
            .iter()
            .filter(|text| !stderr.contains(*text))
            .map(|text| format!("`{text}` is not in: {stderr}")),
    );
    faults
}

struct Builder<'a> {
    folder: PathBuf,
    scratch: &'a Path,
    wasm_opt: PathBuf,
}

impl Builder<'_> {
    fn invoke(&self, program: &str, arguments: impl IntoIterator<Item = String>) -> Result<()> {
        let program = self.scratch.join("bin").join(program).display().to_string();
        Invocation::new(program, &self.folder).arguments(arguments).output()?;
        Ok(())
    }

    fn compile(&self, source: &str) -> Result<PathBuf> {
        let object = self.scratch.join(source.replace('/', "_")).with_extension("o");
        let flags = GUEST_C_FLAGS
            .split_whitespace()
            .chain(COMPILE_FLAGS.split_whitespace())
            .map(str::to_owned);
        self.invoke(
            "wasm-cc",
            flags.chain(["-c".into(), source.into(), "-o".into(), object.display().to_string()]),
        )?;
        Ok(object)
    }

    fn compile_threads(&self) -> Result<Vec<PathBuf>> {
        let mut sources = Vec::new();
        for entry in fs::read_dir(self.folder.join("threads")).context("cannot list guest/threads")? {
            let name = entry?
                .file_name()
                .into_string()
                .ok()
                .context("a file name in guest/threads is not UTF-8")?;
            if name.ends_with(".c") {
                sources.push(format!("threads/{name}"));
            }
        }
        sources.sort();
        sources.iter().map(|source| self.compile(source)).collect()
    }

    /// Compiles, links and prepares a test as the product is.
    fn build(&self, source: &str, threads: &[PathBuf]) -> Result<PathBuf> {
        let own = self.compile(&format!("tests/{source}"))?.display().to_string();
        let objects: Vec<String> = [own.clone()]
            .into_iter()
            .chain(threads.iter().map(|path| path.display().to_string()))
            .collect();
        let path = |kind: &str| self.scratch.join(format!("{source}.{kind}"));
        let (linked, map) = (path("linked.wasm"), path("map"));
        let words = LINK_FLAGS
            .split_whitespace()
            .chain(["-lwasi-emulated-process-clocks"])
            .map(str::to_owned);
        let outputs = [
            format!("-Wl,-Map={}", map.display()),
            "-o".into(),
            linked.display().to_string(),
        ];
        self.invoke("wasm-cc", objects.iter().cloned().chain(words).chain(outputs))?;
        let data = fs::read(&linked)?;
        let module = Module::parse(&data)?;
        let map = fs::read_to_string(&map)?;
        let program = suspend::functions_of(&module, &map, &objects.iter().cloned().collect())?;
        // In a test, every function of its own may wait beneath a pointer, as those that a product declares.
        let names = program.iter().filter(|(_, object)| **object == own);
        let names = names.map(|(&id, _)| module.name(id));
        let declare = |function: &str| Callback {
            function: function.to_owned(),
            called_from: objects.clone(),
            why: "its test".into(),
        };
        let declared = Callbacks {
            callback: names.map(declare).collect(),
        };
        fs::write(
            path("prepared.wasm"),
            suspend::prepare(&module, &program, &declared)?.module,
        )?;
        let mut arguments = vec![
            path("prepared.wasm").display().to_string(),
            "-o".into(),
            path("finished.wasm").display().to_string(),
        ];
        arguments.extend(BASE_FEATURES.iter().map(|feature| format!("--enable-{feature}")));
        arguments.extend(asyncify_arguments());
        arguments.push("-O2".into());
        Invocation::new(self.wasm_opt.display().to_string(), self.scratch)
            .arguments(arguments)
            .output()?;
        Ok(path("finished.wasm"))
    }
}
