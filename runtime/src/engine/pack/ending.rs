//! How a run of a program ended.

pub const RETURNED: u32 = 0;
pub const BY_HOST: u32 = 1;
pub const TRAP_MEMORY: u32 = 2;
pub const TRAP_TABLE: u32 = 3;
pub const TRAP_INDIRECT: u32 = 4;
pub const TRAP_UNREACHABLE: u32 = 5;
pub const TRAP_DIVISION: u32 = 6;
pub const TRAP_OVERFLOW: u32 = 7;
pub const TRAP_CONVERSION: u32 = 8;
pub const TRAP_STACK: u32 = 9;
pub const TRAP_OTHER: u32 = 10;
pub const NO_MEMORY: u32 = 11;
