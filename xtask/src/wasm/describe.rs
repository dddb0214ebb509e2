//! Asks a module what it can do, by running it in node, which is there where npm is: no engine has to be compiled for a build.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::process::Invocation;
use crate::wasm::{Pass, Work};

pub const NAME: &str = "describe";

pub const SCRIPT: &str = include_str!("describe.mjs");

#[derive(Debug, Serialize)]
pub struct Describe {
    pub module: String,
    pub to: String,
}

/// What FFmpeg says of itself.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Description {
    /// Kind -> names, as `ffmpeg -encoders` and its like list them.
    pub components: BTreeMap<String, BTreeSet<String>>,
    /// What `ffmpeg -L` says.
    pub ffmpeg_license: String,
}

const KINDS: [&str; 5] = ["decoders", "demuxers", "encoders", "filters", "muxers"];

#[derive(Deserialize)]
struct Said {
    code: i32,
    stdout: String,
}

impl Pass for Describe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        work.write_json(&self.to, &describe(&work.folder.join(&self.module))?)
    }
}

/// Asks a module.
pub fn describe(module: &Path) -> Result<Description> {
    let mut runs = vec![
        vec!["ffprobe".to_owned(), "-hide_banner".into(), "-version".into()],
        vec!["ffmpeg".to_owned(), "-hide_banner".into(), "-L".into()],
    ];
    for kind in KINDS {
        runs.push(vec!["ffmpeg".into(), "-hide_banner".into(), format!("-{kind}")]);
    }
    let mut arguments = vec![
        "--no-warnings".to_owned(),
        // With these calls node 20 aborts now and then.
        "--no-turbo-fast-api-calls".to_owned(),
        "--input-type=module".into(),
        "--eval".into(),
        // `node --eval` has no name of a script among its arguments.
        SCRIPT.replace("[, , path", "[, path"),
        module.display().to_string(),
    ];
    for run in &runs {
        arguments.push(serde_json::to_string(run)?);
    }
    let output = Invocation::new("node", Path::new("/")).arguments(arguments).output()?;
    let said: Vec<Said> = serde_json::from_str(&output).context("what node printed of the module")?;
    for (run, said) in runs.iter().zip(&said) {
        if said.code != 0 {
            bail!("`{}` ended with {}", run.join(" "), said.code);
        }
    }
    let [_, license, lists @ ..] = &said[..] else {
        bail!("node ran {} of {} commands", said.len(), runs.len());
    };
    let mut components = BTreeMap::new();
    for (kind, list) in KINDS.iter().zip(lists) {
        let names = listed(&list.stdout);
        if names.is_empty() && *kind == "filters" {
            bail!("ffmpeg -{kind} lists nothing");
        }
        components.insert((*kind).to_owned(), names);
    }
    Ok(Description {
        components,
        ffmpeg_license: license_of(&license.stdout)?.to_owned(),
    })
}

/// The licence that FFmpeg says it is under, as an SPDX expression.
fn license_of(text: &str) -> Result<&'static str> {
    let version3 = text.contains("version 3");
    match () {
        () if text.contains("GNU Lesser General Public") && version3 => Ok("LGPL-3.0-or-later"),
        () if text.contains("GNU Lesser General Public") => Ok("LGPL-2.1-or-later"),
        () if text.contains("GNU General Public") && version3 => Ok("GPL-3.0-or-later"),
        () if text.contains("GNU General Public") => Ok("GPL-2.0-or-later"),
        () => bail!("ffmpeg -L names no licence that is known here: {text}"),
    }
}

/// The second word of each line below the line of dashes; the first are flags.
fn listed(text: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| !line.trim().starts_with("--")).skip(1);
    // A container may have several names, separated by commas; they stay together, as FFmpeg shows them.
    lines
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}
