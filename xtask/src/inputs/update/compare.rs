//! What two records say of a module before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::build::record::Record;
use crate::process::Invocation;
use crate::project::Project;

/// What became of a module.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind -> names, for kinds in which something changed.
    pub added: BTreeMap<String, BTreeSet<String>>,
    pub removed: BTreeMap<String, BTreeSet<String>>,
    /// File -> bytes before and after.
    pub size_bytes: BTreeMap<String, [u64; 2]>,
}

fn change(old: &Record, new: &Record) -> Change {
    let (before, after) = (&old.ffmpeg.components, &new.ffmpeg.components);
    let sizes = new.files.iter().filter_map(|(name, file)| {
        let old = old.files.get(name)?;
        Some((name.clone(), [old.size_bytes, file.size_bytes]))
    });
    Change {
        added: missing(after, before),
        removed: missing(before, after),
        size_bytes: sizes.collect(),
    }
}

type Components = BTreeMap<String, BTreeSet<String>>;

/// What `there` has and `here` has not.
fn missing(there: &Components, here: &Components) -> Components {
    let mut missing = Components::new();
    for (kind, names) in there {
        let known = here.get(kind).cloned().unwrap_or_default();
        let names: BTreeSet<String> = names.difference(&known).cloned().collect();
        if !names.is_empty() {
            missing.insert(kind.clone(), names);
        }
    }
    missing
}

/// What changed of these modules since they were committed, which is printed as well.
pub fn with_committed(project: &Project, profiles: &[String]) -> Result<BTreeMap<String, Change>> {
    let mut changes = BTreeMap::new();
    for name in profiles {
        let new = Record::read(&project.root.join("artifacts"), name)?;
        match committed(project, name) {
            Ok(old) => {
                let change = change(&old, &new);
                println!("{name}, compared with what is committed\n{change}");
                changes.insert(name.clone(), change);
            }
            Err(error) => eprintln!("warning: {name} has no committed record to compare with: {error:#}"),
        }
    }
    Ok(changes)
}

/// The record as git has it: what is in the folder may be that of a bump which was broken off.
fn committed(project: &Project, name: &str) -> Result<Record> {
    let text = Invocation::new("git", &project.root)
        .arguments(["show", &format!("HEAD:./artifacts/{name}.json")])
        .inherit_environment()
        .output()?;
    serde_json::from_str(&text).context("the record is damaged")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut text = String::new();
        for (sign, components) in [('+', &self.added), ('-', &self.removed)] {
            for (kind, names) in components {
                let names: Vec<String> = names.iter().map(|name| format!("{sign}{name}")).collect();
                writeln!(text, "  {kind}: {}", names.join(" "))?;
            }
        }
        if text.is_empty() {
            text += "  the same encoders, decoders, muxers, demuxers and filters\n";
        }
        for (name, [old, new]) in &self.size_bytes {
            let percent = (*new as f64 / *old as f64 - 1.0) * 100.0;
            writeln!(text, "  {name}: {old} -> {new} bytes ({percent:+.2} %)")?;
        }
        f.write_str(text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::sample;

    #[test]
    fn what_changed_is_named() {
        let project = sample::project();
        let make = || sample::record(&project, "oz-lgpl", &["ffmpeg"]);
        let (old, mut new) = (make(), make());
        assert!(change(&old, &new).to_string().contains("the same encoders"));
        let encoders = new.ffmpeg.components.get_mut("encoders").unwrap();
        encoders.remove("libopenh264");
        encoders.insert("new".into());
        new.files.get_mut("oz-lgpl.wasm").unwrap().size_bytes *= 2;
        let text = change(&old, &new).to_string();
        assert!(
            text.starts_with("  encoders: +new\n  encoders: -libopenh264\n"),
            "{text}"
        );
        assert!(text.contains("oz-lgpl.wasm: 300 -> 600 bytes (+100.00 %)"), "{text}");
        assert_eq!(change(&old, &new).size_bytes["oz-lgpl.wasm.gz"], [200, 200]);
    }
}
