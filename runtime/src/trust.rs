//! Who could have changed a file that runs as native code.
//!
//! Such a file is used only if it was written by somebody who may run code as this user anyway: the user or root. The
//! file, its folder, and each folder above must belong to one of them, and nobody else may be able to write there; a
//! folder above may be world-writable if it is sticky, as `/tmp` is. Modes are checked, access control lists are not.
//! Windows has neither; there, only folders below the user's own local application data are used.

use std::fs::File;
use std::io;
use std::path::Path;

/// Why others could have changed it, as text.
pub(crate) type Reason = String;

/// Opens a file of this path; or why others could have changed it.
#[cfg(unix)]
pub(crate) fn open(path: &Path) -> io::Result<Result<File, Reason>> {
    use rustix::fs::{Mode, OFlags, open};
    // Links in the path are resolved once, and their targets are checked. Somebody who can change one of them can only
    // choose another file that passes the same checks.
    let path = path.canonicalize()?;
    let folder = path.parent().ok_or(io::ErrorKind::IsADirectory)?;
    if let Some(reason) = folder.parent().map_or(Ok(None), distrust_parents)? {
        return Ok(Err(reason));
    }
    if let Some(reason) = distrust(&folder.metadata()?) {
        return Ok(Err(format!("of the folder {}: {reason}", folder.display())));
    }
    // Nor does it wait for a pipe's other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(&path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(match distrust(&metadata) {
        Some(reason) => Err(format!("of the file {}: {reason}", path.display())),
        None => Ok(file),
    })
}

/// Nothing there runs as native code but the cache's own files.
#[cfg(not(unix))]
pub(crate) fn open(_path: &Path) -> io::Result<Result<File, Reason>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Why somebody else than this user and root could have changed what has this metadata, if so.
#[cfg(unix)]
pub(crate) fn distrust(metadata: &std::fs::Metadata) -> Option<Reason> {
    use std::os::unix::fs::MetadataExt;
    let (user, owner) = (rustix::process::geteuid().as_raw(), metadata.uid());
    if owner != user && owner != 0 {
        return Some(format!("it belongs to user {owner}, and not to user {user} or root"));
    }
    let mode = metadata.mode() & 0o777;
    (mode & 0o022 != 0).then(|| format!("its mode is {mode:03o}, which lets other users write"))
}

/// Why somebody else could put another folder in the place of one that lies here, if so.
#[cfg(unix)]
pub(crate) fn distrust_parents(parent: &Path) -> io::Result<Option<Reason>> {
    use std::os::unix::fs::MetadataExt;
    for folder in parent.ancestors() {
        let metadata = std::fs::symlink_metadata(folder)?;
        // In a sticky folder, everybody can only move what is their own.
        let sticky = metadata.mode() & 0o1000 != 0;
        let user = rustix::process::geteuid().as_raw();
        let foreign = metadata.uid() != user && metadata.uid() != 0;
        if foreign || !sticky && metadata.mode() & 0o022 != 0 {
            let reason = distrust(&metadata).unwrap_or_default();
            return Ok(Some(format!("of the folder {} above it: {reason}", folder.display())));
        }
    }
    Ok(None)
}

/// Windows has no modes; what lies where is decided by [`distrust_parents`].
#[cfg(not(unix))]
pub(crate) fn distrust(_metadata: &std::fs::Metadata) -> Option<Reason> {
    None
}

/// The user's local application data are that user's and the system's alone; any other folder may be anybody's.
#[cfg(windows)]
pub(crate) fn distrust_parents(parent: &Path) -> io::Result<Option<Reason>> {
    use known_folders::{KnownFolder, get_known_folder_path};
    let own = get_known_folder_path(KnownFolder::LocalAppData).ok_or(io::ErrorKind::NotFound)?;
    Ok((!parent.starts_with(own.canonicalize()?))
        .then(|| format!("on Windows only folders below {} are trusted", own.display())))
}

/// Without a way to find out who can write, no folder is trusted.
#[cfg(not(any(unix, windows)))]
pub(crate) fn distrust_parents(_parent: &Path) -> io::Result<Option<Reason>> {
    Ok(Some("on this system it cannot be told who can write to it".to_owned()))
}
