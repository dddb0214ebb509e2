//! Compiled code, kept on disk for the next process.
//!
//! Compiled code runs as native code, so it is used only if nobody else could have written it: see [`crate::trust`].
//!
//! Entries are written under another name, synced and renamed, and never changed afterwards. An entry's name contains a
//! hash of all that its content depends on, its size, so that a truncated file is recognised, and its digest. The file
//! that an entry is written to, `new-KEY`, is locked before the code is compiled. A process that needs the same code
//! waits for the lock, which ends with its owner's process; an unlocked one is a leftover.

use crate::cache_status::CacheStatus;
use crate::error::Error;
use crate::trust::{Reason, distrust, distrust_parents};
use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions};
use std::fs::{File, TryLockError};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::{Engine, Module};

/// Changed whenever the content of entries or their names change.
const FORMAT: &str = "afmpeg-aot-3";

/// About the number of modules that a developer uses at a time; the oldest entries are removed first.
const ENTRIES_MAX: usize = 16;

const EXTENSION: &str = ".cwasm";

/// The prefix of an entry's name while it is written.
const UNFINISHED: &str = "new-";

/// The time to wait for another process that compiles the same module. Compiling takes some seconds on a usual host and
/// some minutes on a slow, busy one; after this time the other process counts as stuck.
const LOCK_PATIENCE: Duration = Duration::from_secs(120);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

// The reason why the cache was not used is never a reason to fail.

pub(crate) struct Cache {
    dir: Dir,
    /// Entries are read whole and compared with their digests.
    verify: bool,
}

impl Cache {
    pub fn open(path: &Path, verify: bool) -> Result<Cache, Reason> {
        let folder = prepare(path).map_err(|error| format!("it cannot be opened: {error}"))??;
        Ok(Cache {
            dir: Dir::from_std_file(folder),
            verify,
        })
    }

    /// Returns the code of this key if it is there, complete and trustworthy. An entry that is certainly damaged or
    /// untrustworthy is removed; after any other failure nothing is changed.
    pub fn load(&self, engine: &Engine, key: &str) -> Result<Option<Module>, Reason> {
        let unreadable = |error: io::Error| format!("it cannot be read: {error}");
        for name in self.names(key, EXTENSION).map_err(unreadable)? {
            let Some(file) = self.open_entry(&name).map_err(unreadable)? else {
                self.remove(&name);
                continue;
            };
            if self.verify && !self.is_whole(&name).map_err(unreadable)? {
                self.remove(&name);
                continue;
            }
            // SAFETY: the file lies in a folder that nobody but this user and root can write to, and it was written
            // there by `Unfinished::store` from the output of the same compiler for the same module; it has the size
            // that it was written with.
            match unsafe { Module::deserialize_open_file(engine, file) } {
                Ok(module) => return Ok(Some(module)),
                // Damage is proved by the digest. Else there is no memory, no descriptor, or the disk has trouble.
                Err(_) if !self.is_whole(&name).map_err(unreadable)? => self.remove(&name),
                Err(error) => return Err(format!("the code in it cannot be loaded: {error:#}")),
            }
        }
        Ok(None)
    }

    /// Opens an entry's file; `None` if it is truncated, or if others could have written it.
    fn open_entry(&self, name: &str) -> io::Result<Option<File>> {
        let metadata = match self.dir.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        let file = self.dir.open_with(name, &options)?.into_std();
        let metadata = file.metadata()?;
        let size_bytes = parts(name).and_then(|(size, _)| size.parse().ok());
        let good = metadata.is_file() && Some(metadata.len()) == size_bytes && distrust(&metadata).is_none();
        Ok(good.then_some(file))
    }

    /// Returns whether an entry has the digest that its name states.
    fn is_whole(&self, name: &str) -> io::Result<bool> {
        let Some(file) = self.open_entry(name)? else {
            return Ok(false);
        };
        Ok(parts(name).is_some_and(|(_, digest)| hash(file).is_ok_and(|hash| hash.to_hex().as_str() == digest)))
    }

    /// Returns the file to write the code of this key to, once no other process has it.
    pub fn lock(&self, key: &str) -> Result<Unfinished<'_>, Reason> {
        let unwritable = |error: io::Error| format!("it cannot be written: {error}");
        let name = format!("{UNFINISHED}{key}");
        let started = Instant::now();
        loop {
            let file = self.create(&name).map_err(unwritable)?;
            while let Err(error) = file.try_lock() {
                match error {
                    TryLockError::WouldBlock if started.elapsed() < LOCK_PATIENCE => {
                        std::thread::sleep(LOCK_INTERVAL);
                    }
                    TryLockError::WouldBlock => {
                        let seconds = LOCK_PATIENCE.as_secs();
                        return Err(format!("another process has been writing to it for {seconds} s"));
                    }
                    TryLockError::Error(error) => return Err(format!("it cannot be locked: {error}")),
                }
            }
            // The former owner of the lock has renamed or removed the file.
            if self.is_named(&file, &name) {
                let name = Some(name);
                return Ok(Unfinished {
                    cache: self,
                    file,
                    name,
                });
            }
        }
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).follow(FollowSymlinks::No);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let open = || self.dir.open_with(name, &options).map(cap_std::fs::File::into_std);
        match open() {
            // It may be root's, in a folder of this user's.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.dir.remove_file(name).is_ok() => {
                open()
            }
            result => result,
        }
    }

    fn is_named(&self, file: &File, name: &str) -> bool {
        let identity = |file: File| {
            let metadata = cap_std::fs::File::from_std(file).metadata().ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        let named = self.dir.open(name).ok().and_then(|file| identity(file.into_std()));
        named.is_some() && named == file.try_clone().ok().and_then(identity)
    }

    fn names(&self, start: &str, end: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.dir.entries()? {
            // Not a name of ours if it is not UTF-8.
            if let Ok(name) = entry?.file_name().into_string()
                && name.starts_with(start)
                && name.ends_with(end)
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// An entry that cannot be removed only costs space; the next process tries again.
    fn remove(&self, name: &str) {
        let _ = self.dir.remove_file(name);
    }

    /// Removes the oldest entries, and what killed processes left unfinished.
    fn tidy(&self) {
        for name in self.names(UNFINISHED, "").unwrap_or_default() {
            let file = self.dir.open(&name).map(cap_std::fs::File::into_std);
            if file.is_ok_and(|file| file.try_lock().is_ok() && self.is_named(&file, &name)) {
                self.remove(&name);
            }
        }
        let written = |name: &str| {
            let metadata = self.dir.symlink_metadata(name).ok()?;
            Some(metadata.modified().ok()?.into_std())
        };
        let mut dated: Vec<_> = self
            .names("", EXTENSION)
            .unwrap_or_default()
            .into_iter()
            .map(|name| (written(&name), name))
            .collect();
        dated.sort();
        for (_, name) in dated.iter().take(dated.len().saturating_sub(ENTRIES_MAX)) {
            self.remove(name);
        }
    }
}

/// An entry that only this process may write. It is deleted when this is dropped, unless it was stored.
pub(crate) struct Unfinished<'a> {
    cache: &'a Cache,
    file: File,
    name: Option<String>,
}

impl Unfinished<'_> {
    pub fn store(mut self, key: &str, code: &[u8]) -> Result<(), Reason> {
        let name = format!("{key}-{}-{}{EXTENSION}", code.len(), blake3::hash(code).to_hex());
        self.write(&name, code)
            .map_err(|error| format!("it cannot be written: {error}"))?;
        self.name = None;
        self.cache.tidy();
        Ok(())
    }

    fn write(&mut self, name: &str, code: &[u8]) -> io::Result<()> {
        // Something may be left of a process that was killed.
        self.file.set_len(0)?;
        self.file.write_all(code)?;
        // Everybody who may enter the folder may read: so another user can run what root has compiled.
        #[cfg(unix)]
        self.file
            .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        self.file.sync_all()?;
        let dir = &self.cache.dir;
        dir.rename(self.name.as_deref().unwrap_or_default(), dir, name)?;
        #[cfg(unix)]
        dir.try_clone()?.into_std_file().sync_all()?;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Before the lock goes with the file.
        if let Some(name) = &self.name {
            self.cache.remove(name);
        }
    }
}

/// The size and the digest in an entry's name.
fn parts(name: &str) -> Option<(&str, &str)> {
    let mut parts = name.strip_suffix(EXTENSION)?.split('-').skip(1);
    Some((parts.next()?, parts.next()?))
}

/// Returns the code of a module, through the cache in this folder. Processes that need the same code at once compile it
/// once.
pub(crate) fn through(
    folder: &Path,
    verify: bool,
    engine: &Engine,
    key: &str,
    compile: impl Fn() -> Result<Module, Error>,
) -> Result<(Module, CacheStatus), Error> {
    let attempt = || -> Result<Result<(Module, CacheStatus), Error>, Reason> {
        let cache = Cache::open(folder, verify)?;
        if let Some(module) = cache.load(engine, key)? {
            return Ok(Ok((module, CacheStatus::Hit)));
        }
        let unfinished = cache.lock(key)?;
        // Another process may have stored it while this one waited.
        if let Some(module) = cache.load(engine, key)? {
            return Ok(Ok((module, CacheStatus::Hit)));
        }
        let module = match compile() {
            Ok(module) => module,
            Err(error) => return Ok(Err(error)),
        };
        let stored = module
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| unfinished.store(key, &code));
        let status = match stored {
            Ok(()) => CacheStatus::Stored,
            Err(reason) => unusable(folder, reason),
        };
        Ok(Ok((module, status)))
    };
    match attempt() {
        Ok(result) => result,
        Err(reason) => Ok((compile()?, unusable(folder, reason))),
    }
}

fn unusable(folder: &Path, reason: Reason) -> CacheStatus {
    CacheStatus::Unusable {
        folder: folder.to_owned(),
        reason,
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

/// The name of the entry for a module of such a hash on this engine, compiled after it was rewritten in this way.
pub(crate) fn key(engine: &Engine, module: &blake3::Hash, rewrite: &str) -> String {
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
    hasher.0.update(&(rewrite.len() as u64).to_le_bytes());
    hasher.0.update(rewrite.as_bytes());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}

/// The folder, made if it does not exist, and open; or why others could change what lies in it.
fn prepare(path: &Path) -> io::Result<Result<File, Reason>> {
    let path = std::path::absolute(path)?;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Err("it is the root of all folders".to_owned()));
    };
    // Links in the path are resolved once, and their targets are checked. Somebody who can change one of them can only
    // choose another folder that passes the same checks.
    let parent = parent.canonicalize()?;
    let path = parent.join(name);
    // On Unix a link in the folder's place is not opened.
    #[cfg(not(unix))]
    let path = path.canonicalize()?;
    if let Some(reason) = distrust_parents(path.parent().unwrap_or(&parent))? {
        return Ok(Err(reason));
    }
    let folder = open_folder(&path)?;
    Ok(match distrust(&folder.metadata()?) {
        Some(reason) => Err(reason),
        None => Ok(folder),
    })
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
