//! The folder in which FATE runs on a module.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use xtask::error::usage;
use xtask::plan::ffmpeg::PROGRAM_SUFFIX;
use xtask::process::Invocation;

pub struct Tree {
    /// FATE's own tree, where its tests work.
    pub folder: PathBuf,
    /// Programs in it that are not to be made: make takes them as they are.
    programs: Vec<String>,
    /// What runs a program, in make's words.
    target_exec: String,
    samples: Option<PathBuf>,
}

/// What FATE finds its programs by.
const MODULE_NAMES: [&str; 2] = ["ffmpeg", "ffprobe"];

/// The helpers of FATE that run on this machine.
const HELPERS: [&str; 7] = [
    "tests/audiogen",
    "tests/audiomatch",
    "tests/base64",
    "tests/rotozoom",
    "tests/tiny_psnr",
    "tests/tiny_ssim",
    "tests/videogen",
];

impl Tree {
    /// Makes the folder new from the result of the plan's last step, with a module in it. The results of tests in the old
    /// one go first: without them, a folder that was left half made is made again.
    pub fn make(folder: &Path, made: &Path, module: &Path, results: &Path) -> Result<()> {
        if results.exists() {
            fs::remove_file(results).with_context(|| format!("cannot remove {}", results.display()))?;
        }
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        for entry in walkdir::WalkDir::new(made) {
            let entry = entry?;
            let target = folder.join(entry.path().strip_prefix(made)?);
            let failed = || format!("cannot make {}", target.display());
            if entry.file_type().is_dir() {
                fs::create_dir_all(&target).with_context(failed)?;
            } else if entry.path().extension().is_some_and(|kind| kind == "wasm") {
                // A program lies outside of what the programs may write to.
                symlink(entry.path(), &target).with_context(failed)?;
            } else {
                fs::copy(entry.path(), &target).with_context(failed)?;
            }
        }
        for name in MODULE_NAMES {
            symlink(module, folder.join(format!("{name}{PROGRAM_SUFFIX}")))?;
        }
        Ok(())
    }

    pub fn open(folder: &Path, target_exec: String, samples: Option<&Path>) -> Result<Tree> {
        let text = folder.display().to_string();
        if text.contains(|character: char| character.is_whitespace() || "'\"$#:\\".contains(character)) {
            bail!("FATE's makefiles can't work in {text}, because of a character in it: move AFMPEG_CACHE_DIR");
        }
        let mut programs: Vec<String> = HELPERS.map(str::to_owned).into();
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            let name = entry.path().strip_prefix(folder)?;
            if let Some(name) = name.to_str()
                && name.ends_with(PROGRAM_SUFFIX)
            {
                programs.push(name.to_owned());
            }
        }
        let samples = samples.map(fs::canonicalize).transpose();
        Ok(Tree {
            folder: folder.to_owned(),
            programs,
            target_exec,
            samples: samples.map_err(|error| usage(format!("--samples: {error}")))?,
        })
    }

    fn make_command(&self, jobs: usize) -> Invocation {
        let mut invocation = Invocation::new("make", &self.folder)
            .arguments([format!("-j{jobs}"), "--keep-going".into()])
            .arguments([
                format!("EXESUF={PROGRAM_SUFFIX}"),
                format!("TARGET_EXEC={}", self.target_exec),
            ]);
        for program in &self.programs {
            invocation = invocation.arguments(["-o", program]);
        }
        if let Some(samples) = &self.samples {
            invocation = invocation.arguments([format!("SAMPLES={}", samples.display())]);
        }
        in_tree(invocation, &self.folder)
    }

    /// What make would do for all tests, and the rules it knows.
    pub fn describe(&self) -> Result<String> {
        // Before anything else make writes the list of pixel formats, which it asks the module for.
        self.make_command(1)
            .arguments(["--dry-run", "--print-data-base", "fate"])
            .output_of_any_end()
    }

    /// Makes what tests need beside each other; what can't be made fails the tests that need it.
    pub fn make_files(&self, files: &[String], jobs: usize, log: &Path) -> Result<()> {
        let is_made = |file: &&String| !self.programs.contains(file);
        let files: Vec<&String> = files.iter().filter(is_made).collect();
        if files.is_empty() {
            return Ok(());
        }
        let invocation = self.make_command(jobs).arguments(files);
        fs::write(log, "")?;
        if invocation.run(log).is_err() {
            eprintln!("warning: some inputs of tests could not be made: see {}", log.display());
        }
        Ok(())
    }

    /// The process that runs a test, by the line that make would run.
    pub fn test(&self, recipe: &str) -> Invocation {
        let mut invocation = Invocation::new("/bin/sh", &self.folder).arguments(["-c", recipe]);
        let names = [("PROGSUF", ""), ("EXECSUF", PROGRAM_SUFFIX), ("HOSTEXECSUF", "")];
        for (name, value) in names {
            invocation.environment.insert(name.into(), value.into());
        }
        in_tree(invocation, &self.folder)
    }

    /// The programs among the files that tests need.
    pub fn needed_programs<'a>(&'a self, files: &[String]) -> Vec<&'a str> {
        let needed = self.programs.iter().filter(|program| files.contains(program));
        needed
            .map(String::as_str)
            .filter(|program| program.ends_with(PROGRAM_SUFFIX))
            .collect()
    }
}

/// A test of FATE looks for a repository of git, and must not find the one that the cache may lie in.
fn in_tree(mut invocation: Invocation, folder: &Path) -> Invocation {
    let above = folder.parent().unwrap_or(folder).display().to_string();
    invocation.environment.insert("GIT_CEILING_DIRECTORIES".into(), above);
    invocation
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::fate::list;
    use xtask::process::write_program;

    /// As FATE's, but smaller.
    const MAKEFILE: &str = "\
FATE := fate-after fate-quick fate-hangs fate-lost
.PHONY: $(FATE)
fate: $(FATE)
fate-after: fate-quick tests/input
fate-lost: tests/program
tests/program: tests/no.c
tests/input:
\techo made > $@
$(FATE): CMD = run lib/tests/it.wasm
$(FATE):
\t@echo \"TEST $@\"
\t@./tests/fate-run.sh $@ '$(TARGET_EXEC)' '$(CMD)'
";

    const SCRIPT: &str = "\
#!/bin/sh
case $1 in
    fate-hangs) sleep 60 & echo $! > tests/child; wait ;;
    fate-after) cat tests/input; echo \"$EXECSUF $3\"; exit 3 ;;
esac
";

    #[test]
    fn make_says_what_tests_there_are_and_each_has_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("tests")).unwrap();
        fs::write(path("Makefile"), MAKEFILE).unwrap();
        write_program(&path("tests/fate-run.sh"), SCRIPT).unwrap();

        let tree = Tree::open(folder.path(), "runs it".into(), None).unwrap();
        let described = tree.describe().unwrap();
        let tests = list::parse(&described).unwrap();
        let find = |name: &str| tests.iter().find(|test| test.name == name).unwrap();
        assert_eq!(tests.len(), 3);
        assert_eq!(list::left_out(&described, &tests), ["fate-lost".to_owned()].into());
        assert_eq!(find("fate-after").after, ["fate-quick"]);
        assert_eq!(find("fate-after").files, ["tests/input"]);
        assert!(find("fate-quick").recipe.contains("'runs it'"));

        tree.make_files(&find("fate-after").files, 1, &path("log")).unwrap();
        let run = |name: &str, limit: Duration| {
            let log = fs::File::create(path("log")).unwrap();
            let invocation = tree.test(&find(name).recipe);
            invocation.run_within(limit, log.try_clone().unwrap(), log).unwrap()
        };
        let long = Duration::from_secs(50);
        assert!(run("fate-quick", long).unwrap().success());
        assert_eq!(run("fate-after", long).unwrap().code(), Some(3));
        let told = fs::read_to_string(path("log")).unwrap();
        assert_eq!(told, "made\n.wasm run lib/tests/it.wasm\n");

        let started = Instant::now();
        assert!(run("fate-hangs", Duration::from_millis(500)).is_none());
        assert!(started.elapsed() < long);
        let child: i32 = fs::read_to_string(path("tests/child")).unwrap().trim().parse().unwrap();
        // A killed process is there until the system has ended it, and as a zombie until it has been waited for.
        let is_alive = || {
            let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        while is_alive() {
            assert!(started.elapsed() < long, "the test's child still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_folder_that_is_left_half_made_has_no_results() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("made")).unwrap();
        symlink("nothing", path("made/Makefile")).unwrap();
        fs::write(path("results"), "of an earlier run").unwrap();
        let made = Tree::make(&path("tree"), &path("made"), &path("module"), &path("results"));
        assert!(made.is_err());
        assert!(!path("results").exists());
    }

    #[test]
    fn a_path_that_make_cannot_take_is_named() {
        let error = Tree::open(Path::new("/a b"), String::new(), None).err().unwrap();
        assert!(error.to_string().contains("/a b"), "{error}");
    }
}
