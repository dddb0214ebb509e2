//! A remote file that a server sends only as a whole.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// What has come of the file so far, in a temporary file, and what is still to come.
pub struct Whole {
    rest: Box<dyn Read + Send>,
    kept: File,
    kept_bytes: u64,
    size_bytes: u64,
}

/// A server must not fill the disk.
const SIZE_MAX_BYTES: u64 = 16 << 30;

impl Whole {
    pub fn new(rest: Box<dyn Read + Send>, size_bytes: u64) -> io::Result<Whole> {
        if size_bytes > SIZE_MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Whole {
            rest,
            kept: tempfile::tempfile()?,
            kept_bytes: 0,
            size_bytes,
        })
    }

    /// Reads at an offset, for which all that comes before it must have come.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut piece = vec![0; 1 << 16];
        while self.kept_bytes <= offset && self.kept_bytes < self.size_bytes {
            let wanted = (self.size_bytes - self.kept_bytes).min(piece.len() as u64) as usize;
            let count = self.rest.read(&mut piece[..wanted])?;
            if count == 0 {
                let message = "the server sent less than it said";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            self.kept.seek(SeekFrom::Start(self.kept_bytes))?;
            self.kept.write_all(&piece[..count])?;
            self.kept_bytes += count as u64;
        }
        self.kept.seek(SeekFrom::Start(offset))?;
        self.kept.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_come_and_again() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let mut whole = Whole::new(Box::new(io::Cursor::new(bytes.clone())), 200_000).unwrap();
        let mut buffer = [0; 10];
        for offset in [0, 150_000, 5, 199_995] {
            let count = whole.read_at(&mut buffer, offset as u64).unwrap();
            assert!(count > 0);
            assert_eq!(buffer[..count], bytes[offset..offset + count]);
        }
        let mut short = Whole::new(Box::new(io::Cursor::new(bytes)), 300_000).unwrap();
        assert_eq!(
            short.read_at(&mut buffer, 250_000).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
