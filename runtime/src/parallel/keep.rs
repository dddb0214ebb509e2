//! Segments that are kept on disk until the output is whole, so that a run that was killed goes on where it was.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What lies in the folder of a plan beside segments: the lock of who works on it, and the word that the unfinished output is its
/// own.
const LOCK: &str = "lock";
const BEGUN: &str = "begun";

/// What nobody has gone on with for so long is removed.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The segments of one plan.
pub struct Kept {
    folder: PathBuf,
    _lock: File,
}

impl Kept {
    /// The segments of the plan with this key; those of others are removed when they are old.
    pub fn open(parent: &Path, key: &str) -> io::Result<Kept> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let folder = parent.join(key);
        builder.create(&folder)?;
        remove_old(parent, &folder);
        let lock = File::create(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Kept { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another process makes this output from its segments",
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Says that the unfinished output is that of this plan from now on, or is not any more.
    pub fn set_begun(&self, begun: bool) -> io::Result<()> {
        let path = self.folder.join(BEGUN);
        match begun {
            true => write(&path, b""),
            false => fs::remove_file(path),
        }
    }

    fn segment(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:05}.mp4"))
    }

    /// The bytes of a segment that was made before.
    pub fn get(&self, index: usize) -> Option<Vec<u8>> {
        fs::read(self.segment(index)).ok()
    }

    pub fn put(&self, index: usize, bytes: &[u8]) -> io::Result<()> {
        write(&self.segment(index), bytes)
    }

    /// The output is whole.
    pub fn remove(self) {
        // What is left only takes space, for some days.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether a run of the plan with this key had begun to write the output, and did not end.
pub fn has_begun(parent: &Path, key: &str) -> bool {
    parent.join(key).join(BEGUN).exists()
}

/// Under another name first, so that what has its name is whole.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// One's own are gone on with now, however old they are.
fn remove_old(parent: &Path, own: &Path) {
    let now = SystemTime::now();
    let others = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in others.filter(|entry| entry.path() != own) {
        // A folder's time is that of the last segment in it.
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > AGE_MAX) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_on_with_is_kept_however_old_it_is() {
        let parent = tempfile::tempdir().unwrap();
        for key in ["own", "other"] {
            Kept::open(parent.path(), key).unwrap().put(0, b"made").unwrap();
        }
        for key in ["own", "other"] {
            let folder = File::open(parent.path().join(key)).unwrap();
            folder.set_modified(SystemTime::now() - 2 * AGE_MAX).unwrap();
        }
        let kept = Kept::open(parent.path(), "own").unwrap();
        assert_eq!(kept.get(0).as_deref(), Some(&b"made"[..]));
        assert!(!parent.path().join("other").exists());
    }
}
