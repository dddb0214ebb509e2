//! What a suite needs, in the cache: its tree, the packages that it imports, and both kinds of FFmpeg.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;

use super::list::{Client, List, Media};
use crate::build::native;
use crate::digest::Key;
use crate::error::environment;
use crate::inputs::fetch::Fetcher;
use crate::inputs::python_packages;
use crate::inputs::unpack;
use crate::plan::native::Native;
use crate::process::{self, Invocation};
use crate::progress::Progress;
use crate::project::Project;

/// The programs that a suite calls.
pub const PROGRAMS: [&str; 2] = ["ffmpeg", "ffprobe"];

#[derive(Debug)]
pub struct Preparation<'a> {
    pub project: &'a Project,
    pub fetcher: &'a Fetcher<'a>,
    /// Folders with clones of repositories, each under its repository's name.
    pub clones: &'a [PathBuf],
    /// The native ffmpeg, with which media are made.
    pub ffmpeg: &'a Path,
}

/// A folder with the native programs: ffmpeg as others build it, and ffprobe of the module's own sources.
pub fn native_programs(
    project: &Project,
    fetcher: &Fetcher,
    list: &List,
    jobs: usize,
    progress: &Progress,
    folder: &Path,
) -> Result<()> {
    let tree = fetcher.tree("ffmpeg", &list.native)?;
    let mut files = walkdir::WalkDir::new(&tree).into_iter().filter_map(Result::ok);
    let is_program = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.file_type().is_file() && name.starts_with("ffmpeg")
    };
    let ffmpeg = files
        .find(is_program)
        .context("the native FFmpeg's package has no ffmpeg")?;
    fs::create_dir_all(folder)?;
    fs::copy(ffmpeg.path(), folder.join("ffmpeg"))?;
    make_executable(&folder.join("ffmpeg"))?;
    let built = native::build(project, fetcher, Native::WithAssembly, native::PROFILE, jobs, progress)?;
    symlink(built.join("ffprobe"), folder.join("ffprobe")).context("cannot link ffprobe")
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The command `afmpeg`, built as users have it.
pub fn build_command(project: &Project, offline: bool) -> Result<PathBuf> {
    let mut cargo = Invocation::new("cargo", &project.root)
        .arguments(["build", "--release", "--package", "afmpeg", "--features", "command"])
        .arguments(["--message-format", "json-render-diagnostics"])
        .inherit_environment();
    cargo.environment.remove("SOURCE_DATE_EPOCH");
    if offline {
        cargo.environment.insert("CARGO_NET_OFFLINE".into(), "true".into());
    }
    let messages = cargo.output()?;
    for message in Message::parse_stream(messages.as_bytes()) {
        if let Message::CompilerArtifact(artifact) = message?
            && let Some(program) = artifact.executable
        {
            return Ok(program.into());
        }
    }
    bail!("cargo built no program of the package afmpeg")
}

/// A folder with the shims of a module.
pub fn shims(command: &Path, module: &Path, folder: &Path) -> Result<()> {
    Invocation::new(command.display().to_string(), Path::new("/"))
        .arguments([OsStr::new("--module"), module.as_os_str()].map(|word| word.to_string_lossy()))
        .arguments(["shims".to_owned(), folder.display().to_string()])
        .output()
        .map(drop)
}

impl Preparation<'_> {
    /// The client's source with all that its tests take.
    pub fn tree(&self, client: &Client) -> Result<PathBuf> {
        let mut key = Key::new("suite of a client").field(format!("{client:?}"));
        // Packages with programs of their own differ between machines.
        key = key.field(&self.project.host);
        let (tree, _) = self.project.cache.folder("trees", &key.finish(), |made| {
            match (&client.repository, &client.archive) {
                (Some(repository), _) => {
                    let mut paths = vec![".".to_owned()];
                    paths.extend(repository.without.iter().map(|path| format!(":(exclude,glob){path}")));
                    self.check_out(&repository.url, &repository.commit, &paths, made)?;
                }
                (None, Some(archive)) => unpack::copy_tree(&self.fetcher.tree(&client.name, archive)?, made)?,
                (None, None) => bail!("checked when the list was read"),
            }
            client.media.iter().try_for_each(|media| self.add_media(media, made))?;
            for (name, text) in &client.files {
                fs::write(made.join(name), text).with_context(|| format!("cannot write {name}"))?;
            }
            for line in &client.make {
                Invocation::new(self.ffmpeg.display().to_string(), made)
                    .arguments(["-v", "error", "-y"])
                    .arguments(line.split_whitespace())
                    .output()?;
            }
            match &client.npm {
                Some(packages) => self.npm(packages, made),
                None => Ok(()),
            }
        })?;
        Ok(tree)
    }

    fn npm(&self, packages: &[String], tree: &Path) -> Result<()> {
        let mut words = vec!["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
        if self.fetcher.is_offline() {
            words.push("--offline");
        }
        Invocation::new("npm", tree)
            .arguments(words)
            .arguments(packages)
            .inherit_environment()
            .output()
            .map(drop)
    }

    /// The packages that a suite imports.
    pub fn python(&self, client: &Client) -> Result<Option<PathBuf>> {
        if client.python.is_empty() {
            return Ok(None);
        }
        let (cache, host) = (&self.project.cache, &self.project.host);
        python_packages::install(cache, host, &client.python, self.fetcher.is_offline()).map(Some)
    }

    /// Files of a repository that stand beside the tests.
    fn add_media(&self, media: &Media, tree: &Path) -> Result<()> {
        let scratch = self.project.cache.scratch()?;
        let paths: Vec<String> = media
            .files
            .iter()
            .map(|name| format!("{}/{name}", media.folder))
            .collect();
        self.check_out(&media.url, &media.commit, &paths, scratch.path())?;
        let into = tree.join(&media.into);
        fs::create_dir_all(&into)?;
        for name in &media.files {
            let from = scratch.path().join(&media.folder).join(name);
            fs::copy(&from, into.join(name)).with_context(|| format!("{} has no {name}", media.url))?;
        }
        Ok(())
    }

    /// Puts files of a commit, whose id is their digest, into a folder: from a clone that is here, or from its address.
    fn check_out(&self, url: &str, commit: &str, paths: &[String], into: &Path) -> Result<()> {
        let name = url.rsplit('/').next().unwrap_or(url);
        let mut clones = self.clones.iter().map(|folder| folder.join(name));
        let clone = clones.find(|clone| clone.is_dir());
        let scratch = self.project.cache.scratch()?;
        let fetched = match clone {
            Some(clone) => clone,
            None => self.fetch(url, commit, scratch.path())?,
        };
        let fetched = fetched.canonicalize()?;
        // An index of its own leaves a clone as it is.
        let mut git = Invocation::new("git", &fetched)
            .arguments(["-c", "core.autocrlf=false", "--work-tree"])
            .arguments([into.display().to_string()])
            .arguments(["checkout", "--quiet", commit, "--"])
            .arguments(paths)
            .inherit_environment();
        let index = scratch.path().join("index").display().to_string();
        git.environment.insert("GIT_INDEX_FILE".into(), index);
        git.environment
            .insert("GIT_DIR".into(), git_folder(&fetched).display().to_string());
        // Pathspecs count from here.
        git.directory = into.to_owned();
        git.output()
            .with_context(|| format!("cannot check out {commit} of {url}"))?;
        Ok(())
    }

    fn fetch(&self, url: &str, commit: &str, scratch: &Path) -> Result<PathBuf> {
        if self.fetcher.is_offline() {
            let name = url.rsplit('/').next().unwrap_or(url);
            return Err(
                environment(format!("{url} is not here, and --offline forbids fetching it"))
                    .hint(format!("`--clones DIR`, where DIR/{name} is a clone of it"))
                    .into(),
            );
        }
        let repository = scratch.join("repository");
        for words in [
            &["init", "--quiet", "--bare", "repository"][..],
            &["-C", "repository", "fetch", "--quiet", "--depth", "1", url, commit],
        ] {
            let git = Invocation::new("git", scratch)
                .arguments(words.iter().copied())
                .inherit_environment();
            git.output()
                .map_err(|error| environment(format!("no clone of {url}: {error}")).hint("`--clones DIR`"))?;
        }
        Ok(repository)
    }
}

fn git_folder(clone: &Path) -> PathBuf {
    let inner = clone.join(".git");
    if inner.exists() { inner } else { clone.to_owned() }
}

/// A folder of programs for PATH, in which `python` is Python 3.
pub fn tools(folder: &Path) -> Result<()> {
    process::write_program(&folder.join("python"), "#!/bin/sh\nexec python3 \"$@\"\n")
}
