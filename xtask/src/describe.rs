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

const KINDS: [&str; 5] = ["decoders", "demuxers", "encoders", "filters", "muxers"];

pub fn describe(module: &Path) -> Result<Description> {
    let runtime = afmpeg::Runtime::from_file(module)?;
    let ask = |program: &str, option: &str| -> Result<String> {
        let output = runtime
            .run([program, "-hide_banner", option])
            .with_context(|| format!("{program} {option}"))?;
        if !output.success() {
            bail!(
                "{program} {option} ended with {}: {}",
                output.exit_code,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    };
    let mut components = BTreeMap::new();
    for kind in KINDS {
        let names = listed(&ask("ffmpeg", &format!("-{kind}"))?);
        if names.is_empty() {
            bail!("ffmpeg -{kind} lists nothing");
        }
        components.insert(kind.to_owned(), names);
    }
    let license = ask("ffmpeg", "-L")?;
    let ffmpeg_license = match () {
        () if license.contains("GNU Lesser General Public") => "LGPL-2.1-or-later",
        () if license.contains("GNU General Public") => "GPL-2.0-or-later",
        () => bail!("ffmpeg -L names no licence that is known here: {license}"),
    };
    // The other program is there too.
    ask("ffprobe", "-version")?;
    Ok(Description {
        components,
        ffmpeg_license: ffmpeg_license.to_owned(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_below_the_dashes() {
        let text =
            "Formats:\n D.. = Demuxing supported\n ---\n D   aac             raw ADTS\n DE  matroska,webm   Matroska\n";
        assert_eq!(listed(text), ["aac", "matroska,webm"].map(str::to_owned).into());
    }
}
