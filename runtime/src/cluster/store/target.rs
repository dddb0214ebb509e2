//! Outputs: where their bytes go while they are written, and how they get their names.

use super::buckets::Buckets;
use super::disk::on_disk;
use super::upload::Upload;
use super::web;
use crate::cluster::fault::{Fault, Faults};
use crate::cluster::lease::Lease;
use crate::cluster::policy::Address;
use crate::cluster::state::Begun;
use crate::fs::WriteAt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// An output that nobody sees yet.
#[derive(Clone)]
pub enum Target {
    Upload(Arc<Upload>),
    File(Arc<FileTarget>),
    Web(Arc<WebTarget>),
}

/// What unfinished files in folders begin with; a token and the file's name follow.
const UNFINISHED: &str = ".afmpeg-";

pub struct FileTarget {
    dir: Dir,
    unfinished: PathBuf,
    path: PathBuf,
    shown: String,
    file: File,
    faults: Faults,
}

pub struct WebTarget {
    url: Url,
    shown: String,
    /// What is to be sent, in a file of the spool folder.
    file: std::sync::Mutex<Option<File>>,
}

impl Target {
    pub async fn begin(
        buckets: &Buckets,
        address: &Address,
        shown: &str,
        lease: &Arc<Lease>,
        faults: &Faults,
    ) -> Result<Target, Fault> {
        Ok(match address {
            Address::Store { scheme, bucket, path } => {
                let bucket = buckets.get(*scheme, bucket)?;
                let upload = Upload::begin(bucket, path.clone(), shown.to_owned(), lease.clone(), faults.clone());
                Target::Upload(Arc::new(upload.await?))
            }
            Address::File { folder, path } => {
                let target = FileTarget::begin(folder, path, shown, lease, faults);
                Target::File(Arc::new(target.await?))
            }
            Address::Web(url) => Target::Web(Arc::new(WebTarget {
                url: url.clone(),
                shown: shown.to_owned(),
                file: std::sync::Mutex::default(),
            })),
        })
    }

    /// What takes the bytes as they are written, unless all must be there first.
    pub fn writer(&self) -> Option<Arc<dyn WriteAt>> {
        match self {
            Target::Upload(upload) => Some(upload.clone()),
            Target::File(file) => Some(file.clone()),
            Target::Web(_) => None,
        }
    }

    /// The address as it may be told.
    pub fn shown(&self) -> &str {
        match self {
            Target::Upload(upload) => upload.shown(),
            Target::File(file) => &file.shown,
            Target::Web(web) => &web.shown,
        }
    }

    pub fn goes_back(&self) -> bool {
        matches!(self, Target::Upload(upload) if upload.goes_back())
    }

    /// Takes the bytes of a file of the spool folder. It blocks.
    pub fn fill(&self, mut file: File) -> Result<(), Fault> {
        let writer: &dyn WriteAt = match self {
            Target::Upload(upload) => &**upload,
            Target::File(target) => &**target,
            Target::Web(target) => {
                *target.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(file);
                return Ok(());
            }
        };
        let failed = |error: io::Error| Fault::passing(format!("an output cannot be sent: {error}"));
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        loop {
            let count = file.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                return Ok(());
            }
            let mut written = 0;
            while written < count {
                let more = writer.write_at(&buffer[written..count], offset).map_err(failed)?;
                written += more;
                offset += more as u64;
            }
        }
    }

    /// Sends what is left. It blocks.
    pub fn finish(&self) -> Result<(), Fault> {
        match self {
            Target::Upload(upload) => upload.finish(),
            Target::File(target) => target.finish(),
            Target::Web(target) => {
                let file = target.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let size = file
                    .as_ref()
                    .and_then(|file| file.metadata().ok())
                    .map_or(0, |found| found.len());
                match size {
                    0 => Err(nothing(&target.shown)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Gives the output its name. The caller has just confirmed that the job is its own.
    pub async fn name(&self) -> Result<(), Fault> {
        match self {
            Target::Upload(upload) => upload.name().await,
            Target::File(target) => {
                let target = target.clone();
                on_disk(move || target.name()).await
            }
            Target::Web(target) => {
                let file = target
                    .file
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .take();
                let file = file.ok_or_else(|| nothing(&target.shown))?;
                web::put(&target.url, &target.shown, file).await
            }
        }
    }

    /// Removes what has no name, and returns whether nothing is left.
    pub async fn abandon(&self) -> bool {
        match self {
            Target::Upload(upload) => upload.abandon().await,
            Target::File(target) => {
                let target = target.clone();
                let removed = on_disk(move || Ok(target.remove()));
                removed.await.unwrap_or(false)
            }
            Target::Web(_) => true,
        }
    }

    /// Ends what a worker before has begun at this address, so that it cannot give it the name any more.
    pub async fn end(buckets: &Buckets, address: &Address, begun: &Begun) -> Result<(), Fault> {
        match address {
            Address::Store { scheme, bucket, path } => {
                let bucket = buckets.get(*scheme, bucket)?;
                match bucket.abort_multipart(path, &begun.upload).await {
                    // It may have been completed, or ended before.
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(Fault::of_store(&begun.address, &error)),
                }
            }
            Address::File { folder, path } => {
                let is_ours = begun.upload.starts_with(UNFINISHED) && !begun.upload.contains(['/', '\\']);
                let name = path.parent().unwrap_or(Path::new("")).join(&begun.upload);
                let folder = folder.clone();
                let removed = on_disk(move || {
                    Ok(match is_ours {
                        true => {
                            Dir::open_ambient_dir(folder, ambient_authority()).and_then(|dir| dir.remove_file(name))
                        }
                        false => Ok(()),
                    })
                });
                match removed.await? {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Fault::of_file(&begun.address, &error))
                    }
                    _ => Ok(()),
                }
            }
            Address::Web(_) => Ok(()),
        }
    }
}

pub fn nothing(shown: &str) -> Fault {
    Fault::lasting(format!("{shown}: the program has written nothing to it"))
}

impl FileTarget {
    async fn begin(
        folder: &Path,
        path: &Path,
        shown: &str,
        lease: &Arc<Lease>,
        faults: &Faults,
    ) -> Result<FileTarget, Fault> {
        let failed = |error: io::Error| Fault::of_file(shown, &error);
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Fault::lasting(format!("{shown}: it names no file")))?;
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        let (folder, below) = (folder.to_owned(), parent.clone());
        let opened = on_disk(move || {
            let dir = Dir::open_ambient_dir(folder, ambient_authority());
            let made = dir.and_then(|dir| match below.as_os_str().is_empty() {
                true => Ok(dir),
                false => dir.create_dir_all(below).map(|()| dir),
            });
            Ok(made)
        });
        let dir = opened.await?.map_err(failed)?;
        let upload = format!("{UNFINISHED}{}-{name}", lease.token());
        let begun = Begun {
            address: shown.to_owned(),
            upload: upload.clone(),
        };
        let noted = lease.begin_upload(begun).await;
        noted?;
        let unfinished = parent.join(upload);
        let name = unfinished.clone();
        let made = on_disk(move || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            let file = dir.open_with(&name, &options);
            Ok(file.map(|file| (dir, file.into_std())))
        });
        let (dir, file) = made.await?.map_err(failed)?;
        Ok(FileTarget {
            dir,
            unfinished,
            path: path.to_owned(),
            shown: shown.to_owned(),
            file,
            faults: faults.clone(),
        })
    }

    fn finish(&self) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::of_file(&self.shown, &error);
        self.file.sync_all().map_err(failed)?;
        match self.file.metadata().map_err(failed)?.len() {
            0 => Err(nothing(&self.shown)),
            _ => Ok(()),
        }
    }

    /// Returns whether the unfinished file is gone.
    fn remove(&self) -> bool {
        match self.dir.remove_file(&self.unfinished) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn name(&self) -> Result<(), Fault> {
        let named = self.dir.rename(&self.unfinished, &self.dir, &self.path);
        // Whoever has taken the job over has removed the unfinished file.
        named.map_err(|error| Fault {
            passes: true,
            ..Fault::of_file(&self.shown, &error)
        })
    }
}

impl WriteAt for FileTarget {
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let written = WriteAt::write_at(&self.file, buffer, offset);
        written.map_err(|error| self.faults.note(Fault::of_file(&self.shown, &error)))
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        WriteAt::set_len(&self.file, size_bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        WriteAt::read_at(&self.file, buffer, offset)
    }
}
