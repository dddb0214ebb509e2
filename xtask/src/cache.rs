//! The content-addressed cache in the user's cache directory. What lies in it under its key is complete: everything is
//! made under another name, synced, and renamed, so that a killed run leaves nothing half-written behind.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use etcetera::BaseStrategy;

use crate::error::environment;
use crate::process;

#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// The variable that moves the cache.
pub const CACHE_VARIABLE: &str = "AFMPEG_CACHE_DIR";

const FOLDERS: [&str; 11] = [
    "bench",
    "clients",
    "downloads",
    "trees",
    "sdk",
    "steps",
    "fate",
    "fuzz",
    "logs",
    "locks",
    "tmp",
];

impl Cache {
    pub fn open() -> Result<Cache> {
        let root = match std::env::var_os(CACHE_VARIABLE) {
            Some(folder) => std::path::absolute(folder)?,
            None => etcetera::choose_base_strategy()
                .map_err(|error| {
                    environment(format!("no home directory: {error}")).hint(format!("set {CACHE_VARIABLE}"))
                })?
                .cache_dir()
                .join("afmpeg"),
        };
        Cache::at(root)
    }

    pub fn at(root: PathBuf) -> Result<Cache> {
        for folder in FOLDERS {
            let path = root.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("cannot create the cache folder {}", path.display()))?;
        }
        // The compiler is told this path to leave it out of what it makes, so it must be the one that it will see.
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", root.display()))?;
        Ok(Cache { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, folder: &str, name: &str) -> PathBuf {
        debug_assert!(FOLDERS.contains(&folder), "{folder} is not a folder of the cache");
        self.root.join(folder).join(name)
    }

    /// Holds the lock of one name until the file is dropped or the process dies. The second of two runs says so and waits.
    pub fn lock(&self, name: &str) -> Result<File> {
        // A trial's name has a slash.
        let path = self.path("locks", &name.replace('/', "-"));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another run that is making {name}");
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }

    /// The folder `folder/key`, made by `make` in a temporary place if it isn't there yet. `make` gets the place that will
    /// be renamed; the second result says whether it was there already.
    pub fn folder(&self, folder: &str, key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<(PathBuf, bool)> {
        let path = self.path(folder, key);
        if path.is_dir() {
            return Ok((path, true));
        }
        let _lock = self.lock(&format!("{folder}-{key}"))?;
        if path.is_dir() {
            return Ok((path, true));
        }
        let scratch = self.scratch()?;
        let made = scratch.path().join("made");
        fs::create_dir(&made)?;
        make(&made)?;
        process::sync_disk();
        fs::rename(&made, &path).with_context(|| format!("cannot put {} in place", path.display()))?;
        Ok((path, false))
    }

    /// A folder that is removed when dropped. The remains of killed runs are removed here too.
    pub fn scratch(&self) -> Result<Scratch> {
        self.remove_remains();
        let folder = self.root.join("tmp");
        let make = || {
            let folder = tempfile::Builder::new().prefix("scratch-").tempdir_in(&folder)?;
            let lock = File::create(folder.path().join(SCRATCH_LOCK))?;
            lock.lock()?;
            let path = folder.path().join("files");
            fs::create_dir(&path)?;
            std::io::Result::Ok(Scratch {
                path,
                folder,
                _lock: lock,
            })
        };
        make().with_context(|| format!("cannot create a folder in {}", folder.display()))
    }

    /// Whoever needs a scratch folder holds its lock, in whatever container it runs: an id of a process says nothing in
    /// another one.
    fn remove_remains(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("tmp")) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_remains = match File::open(path.join(SCRATCH_LOCK)) {
                Ok(lock) => is_older(&lock, SCRATCH_AGE_MIN) && lock.try_lock().is_ok(),
                Err(_) => File::open(&path).is_ok_and(|folder| is_older(&folder, UNLOCKED_AGE_MIN)),
            };
            if is_remains {
                // Another run may be removing it at the same time, and then there is nothing left to do.
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// The file in a scratch folder that is locked as long as the folder is needed.
const SCRATCH_LOCK: &str = "lock";

/// What is younger may be about to be locked.
const SCRATCH_AGE_MIN: Duration = Duration::from_secs(60);

/// A folder without a lock is one whose maker was killed at once, or one of an earlier version of this program, which may
/// run still.
const UNLOCKED_AGE_MIN: Duration = Duration::from_secs(24 * 60 * 60);

fn is_older(file: &File, age_min: Duration) -> bool {
    let changed = file.metadata().and_then(|metadata| metadata.modified()).ok();
    changed.is_some_and(|changed| changed.elapsed().is_ok_and(|age| age > age_min))
}

/// A folder for what is not finished, which no other run removes as long as this is held.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    // Dropped before its lock.
    folder: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder to be looked at, until a later run removes it.
    pub fn leave(&mut self) {
        self.folder.disable_cleanup(true);
    }
}

/// Writes a file under a temporary name beside it, syncs and renames it.
pub fn write_file(path: &Path, data: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file needs a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
    file.write_all(data)
        .with_context(|| format!("cannot write {}", path.display()))?;
    publish_file(file, path)
}

/// Syncs a temporary file that lies beside its destination and renames it, readable for all as other files are.
pub fn publish_file(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.as_file()
        .sync_all()
        .with_context(|| format!("cannot sync {}", path.display()))?;
    file.persist(path)
        .with_context(|| format!("cannot put {} in place", path.display()))?;
    Ok(())
}
