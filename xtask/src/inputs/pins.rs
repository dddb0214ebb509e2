//! The pins: every upstream input by digest, with its ordered origins. A library's pin stands in its own file, those of
//! tools and of what only tests take in ffmpeg-src/tools.toml and tests.toml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;

use crate::data::read_toml;
use crate::error::usage;
use crate::inputs::source::{DebianPackage, Source, check_digest};
use crate::recipe::library::{self, FFMPEG, Libraries, TESTS, TOOLS};

#[derive(Debug, Clone)]
pub struct Pins {
    /// Counts the releases of one FFmpeg.
    pub revision: u32,
    pub source: BTreeMap<String, Source>,
    pub sdk_package: Vec<DebianPackage>,
    pub nix_package: Vec<DebianPackage>,
    /// The names of sources that only tests and benches take.
    pub tests: Vec<String>,
    root: PathBuf,
    tools: Vec<String>,
}

/// ffmpeg-src/tools.toml and tests.toml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format_version: u32,
    source: BTreeMap<String, Source>,
    #[serde(default)]
    sdk_package: Vec<DebianPackage>,
    #[serde(default)]
    nix_package: Vec<DebianPackage>,
}

impl Pins {
    pub fn load(root: &Path, libraries: &Libraries) -> Result<Pins> {
        let tools = File::load(root, TOOLS)?;
        let tests = File::load(root, TESTS)?;
        let mut pins = Pins {
            revision: libraries.ffmpeg.data.revision,
            source: BTreeMap::new(),
            sdk_package: tools.sdk_package,
            nix_package: tests.nix_package,
            tests: tests.source.keys().cloned().collect(),
            root: root.to_owned(),
            tools: tools.source.keys().cloned().collect(),
        };
        pins.source.insert(FFMPEG.into(), libraries.ffmpeg.data.source.clone());
        for name in libraries.names() {
            pins.source.insert(name.into(), libraries.get(name)?.source.clone());
        }
        for (name, source) in tools.source.into_iter().chain(tests.source) {
            if pins.source.insert(name.clone(), source).is_some() {
                return Err(usage(format!(
                    "{}: source.{name} is pinned twice",
                    library::folder(root).display()
                ))
                .into());
            }
        }
        Ok(pins)
    }

    /// The file that pins a source, and the keys of its table in there.
    pub fn place<'a>(&self, name: &'a str) -> (PathBuf, Vec<&'a str>) {
        let is_in = |names: &[String]| names.iter().any(|one| one == name);
        let (file, table) = match () {
            () if is_in(&self.tools) => (TOOLS, vec!["source", name]),
            () if is_in(&self.tests) => (TESTS, vec!["source", name]),
            () => (name, vec!["source"]),
        };
        (library::folder(&self.root).join(format!("{file}.toml")), table)
    }

    /// The version of a release of what is pinned here.
    pub fn release_version(&self) -> Result<String> {
        Ok(format!("{}-{}", self.source(FFMPEG)?.version, self.revision))
    }

    pub fn source(&self, name: &str) -> Result<&Source> {
        self.source
            .get(name)
            .ok_or_else(|| usage(format!("no file of ffmpeg-src/ pins {name}")).into())
    }
}

impl File {
    fn load(root: &Path, name: &str) -> Result<File> {
        let path = library::folder(root).join(format!("{name}.toml"));
        let file: File = read_toml(&path)?;
        if file.format_version != 1 {
            return Err(usage(format!(
                "{}: format_version {} is not known here",
                path.display(),
                file.format_version
            ))
            .into());
        }
        for (name, source) in &file.source {
            source
                .check()
                .map_err(|message| usage(format!("{}: source.{name}: {message}", path.display())))?;
        }
        for package in file.sdk_package.iter().chain(&file.nix_package) {
            check_digest(&package.sha256)
                .map_err(|message| usage(format!("{}: package {}: {message}", path.display(), package.name)))?;
        }
        Ok(file)
    }
}
