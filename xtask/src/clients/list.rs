//! conformance/clients.toml: the clients, where their suites come from, and what is known of their tests. Its keys are explained
//! at its head.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::data::read_toml;
use crate::error::usage;
use crate::inputs::source::Source;
use crate::inputs::unpack;

const FORMAT_VERSION: u32 = 1;

pub const PLACE: &str = "conformance/clients.toml";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    format_version: u32,
    /// A native ffmpeg, by itself.
    pub native: Source,
    pub client: Vec<Client>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    pub name: String,
    pub version: String,
    pub repository: Option<Repository>,
    pub archive: Option<Source>,
    #[serde(default)]
    pub media: Vec<Media>,
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    #[serde(default)]
    pub make: Vec<String>,
    #[serde(default)]
    pub python: Vec<String>,
    pub npm: Option<Vec<String>>,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    pub run: Vec<Run>,
    #[serde(default)]
    pub exception: Vec<Exception>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    pub url: String,
    pub commit: String,
    #[serde(default)]
    pub without: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    pub url: String,
    pub commit: String,
    pub folder: String,
    pub files: Vec<String>,
    pub into: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub command: String,
    pub outcomes: Format,
    pub seconds: u64,
}

/// How a suite says what came of its tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Pytest,
    Mocha,
    Jest,
    Libtest,
    /// The command is one test by itself.
    Exit,
}

/// Which FFmpeg a suite is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Native,
    Afmpeg,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Native, Side::Afmpeg];

    pub fn name(self) -> &'static str {
        match self {
            Side::Native => "native",
            Side::Afmpeg => "afmpeg",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fails {
    Native,
    Afmpeg,
    Both,
    /// With neither for sure: what depends on how busy the machine is. By itself each of these tests passes.
    Sometimes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    tests: Vec<String>,
    pub fails: Fails,
    pub reason: String,
}

impl Exception {
    pub fn names(&self, test: &str) -> bool {
        let is_named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => test.starts_with(beginning),
            None => test == pattern,
        };
        self.tests.iter().any(is_named)
    }

    pub fn wants_failure(&self, side: Side) -> bool {
        match self.fails {
            Fails::Native => side == Side::Native,
            Fails::Afmpeg => side == Side::Afmpeg,
            Fails::Both => true,
            Fails::Sometimes => false,
        }
    }

    fn fault(&self) -> Option<String> {
        if self.reason.trim().is_empty() {
            return Some("an exception needs a reason".into());
        }
        let many = self.tests.iter().find(|test| test.ends_with('*'));
        let many = many.filter(|_| self.fails == Fails::Sometimes)?;
        Some(format!("`{many}` fails sometimes: name each test"))
    }
}

impl List {
    pub fn load(root: &Path) -> Result<List> {
        let path = root.join(PLACE);
        let list: List = read_toml(&path)?;
        match list.fault() {
            Some(fault) => Err(usage(format!("{}: {fault}", path.display())).into()),
            None => Ok(list),
        }
    }

    fn fault(&self) -> Option<String> {
        if self.format_version != FORMAT_VERSION {
            return Some(format!(
                "format_version {} is not {FORMAT_VERSION}",
                self.format_version
            ));
        }
        if let Err(fault) = self.native.check() {
            return Some(format!("native: {fault}"));
        }
        let mut names = BTreeSet::new();
        self.client.iter().find_map(|client| match client.fault() {
            Some(fault) => Some(format!("{}: {fault}", client.name)),
            None if !names.insert(&client.name) => Some(format!("{} stands there twice", client.name)),
            None => None,
        })
    }

    /// The clients of these names; all without any.
    pub fn chosen(&self, names: &[String]) -> Result<Vec<&Client>> {
        if let Some(unknown) = names
            .iter()
            .find(|name| self.client.iter().all(|client| client.name != **name))
        {
            let known: Vec<&str> = self.client.iter().map(|client| client.name.as_str()).collect();
            return Err(usage(format!("no client `{unknown}`; there are {}", known.join(", "))).into());
        }
        let is_chosen = |client: &&Client| names.is_empty() || names.contains(&client.name);
        Ok(self.client.iter().filter(is_chosen).collect())
    }
}

impl Client {
    fn fault(&self) -> Option<String> {
        if self.repository.is_some() == self.archive.is_some() {
            return Some("it needs either a repository or an archive".into());
        }
        if let Some(Err(fault)) = self.archive.as_ref().map(Source::check) {
            return Some(fault);
        }
        let commits = self.repository.iter().map(|repository| &repository.commit);
        for commit in commits.chain(self.media.iter().map(|media| &media.commit)) {
            if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Some(format!("`{commit}` is not the id of a commit"));
            }
        }
        let places = self.files.keys().chain(self.media.iter().map(|media| &media.into));
        if let Some(place) = places
            .map(PathBuf::from)
            .find(|place| !unpack::is_plain_relative(place))
        {
            return Some(format!("{} leaves the suite's folder", place.display()));
        }
        if self.run.is_empty() {
            return Some("it runs nothing".into());
        }
        self.exception.iter().find_map(Exception::fault)
    }

    /// Whether a test is one of those that fail in some runs and pass by themselves.
    pub fn fails_sometimes(&self, test: &str) -> bool {
        let mut exceptions = self.exception.iter().filter(|exception| exception.names(test));
        exceptions.any(|exception| exception.fails == Fails::Sometimes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(client: &str) -> List {
        let text = format!(
            "format_version = 1\n[native]\nversion = \"1\"\nlicense = \"MIT\"\nsha256 = \"{}\"\n[[native.origin]]\n\
             pypi = \"x\"\nversion = \"1\"\n{client}",
            "0".repeat(64)
        );
        toml::from_str(&text).unwrap()
    }

    fn client(lines: &str) -> String {
        format!("[[client]]\nname = \"a\"\nversion = \"1\"\n{lines}\n")
    }

    const RUN: &str = "[[client.run]]\ncommand = \"x\"\noutcomes = \"exit\"\nseconds = 1\n";
    const REPOSITORY: &str = "repository = { url = \"u\", commit = \"0123456789012345678901234567890123456789\" }";

    #[test]
    fn faults_are_found_before_anything_is_run() {
        let good = client(&format!("{REPOSITORY}\n{RUN}"));
        assert_eq!(list(&good).fault(), None);
        for (text, wanted) in [
            (good.repeat(2), "a stands there twice"),
            (client(RUN), "a: it needs either a repository or an archive"),
            (client(&format!("{REPOSITORY}\nrun = []")), "a: it runs nothing"),
            (
                client(&format!("repository = {{ url = \"u\", commit = \"main\" }}\n{RUN}")),
                "a: `main` is not the id of a commit",
            ),
            (
                client(&format!("{REPOSITORY}\nfiles = {{ \"../x\" = \"\" }}\n{RUN}")),
                "a: ../x leaves the suite's folder",
            ),
            (
                format!("{good}[[client.exception]]\ntests = [\"t\"]\nfails = \"both\"\nreason = \" \"\n"),
                "a: an exception needs a reason",
            ),
            (
                format!("{good}[[client.exception]]\ntests = [\"t::*\"]\nfails = \"sometimes\"\nreason = \"r\"\n"),
                "a: `t::*` fails sometimes: name each test",
            ),
        ] {
            assert_eq!(list(&text).fault().as_deref(), Some(wanted));
        }
        let list = list(&good);
        assert_eq!(list.chosen(&[]).unwrap().len(), 1);
        let error = list.chosen(&["b".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no client `b`; there are a");
    }

    #[test]
    fn an_exception_names_tests_by_their_beginning_or_whole() {
        let exception = Exception {
            tests: vec!["io::*".into(), "one".into()],
            fails: Fails::Afmpeg,
            reason: "r".into(),
        };
        assert!(exception.names("io::x[1]") && exception.names("one") && !exception.names("one more"));
        assert!(exception.wants_failure(Side::Afmpeg) && !exception.wants_failure(Side::Native));
    }
}
