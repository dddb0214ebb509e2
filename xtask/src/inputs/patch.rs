//! Our patches on upstream trees, as patches/<project>/series lists them. Every hunk must fit exactly.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};

use crate::inputs::unpack::is_plain_relative;

/// The patch files of a project, in order; none when it has no series.
pub fn series(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("series");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

pub fn apply_series(folder: &Path, tree: &Path) -> Result<()> {
    for name in series(folder)? {
        let path = folder.join(&name);
        let patch = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        apply(&patch, tree).with_context(|| {
            format!(
                "{} does not apply; mend it for this version of upstream",
                path.display()
            )
        })?;
    }
    Ok(())
}

fn apply(text: &str, tree: &Path) -> Result<()> {
    let mut files = 0;
    for patch in PatchSet::parse(text, ParseOptions::unidiff()) {
        let patch = patch?;
        let operation = patch.operation().strip_prefix(1);
        let PatchKind::Text(hunks) = patch.patch() else {
            bail!("a binary patch")
        };
        let (name, before) = match &operation {
            FileOperation::Create(name) => (name, String::new()),
            FileOperation::Modify { modified, .. } => {
                let path = tree.join(modified.as_ref());
                (
                    modified,
                    fs::read_to_string(&path).with_context(|| format!("cannot read {modified}"))?,
                )
            }
            other => bail!("a patch may create or change files, not {other:?}"),
        };
        let name = Path::new(name.as_ref());
        if !is_plain_relative(name) {
            bail!("the patch leaves the tree: {}", name.display());
        }
        let after = diffy::apply(&before, hunks).with_context(|| name.display().to_string())?;
        let path = tree.join(name);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, after)?;
        files += 1;
    }
    if files == 0 {
        bail!("the patch changes nothing");
    }
    Ok(())
}
