//! Profiles and component sets: what to build, as data. Every key is explained in profiles/README.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::usage;

#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub description: String,
    pub components: String,
    pub optimise: OptimiseLevel,
    pub optimise_cold: Option<OptimiseLevel>,
    pub simd: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wide_arguments: bool,
    pub wasm_opt: Vec<String>,
    pub size_budget_bytes: SizeBudget,
}

/// clang's -O levels that a profile may take.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
pub enum OptimiseLevel {
    #[serde(rename = "z")]
    Z,
    #[serde(rename = "2")]
    Two,
    #[serde(rename = "3")]
    Three,
}

impl OptimiseLevel {
    pub fn flag(self) -> &'static str {
        match self {
            OptimiseLevel::Z => "-Oz",
            OptimiseLevel::Two => "-O2",
            OptimiseLevel::Three => "-O3",
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SizeBudget {
    pub raw: u64,
    pub gzip: u64,
}

impl SizeBudget {
    const UNLIMITED: SizeBudget = SizeBudget {
        raw: u64::MAX,
        gzip: u64::MAX,
    };
}

/// A profile but for the lever that is to be measured. What it costs in size is a result, so there is no budget.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    base: String,
    description: String,
    flags: Option<Vec<String>>,
    wide_arguments: Option<bool>,
    wasm_opt: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ComponentSet {
    pub description: String,
    pub license: String,
    pub libraries: Vec<String>,
    pub configure: Vec<String>,
    pub requires: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub forbids: BTreeMap<String, Vec<String>>,
}

/// Reads a TOML file; an error names the file, the line and the key.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).map_err(|error| usage(format!("{}: {error}", path.display())).into())
}

/// The names of all profiles, sorted.
pub fn names(root: &Path) -> Result<Vec<String>> {
    names_in(root, "")
}

const TRIALS: &str = "trials/";

/// The names of profiles that are built to be measured and not to be shipped, sorted.
pub fn trials(root: &Path) -> Result<Vec<String>> {
    match root.join("profiles").join(TRIALS).is_dir() {
        true => names_in(root, TRIALS),
        false => Ok(Vec::new()),
    }
}

pub fn is_trial(name: &str) -> bool {
    name.starts_with(TRIALS)
}

fn names_in(root: &Path, prefix: &str) -> Result<Vec<String>> {
    let folder = root.join("profiles").join(prefix);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(format!("{prefix}{stem}"));
        }
    }
    names.sort();
    Ok(names)
}

impl Profile {
    pub fn load(root: &Path, name: &str) -> Result<Profile> {
        let valid = [names(root)?, trials(root)?].concat();
        if !valid.iter().any(|valid| valid == name) {
            return Err(usage(format!(
                "there is no profile `{name}`; the profiles are: {}",
                valid.join(", ")
            ))
            .hint("a new profile is a TOML file in profiles/, explained in profiles/README.md")
            .into());
        }
        let path = root.join("profiles").join(format!("{name}.toml"));
        if !is_trial(name) {
            return read_toml(&path);
        }
        let trial: Trial = read_toml(&path)?;
        if !names(root)?.contains(&trial.base) {
            let text = format!("{}: there is no profile `{}` to start from", path.display(), trial.base);
            return Err(usage(text)
                .hint("`base` is the name of a profile, and of no other trial")
                .into());
        }
        let base = Profile::load(root, &trial.base)?;
        Ok(trial.of(base))
    }
}

impl Trial {
    fn of(self, base: Profile) -> Profile {
        Profile {
            description: self.description,
            flags: self.flags.unwrap_or(base.flags),
            wide_arguments: self.wide_arguments.unwrap_or(base.wide_arguments),
            wasm_opt: self.wasm_opt.unwrap_or(base.wasm_opt),
            size_budget_bytes: SizeBudget::UNLIMITED,
            ..base
        }
    }
}

impl ComponentSet {
    pub fn load(root: &Path, name: &str) -> Result<ComponentSet> {
        let path = root.join("profiles/components").join(format!("{name}.toml"));
        read_toml(&path)
    }
}
