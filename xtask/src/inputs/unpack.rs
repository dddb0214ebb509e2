//! Containers of sources (tar, zip, Debian packages) into folders.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Unpacks a container of any kind that the pins use into `into`. The kind is told by its first bytes, never by its name.
pub fn container(path: &Path, into: &Path) -> Result<()> {
    let open = || {
        File::open(path)
            .map(BufReader::new)
            .with_context(|| format!("cannot open {}", path.display()))
    };
    let mut magic = [0; 8];
    let length = open()?.read(&mut magic)?;
    let result = match &magic[..length] {
        [0x1f, 0x8b, ..] => tar_archive(flate2::read::GzDecoder::new(open()?), into),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => tar_archive(lzma_rust2::XzReader::new(open()?, true), into),
        b"!<arch>\n" => debian_package(open()?, into),
        [b'B', b'Z', b'h', ..] => tar_archive(bzip2::read::BzDecoder::new(open()?), into),
        [b'P', b'K', ..] => Ok(zip::ZipArchive::new(open()?)?.extract(into)?),
        _ => tar_archive(open()?, into),
    };
    result.with_context(|| format!("cannot unpack {}", path.display()))
}

fn tar_archive(reader: impl Read, into: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_mtime(false);
    archive.set_preserve_ownerships(false);
    Ok(archive.unpack(into)?)
}

fn debian_package(reader: impl Read, into: &Path) -> Result<()> {
    let mut archive = ar::Archive::new(reader);
    while let Some(entry) = archive.next_entry() {
        let entry = entry?;
        match entry.header().identifier() {
            b"data.tar.xz" => return tar_archive(lzma_rust2::XzReader::new(entry, true), into),
            b"data.tar.gz" => return tar_archive(flate2::read::GzDecoder::new(entry), into),
            _ => {}
        }
    }
    bail!("the Debian package has no data.tar.xz or data.tar.gz")
}

/// Unpacks a container and moves the tree that is wanted to `into`: `folder` within it, or its one top folder; of that, the
/// files that `keep` names.
pub fn tree(path: &Path, folder: Option<&str>, keep: &[String], into: &Path) -> Result<()> {
    let scratch = tempfile::TempDir::new_in(into.parent().context("a tree needs a folder")?)?;
    container(path, scratch.path())?;
    let top = match folder {
        Some(folder) => one_top_folder(scratch.path())?.join(folder),
        None => one_top_folder(scratch.path())?,
    };
    let kept = globs(keep)?;
    fs::create_dir_all(into)?;
    let mut taken = 0;
    for entry in walkdir::WalkDir::new(&top).sort_by_file_name() {
        let entry =
            entry.with_context(|| format!("{} has no folder {}", path.display(), folder.unwrap_or("of its own")))?;
        let name = entry.path().strip_prefix(&top)?;
        if entry.file_type().is_dir() || !(keep.is_empty() || kept.is_match(name)) {
            continue;
        }
        let target = into.join(name);
        fs::create_dir_all(target.parent().context("a file needs a folder")?)?;
        fs::rename(entry.path(), &target)?;
        taken += 1;
    }
    if taken == 0 {
        bail!(
            "{} holds none of the files that are wanted: {}",
            path.display(),
            keep.join(" ")
        );
    }
    Ok(())
}

/// The only folder at the top, or the container's root when there are several things.
fn one_top_folder(root: &Path) -> Result<PathBuf> {
    let entries: Vec<_> = fs::read_dir(root)?.collect::<io::Result<_>>()?;
    match &entries[..] {
        [only] if only.file_type()?.is_dir() => Ok(only.path()),
        _ => Ok(root.to_owned()),
    }
}

/// Globs in which `*` stays within a folder and `**` does not.
pub fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        builder.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    Ok(builder.build()?)
}

/// Copies a tree, links as links.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        let kind = entry.file_type();
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Whether a path stays below where it starts.
pub fn is_plain_relative(path: &Path) -> bool {
    path.components()
        .all(|component| matches!(component, Component::Normal(_)))
}
