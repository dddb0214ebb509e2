//! Remote files that a server sends only as a whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Servers must not fill the disk: the most that all open files of that kind may take.
const SIZE_MAX_BYTES: u64 = 16 << 30;

/// The files that are open, each once, by address, version and size.
#[derive(Default)]
pub struct Wholes {
    open: Mutex<BTreeMap<Name, Weak<Mutex<Whole>>>>,
    kept_bytes: Arc<AtomicU64>,
}

type Name = (String, Option<String>, u64);

/// What has come of a file so far, in a temporary file, and what is still to come.
pub struct Whole {
    rest: Box<dyn Read + Send>,
    kept: File,
    kept_bytes: u64,
    size_bytes: u64,
    /// That of all.
    all_kept_bytes: Arc<AtomicU64>,
}

impl Wholes {
    /// The file of an answer, of which the rest is still to come. If the same file is open, that is taken, and the answer is
    /// left.
    pub fn get(
        &self,
        address: &str,
        version: Option<&str>,
        size_bytes: u64,
        rest: Box<dyn Read + Send>,
    ) -> io::Result<Arc<Mutex<Whole>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, whole| whole.strong_count() > 0);
        let name = (address.to_owned(), version.map(str::to_owned), size_bytes);
        if let Some(whole) = open.get(&name).and_then(Weak::upgrade) {
            return Ok(whole);
        }
        if size_bytes > SIZE_MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let whole = Arc::new(Mutex::new(Whole {
            rest,
            kept: tempfile::tempfile()?,
            kept_bytes: 0,
            size_bytes,
            all_kept_bytes: self.kept_bytes.clone(),
        }));
        open.insert(name, Arc::downgrade(&whole));
        Ok(whole)
    }
}

impl Whole {
    /// Reads at an offset, for which all that comes before it must have come.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut piece = vec![0; 1 << 16];
        while self.kept_bytes <= offset && self.kept_bytes < self.size_bytes {
            let wanted = (self.size_bytes - self.kept_bytes).min(piece.len() as u64) as usize;
            self.take(wanted as u64)?;
            let read = self.rest.read(&mut piece[..wanted]);
            let count = read.as_ref().map_or(0, |count| *count);
            self.all_kept_bytes
                .fetch_sub((wanted - count) as u64, Ordering::Relaxed);
            if read? == 0 {
                let message = "the server sent less than it said";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            let kept = self.kept.seek(SeekFrom::Start(self.kept_bytes));
            if let Err(error) = kept.and_then(|_| self.kept.write_all(&piece[..count])) {
                self.all_kept_bytes.fetch_sub(count as u64, Ordering::Relaxed);
                // What follows these bytes must not take their place.
                self.rest = Box::new(io::empty());
                return Err(error);
            }
            self.kept_bytes += count as u64;
        }
        self.kept.seek(SeekFrom::Start(offset))?;
        self.kept.read(buffer)
    }

    /// Takes room for bytes that are to come.
    fn take(&self, count: u64) -> io::Result<()> {
        let before = self.all_kept_bytes.fetch_add(count, Ordering::Relaxed);
        if before + count > SIZE_MAX_BYTES {
            self.all_kept_bytes.fetch_sub(count, Ordering::Relaxed);
            let message = format!("files of servers that send no parts take more than {SIZE_MAX_BYTES} bytes together");
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        }
        Ok(())
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.all_kept_bytes.fetch_sub(self.kept_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(wholes: &Wholes, version: &str, size_bytes: u64, bytes: &[u8]) -> Arc<Mutex<Whole>> {
        let rest = Box::new(io::Cursor::new(bytes.to_vec()));
        wholes.get("http://x/", Some(version), size_bytes, rest).unwrap()
    }

    fn read(whole: &Mutex<Whole>, offset: u64) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 10];
        let count = whole.lock().unwrap().read_at(&mut buffer, offset)?;
        Ok(buffer[..count].to_vec())
    }

    #[test]
    fn places_are_read_as_they_come_and_again() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let wholes = Wholes::default();
        let whole = get(&wholes, "1", 200_000, &bytes);
        for offset in [0, 150_000, 5, 199_995] {
            let found = read(&whole, offset as u64).unwrap();
            assert!(!found.is_empty());
            assert_eq!(found, bytes[offset..offset + found.len()]);
        }
        let short = get(&wholes, "1", 300_000, &bytes);
        assert_eq!(read(&short, 250_000).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    /// Who opens a file again and again gets the one that is there; all together have their maximum.
    #[test]
    fn a_file_is_kept_once_and_all_have_a_maximum() {
        let wholes = Wholes::default();
        let kept = || wholes.kept_bytes.load(Ordering::Relaxed);
        let again: Vec<_> = (0..250).map(|_| get(&wholes, "1", 100_000, &[7; 100_000])).collect();
        for whole in &again {
            assert_eq!(read(whole, 99_990).unwrap(), [7; 10]);
        }
        assert_eq!(kept(), 100_000);
        let other = get(&wholes, "2", 100_000, &[8; 100_000]);
        assert_eq!(read(&other, 0).unwrap(), [8; 10]);
        assert_eq!(kept(), 165_536);
        wholes.kept_bytes.fetch_add(SIZE_MAX_BYTES - 170_000, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(read(&other, 99_990).unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        drop((again, other));
        assert_eq!(kept(), SIZE_MAX_BYTES - 170_000);
    }
}
