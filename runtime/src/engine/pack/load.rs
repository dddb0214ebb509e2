//! Loading a pack: from its file to functions that can be called.

use super::abi;
use crate::cache::{self, Key, Kind, Place};
use crate::cache_status::CacheStatus;
use crate::engine::calls::{self, FUNCTIONS, Function};
use crate::error::Error;
use crate::module::Of;
use crate::pack::{Hex, Pack, check_machine};
use crate::pack_error::PackError;
use crate::trust;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// A pack that lies in memory, as long as the process lives.
#[derive(Clone, Copy)]
pub struct Loaded {
    pub pack: &'static abi::Pack,
    pub machine: &'static str,
    /// What it was loaded from, which stays open.
    file: &'static File,
    /// The host's function for each import.
    pub imports: &'static [&'static Function],
}

/// By the digest of its file.
static LOADED: Mutex<Option<HashMap<String, Loaded>>> = Mutex::new(None);

/// A pack is read in parts of this size.
const PART_SIZE_BYTES: usize = 1 << 20;

/// Loads the pack that has the digest of the record, if it was made from this module. A pack that has been loaded is not
/// read again.
///
/// Where compiled code is kept, a copy is kept of what was verified. It is trusted as compiled code is, and need not be read
/// whole by the next process.
pub fn load(pack: &Pack, of: Of<'_>, place: Option<Place>) -> Result<(Loaded, CacheStatus), Error> {
    pack.check(abi::ABI).map_err(|source| pack.refused(source))?;
    let Some(place) = place else {
        return Ok((verified(pack, of)?, CacheStatus::NotNeeded));
    };
    let module = of.hash()?;
    let key = Key::new()
        .with(pack.sha256().as_bytes())
        .with(module.as_ref().map_or(&[], |hash| hash.as_bytes()));
    let read = |file| once(pack, || open_and_resolve(file, pack)).map_err(|error| error.to_string());
    let make = || {
        let loaded = verified(pack, of)?;
        let bytes = read_whole(loaded.file).map_err(|error| error.to_string());
        Ok((loaded, bytes))
    };
    cache::through(place, Kind::Pack, &key, read, make)
}

/// Loads a pack after comparing its digest, and its module's.
fn verified(pack: &Pack, of: Of<'_>) -> Result<Loaded, Error> {
    // Each takes as long as all else of a start.
    let (loaded, module) = thread::scope(|scope| {
        let module = scope.spawn(|| of.sha256());
        (once(pack, || from_record(pack)), module.join())
    });
    let module = module.unwrap_or_else(|panic| resume_unwind(panic))?;
    let loaded = loaded.map_err(|source| pack.refused(source))?;
    pack.check_module(module).map_err(|source| pack.refused(source))?;
    Ok(loaded)
}

/// Loads a pack unless it has been.
fn once(pack: &Pack, load: impl FnOnce() -> Result<Loaded, PackError>) -> Result<Loaded, PackError> {
    // Threads that need the same pack read it once.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded.get_or_insert_default();
    if let Some(known) = loaded.get(pack.sha256()) {
        check_module(known.pack, pack)?;
        return Ok(*known);
    }
    let new = load()?;
    loaded.insert(pack.sha256().to_owned(), new);
    Ok(new)
}

fn from_record(pack: &Pack) -> Result<Loaded, PackError> {
    let file = match trust::open(pack.path()) {
        Ok(Ok(file)) => file,
        Ok(Err(reason)) => return Err(PackError::Distrusted { reason }),
        Err(source) => return Err(PackError::Unreadable { source }),
    };
    let (copy, digest) = sealed_copy(file, pack.size_bytes())?;
    if digest != pack.sha256() {
        return Err(PackError::Digest {
            expected: pack.sha256().to_owned(),
            found: digest,
        });
    }
    open_and_resolve(copy, pack)
}

fn open_and_resolve(file: File, pack: &Pack) -> Result<Loaded, PackError> {
    let library = open(&file)?;
    let resolved = describe(&library).and_then(|code| resolve(code, pack));
    let (code, machine, imports) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => {
            // Nothing of it has run, and nothing refers to it.
            drop(library);
            return Err(error);
        }
    };
    // Programs may run in it at any time from now on. The linker takes a path that it knows for what it has loaded from
    // there, so the file stays open: its number must not become that of another pack.
    std::mem::forget(library);
    Ok(Loaded {
        pack: code,
        machine,
        file: Box::leak(Box::new(file)),
        imports: imports.leak(),
    })
}

fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Copies a file into memory, where nobody can change it, and returns the digest of what was copied.
fn sealed_copy(mut file: File, size_bytes: u64) -> Result<(File, String), PackError> {
    let unreadable = |source| PackError::Unreadable { source };
    let failed = |error: io::Error| PackError::Load {
        reason: format!("no copy of it can be made in memory: {error}"),
    };
    let mut copy = File::from(anonymous_file().map_err(failed)?);
    let mut hash = Sha256::new();
    let mut part = vec![0; PART_SIZE_BYTES];
    // A file that grows meanwhile is another than that of the record, as one more byte shows.
    let mut left_bytes = size_bytes.saturating_add(1);
    loop {
        let most = usize::try_from(left_bytes).unwrap_or(usize::MAX).min(part.len());
        match file.read(&mut part[..most]) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(&part[..count]);
                copy.write_all(&part[..count]).map_err(failed)?;
                left_bytes -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals).map_err(|error| failed(error.into()))?;
    Ok((copy, Hex(&hash.finalize()).to_string()))
}

fn anonymous_file() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Systems since Linux 6.3 may want to be told that it holds code; those before refuse the flag.
    match memfd_create("afmpeg pack", flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => Ok(memfd_create("afmpeg pack", flags)?),
        file => Ok(file?),
    }
}

fn failed(error: libloading::Error) -> PackError {
    PackError::Load {
        reason: error.to_string(),
    }
}

/// Loads a shared object from an open file, until it is dropped.
fn open(file: &File) -> Result<Library, PackError> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file's bytes are those that a record which the caller trusts names. They cannot change, or nobody but this
    // user and root can write to the cache's folder, where nothing is changed once it has its name. They have no code
    // that runs when they are loaded.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(failed)
}

/// Finds what a pack says of itself. It is there for ever if the library is.
fn describe(library: &Library) -> Result<&'static abi::Pack, PackError> {
    // SAFETY: the symbol is a structure that begins with its version, in every version.
    let pack = unsafe { library.get::<*const abi::Pack>(abi::SYMBOL) }.map_err(failed)?;
    let pack = pack.into_raw().cast::<abi::Pack>();
    // SAFETY: as above; it stays where it is, as the library is loaded.
    let found = unsafe { (*pack).abi };
    if found != abi::ABI {
        return Err(PackError::Abi {
            found,
            expected: abi::ABI,
        });
    }
    // SAFETY: a pack of this version has this structure. The caller keeps the library, or lets go of both.
    let pack = unsafe { &*pack };
    if pack.size_bytes as usize != size_of::<abi::Pack>() {
        return Err(PackError::Load {
            reason: "its description has another size than its version has".to_owned(),
        });
    }
    Ok(pack)
}

/// A pack, its machine, and the host's functions for its imports.
type Resolved = (&'static abi::Pack, &'static str, Vec<&'static Function>);

/// Finds the imports of a pack, and compares what it says of itself with its record.
fn resolve(pack: &'static abi::Pack, record: &Pack) -> Result<Resolved, PackError> {
    let machine = text(pack.machine)?;
    check_machine(machine)?;
    check_module(pack, record)?;
    let imports = match pack.imports_count {
        0 => &[][..],
        // SAFETY: a pack has as many imports as it says.
        count => unsafe { std::slice::from_raw_parts(pack.imports, count as usize) },
    };
    let imports = imports.iter().map(find).collect::<Result<_, _>>()?;
    Ok((pack, machine, imports))
}

/// Checks that a pack was made from the module that its record names.
fn check_module(pack: &abi::Pack, record: &Pack) -> Result<(), PackError> {
    let of = Hex(&pack.module_sha256).to_string();
    if of == record.module_sha256() {
        return Ok(());
    }
    Err(PackError::OtherModule {
        of,
        module: record.module_sha256().to_owned(),
    })
}

/// The host's function for an import.
fn find(import: &abi::Import) -> Result<&'static Function, PackError> {
    let (module, name) = (text(import.module)?, text(import.name)?);
    let (parameters, results) = (text(import.ty.parameters)?, text(import.ty.results)?);
    let same = |function: &&Function| {
        (function.name, function.parameters, function.results) == (name, parameters.as_bytes(), results.as_bytes())
    };
    let found = FUNCTIONS.iter().find(same).filter(|_| module == calls::WASI);
    found.ok_or_else(|| PackError::Import {
        import: format!("{module}.{name}({parameters}) -> ({results})"),
    })
}

fn text(text: *const c_char) -> Result<&'static str, PackError> {
    // SAFETY: the texts of a pack are constant, and end with a zero.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| PackError::Load {
        reason: "a name in it is no text".to_owned(),
    })
}
