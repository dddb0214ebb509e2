//! Inputs, which are read in place as a program needs them.

use super::buckets::{Bucket, Buckets};
use super::disk::on_disk;
use super::web::WebFile;
use crate::cluster::fault::{Fault, Faults};
use crate::cluster::parts::{Cache, Parts};
use crate::cluster::policy::Address;
use crate::fs::ReadAt;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Opens an input. `shown` is its address as it may be told.
pub async fn open(
    buckets: &Buckets,
    address: &Address,
    shown: &str,
    faults: &Faults,
    cache: &Arc<Cache>,
) -> Result<Arc<dyn ReadAt>, Fault> {
    let source = match address {
        Address::File { folder, path } => {
            let (folder, path, shown) = (folder.clone(), path.clone(), shown.to_owned());
            let opened = on_disk(move || open_file(&folder, &path).map_err(|error| Fault::of_file(&shown, &error)));
            return Ok(Arc::new(opened.await?));
        }
        Address::Store { scheme, bucket, path } => {
            let bucket = buckets.get(*scheme, bucket)?;
            let found = bucket
                .head(path)
                .await
                .map_err(|error| Fault::of_store(shown, &error))?;
            Source::Store {
                bucket,
                path: path.clone(),
                size_bytes: found.size,
                version: found.e_tag,
            }
        }
        Address::Web(url) => Source::Web(WebFile::open(url.clone(), shown).await?),
    };
    Ok(Arc::new(Remote {
        handle: Handle::current(),
        shown: shown.to_owned(),
        source,
        parts: Mutex::new(Parts::new(cache)),
        faults: faults.clone(),
    }))
}

/// Links in the folder lead nowhere outside of it.
fn open_file(folder: &std::path::Path, path: &std::path::Path) -> io::Result<std::fs::File> {
    let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
    let file = dir.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file.into_std()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")),
    }
}

enum Source {
    Store {
        bucket: Arc<dyn Bucket>,
        path: Path,
        size_bytes: u64,
        version: Option<String>,
    },
    Web(WebFile),
}

impl Source {
    fn size_bytes(&self) -> u64 {
        match self {
            Source::Store { size_bytes, .. } => *size_bytes,
            Source::Web(file) => file.size_bytes,
        }
    }

    async fn get(&self, shown: &str, start: u64, end: u64) -> Result<Bytes, Fault> {
        match self {
            Source::Store {
                bucket, path, version, ..
            } => {
                let options = GetOptions {
                    if_match: version.clone(),
                    range: Some(GetRange::Bounded(start..end)),
                    ..GetOptions::default()
                };
                let failed = |error| Fault::of_store(shown, &error);
                let found = bucket.get_opts(path, options).await.map_err(failed)?;
                // Not all stores know the condition.
                if found.meta.e_tag != *version {
                    return Err(Fault::lasting(format!("{shown}: it was changed while it was read")));
                }
                found.bytes().await.map_err(failed)
            }
            Source::Web(file) => file.get(shown, start, end).await,
        }
    }
}

/// A file that is asked for in parts.
struct Remote {
    handle: Handle,
    shown: String,
    source: Source,
    parts: Mutex<Parts>,
    faults: Faults,
}

impl ReadAt for Remote {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.source.size_bytes())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let size_bytes = self.source.size_bytes();
        if offset >= size_bytes || buffer.is_empty() {
            return Ok(0);
        }
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = parts.read(buffer, offset);
        if known > 0 {
            return Ok(known);
        }
        let wanted = parts.wanted_bytes(offset).max(buffer.len() as u64);
        let end = offset.saturating_add(wanted).min(size_bytes);
        let read = self.handle.block_on(self.source.get(&self.shown, offset, end));
        let bytes = read.map_err(|fault| self.faults.note(fault))?;
        if bytes.is_empty() {
            return Err(self
                .faults
                .note(Fault::passing(format!("{}: it ends too early", self.shown))));
        }
        Ok(parts.add(offset, bytes.to_vec(), buffer))
    }
}

/// Whether a file of work is there.
pub async fn exists(buckets: &Buckets, address: &Address, shown: &str) -> Result<bool, Fault> {
    match address {
        Address::Store { scheme, bucket, path } => match buckets.get(*scheme, bucket)?.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(Fault::of_store(shown, &error)),
        },
        Address::File { folder, path } => {
            let (folder, path, shown) = (folder.clone(), path.clone(), shown.to_owned());
            on_disk(move || match open_file(&folder, &path) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(Fault::of_file(&shown, &error)),
            })
            .await
        }
        Address::Web(_) => Err(no_work(shown)),
    }
}

fn no_work(shown: &str) -> Fault {
    Fault::lasting(format!("{shown}: a file of work lies in a store or a folder"))
}

/// The bytes of a file that is not longer than this.
pub async fn download(buckets: &Buckets, address: &Address, shown: &str, max_bytes: u64) -> Result<Vec<u8>, Fault> {
    let too_long = |size: u64| Fault::lasting(format!("{shown}: it has {size} bytes, of at most {max_bytes}"));
    match address {
        Address::Store { scheme, bucket, path } => {
            let bucket = buckets.get(*scheme, bucket)?;
            let failed = |error| Fault::of_store(shown, &error);
            let found = bucket.get(path).await.map_err(failed)?;
            if found.meta.size > max_bytes {
                return Err(too_long(found.meta.size));
            }
            Ok(found.bytes().await.map_err(failed)?.to_vec())
        }
        Address::File { folder, path } => {
            let failed = |error| Fault::of_file(shown, &error);
            let mut file = open_file(folder, path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            if size > max_bytes {
                return Err(too_long(size));
            }
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes).map_err(failed)?;
            Ok(bytes)
        }
        Address::Web(_) => Err(no_work(shown)),
    }
}

/// Removes a file of work; one that stays only takes room.
pub async fn remove(buckets: &Buckets, address: &Address) {
    match address {
        Address::Store { scheme, bucket, path } => {
            if let Ok(bucket) = buckets.get(*scheme, bucket) {
                let _ = bucket.delete(path).await;
            }
        }
        Address::File { folder, path } => {
            if let Ok(dir) = Dir::open_ambient_dir(folder, ambient_authority()) {
                let _ = dir.remove_file(path);
            }
        }
        Address::Web(_) => {}
    }
}
