//! Compiled code and verified packs, kept on disk for the next process.
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
#[cfg(feature = "compiler")]
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Changed whenever the content of entries or their names change.
const FORMAT: &str = "afmpeg-aot-4";

/// About the number of modules that a developer uses at a time; of each kind, the oldest entries are removed first.
const ENTRIES_MAX: usize = 16;

/// The prefix of an entry's name while it is written.
const UNFINISHED: &str = "new-";

/// The time to wait for another process that compiles the same module. Compiling takes some seconds on a usual host and
/// some minutes on a slow, busy one; after this time the other process counts as stuck.
const LOCK_PATIENCE: Duration = Duration::from_secs(120);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

// The reason why the cache was not used is never a reason to fail.

/// What an entry is, which its name ends with.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    #[cfg(feature = "compiler")]
    Compiled,
    #[cfg(target_os = "linux")]
    Pack,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            #[cfg(feature = "compiler")]
            Kind::Compiled => ".cwasm",
            #[cfg(target_os = "linux")]
            Kind::Pack => ".so",
        }
    }
}

struct Cache {
    dir: Dir,
    kind: Kind,
    /// Entries are read whole and compared with their digests.
    verify: bool,
}

impl Cache {
    fn open(place: Place, kind: Kind) -> Result<Cache, Reason> {
        let folder = prepare(place.folder).map_err(|error| format!("it cannot be opened: {error}"))??;
        Ok(Cache {
            dir: Dir::from_std_file(folder),
            kind,
            verify: place.verify,
        })
    }

    /// Returns the code of this key if it is there, complete and trustworthy. An entry that is certainly damaged or
    /// untrustworthy is removed; after any other failure nothing is changed.
    fn load<T>(&self, key: &str, read: impl Fn(File) -> Result<T, Reason>) -> Result<Option<T>, Reason> {
        let unreadable = |error: io::Error| format!("it cannot be read: {error}");
        for name in self.names(key, self.kind.extension()).map_err(unreadable)? {
            let Some(file) = self.open_entry(&name).map_err(unreadable)? else {
                self.remove(&name);
                continue;
            };
            if self.verify && !self.is_whole(&name).map_err(unreadable)? {
                self.remove(&name);
                continue;
            }
            match read(file) {
                Ok(code) => return Ok(Some(code)),
                // Damage is proved by the digest. Else there is no memory, no descriptor, or the disk has trouble.
                Err(_) if !self.is_whole(&name).map_err(unreadable)? => self.remove(&name),
                Err(error) => return Err(format!("the code in it cannot be loaded: {error}")),
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
        let size_bytes = self.parts(name).and_then(|(size, _)| size.parse().ok());
        let good = metadata.is_file() && Some(metadata.len()) == size_bytes && distrust(&metadata).is_none();
        Ok(good.then_some(file))
    }

    /// Returns whether an entry has the digest that its name states.
    fn is_whole(&self, name: &str) -> io::Result<bool> {
        let Some(file) = self.open_entry(name)? else {
            return Ok(false);
        };
        Ok(self
            .parts(name)
            .is_some_and(|(_, digest)| hash(file).is_ok_and(|hash| hash.to_hex().as_str() == digest)))
    }

    /// Returns the file to write the code of this key to, once no other process has it.
    fn lock(&self, key: &str) -> Result<Unfinished<'_>, Reason> {
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

    /// The size and the digest in an entry's name.
    fn parts<'a>(&self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let mut parts = name.strip_suffix(self.kind.extension())?.split('-').skip(1);
        Some((parts.next()?, parts.next()?))
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
            .names("", self.kind.extension())
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
struct Unfinished<'a> {
    cache: &'a Cache,
    file: File,
    name: Option<String>,
}

impl Unfinished<'_> {
    fn store(mut self, key: &str, code: &[u8]) -> Result<(), Reason> {
        let extension = self.cache.kind.extension();
        let name = format!("{key}-{}-{}{extension}", code.len(), blake3::hash(code).to_hex());
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

/// Where code is kept.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub folder: &'a Path,
    /// Entries are read whole and compared with their digests.
    pub verify: bool,
}

/// Takes code that is there from its file. That file lies in a folder that nobody but this user and root can write to, was
/// written there by [`through`] for the same key, and has the size that it was written with.
#[cfg(feature = "compiler")]
pub(crate) fn find<T>(place: Place, kind: Kind, key: &Key, read: impl Fn(File) -> Result<T, Reason>) -> Option<T> {
    let cache = Cache::open(place, kind).ok()?;
    cache.load(&key.name(), read).ok().flatten()
}

/// Takes code from a file, as [`find`] does, or makes it, with the bytes to keep or why they cannot be. Processes that need
/// the same code at once make it once.
pub(crate) fn through<T>(
    place: Place,
    kind: Kind,
    key: &Key,
    read: impl Fn(File) -> Result<T, Reason>,
    make: impl Fn() -> Result<(T, Result<Vec<u8>, Reason>), Error>,
) -> Result<(T, CacheStatus), Error> {
    let key = key.name();
    let attempt = || -> Result<Result<(T, CacheStatus), Error>, Reason> {
        let cache = Cache::open(place, kind)?;
        if let Some(code) = cache.load(&key, &read)? {
            return Ok(Ok((code, CacheStatus::Hit)));
        }
        let unfinished = cache.lock(&key)?;
        // Another process may have stored it while this one waited.
        if let Some(code) = cache.load(&key, &read)? {
            return Ok(Ok((code, CacheStatus::Hit)));
        }
        let (code, bytes) = match make() {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let status = match bytes.and_then(|bytes| unfinished.store(&key, &bytes)) {
            Ok(()) => CacheStatus::Stored,
            Err(reason) => unusable(place.folder, reason),
        };
        Ok(Ok((code, status)))
    };
    match attempt() {
        Ok(result) => result,
        Err(reason) => Ok((make()?.0, unusable(place.folder, reason))),
    }
}

fn unusable(folder: &Path, reason: Reason) -> CacheStatus {
    CacheStatus::Unusable {
        folder: folder.to_owned(),
        reason,
    }
}

/// The hash of a file, read piece by piece.
pub(crate) fn hash(file: File) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher.finalize())
}

/// The start of an entry's name, by all that the content depends on.
pub(crate) struct Key(blake3::Hasher);

impl Key {
    pub fn new() -> Key {
        Key(blake3::Hasher::new_derive_key(FORMAT))
    }

    pub fn with(mut self, part: &[u8]) -> Key {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    #[cfg(feature = "compiler")]
    pub fn with_hash_of(mut self, part: &impl Hash) -> Key {
        part.hash(&mut self);
        self
    }

    fn name(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// What some types can tell only to one.
#[cfg(feature = "compiler")]
impl Hasher for Key {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
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
