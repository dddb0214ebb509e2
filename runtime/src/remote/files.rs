//! Addresses as names of files.

use super::allowed::Allowed;
use super::fetch::Fetcher;
use super::parts::{Cache, Parts};
use super::whole::{Whole, Wholes};
use afmpeg::FileSystem;
use afmpeg::fs::{DirEntry, File, FileType, Metadata, OpenOptions, Opened};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// All files whose addresses are allowed, by their addresses.
pub struct Remote {
    allowed: Allowed,
    fetcher: Fetcher,
    refused: Mutex<BTreeSet<String>>,
    cache: Arc<Cache>,
    wholes: Wholes,
}

/// A hostile playlist can name addresses without end.
const REFUSED_MAX: usize = 16;

impl Remote {
    /// `host_memory_max_bytes` is what this process may hold for a program.
    pub fn new(allowed: Allowed, host_memory_max_bytes: u64) -> Arc<Remote> {
        Arc::new(Remote {
            fetcher: Fetcher::new(allowed.clone()),
            allowed,
            refused: Mutex::default(),
            cache: Cache::new(host_memory_max_bytes),
            wholes: Wholes::default(),
        })
    }

    /// The addresses that a program asked for and that are not allowed.
    pub fn refused(&self) -> Vec<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().cloned().collect()
    }
}

impl FileSystem for Remote {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        if options.changes() {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let Some(url) = self.allowed.parse(path) else {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if refused.len() < REFUSED_MAX {
                refused.insert(path.to_owned());
            }
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let mut parts = Parts::new(&self.cache);
        let first = self.fetcher.part(&url, 0, parts.wanted_bytes(0), None)?;
        parts.add(0, first.bytes, &mut []);
        let version = first.version.as_deref();
        let get = |rest| self.wholes.get(url.as_str(), version, first.size_bytes, rest);
        let whole = first.rest.map(get).transpose();
        let whole = whole.inspect_err(|error| self.fetcher.tell(&url, error))?;
        Ok(Opened::File(Box::new(RemoteFile {
            url,
            fetcher: self.fetcher.clone(),
            size_bytes: first.size_bytes,
            version: first.version,
            parts,
            whole,
        })))
    }

    fn held_bytes(&self) -> u64 {
        self.cache.held_bytes()
    }

    /// Nothing is known of an address that was not opened, and nobody is asked for it.
    fn metadata(&self, _path: &str, _follow_links: bool) -> io::Result<Metadata> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_dir(&self, _path: &str) -> io::Result<Vec<DirEntry>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

struct RemoteFile {
    url: Url,
    fetcher: Fetcher,
    size_bytes: u64,
    version: Option<String>,
    parts: Parts,
    whole: Option<Arc<Mutex<Whole>>>,
}

impl File for RemoteFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata::new(FileType::File, self.size_bytes, 1))
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size_bytes || buffer.is_empty() {
            return Ok(0);
        }
        if let Some(whole) = &self.whole {
            let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
            let read = whole.read_at(buffer, offset);
            return read.inspect_err(|error| self.fetcher.tell(&self.url, error));
        }
        let known = self.parts.read(buffer, offset);
        if known > 0 {
            return Ok(known);
        }
        let wanted = self.parts.wanted_bytes(offset).min(self.size_bytes - offset);
        let part = self.fetcher.part(&self.url, offset, wanted, self.version.as_deref())?;
        if part.size_bytes != self.size_bytes || part.version != self.version || part.bytes.is_empty() {
            let message = "the file has changed on the server";
            self.fetcher.tell(&self.url, &message);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(self.parts.add(offset, part.bytes, buffer))
    }
}
