//! The folder for outputs that cannot be sent as they are written: one for each process, with a folder for each attempt in it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// What a process's folder begins with. Beside it lies a file with the same name and an ending, which is locked while the process lives.
const FOLDER: &str = "afmpeg-spool-";
const LOCK: &str = ".lock";

pub struct Spool {
    root: PathBuf,
    own: Mutex<Option<Own>>,
}

/// This process's folder. It is made when it is needed.
struct Own {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Drop for Own {
    fn drop(&mut self) {
        // What stays, the next worker removes.
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

impl Spool {
    /// In this folder, or in that of temporary files.
    pub fn new(root: Option<&Path>) -> Spool {
        Spool {
            root: root.map_or_else(std::env::temp_dir, Path::to_owned),
            own: Mutex::default(),
        }
    }

    /// A folder for one attempt, which is removed with the value.
    pub fn folder(&self) -> io::Result<TempDir> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match &mut *own {
            Some(own) => own,
            none => none.insert(Own::make(&self.root)?),
        };
        TempDir::with_prefix_in("job-", &own.folder)
    }

    /// Removes what workers have left that were killed. It blocks.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let folder = name.to_str().and_then(|name| name.strip_suffix(LOCK));
            // What is no file might have to be waited for.
            let is_file = entry.file_type().is_ok_and(|found| found.is_file());
            let Some(folder) = folder.filter(|folder| is_file && folder.starts_with(FOLDER)) else {
                continue;
            };
            if let Ok(lock) = File::options().write(true).open(entry.path())
                && lock.try_lock().is_ok()
            {
                // A link there is removed itself, and nothing behind it.
                let _ = std::fs::remove_dir_all(self.root.join(folder));
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Own {
    fn make(root: &Path) -> io::Result<Own> {
        // It gets its name when it is locked, so that nobody finds it unlocked.
        let lock = tempfile::Builder::new().prefix(".afmpeg-").tempfile_in(root)?;
        lock.as_file().try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::ResourceBusy.into(),
        })?;
        let random = lock
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = format!("{FOLDER}{}", random.trim_start_matches(".afmpeg-"));
        let lock_path = root.join(format!("{name}{LOCK}"));
        let lock = lock.persist_noclobber(&lock_path).map_err(|error| error.error)?;
        let own = Own {
            folder: root.join(name),
            lock_path,
            _lock: lock,
        };
        create_private_dir(&own.folder)?;
        Ok(own)
    }
}

#[cfg(unix)]
fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}
