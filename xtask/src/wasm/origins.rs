//! Looks into the linker's map for what a module must not be made of: in a module without GPL, objects under the GPL.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::wasm::{Pass, Work};

pub const NAME: &str = "origins";

#[derive(Debug, Serialize)]
pub struct Origins {
    pub map: String,
    /// What the module is to be under.
    pub license: String,
    /// Archives that none of its objects may come from, by file name, and objects of any archive.
    pub archives: Vec<String>,
    pub objects: Vec<String>,
}

impl Pass for Origins {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        let found = self.refused(&work.read_text(&self.map)?)?;
        if found.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = found.into_iter().collect();
        bail!(
            "a module under {} may not be linked with these, by the linker's map:\n  {}",
            self.license,
            list.join("\n  ")
        )
    }
}

impl Origins {
    fn refused(&self, map: &str) -> Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        // A line of a section of a file ends with `FILE:(NAME)`; a file of an archive is `ARCHIVE(OBJECT)`.
        for line in map.lines() {
            if let Some((file, _)) = line.get(35..).and_then(|rest| rest.split_once(":(")) {
                files.insert(file.trim_start());
            }
        }
        if files.is_empty() {
            bail!("the linker's map {} names no object", self.map);
        }
        let is_refused = |file: &&str| {
            let (archive, object) = match file.strip_suffix(')').and_then(|file| file.split_once('(')) {
                Some((archive, object)) => (Some(archive), object),
                None => (None, *file),
            };
            let is_in = |names: &[String], path: &str| {
                let name = path.rsplit('/').next().unwrap_or(path);
                names.iter().any(|one| one == name)
            };
            is_in(&self.objects, object) || archive.is_some_and(|archive| is_in(&self.archives, archive))
        };
        Ok(files.into_iter().filter(is_refused).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
    Addr      Off     Size Out     In      Symbol
       -      123      456 CODE
       -      200       10                 ../prefix/lib/libx264.a(macroblock-8.o):(x264_8_macroblock_init)
       -      210       10                 libavfilter/libavfilter.a(vf_eq.o):(init)
       -      220       10                 libavfilter/libavfilter.a(vf_scale.o):(init)
       -      230       10                 ../guest/main.o:(main)
";

    #[test]
    fn objects_under_the_gpl_are_found() {
        let origins = |archives: &[&str], objects: &[&str]| Origins {
            map: "map".into(),
            license: "LGPL-2.1-or-later".into(),
            archives: archives.iter().map(|&name| name.to_owned()).collect(),
            objects: objects.iter().map(|&name| name.to_owned()).collect(),
        };
        let found = origins(&["libx264.a"], &["vf_eq.o"]).refused(MAP).unwrap();
        let wanted = [
            "../prefix/lib/libx264.a(macroblock-8.o)",
            "libavfilter/libavfilter.a(vf_eq.o)",
        ];
        assert_eq!(found, wanted.map(str::to_owned).into());
        assert!(origins(&["libx265.a"], &["vf_spp.o"]).refused(MAP).unwrap().is_empty());
        assert!(origins(&[], &[]).refused("no map").is_err());
    }
}
