//! What a pack and the runtime know of each other: the structures of pack/pack.h, member by member.
//!
//! A change here or there is a new [`ABI`].

use std::ffi::{c_char, c_void};

pub const ABI: u32 = 1;

/// The name of a pack's only symbol, a [`Pack`].
pub const SYMBOL: &[u8] = b"afmpeg_pack\0";

/// What an instance is given.
#[repr(C)]
pub struct Host {
    pub context: *mut c_void,
    pub call: unsafe extern "C" fn(context: *mut c_void, import: u32, arguments: *const u64, ends: *mut u32) -> u64,
    pub must_end: unsafe extern "C" fn(context: *mut c_void) -> u32,
    pub grow: unsafe extern "C" fn(context: *mut c_void, pages: u64, more_pages: u64) -> u32,
    pub allocate: unsafe extern "C" fn(context: *mut c_void, size_bytes: u64) -> *mut c_void,
    pub release: unsafe extern "C" fn(context: *mut c_void, memory: *mut c_void, size_bytes: u64),
    pub memory: *mut u8,
    pub memory_max_pages: u64,
    pub stack_limit: *const u8,
}

#[repr(C)]
pub struct FunctionType {
    pub parameters: *const c_char,
    pub results: *const c_char,
}

#[repr(C)]
pub struct Import {
    pub module: *const c_char,
    pub name: *const c_char,
    pub ty: FunctionType,
}

#[repr(C)]
pub struct Pack {
    pub abi: u32,
    pub size_bytes: u32,
    pub machine: *const c_char,
    pub module_sha256: [u8; 32],
    pub memory_pages: u64,
    pub memory_max_pages: u64,
    pub instance_size_bytes: u64,
    pub imports: *const Import,
    pub imports_count: u64,
    pub code_begin: *const u8,
    pub code_end: *const u8,
    pub run: unsafe extern "C" fn(instance: *mut c_void, host: *const Host) -> u32,
    pub release: unsafe extern "C" fn(instance: *mut c_void),
    pub leave: unsafe extern "C" fn(instance: *mut c_void, ending: u32) -> !,
    pub pages: unsafe extern "C" fn(instance: *const c_void) -> u64,
}

// SAFETY: a pack is constant, and lives as long as the process.
unsafe impl Sync for Pack {}

/// The alignment of an instance.
pub const INSTANCE_ALIGNMENT_BYTES: usize = 64;

pub const PAGE_SIZE_BYTES: u64 = 1 << 16;

/// What is reserved for a memory: all that the 32 bits of an address and of an offset add up to, and the width of an access.
pub const MEMORY_RESERVED_BYTES: usize = (8 << 30) + (64 << 10);
