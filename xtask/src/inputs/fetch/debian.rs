//! Debian packages and sources through apt, without root and without touching what is installed: apt gets folders of
//! its own, and the machine's own servers with the suite that is wanted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::Cache;
use crate::process::{self, Invocation};

#[derive(Debug)]
pub struct Apt {
    cache: Cache,
    folder: PathBuf,
    /// What came of reading each suite's lists in this run: they are read at most once.
    suites: Mutex<BTreeMap<String, Result<(), String>>>,
}

/// Which of the files that make up a package. apt's own signatures are not checked here: what is not pinned must be
/// verified by other means afterwards.
#[derive(Debug, Clone, Copy)]
pub enum File<'a> {
    Pinned(&'a str),
    /// The package itself.
    Package,
    /// Upstream's archive.
    Upstream,
    /// Upstream's signature of it.
    Signature,
    /// What Debian adds, with upstream's key in it.
    Packaging,
}

impl File<'_> {
    fn is(self, name: &str, sha256: &str) -> bool {
        let upstream = name.contains(".orig.tar.");
        match self {
            File::Pinned(digest) => sha256 == digest,
            File::Package => name.ends_with(".deb"),
            File::Upstream => upstream && !name.ends_with(".asc"),
            File::Signature => upstream && name.ends_with(".asc"),
            File::Packaging => name.contains(".debian.tar."),
        }
    }

    fn describe(self) -> String {
        match self {
            File::Pinned(digest) => format!("file with sha256 {digest}"),
            File::Package => "package".to_owned(),
            File::Upstream => "archive of upstream".to_owned(),
            File::Signature => "signature of upstream".to_owned(),
            File::Packaging => "packaging".to_owned(),
        }
    }
}

impl Apt {
    pub fn new(cache: &Cache) -> Apt {
        Apt {
            cache: cache.clone(),
            folder: cache.path("downloads", "apt"),
            suites: Mutex::default(),
        }
    }

    /// A file of a source package. Builds need only its `.orig` archive.
    pub fn source(&self, package: &str, version: &str, suite: &str, wanted: File, scratch: &Path) -> Result<PathBuf> {
        let arguments = [
            "--print-uris",
            "--only-source",
            "source",
            &format!("{package}={version}"),
        ]
        .map(str::to_owned);
        self.file(suite, &arguments, wanted, scratch)
    }

    pub fn package(&self, package: &str, version: &str, suite: &str, wanted: File, scratch: &Path) -> Result<PathBuf> {
        let arguments = ["--print-uris", "download", &format!("{package}={version}")].map(str::to_owned);
        self.file(suite, &arguments, wanted, scratch)
    }

    /// The versions of a package that a suite offers, of its source (`showsrc`) or itself (`show`).
    pub fn versions(&self, verb: &str, package: &str, suite: &str) -> Result<Vec<String>> {
        self.need_lists(suite)?;
        let _lock = self.lock(suite)?;
        let text = Invocation::new("apt-cache", &self.folder)
            .arguments(self.options(suite))
            .arguments([verb, package])
            .inherit_environment()
            .output()?;
        let versions = text.lines().filter_map(|line| line.strip_prefix("Version: "));
        Ok(versions.map(str::to_owned).collect())
    }

    fn suites(&self) -> MutexGuard<'_, BTreeMap<String, Result<(), String>>> {
        self.suites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn need_lists(&self, suite: &str) -> Result<()> {
        if !process::is_installed("apt-get") {
            return Err(process::missing_program("apt-get").into());
        }
        // Held while they are read: who asks for the same lists meanwhile waits for them.
        let mut suites = self.suites();
        let read = match suites.get(suite) {
            Some(known) => known.clone(),
            None => {
                let result = self.read_lists(suite).map_err(|error| format!("{error:#}"));
                suites.insert(suite.to_owned(), result.clone());
                result
            }
        };
        read.map_err(|message| anyhow!("apt cannot read the lists of {suite}: {message}"))
    }

    /// Keeps other runs from a suite's folder: apt reads and writes its lists there.
    fn lock(&self, suite: &str) -> Result<fs::File> {
        self.cache.lock(&format!("apt-{suite}"))
    }

    fn file(&self, suite: &str, arguments: &[String], wanted: File, scratch: &Path) -> Result<PathBuf> {
        self.need_lists(suite)?;
        let listing = {
            let _lock = self.lock(suite)?;
            self.apt_get(suite).arguments(arguments).output()?
        };
        let (uri, digest) = listing
            .lines()
            .find_map(|line| {
                let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
                let [name, _, digest] = rest.split(' ').collect::<Vec<_>>()[..] else {
                    return None;
                };
                wanted
                    .is(name, digest.strip_prefix("SHA256:")?)
                    .then_some((uri, digest))
            })
            .with_context(|| format!("{suite} offers no {}; it offers:\n{listing}", wanted.describe()))?;
        let path = scratch.join("file");
        let arguments = ["download-file", uri, &path.display().to_string(), digest].map(str::to_owned);
        Invocation::new(helper()?, scratch)
            .arguments(self.options(suite))
            .arguments(arguments)
            .inherit_environment()
            .output()?;
        Ok(path)
    }

    fn suite_folder(&self, suite: &str) -> PathBuf {
        self.folder.join(suite)
    }

    fn options(&self, suite: &str) -> Vec<String> {
        let folder = self.suite_folder(suite);
        let folder = folder.display();
        [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State={folder}/state"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=1".to_owned(),
            "Acquire::http::Timeout=10".to_owned(),
            "Acquire::https::Timeout=10".to_owned(),
            // Without this, apt as root downloads as a user that may not write here.
            "APT::Sandbox::User=root".to_owned(),
        ]
        .into_iter()
        .flat_map(|option| ["-o".to_owned(), option])
        .collect()
    }

    fn apt_get(&self, suite: &str) -> Invocation {
        Invocation::new("apt-get", &self.folder)
            .arguments(["--quiet=2"])
            .arguments(self.options(suite))
            .inherit_environment()
    }

    /// Writes a sources.list for the suite from the machine's own configuration and reads the lists it names.
    fn read_lists(&self, suite: &str) -> Result<()> {
        let _lock = self.lock(suite)?;
        let folder = self.suite_folder(suite);
        for name in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("status"), "")?;
        let targets = Invocation::new("apt-get", &self.folder)
            .arguments(["indextargets", "--no-release-info", "--format"])
            .arguments(["$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
            .inherit_environment()
            .output()?;
        let lines = sources_list(&targets, suite)?;
        fs::write(folder.join("sources.list"), lines)?;
        self.apt_get(suite).arguments(["update"]).output()?;
        Ok(())
    }
}

/// One-line sources for a suite: the servers that the machine is set up for, with the suite replaced. Security updates
/// have servers of their own; all else that Debian has, updates and backports too, is on the same. They are trusted
/// without their signature, since this machine may lack that suite's keys: the pinned digest of each file decides.
fn sources_list(targets: &str, suite: &str) -> Result<String> {
    let is_security = |suite: &str| suite.ends_with("-security");
    let mut lines = Vec::new();
    for target in targets.lines() {
        let [uri, release, component] = target.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        if component != "main" || is_security(release) != is_security(suite) {
            continue;
        }
        for kind in ["deb", "deb-src"] {
            let line = format!("{kind} [trusted=yes] {uri} {suite} {component}\n");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        bail!("this machine's apt is set up for no server that could have {suite}");
    }
    Ok(lines.concat())
}

/// apt's own download program, which lies beside its methods.
fn helper() -> Result<String> {
    let here = std::env::temp_dir();
    let settings = Invocation::new("apt-config", &here)
        .arguments(["dump", "--format=%v%n", "Dir::Bin::methods"])
        .output()?;
    let methods = Path::new(settings.trim());
    let path = methods
        .parent()
        .context("apt-config names no methods")?
        .join("apt-helper");
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_comes_from_servers_that_have_it() {
        let targets = "http://a.test/debian/ trixie main\n\
                       http://a.test/debian/ trixie-updates main\n\
                       http://s.test/security/ trixie-security main\n\
                       http://a.test/debian/ trixie contrib\n";
        assert_eq!(
            sources_list(targets, "bookworm-security").unwrap(),
            "deb [trusted=yes] http://s.test/security/ bookworm-security main\n\
             deb-src [trusted=yes] http://s.test/security/ bookworm-security main\n"
        );
        for suite in ["sid", "trixie-backports"] {
            assert_eq!(
                sources_list(targets, suite).unwrap(),
                format!(
                    "deb [trusted=yes] http://a.test/debian/ {suite} main\n\
                     deb-src [trusted=yes] http://a.test/debian/ {suite} main\n"
                )
            );
        }
        assert!(sources_list("", "sid").is_err());
    }
}
