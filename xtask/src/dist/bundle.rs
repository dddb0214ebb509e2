//! The corresponding source: what is committed, and the upstream archives, in one archive from which everything can be
//! built again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::dist::Commit;
use crate::dist::archive::{self, Entry};
use crate::inputs::fetch::Fetcher;
use crate::inputs::source;
use crate::project::Project;

/// The archive, compressed. `trees` are the sources that are in the modules.
pub fn source(
    project: &Project,
    fetcher: &Fetcher,
    commit: &Commit,
    trees: &BTreeMap<String, PathBuf>,
    top: &str,
) -> Result<Vec<u8>> {
    let mut entries = BTreeMap::new();
    for name in &commit.files {
        entries.insert(format!("{top}/{name}"), entry(&project.root.join(name))?);
    }
    for (name, tree) in trees {
        let source = project.pins.source(name)?;
        let (file, data) = match &source.tree_sha256 {
            // Origins have different archives of this one, but all of them hold this tree.
            Some(_) => {
                let files = folder(tree)?;
                (source::tree_archive(name, source), archive::tar(&files)?)
            }
            None => {
                let (path, _) = fetcher.container(name, source)?;
                (source.file_name(name), crate::dist::read(&path)?)
            }
        };
        entries.insert(format!("{top}/sources/{file}"), Entry::file(data));
    }
    archive::tar_gz(&entries)
}

fn entry(path: &Path) -> Result<Entry> {
    let data = crate::dist::read(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    Ok(Entry {
        data,
        is_program: mode & 0o100 != 0,
    })
}

fn folder(root: &Path) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    for found in walkdir::WalkDir::new(root) {
        let found = found?;
        if found.file_type().is_file() {
            let name = found
                .path()
                .strip_prefix(root)?
                .to_str()
                .context("a name is not UTF-8")?;
            entries.insert(name.to_owned(), entry(found.path())?);
        }
    }
    Ok(entries)
}
