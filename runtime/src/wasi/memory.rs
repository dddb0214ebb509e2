//! The guest's linear memory, with every access checked.

use super::abi::{Errno, Failure, IOVEC_SIZE_BYTES};
use super::path::PATH_SIZE_MAX_BYTES;

/// The guest's memory, as each call gets it.
pub type Memory<'a, 'm> = &'a mut GuestMemory<'m>;

/// The number of bytes that one call moves before it checks for an interruption.
pub const PIECE_SIZE_BYTES: u32 = 1 << 20;

/// The most buffers that one call may name; Linux has the same limit.
const IOVECS_MAX: u32 = 1024;

/// A view of the guest's memory for the length of one host call.
///
/// Every pointer and length that reaches it comes from the guest, so each sum is checked and whatever lies outside is
/// [`Errno::Fault`].
pub struct GuestMemory<'a>(pub &'a mut [u8]);

impl GuestMemory<'_> {
    pub fn slice(&self, pointer: u32, length: u32) -> Result<&[u8], Errno> {
        let start = pointer as usize;
        let end = start.checked_add(length as usize).ok_or(Errno::Fault)?;
        self.0.get(start..end).ok_or(Errno::Fault)
    }

    pub fn slice_mut(&mut self, pointer: u32, length: u32) -> Result<&mut [u8], Errno> {
        let start = pointer as usize;
        let end = start.checked_add(length as usize).ok_or(Errno::Fault)?;
        self.0.get_mut(start..end).ok_or(Errno::Fault)
    }

    pub fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Failure> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.slice_mut(pointer, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub fn write_u32(&mut self, pointer: u32, value: u32) -> Result<(), Failure> {
        self.write(pointer, &value.to_le_bytes())
    }

    pub fn write_u64(&mut self, pointer: u32, value: u64) -> Result<(), Failure> {
        self.write(pointer, &value.to_le_bytes())
    }

    fn read<const N: usize>(&self, pointer: u32) -> Result<[u8; N], Errno> {
        let start = pointer as usize;
        let end = start.checked_add(N).ok_or(Errno::Fault)?;
        let bytes = self.0.get(start..end).ok_or(Errno::Fault)?;
        bytes.try_into().map_err(|_| Errno::Fault)
    }

    pub fn read_u8(&self, pointer: u32) -> Result<u8, Errno> {
        Ok(u8::from_le_bytes(self.read(pointer)?))
    }

    pub fn read_u16(&self, pointer: u32) -> Result<u16, Errno> {
        Ok(u16::from_le_bytes(self.read(pointer)?))
    }

    pub fn read_u32(&self, pointer: u32) -> Result<u32, Errno> {
        Ok(u32::from_le_bytes(self.read(pointer)?))
    }

    pub fn read_u64(&self, pointer: u32) -> Result<u64, Errno> {
        Ok(u64::from_le_bytes(self.read(pointer)?))
    }

    pub fn path(&self, pointer: u32, length: u32) -> Result<&str, Errno> {
        let bytes = self.slice(pointer, length)?;
        // Checked before the characters are, since gigabytes of them would take long.
        if bytes.len() > PATH_SIZE_MAX_BYTES {
            return Err(Errno::Nametoolong);
        }
        std::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)
    }

    /// The buffers of a scattered read or gathered write, all of them checked before the first byte moves.
    pub fn iovecs(&self, pointer: u32, count: u32) -> Result<Vec<(u32, u32)>, Errno> {
        if count > IOVECS_MAX {
            return Err(Errno::Inval);
        }
        let mut total_bytes: u32 = 0;
        (0..count)
            .map(|index| {
                let entry = pointer.checked_add(index * IOVEC_SIZE_BYTES).ok_or(Errno::Fault)?;
                let start = self.read_u32(entry)?;
                let length = self.read_u32(entry.checked_add(4).ok_or(Errno::Fault)?)?;
                self.slice(start, length)?;
                // The number of bytes moved is returned in 32 bits.
                total_bytes = total_bytes.checked_add(length).ok_or(Errno::Inval)?;
                Ok((start, length))
            })
            .collect()
    }
}

pub fn total_bytes(buffers: &[(u32, u32)]) -> u64 {
    buffers.iter().map(|(_, length)| u64::from(*length)).sum()
}

/// Buffers in parts that are moved in a moment, without those that are empty.
pub fn pieces(buffers: &[(u32, u32)]) -> impl Iterator<Item = (u32, u32)> {
    buffers.iter().flat_map(|&(start, length)| {
        (0..length)
            .step_by(PIECE_SIZE_BYTES as usize)
            .map(move |offset| (start + offset, (length - offset).min(PIECE_SIZE_BYTES)))
    })
}
