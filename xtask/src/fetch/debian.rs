//! Debian packages and sources through apt, without root and without touching what is installed: apt gets folders of its
//! own, and the machine's own servers with the suite that is wanted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::process::{self, Invocation};

pub struct Apt {
    folder: PathBuf,
    /// What came of reading each suite's lists in this run: they are read at most once.
    suites: RefCell<BTreeMap<String, Result<(), String>>>,
}

impl Apt {
    pub fn new(folder: PathBuf) -> Apt {
        Apt {
            folder,
            suites: RefCell::default(),
        }
    }

    /// The `.orig` archive of a source package. The other files of the source are not needed.
    pub fn source(&self, package: &str, version: &str, suite: &str, sha256: &str, scratch: &Path) -> Result<PathBuf> {
        let arguments = [
            "--print-uris",
            "--only-source",
            "source",
            &format!("{package}={version}"),
        ]
        .map(str::to_owned);
        self.file(suite, &arguments, sha256, scratch)
    }

    pub fn package(&self, package: &str, version: &str, suite: &str, sha256: &str, scratch: &Path) -> Result<PathBuf> {
        let arguments = ["--print-uris", "download", &format!("{package}={version}")].map(str::to_owned);
        self.file(suite, &arguments, sha256, scratch)
    }

    fn file(&self, suite: &str, arguments: &[String], sha256: &str, scratch: &Path) -> Result<PathBuf> {
        if !process::is_installed("apt-get") {
            return Err(process::missing_program("apt-get").into());
        }
        let known = self.suites.borrow().get(suite).cloned();
        let read = known.unwrap_or_else(|| {
            let result = self.read_lists(suite).map_err(|error| format!("{error:#}"));
            self.suites.borrow_mut().insert(suite.to_owned(), result.clone());
            result
        });
        read.map_err(|message| anyhow!("apt cannot read the lists of {suite}: {message}"))?;
        let listing = self.apt_get(suite).arguments(arguments).output()?;
        let digest = format!("SHA256:{sha256}");
        let uri = listing
            .lines()
            .find_map(|line| {
                line.strip_suffix(&digest)?
                    .strip_prefix('\'')?
                    .split_once('\'')
                    .map(|(uri, _)| uri.to_owned())
            })
            .with_context(|| format!("{suite} offers no file with sha256 {sha256}; it offers:\n{listing}"))?;
        let path = scratch.join("file");
        let arguments = ["download-file".to_owned(), uri, path.display().to_string(), digest];
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

/// One-line sources for a suite: the servers that the machine is set up for, of the same sort (`trixie-security` is on the
/// servers of any `*-security`), with the suite replaced. They are trusted without their signature, since this machine may
/// lack that suite's keys: the pinned digest of each file decides.
fn sources_list(targets: &str, suite: &str) -> Result<String> {
    let sort = |suite: &str| suite.split_once('-').map(|(_, sort)| sort.to_owned());
    let mut lines = Vec::new();
    for target in targets.lines() {
        let [uri, release, component] = target.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        if component != "main" || sort(release) != sort(suite) {
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
    fn a_suite_comes_from_servers_of_its_own_sort() {
        let targets = "http://a.test/debian/ trixie main\n\
                       http://a.test/debian/ trixie-updates main\n\
                       http://s.test/security/ trixie-security main\n\
                       http://a.test/debian/ trixie contrib\n";
        assert_eq!(
            sources_list(targets, "bookworm-security").unwrap(),
            "deb [trusted=yes] http://s.test/security/ bookworm-security main\n\
             deb-src [trusted=yes] http://s.test/security/ bookworm-security main\n"
        );
        assert_eq!(
            sources_list(targets, "sid").unwrap(),
            "deb [trusted=yes] http://a.test/debian/ sid main\ndeb-src [trusted=yes] http://a.test/debian/ sid main\n"
        );
        assert!(sources_list("", "sid").is_err());
    }
}
