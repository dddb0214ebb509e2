//! Compiled code, kept on disk for the next process.
//!
//! What is loaded from here runs as native code, so nobody but the user may be able to write to the folder. Entries
//! are written to the side, synced and renamed, and never changed afterwards. An entry's name is made of everything
//! that its content depends on, and of its size, so that one cut short is not taken for whole.

use crate::Error;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use wasmtime::Engine;

/// Changed whenever what stands in an entry or in its name changes.
const FORMAT: &str = "afmpeg-aot-2";

/// As many entries are kept as a developer has variants of a module at hand; the oldest go first.
const ENTRIES_MAX: usize = 16;

const EXTENSION: &str = "cwasm";

pub(crate) struct Cache {
    path: PathBuf,
    dir: Dir,
}

impl Cache {
    pub fn open(path: &Path) -> Result<Cache, Error> {
        let failed = |source| Error::Cache {
            path: path.to_owned(),
            source,
        };
        create_private(path).map_err(failed)?;
        let folder = open_folder(path).map_err(failed)?;
        if let Some(reason) = distrust(&folder.metadata().map_err(failed)?, 0o077) {
            return Err(Error::CacheUnsafe {
                path: path.to_owned(),
                reason,
            });
        }
        Ok(Cache {
            path: path.to_owned(),
            dir: Dir::from_std_file(folder),
        })
    }

    /// The open file of an entry that is there, whole and trustworthy.
    pub fn find(&self, key: &str) -> Option<File> {
        let prefix = format!("{key}-");
        self.names()
            .ok()?
            .into_iter()
            .filter(|name| name.starts_with(&prefix))
            .find_map(|name| {
                let entry = self.open_entry(&name);
                if entry.is_none() {
                    self.remove(&name);
                }
                entry
            })
    }

    fn open_entry(&self, name: &str) -> Option<File> {
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        let file = self.dir.open_with(name, &options).ok()?.into_std();
        let metadata = file.metadata().ok()?;
        let size_bytes: u64 = name
            .strip_suffix(EXTENSION)?
            .trim_end_matches('.')
            .rsplit('-')
            .next()?
            .parse()
            .ok()?;
        (metadata.is_file() && metadata.len() == size_bytes && distrust(&metadata, 0o022).is_none()).then_some(file)
    }

    pub fn store(&self, key: &str, code: &[u8]) -> Result<(), Error> {
        let failed = |source| Error::Cache {
            path: self.path.clone(),
            source,
        };
        let mut file = tempfile::Builder::new()
            .prefix("new-")
            .tempfile_in(&self.path)
            .map_err(failed)?;
        file.write_all(code)
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        let path = self.path.join(format!("{key}-{}.{EXTENSION}", code.len()));
        match file.persist_noclobber(path) {
            Ok(_) => {}
            // Another process was quicker, with the same code.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error.error)),
        }
        self.remove_oldest();
        Ok(())
    }

    /// Drops an entry that the engine refused.
    pub fn discard(&self, key: &str) {
        let prefix = format!("{key}-");
        for name in self
            .names()
            .unwrap_or_default()
            .iter()
            .filter(|name| name.starts_with(&prefix))
        {
            self.remove(name);
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = self
            .dir
            .entries()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| name.ends_with(EXTENSION)).collect())
    }

    /// An entry that cannot be removed only costs space, or will be met again.
    fn remove(&self, name: &str) {
        let _ = self.dir.remove_file(name);
    }

    fn remove_oldest(&self) {
        let written = |name: &str| {
            self.dir
                .symlink_metadata(name)
                .and_then(|metadata| metadata.modified())
                .ok()
        };
        let names = self.names().unwrap_or_default();
        let mut dated: Vec<_> = names
            .iter()
            .map(|name| (written(name).map(|time| time.into_std()), name))
            .collect();
        dated.sort();
        for (_, name) in dated.iter().take(names.len().saturating_sub(ENTRIES_MAX)) {
            self.remove(name);
        }
    }
}

/// The hash of a module's file, as it is: a compressed module is not decompressed to be found.
///
/// With SHA-256 the digest would take longer than all else of a start from the cache.
pub(crate) fn hash(file: File) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher.finalize())
}

/// The name of the entry for a module of such a hash on this engine.
pub(crate) fn key(engine: &Engine, module: &blake3::Hash) -> String {
    struct KeyHasher(blake3::Hasher);
    impl Hasher for KeyHasher {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = KeyHasher(blake3::Hasher::new_derive_key(FORMAT));
    hasher.0.update(module.as_bytes());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn open_folder(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_folder(path: &Path) -> io::Result<File> {
    Ok(Dir::open_ambient_dir(path, cap_std::ambient_authority())?.into_std_file())
}

/// Why somebody else could have changed what has this metadata, if so.
#[cfg(unix)]
fn distrust(metadata: &std::fs::Metadata, forbidden_mode: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Some(format!("it belongs to user {} and not to user {user}", metadata.uid()));
    }
    let mode = metadata.mode() & 0o777;
    (mode & forbidden_mode != 0).then(|| format!("its mode is {mode:o}, which lets other users in"))
}

/// Windows gives a user's folders to that user alone.
#[cfg(not(unix))]
fn distrust(_metadata: &std::fs::Metadata, _forbidden_mode: u32) -> Option<String> {
    None
}
