//! The description of a module by its own programs.

use crate::error::Error;
use crate::runtime::Runtime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version, licence and components of the FFmpeg in a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Info {
    /// FFmpeg's version, such as `9.0.2`.
    pub version: String,
    /// The licence that FFmpeg was configured for, as an SPDX expression.
    pub license: String,
    /// The options that FFmpeg was configured with.
    pub configuration: Vec<String>,
    /// The names of all decoders, demuxers, encoders, filters and muxers, under these words.
    pub components: BTreeMap<String, BTreeSet<String>>,
}

const KINDS: [&str; 5] = ["decoders", "demuxers", "encoders", "filters", "muxers"];

impl Runtime {
    /// Asks the module's FFmpeg for its description. This runs it several times.
    pub fn info(&self) -> Result<Info, Error> {
        let ask = |options: &[&str]| {
            let output = self.run([&["ffmpeg"], options].concat())?.into_success()?;
            Ok::<_, Error>(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let version = ask(&["-version"])?;
        let first = version.lines().next().unwrap_or_default();
        let configuration = version.lines().find_map(|line| line.strip_prefix("configuration:"));
        let license = ask(&["-hide_banner", "-L"])?;
        let license = match () {
            () if license.contains("GNU Lesser General Public") && license.contains("version 3") => "LGPL-3.0-or-later",
            () if license.contains("GNU Lesser General Public") => "LGPL-2.1-or-later",
            () if license.contains("GNU General Public") && license.contains("version 3") => "GPL-3.0-or-later",
            () if license.contains("GNU General Public") => "GPL-2.0-or-later",
            () => "LicenseRef-unknown",
        };
        let mut components = BTreeMap::new();
        for kind in KINDS {
            components.insert(kind.to_owned(), listed(&ask(&["-hide_banner", &format!("-{kind}")])?));
        }
        Ok(Info {
            version: first
                .strip_prefix("ffmpeg version ")
                .unwrap_or(first)
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            license: license.to_owned(),
            configuration: configuration
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            components,
        })
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
