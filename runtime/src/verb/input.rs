//! The file or pipe that `probe` and `frames` read.

use super::failure::Failure;
use afmpeg::MemoryFs;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The path, in the guest, of the folder with the user's file.
pub const FOLDER: &str = "/input";

/// The user's input.
pub enum Given {
    File(Alone),
    Pipe(Pipe),
}

/// A file system with nothing but one file, and its name there: the program sees none of its neighbours.
pub struct Alone {
    pub folder: Arc<MemoryFs>,
    pub name: String,
}

/// A stream, and a file that keeps what has been read of it, for seeking back.
pub struct Pipe {
    stream: File,
    kept: File,
    size_max_bytes: u64,
    description: String,
}

/// Opens a file or a pipe; `-` is standard input, which may be either.
pub fn open(path: &Path, pipe_max_bytes: u64) -> Result<Given, Failure> {
    let failed = |error: io::Error| Failure::job(format!("{}: {error}", path.display()));
    let is_stdin = path.to_str() == Some("-");
    let file = if is_stdin { stdin() } else { File::open(path) }.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if metadata.is_file() {
        return alone(path, file).map(Given::File).map_err(failed);
    }
    let kept = tempfile::tempfile()
        .map_err(|error| Failure::setup(format!("no temporary file can be made for a pipe: {error}")))?;
    Ok(Given::Pipe(Pipe {
        stream: file,
        kept,
        size_max_bytes: pipe_max_bytes,
        description: if is_stdin {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        },
    }))
}

fn alone(path: &Path, file: File) -> io::Result<Alone> {
    // FFmpeg tells some formats by a name's ending.
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_plain = |extension: &&str| extension.chars().all(|character| character.is_ascii_alphanumeric());
    let name = format!("file.{}", extension.filter(is_plain).unwrap_or("media"));
    let folder = MemoryFs::new(0);
    folder.add_reader(&name, Arc::new(file))?;
    Ok(Alone {
        folder: Arc::new(folder),
        name: format!("{FOLDER}/{name}"),
    })
}

impl Pipe {
    /// Another handle, which keeps what is read through it as well.
    pub fn reader(&self) -> io::Result<Pipe> {
        Ok(Pipe {
            stream: self.stream.try_clone()?,
            kept: self.kept.try_clone()?,
            size_max_bytes: self.size_max_bytes,
            description: self.description.clone(),
        })
    }

    /// The whole stream as a file, once it has ended.
    pub fn into_file(mut self, deadline: Option<Instant>) -> Result<Alone, Failure> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            if !is_readable(&self.stream, deadline) {
                return Err(Failure::deadline());
            }
            let count = self
                .read(&mut buffer)
                .map_err(|error| Failure::job(format!("{}: {error}", self.description)))?;
            if count == 0 {
                break;
            }
        }
        let failed = |error: io::Error| Failure::job(format!("{}: {error}", self.description));
        alone(Path::new("pipe"), self.kept).map_err(failed)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if self.kept.seek(SeekFrom::End(0))? + count as u64 > self.size_max_bytes {
            let message = format!(
                "it is longer than {} bytes, as much as --pipe-max lets be kept in a temporary file",
                self.size_max_bytes
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        self.kept.write_all(&buffer[..count])?;
        Ok(count)
    }
}

/// A second handle on standard input, free of the buffer that std puts in front of it.
fn stdin() -> io::Result<File> {
    #[cfg(unix)]
    return Ok(std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?.into());
    #[cfg(windows)]
    return Ok(std::os::windows::io::AsHandle::as_handle(&io::stdin())
        .try_clone_to_owned()?
        .into());
}

/// Waits until a stream has something, or its end, to be read.
#[cfg(unix)]
fn is_readable(stream: &File, deadline: Option<Instant>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            // The reader gets the same error, and reports it.
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Without a way to wait, the deadline is checked between reads.
#[cfg(not(unix))]
fn is_readable(_stream: &File, deadline: Option<Instant>) -> bool {
    deadline.is_none_or(|deadline| Instant::now() < deadline)
}
