//! Digests of files, trees and keys. Everything that a build depends on is named by one of these.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

fn to_hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn bytes(data: &[u8]) -> String {
    to_hex(Sha256::digest(data))
}

/// As wheels write digests down.
pub fn base64_url(data: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(data))
}

pub fn file(path: &Path) -> Result<String> {
    let mut hasher = HashingWriter::new(io::sink());
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    io::copy(&mut file, &mut hasher).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finish().0)
}

/// Hashes what passes through on its way to `inner`.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    length_bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            length_bytes: 0,
        }
    }

    /// The digest and the number of bytes that passed.
    pub fn finish(self) -> (String, u64) {
        (to_hex(self.hasher.finalize()), self.length_bytes)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.hasher.update(&data[..written]);
        self.length_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A key over fields of any length: each goes in with its length first, so that no two lists of fields meet.
#[derive(Debug)]
pub struct Key(Sha256);

impl Key {
    pub fn new(domain: &str) -> Key {
        Key(Sha256::new()).field(domain)
    }

    pub fn field(mut self, data: impl AsRef<[u8]>) -> Key {
        self.0.update((data.as_ref().len() as u64).to_le_bytes());
        self.0.update(data.as_ref());
        self
    }

    pub fn finish(self) -> String {
        to_hex(self.0.finalize())
    }
}

/// The digest of a folder: sorted paths, whether each is a file, a program or a link, and what it holds. Owners, times
/// and the finer permissions differ between the containers of one and the same source, so they don't count.
pub fn tree(root: &Path) -> Result<String> {
    let mut key = Key::new("tree");
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", root.display()))?;
        let path = entry.path();
        let Some(name) = path.strip_prefix(root)?.to_str() else {
            bail!("{} is not UTF-8", path.display());
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        }
        key = key.field(name);
        if kind.is_symlink() {
            key = key
                .field("link")
                .field(fs::read_link(path)?.as_os_str().as_encoded_bytes());
        } else {
            let executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mut content = Vec::new();
            File::open(path)
                .and_then(|mut file| file.read_to_end(&mut content))
                .with_context(|| path.display().to_string())?;
            key = key.field(if executable { "program" } else { "file" }).field(content);
        }
    }
    Ok(key.finish())
}
