//! A module's bytes, as they are or compressed.

use crate::cache;
use crate::error::Error;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const WASM_MAGIC: &[u8] = b"\0asm";
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// No module is larger; a few bytes of hostile input decompress to any size.
const WASM_SIZE_MAX_BYTES: u64 = 1 << 30;

/// The WebAssembly in a file's bytes.
pub(crate) fn decompress(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if bytes.starts_with(WASM_MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    if bytes.starts_with(GZIP_MAGIC) {
        let wasm = read_all(flate2::read::MultiGzDecoder::new(bytes))?;
        return if wasm.starts_with(WASM_MAGIC) {
            Ok(wasm.into())
        } else {
            Err(Error::ModuleFormat)
        };
    }
    // Brotli has no mark of its own, so only what comes out tells it from any other bytes.
    let mut decoder = brotli_decompressor::Decompressor::new(bytes, 1 << 16);
    let mut start = [0; WASM_MAGIC.len()];
    if decoder.read_exact(&mut start).is_err() || start != WASM_MAGIC {
        return Err(Error::ModuleFormat);
    }
    Ok(read_all(start.chain(decoder))?.into())
}

/// The module that a pack must be of.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
    /// Whatever the pack's record says.
    Record,
}

impl Of<'_> {
    /// The SHA-256 of its WebAssembly, by which its packs know it.
    pub fn sha256(self) -> Result<Option<[u8; 32]>, Error> {
        match self {
            Of::File(path) => digest_of_file(path).map(Some),
            Of::Bytes(bytes) => digest(bytes).map(Some),
            Of::Record => Ok(None),
        }
    }

    /// The BLAKE3 of the file as it is: a compressed module is not decompressed to be found. With SHA-256, this would take
    /// longer than all else of a start from the cache.
    pub fn hash(self) -> Result<Option<blake3::Hash>, Error> {
        match self {
            Of::File(path) => {
                let hash = File::open(path).and_then(cache::hash);
                hash.map(Some).map_err(unreadable(path))
            }
            Of::Bytes(bytes) => Ok(Some(blake3::hash(bytes))),
            Of::Record => Ok(None),
        }
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    |source| Error::ModuleUnreadable {
        path: path.to_owned(),
        source,
    }
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], Error> {
    Ok(Sha256::digest(decompress(bytes)?).into())
}

/// Without holding all of it if it is not compressed.
fn digest_of_file(path: &Path) -> Result<[u8; 32], Error> {
    let unreadable = unreadable(path);
    let mut file = File::open(path).map_err(&unreadable)?;
    let mut hash = Sha256::new();
    let mut part = vec![0; PART_SIZE_BYTES];
    let mut is_first = true;
    loop {
        match file.read(&mut part) {
            Ok(count) if is_first && !part[..count].starts_with(WASM_MAGIC) => {
                return digest(&std::fs::read(path).map_err(&unreadable)?);
            }
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => hash.update(&part[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        }
        is_first = false;
    }
}

/// A file is read in parts of this size.
const PART_SIZE_BYTES: usize = 256 << 10;

fn read_all(reader: impl Read) -> Result<Vec<u8>, Error> {
    let mut wasm = Vec::new();
    let result = reader.take(WASM_SIZE_MAX_BYTES + 1).read_to_end(&mut wasm);
    match result {
        Ok(size_bytes) if size_bytes as u64 > WASM_SIZE_MAX_BYTES => Err(Error::ModuleCompression {
            source: io::ErrorKind::FileTooLarge.into(),
        }),
        Ok(_) => Ok(wasm),
        Err(source) => Err(Error::ModuleCompression { source }),
    }
}
