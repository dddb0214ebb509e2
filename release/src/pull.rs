//! From a name to a verified module in the cache.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::http::Redirects;
use crate::location::{Location, Source};
use crate::sums::{self, PublicKey, Reference, SIGNATURE, SUMS, hexadecimal, sha256};

/// A request for one module of a release.
#[derive(Debug, Clone)]
pub struct Pull {
    reference: Reference,
    public_key: PublicKey,
    cache_folder: PathBuf,
    locations: Vec<Location>,
    redirect_hosts: Vec<String>,
}

/// A verified module.
#[derive(Debug, Clone)]
pub struct Module {
    /// The module's path in the cache; the file's name is its digest.
    pub path: PathBuf,
    /// The bytes that were verified, independent of later changes of the file.
    pub bytes: Vec<u8>,
}

/// A pack of a module, and its record.
#[derive(Debug, Clone)]
pub struct Pack {
    /// The pack's path in the cache, beside its module and with its record. Whoever loads it compares the file with the
    /// record again.
    pub path: PathBuf,
    /// The bytes of the record that were verified.
    pub record: Vec<u8>,
}

/// The fields of a pack's record that are needed to verify it.
#[derive(Deserialize)]
struct PackRecord {
    module_sha256: String,
    pack_sha256: String,
    size_bytes: u64,
    /// Its forms, by the files' names.
    #[serde(default)]
    files: BTreeMap<String, PackFile>,
}

#[derive(Deserialize)]
struct PackFile {
    sha256: String,
    size_bytes: u64,
}

/// The verified facts about a pack.
struct VerifiedPack {
    pack: Form,
    /// What is downloaded.
    carried: Form,
    path: PathBuf,
    record: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
}

/// The fields of a record that are needed to verify the module.
#[derive(Deserialize)]
struct Record {
    variant: String,
    files: BTreeMap<String, FileRecord>,
}

#[derive(Deserialize)]
struct FileRecord {
    sha256: String,
    size_bytes: u64,
}

/// The verified facts about a module.
struct Verified {
    module: Form,
    /// The form in which it is carried from this place.
    carried: Form,
    /// The files that say so.
    files: Vec<(String, Vec<u8>)>,
}

/// The digests of a release's files, and the files that say so.
struct Listed {
    sums: BTreeMap<String, String>,
    files: Vec<(String, Vec<u8>)>,
}

/// What the cache has of a pack.
enum Kept {
    Pack(Pack),
    /// The release has none for these machines.
    NoneListed,
    Missing,
}

/// One form of a module or a pack.
#[derive(Clone)]
struct Form {
    file: String,
    sha256: String,
    size_bytes: u64,
}

impl Pull {
    /// Takes a module from the cache in this folder; see [`Pull::from`] for where else it may come from.
    pub fn new(reference: Reference, public_key: PublicKey, cache_folder: impl Into<PathBuf>) -> Pull {
        Pull {
            reference,
            public_key,
            cache_folder: cache_folder.into(),
            locations: Vec::new(),
            redirect_hosts: Vec::new(),
        }
    }

    /// Adds a place to fetch from when the cache does not have the module. Places are tried in the order in which they
    /// were added; without any, only the cache is used.
    pub fn from(mut self, location: Location) -> Pull {
        self.locations.push(location);
        self
    }

    /// Allows redirects of downloads to this host. Bytes from there are verified like all others.
    pub fn redirect_host(mut self, host: impl Into<String>) -> Pull {
        self.redirect_hosts.push(host.into());
        self
    }

    /// Returns the path of the module's file in the cache, verified in this call. A file that is opened by this path
    /// later is only as trustworthy as the folder is closed to other users; [`Pull::module`] does not depend on that.
    pub fn run(&self) -> Result<PathBuf, Error> {
        Ok(self.module()?.path)
    }

    /// Returns the module, verified in this call.
    pub fn module(&self) -> Result<Module, Error> {
        let cached = self.cached();
        if let Ok(Some(module)) = cached {
            return Ok(module);
        }
        let mut failures = Vec::new();
        for location in &self.locations {
            match self.fetch(location) {
                Ok(module) => return Ok(module),
                Err(error) => failures.push((location.to_string(), error)),
            }
        }
        match failures.len() {
            0 => Err(cached.err().unwrap_or_else(|| Error::NotCached {
                reference: self.reference.to_string(),
                cache: self.cache_folder.clone(),
            })),
            1 => Err(failures.remove(0).1),
            _ => Err(Error::Everywhere {
                reference: self.reference.to_string(),
                failures,
            }),
        }
    }

    /// Returns the module's pack for the first of these machines for which the release has one; `None` if it has none.
    pub fn pack(&self, machines: &[&str]) -> Result<Option<Pack>, Error> {
        let cached = match self.cached_pack(machines) {
            Ok(Kept::Pack(pack)) => return Ok(Some(pack)),
            // A release does not change, so that no place needs to be asked.
            Ok(Kept::NoneListed) => return Ok(None),
            Ok(Kept::Missing) => Ok(None),
            Err(error) => Err(error),
        };
        let mut failures = Vec::new();
        for location in &self.locations {
            match self.fetch_pack(location, machines) {
                Ok(pack) => return Ok(pack),
                Err(error) => failures.push((location.to_string(), error)),
            }
        }
        match failures.len() {
            0 => cached,
            1 => Err(failures.remove(0).1),
            _ => Err(Error::Everywhere {
                reference: self.reference.to_string(),
                failures,
            }),
        }
    }

    /// Returns the pack if the cache has all of it as it must be, and an error if the release's cached files fail
    /// verification.
    fn cached_pack(&self, machines: &[&str]) -> Result<Kept, Error> {
        let source = Source::Folder(self.release_folder());
        let verified = match self.verified_pack(&source, machines) {
            Err(Error::Missing { .. }) => return Ok(Kept::Missing),
            verified => verified?,
        };
        let Some(VerifiedPack { pack, path, record, .. }) = verified else {
            return Ok(Kept::NoneListed);
        };
        // Who finds the pack beside the module reads its record there, too.
        let is_recorded = fs::read(path.with_extension("json")).is_ok_and(|kept| kept == record);
        Ok(match is_recorded && check(&path, &pack.sha256).is_ok() {
            true => Kept::Pack(Pack { path, record }),
            false => Kept::Missing,
        })
    }

    /// Verifies signature, sums and the record of the first of these machines for which there is a pack.
    fn verified_pack(&self, source: &Source, machines: &[&str]) -> Result<Option<VerifiedPack>, Error> {
        let name = &self.reference.name;
        let Listed { sums, mut files } = self.listed(source)?;
        let listed = machines.iter().find_map(|machine| {
            let file = format!("{name}.{machine}.so");
            Some((machine, sums.get(&file)?, file))
        });
        let Some((machine, wanted, file)) = listed else {
            return Ok(None);
        };
        let record_file = format!("{name}.{machine}.json");
        let record_wanted = sums.get(&record_file).ok_or_else(|| Error::NotListed {
            place: source.address(SUMS),
            file: record_file.clone(),
        })?;
        let record = source.small(&record_file)?;
        same_digest(&source.address(&record_file), record_wanted, &sha256(&record))?;
        let contradiction = |reason: String| Error::Record {
            name: format!("{name}.{machine}"),
            reason,
        };
        let parsed: PackRecord = serde_json::from_slice(&record).map_err(|error| contradiction(error.to_string()))?;
        if parsed.pack_sha256 != *wanted {
            return Err(contradiction(format!("the digest of {file} is another")));
        }
        if sums.get(&format!("{name}.wasm")) != Some(&parsed.module_sha256) {
            return Err(contradiction("it is of another module".to_owned()));
        }
        let path = self
            .module_folder()
            .join(format!("{}.{machine}.so", parsed.module_sha256));
        files.push((record_file, record.clone()));
        let pack = Form {
            file: file.clone(),
            sha256: parsed.pack_sha256,
            size_bytes: parsed.size_bytes,
        };
        let packed_file = file + ".br";
        let carried = match parsed.files.get(&packed_file) {
            Some(packed) if sums.get(&packed_file) == Some(&packed.sha256) => Form {
                file: packed_file,
                sha256: packed.sha256.clone(),
                size_bytes: packed.size_bytes,
            },
            _ => pack.clone(),
        };
        Ok(Some(VerifiedPack {
            pack,
            carried,
            path,
            record,
            files,
        }))
    }

    fn fetch_pack(&self, location: &Location, machines: &[&str]) -> Result<Option<Pack>, Error> {
        let source = Source::open(location, &self.reference, Redirects::To(self.redirect_hosts.clone()))?;
        let Some(verified) = self.verified_pack(&source, machines)? else {
            return Ok(None);
        };
        let VerifiedPack {
            pack,
            carried,
            path,
            record,
            files,
        } = verified;
        let _lock = self.keep_folders()?;
        if !path.is_file() || check(&path, &pack.sha256).is_err() {
            let downloaded = self.download(&source, &carried)?;
            self.keep_module(&downloaded, &carried, &pack, &path)?;
            fs::remove_file(&downloaded).map_err(Error::file(&downloaded))?;
        }
        write(&path.with_extension("json"), |file| file.write_all(&record))?;
        self.keep_release(files)?;
        Ok(Some(Pack { path, record }))
    }

    /// Makes the folders that are written to, and locks them.
    fn keep_folders(&self) -> Result<File, Error> {
        for folder in [
            &self.cache_folder.join("partial"),
            &self.module_folder(),
            &self.release_folder(),
        ] {
            create_private(folder).map_err(Error::file(folder))?;
        }
        let lock_path = self.cache_folder.join("lock");
        let lock = File::create(&lock_path).map_err(Error::file(&lock_path))?;
        if lock.try_lock().is_err() {
            eprintln!("afmpeg: waiting for another pull into {}", self.cache_folder.display());
            lock.lock().map_err(Error::file(&lock_path))?;
        }
        Ok(lock)
    }

    /// Keeps the small files of the release.
    fn keep_release(&self, files: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        for (name, data) in files {
            let target = self.release_folder().join(name);
            write(&target, |file| file.write_all(&data))?;
        }
        Ok(())
    }

    fn module_path(&self, form: &Form) -> PathBuf {
        self.module_folder().join(format!("{}.wasm", form.sha256))
    }

    /// The folder of a release's modules, with their packs beside them: another release of the same module may have other
    /// packs, and native code is run on the word of its own key alone.
    fn module_folder(&self) -> PathBuf {
        self.own_folder("modules")
    }

    /// The folder of a release's small files.
    fn release_folder(&self) -> PathBuf {
        self.own_folder("releases")
    }

    /// A folder of this release; releases of other keys and versions have folders of their own.
    fn own_folder(&self, kind: &str) -> PathBuf {
        let folder = self.cache_folder.join(kind);
        folder.join(self.public_key.fingerprint()).join(&self.reference.version)
    }

    /// Returns the module if the cache has all of it, and an error if the cached files fail verification.
    fn cached(&self) -> Result<Option<Module>, Error> {
        let folder = self.release_folder();
        let source = Source::Folder(folder.clone());
        let module = match self.verified(&source, "wasm") {
            Ok(verified) => verified.module,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = self.module_path(&module);
        if !path.is_file() {
            return Ok(None);
        }
        read(path, &module).map(Some)
    }

    /// Verifies signature, sums and record, and returns their facts about the module.
    fn verified(&self, source: &Source, carried: &str) -> Result<Verified, Error> {
        let name = &self.reference.name;
        let place = source.address(SUMS);
        let Listed {
            sums: listed,
            mut files,
        } = self.listed(source)?;
        let digest_of = |file: &str| {
            listed.get(file).ok_or_else(|| Error::NotListed {
                place: place.clone(),
                file: file.to_owned(),
            })
        };
        let record_file = format!("{name}.json");
        let wanted = digest_of(&record_file)?;
        let record = source.small(&record_file)?;
        same_digest(&source.address(&record_file), wanted, &sha256(&record))?;
        let contradiction = |reason: String| Error::Record {
            name: name.clone(),
            reason,
        };
        let parsed: Record = serde_json::from_slice(&record).map_err(|error| contradiction(error.to_string()))?;
        if parsed.variant != *name {
            return Err(contradiction(format!("it is of {}", parsed.variant)));
        }
        let form = |kind: &str| {
            let file = format!("{name}.{kind}");
            match parsed.files.get(&file) {
                Some(recorded) if recorded.sha256 == *digest_of(&file)? => Ok(Form {
                    sha256: recorded.sha256.clone(),
                    size_bytes: recorded.size_bytes,
                    file,
                }),
                _ => Err(contradiction(format!("the digest of {file} is another"))),
            }
        };
        files.push((record_file.clone(), record));
        Ok(Verified {
            module: form("wasm")?,
            carried: form(carried)?,
            files,
        })
    }

    /// Verifies signature and sums.
    fn listed(&self, source: &Source) -> Result<Listed, Error> {
        let (signature, sums) = (source.small(SIGNATURE)?, source.small(SUMS)?);
        let place = source.address(SUMS);
        let listed = sums::verify(&place, &sums, &signature, &self.public_key, &self.reference.version)?;
        Ok(Listed {
            sums: listed,
            files: [(SIGNATURE.to_owned(), signature), (SUMS.to_owned(), sums)].into(),
        })
    }

    fn fetch(&self, location: &Location) -> Result<Module, Error> {
        let source = Source::open(location, &self.reference, Redirects::To(self.redirect_hosts.clone()))?;
        let Verified { module, carried, files } = self.verified(&source, source.form())?;
        let path = self.module_path(&module);
        let _lock = self.keep_folders()?;
        if !path.is_file() || check(&path, &module.sha256).is_err() {
            let downloaded = self.download(&source, &carried)?;
            self.keep_module(&downloaded, &carried, &module, &path)?;
            fs::remove_file(&downloaded).map_err(Error::file(&downloaded))?;
        }
        self.keep_release(files)?;
        read(path, &module)
    }

    /// Downloads the file in the form that this place has, and returns its verified path below `partial`.
    fn download(&self, source: &Source, form: &Form) -> Result<PathBuf, Error> {
        let path = self.cache_folder.join("partial").join(&form.sha256);
        let address = source.address(&form.file);
        let mut start_bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        loop {
            let resumed = self.append(source, form, &path, start_bytes)?;
            match check(&path, &form.sha256) {
                Ok(()) => return Ok(path),
                Err(error) => {
                    fs::remove_file(&path).map_err(Error::file(&path))?;
                    // The partial file that was there before may be the faulty part.
                    if !resumed {
                        return Err(match error {
                            Error::Digest { wanted, got, .. } => Error::Digest { address, wanted, got },
                            error => error,
                        });
                    }
                    start_bytes = 0;
                }
            }
        }
    }

    /// Completes a partial file; returns whether a part of it was there before.
    fn append(&self, source: &Source, form: &Form, path: &Path, start_bytes: u64) -> Result<bool, Error> {
        let address = source.address(&form.file);
        if start_bytes == form.size_bytes {
            return Ok(true);
        }
        let wanted_bytes = if start_bytes > form.size_bytes { 0 } else { start_bytes };
        let (reader, start_bytes) = source.open_at(&form.file, &form.sha256, wanted_bytes)?;
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(Error::file(path))?;
        file.set_len(start_bytes)
            .and_then(|()| io::Seek::seek(&mut file, io::SeekFrom::End(0)))
            .map_err(Error::file(path))?;
        let left_bytes = form.size_bytes - start_bytes;
        let copied = io::copy(&mut reader.take(left_bytes + 1), &mut file);
        let got_bytes = file.metadata().map_err(Error::file(path))?.len();
        if got_bytes > form.size_bytes {
            fs::remove_file(path).map_err(Error::file(path))?;
            return Err(Error::TooLarge {
                address,
                size_bytes: form.size_bytes,
            });
        }
        match copied {
            Ok(_) if got_bytes == form.size_bytes => Ok(start_bytes > 0),
            // Space that ran out is no fault of the server's.
            Err(error) if is_ours(&error) => Err(Error::file(path)(error)),
            _ => Err(Error::BrokeOff {
                address,
                got_bytes,
                size_bytes: form.size_bytes,
            }),
        }
    }

    fn keep_module(&self, downloaded: &Path, carried: &Form, module: &Form, path: &Path) -> Result<(), Error> {
        let reader = File::open(downloaded).map_err(Error::file(downloaded))?;
        let reader: Box<dyn Read> = match carried.file.ends_with(".br") {
            true => Box::new(brotli_decompressor::Decompressor::new(reader, 1 << 16)),
            false => Box::new(reader),
        };
        write(path, |file| {
            let got = copy_hashing(reader.take(module.size_bytes + 1), file)?;
            // Nothing has its name before it is right.
            if got != module.sha256 {
                return Err(io::Error::other(format!("it unpacks to sha256 {got}")));
            }
            Ok(())
        })
        .map_err(|error| match error {
            Error::File { source, .. } if !is_ours(&source) => Error::Record {
                name: self.reference.name.clone(),
                reason: format!("{}: {source}", carried.file),
            },
            error => error,
        })
    }
}

fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn same_digest(address: &str, wanted: &str, got: &str) -> Result<(), Error> {
    if got == wanted {
        return Ok(());
    }
    Err(Error::Digest {
        address: address.to_owned(),
        wanted: wanted.to_owned(),
        got: got.to_owned(),
    })
}

/// A module's file, as it has to be.
fn read(path: PathBuf, module: &Form) -> Result<Module, Error> {
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(module.size_bytes + 1).read_to_end(&mut bytes))
        .map_err(Error::file(&path))?;
    same_digest(&path.display().to_string(), &module.sha256, &sha256(&bytes))?;
    Ok(Module { path, bytes })
}

/// Makes a folder that is this user's alone, with all that are missing above it.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn check(path: &Path, wanted: &str) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let got = copy_hashing(file, &mut io::sink()).map_err(Error::file(path))?;
    same_digest(&path.display().to_string(), wanted, &got)
}

/// Copies, and returns the digest of what was copied.
fn copy_hashing(mut reader: impl Read, writer: &mut impl Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            length => {
                hasher.update(&buffer[..length]);
                writer.write_all(&buffer[..length])?;
            }
        }
    }
}

/// Writes to the side, syncs and renames.
fn write(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Error::file(folder))?;
    fill(file.as_file_mut()).map_err(Error::file(path))?;
    file.as_file().sync_all().map_err(Error::file(path))?;
    file.persist(path).map_err(|error| Error::file(path)(error.error))?;
    Ok(())
}
