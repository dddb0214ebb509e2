//! Asks a module what it can do, by running it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::profile::ComponentSet;

/// What FFmpeg says of itself.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Description {
    /// Kind -> names, as `ffmpeg -encoders` and its like list them.
    pub components: BTreeMap<String, BTreeSet<String>>,
    /// What `ffmpeg -L` says.
    pub ffmpeg_license: String,
}

pub fn describe(module: &Path) -> Result<Description> {
    let runtime = afmpeg::Runtime::from_file(module)?;
    let info = runtime.info()?;
    for (kind, names) in &info.components {
        if names.is_empty() {
            bail!("ffmpeg -{kind} lists nothing");
        }
    }
    if !["LGPL-2.1-or-later", "GPL-2.0-or-later"].contains(&info.license.as_str()) {
        bail!("ffmpeg -L names no licence that is known here: {}", info.license);
    }
    // The other program is there too.
    let output = runtime
        .run(["ffprobe", "-hide_banner", "-version"])
        .context("ffprobe -version")?;
    output.into_success().context("ffprobe -version")?;
    Ok(Description {
        components: info.components,
        ffmpeg_license: info.license,
    })
}

impl Description {
    /// How this differs from what the component set promises.
    pub fn faults(&self, set: &ComponentSet) -> Vec<String> {
        let mut faults = Vec::new();
        let has = |kind: &str, name: &String| self.components.get(kind).is_some_and(|names| names.contains(name));
        for (kind, names) in &set.requires {
            faults.extend(
                names
                    .iter()
                    .filter(|name| !has(kind, name))
                    .map(|name| format!("it has no {name} among its {kind}")),
            );
        }
        for (kind, names) in &set.forbids {
            faults.extend(
                names
                    .iter()
                    .filter(|name| has(kind, name))
                    .map(|name| format!("it has {name} among its {kind}")),
            );
        }
        if !set.license.starts_with(&self.ffmpeg_license) {
            faults.push(format!(
                "it is under {}, and its component set under {}",
                self.ffmpeg_license, set.license
            ));
        }
        faults
    }
}
