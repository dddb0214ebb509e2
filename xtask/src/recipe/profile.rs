//! Profiles: a name such as `o3-lgpl-audio` is a level, a licence, sets and levers, and stands for a recipe. Every key is explained
//! in profiles/README.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::data::read_toml;
use crate::error::usage;
use crate::recipe::library::{Libraries, X86_INTRINSICS};
use crate::recipe::license::Licence;
use crate::recipe::set::{self, Resolved};

/// How a module is compiled.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Level {
    pub description: String,
    pub optimise: OptimiseLevel,
    pub optimise_cold: Option<OptimiseLevel>,
    pub simd: bool,
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(default)]
    pub wide_arguments: bool,
    pub wasm_opt: Vec<String>,
}

/// What differs from a level: whatever is named stands in for the level's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lever {
    description: String,
    simd: Option<bool>,
    flags: Option<Vec<String>>,
    wide_arguments: Option<bool>,
    wasm_opt: Option<Vec<String>>,
}

/// clang's -O levels that a level may take.
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

/// An entry of profiles/shipped.toml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    description: String,
    size_budget_bytes: SizeBudget,
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SizeBudget {
    pub raw: u64,
    pub gzip: u64,
}

/// All that a profile's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    pub profile: String,
    pub description: String,
    pub level: Level,
    pub components: Resolved,
    /// What is not shipped may be as large as it gets.
    pub size_budget_bytes: Option<SizeBudget>,
}

/// The names of the profiles that are shipped, sorted.
pub fn shipped(root: &Path) -> Result<Vec<String>> {
    Ok(table(root)?.into_keys().collect())
}

fn table(root: &Path) -> Result<BTreeMap<String, Shipped>> {
    read_toml(&root.join("profiles/shipped.toml"))
}

/// The names of the TOML files of a folder of profiles/, sorted.
pub fn names_in(root: &Path, folder: &str) -> Result<Vec<String>> {
    let folder = root.join("profiles").join(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl Recipe {
    pub fn load(root: &Path, profile: &str, libraries: &Libraries, runtime_license: &str) -> Result<Recipe> {
        let mut words = profile.split('-');
        let levels = names_in(root, "levels")?;
        let level = words.next().unwrap_or_default();
        if !levels.iter().any(|known| known == level) {
            return Err(unknown(
                root,
                profile,
                &format!("`{level}` is no level: {}", levels.join(", ")),
            )?);
        }
        let licence = words.next().unwrap_or_default();
        let Some(licence) = Licence::ALL.into_iter().find(|known| known.name() == licence) else {
            return Err(unknown(
                root,
                profile,
                &format!("`{licence}` is no licence: gpl, lgpl"),
            )?);
        };
        let (sets, levers) = (names_in(root, "components")?, names_in(root, "levers")?);
        let (mut chosen, mut moved) = (Vec::new(), Vec::new());
        for word in words {
            if sets.iter().any(|known| known == word) {
                chosen.push(word.to_owned());
            } else if levers.iter().any(|known| known == word) {
                moved.push(word);
            } else {
                let message = format!(
                    "`{word}` is neither a set ({}) nor a lever ({})",
                    sets.join(", "),
                    levers.join(", ")
                );
                return Err(unknown(root, profile, &message)?);
            }
        }
        if chosen.is_empty() {
            chosen.push(set::DEFAULT.to_owned());
        }
        let read = |folder: &str, name: &str| root.join("profiles").join(folder).join(format!("{name}.toml"));
        let mut level: Level = read_toml(&read("levels", level))?;
        let mut description = vec![level.description.clone()];
        for name in moved {
            let lever: Lever = read_toml(&read("levers", name))?;
            description.push(lever.description.clone());
            lever.move_on(&mut level);
        }
        description.push(format!("sets: {}", chosen.join(", ")));
        let mut components = set::resolve(root, &chosen, licence, libraries, runtime_license)
            .with_context(|| format!("profile {profile}"))?;
        let takes_intrinsics = |name: &String| libraries.takes_x86_intrinsics(name);
        let first = components.libraries.iter().position(takes_intrinsics);
        if let Some(first) = first.filter(|_| level.simd) {
            components.libraries.insert(first, X86_INTRINSICS.to_owned());
        }
        let shipped = table(root)?.remove(profile);
        Ok(Recipe {
            profile: profile.to_owned(),
            description: match &shipped {
                Some(shipped) => shipped.description.clone(),
                None => description.join("; "),
            },
            level,
            components,
            size_budget_bytes: shipped.map(|shipped| shipped.size_budget_bytes),
        })
    }
}

fn unknown(root: &Path, profile: &str, why: &str) -> Result<anyhow::Error> {
    let failure = usage(format!("there is no profile `{profile}`: {why}")).hint(format!(
        "a profile is LEVEL-LICENCE, and then names of sets and levers; shipped are {}",
        shipped(root)?.join(", ")
    ));
    Ok(failure.into())
}

impl Lever {
    fn move_on(self, level: &mut Level) {
        level.simd = self.simd.unwrap_or(level.simd);
        level.wide_arguments = self.wide_arguments.unwrap_or(level.wide_arguments);
        if let Some(flags) = self.flags {
            level.flags = flags;
        }
        if let Some(wasm_opt) = self.wasm_opt {
            level.wasm_opt = wasm_opt;
        }
    }
}
