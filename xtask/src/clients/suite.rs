//! One run of a suite, with native FFmpeg or with the shims.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::list::{Client, Format, Run, Side};
use super::outcomes::{self, Outcome, Outcomes};
use super::prepare::PROGRAMS;
use crate::cache::Cache;
use crate::inputs::unpack;
use crate::process::{self, Invocation};

/// Our plugin of pytest, in conformance/clients.
const PYTEST_PLUGIN: &str = "pytest_outcomes";

/// The variable that names the file in which a suite's tool writes what came of each test.
const OUTCOMES_VARIABLE: &str = "AFMPEG_OUTCOMES";

/// The variable that names the tests that are to be run, a JSON list, where not all are.
const ONLY_VARIABLE: &str = "AFMPEG_ONLY";

/// Variables by which libraries are given programs, that would be taken before those on PATH.
const FOREIGN: [&str; 5] = [
    "FFMPEG_BINARY",
    "FFMPEG_PATH",
    "FFPROBE_PATH",
    "IMAGEIO_FFMPEG_EXE",
    "PYTHONHOME",
];

#[derive(Debug)]
pub struct Suite<'a> {
    pub client: &'a Client,
    /// The tests that are to be run; all of them without any. Only pytest and mocha can leave out the others.
    pub only: &'a [String],
    pub tree: &'a Path,
    pub packages: Option<&'a Path>,
    /// The folder with ffmpeg and ffprobe.
    pub programs: &'a Path,
    /// A folder with other programs that are needed.
    pub tools: &'a Path,
    /// The folder of our plugins for test tools.
    pub plugins: &'a Path,
    pub side: Side,
    /// Where what the suite prints is kept.
    pub logs: &'a Path,
}

impl Suite<'_> {
    /// Runs all of it in a copy of the tree, since tests write there.
    pub fn run(&self, cache: &Cache) -> Result<Outcomes> {
        let scratch = cache.scratch()?;
        let folder = scratch.path().join(&self.client.name);
        unpack::copy_tree(self.tree, &folder)?;
        let temporary = scratch.path().join("tmp");
        fs::create_dir(&temporary)?;
        let mut outcomes = Outcomes::new();
        for (position, run) in self.client.run.iter().enumerate() {
            let file = scratch.path().join(format!("outcomes-{position}"));
            let environment = self.environment(&file, &temporary, cache)?;
            outcomes.extend(self.run_one(run, position, &folder, &file, environment)?);
        }
        Ok(outcomes)
    }

    fn run_one(
        &self,
        run: &Run,
        position: usize,
        folder: &Path,
        file: &Path,
        environment: BTreeMap<String, String>,
    ) -> Result<Outcomes> {
        let log = self.log(position);
        let printed = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let command = run.command.replace("{outcomes}", &file.display().to_string()) + &self.narrowed(run.outcomes);
        let mut invocation = Invocation::new("sh", folder).arguments(["-c", &command]);
        invocation.environment = environment;
        let status = invocation.run_within(Duration::from_secs(run.seconds), printed.try_clone()?, printed)?;
        let late = || Outcome::Failed(format!("killed after {} s", run.seconds));
        let told = || last_line(&log).map(Outcome::Failed);
        match (run.outcomes, status) {
            (Format::Exit, Some(status)) if status.success() => {
                Ok(Outcomes::from([(run.command.clone(), Outcome::Passed)]))
            }
            (Format::Exit, Some(_)) => Ok(Outcomes::from([(run.command.clone(), told()?)])),
            (Format::Exit, None) => Ok(Outcomes::from([(run.command.clone(), late())])),
            (format, status) => {
                let path = if format == Format::Libtest { &log } else { file };
                // What a tool wrote may not be text, where it prints what a program gave it.
                let text = fs::read(path).unwrap_or_default();
                let mut outcomes = match outcomes::read(format, &String::from_utf8_lossy(&text)) {
                    Ok(outcomes) => outcomes,
                    Err(_) if status.is_none() => Outcomes::new(),
                    Err(error) => {
                        return Err(error.context(format!("`{command}` left no outcomes: see {}", log.display())));
                    }
                };
                if status.is_none() {
                    outcomes.insert(run.command.clone(), late());
                }
                Ok(outcomes)
            }
        }
    }

    /// What is put behind a command that is to run some tests only; our plugin of pytest has it from the variable.
    fn narrowed(&self, outcomes: Format) -> String {
        let names = self.only.iter().map(|name| format!("^{}$", escaped(name)));
        match names.collect::<Vec<_>>().join("|") {
            names if outcomes == Format::Mocha && !names.is_empty() => {
                format!(" --grep '{}'", names.replace('\'', r"'\''"))
            }
            _ => String::new(),
        }
    }

    /// Where what a command printed is kept.
    pub fn log(&self, position: usize) -> PathBuf {
        self.logs
            .join(format!("{}-{}-{position}.log", self.client.name, self.side.name()))
    }

    fn environment(&self, file: &Path, temporary: &Path, cache: &Cache) -> Result<BTreeMap<String, String>> {
        let mut environment: BTreeMap<String, String> = process::inherited().collect();
        for name in FOREIGN {
            environment.remove(name);
        }
        let mut folders = vec![self.programs.to_owned(), self.tools.to_owned()];
        folders.extend(self.packages.map(|packages| packages.join("bin")));
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let packages = self.packages.into_iter().map(Path::to_owned);
        let modules = packages.chain([self.plugins.to_owned()]);
        // What is imported from the tree itself comes first.
        let modules = [PathBuf::from(".")].into_iter().chain(modules);
        let text = |folders: Vec<PathBuf>| -> Result<String> { Ok(env::join_paths(folders)?.to_string_lossy().into()) };
        let [ffmpeg, ffprobe] = PROGRAMS.map(|name| self.programs.join(name).display().to_string());
        let target = cache.path("clients", &format!("{}-target", self.client.name));
        for (name, value) in [
            ("PATH", text(folders)?),
            ("PYTHONPATH", text(modules.collect())?),
            ("PYTHONNOUSERSITE", "1".into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("PYTEST_ADDOPTS", format!("-p {PYTEST_PLUGIN} -p no:cacheprovider")),
            ("IMAGEIO_FFMPEG_EXE", ffmpeg.clone()),
            ("FFMPEG_BINARY", ffmpeg),
            ("FFPROBE_BINARY", ffprobe),
            ("TMPDIR", temporary.display().to_string()),
            ("CARGO_TARGET_DIR", target.display().to_string()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            (OUTCOMES_VARIABLE, file.display().to_string()),
        ] {
            environment.insert(name.into(), value);
        }
        if !self.only.is_empty() {
            environment.insert(ONLY_VARIABLE.into(), serde_json::to_string(self.only)?);
        }
        let own = self.client.variables.iter();
        environment.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        Ok(environment)
    }
}

/// A regular expression of JavaScript that is this text.
fn escaped(text: &str) -> String {
    let special = |letter: char| r"\^$.*+?()[]{}|/".contains(letter);
    text.chars()
        .flat_map(|letter| special(letter).then_some('\\').into_iter().chain([letter]))
        .collect()
}

fn last_line(log: &Path) -> Result<String> {
    let told = process::last_lines(log)?;
    Ok(told.lines().next_back().unwrap_or("it said nothing").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_runs_in_a_copy_with_its_programs_and_is_killed_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["tree", "programs", "tools", "logs"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("tree/input"), "x").unwrap();
        process::write_program(&path("programs/ffmpeg"), "#!/bin/sh\necho ours\n").unwrap();
        let client: Client = toml::from_str(
            "name = \"a\"\nversion = \"1\"\nvariables = { OWN = \"1\" }\nrun = [\n\
             { command = \"rm input && echo 'test m::one ... ok'\", outcomes = \"libtest\", seconds = 60 },\n\
             { command = \"test $(ffmpeg) = ours -a $OWN = 1 -a ! -e input\", outcomes = \"exit\", seconds = 60 },\n\
             { command = \"echo reason; false\", outcomes = \"exit\", seconds = 60 },\n\
             { command = \"sleep 600\", outcomes = \"exit\", seconds = 0 },\n]\n",
        )
        .unwrap();
        let suite = Suite {
            client: &client,
            only: &[],
            tree: &path("tree"),
            packages: None,
            programs: &path("programs"),
            tools: &path("tools"),
            plugins: &path("tools"),
            side: Side::Afmpeg,
            logs: &path("logs"),
        };
        let outcomes = suite.run(&Cache::at(path("cache")).unwrap()).unwrap();
        let wanted = [
            ("m::one", Outcome::Passed),
            (&*client.run[1].command, Outcome::Passed),
            ("echo reason; false", Outcome::Failed("reason".into())),
            ("sleep 600", Outcome::Failed("killed after 0 s".into())),
        ];
        assert_eq!(
            outcomes,
            wanted.map(|(test, outcome)| (test.to_owned(), outcome)).into()
        );
        assert!(path("tree/input").exists(), "the tree itself was changed");
    }

    /// A suite of the native programs that has all but its tree in one folder.
    fn suite_in<'a>(folder: &'a Path, client: &'a Client, only: &'a [String], tree: &'a Path) -> Suite<'a> {
        Suite {
            client,
            only,
            tree,
            packages: None,
            programs: folder,
            tools: folder,
            plugins: folder,
            side: Side::Native,
            logs: folder,
        }
    }

    #[test]
    fn a_tool_that_leaves_no_outcomes_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let text = "name = \"a\"\nversion = \"1\"\n\
                    run = [{ command = \"true\", outcomes = \"mocha\", seconds = 60 }]\n";
        let client: Client = toml::from_str(text).unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let suite = suite_in(folder.path(), &client, &[], &tree);
        let cache = Cache::at(folder.path().join("cache")).unwrap();
        let error = suite.run(&cache).unwrap_err().to_string();
        assert!(error.contains("`true` left no outcomes"), "{error}");
    }

    #[test]
    fn some_tests_are_run_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = "name = \"a\"\nversion = \"1\"\nrun = [\n\
                    { command = \"cp seen {outcomes}; echo $AFMPEG_ONLY\", outcomes = \"pytest\", seconds = 60 },\n\
                    { command = \"sh mocha.sh {outcomes}\", outcomes = \"mocha\", seconds = 60 },\n]\n";
        let client: Client = toml::from_str(text).unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let line = "{\"test\": \"t::one\", \"outcome\": \"passed\", \"message\": \"\"}\n";
        fs::write(tree.join("seen"), line).unwrap();
        let script = "echo \"$2 $3\"; echo '{\"passes\": [], \"failures\": [], \"pending\": []}' > $1\n";
        fs::write(tree.join("mocha.sh"), script).unwrap();
        let only = ["t::one".to_owned(), "It's (so)".to_owned()];
        let suite = suite_in(folder.path(), &client, &only, &tree);
        let outcomes = suite.run(&Cache::at(folder.path().join("cache")).unwrap()).unwrap();
        assert_eq!(outcomes, Outcomes::from([("t::one".to_owned(), Outcome::Passed)]));
        let printed = |position| fs::read_to_string(suite.log(position)).unwrap();
        assert_eq!(printed(0), "[\"t::one\",\"It's (so)\"]\n");
        assert_eq!(printed(1), "--grep ^t::one$|^It's \\(so\\)$\n");
    }
}
