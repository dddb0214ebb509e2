//! The functions that a program can import, by name, for either engine.

use super::guest::{Ending, Guest};
use crate::wasi::Errno;

pub(crate) const WASI: &str = "wasi_snapshot_preview1";

/// The function that code added by the runtime to a module calls between two pieces of work: it returns, or ends the
/// program.
#[cfg(feature = "compiler")]
pub(crate) const CHECK: (&str, &str) = ("afmpeg", "check");

/// Hands all functions of preview 1 that are methods of [`Host`](crate::wasi::Host) to another macro, and after them
/// those that make no sense in a sandbox without sockets and signals: they exist, and fail.
macro_rules! for_each_call {
    ($macro:ident!($($first:tt)*)) => { $macro! { $($first)*
        calls {
            args_get(pointers: u32, buffer: u32);
            args_sizes_get(count: u32, size: u32);
            environ_get(pointers: u32, buffer: u32);
            environ_sizes_get(count: u32, size: u32);
            clock_res_get(clock: u32, resolution: u32);
            clock_time_get(clock: u32, precision: u64, time: u32);
            fd_advise(fd: u32, offset: u64, length: u64, advice: u32);
            fd_allocate(fd: u32, offset: u64, length: u64);
            fd_close(fd: u32);
            fd_datasync(fd: u32);
            fd_fdstat_get(fd: u32, stat: u32);
            fd_fdstat_set_flags(fd: u32, flags: u32);
            fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
            fd_filestat_get(fd: u32, stat: u32);
            fd_filestat_set_size(fd: u32, size: u64);
            fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
            fd_pread(fd: u32, iovecs: u32, count: u32, offset: u64, read: u32);
            fd_prestat_get(fd: u32, prestat: u32);
            fd_prestat_dir_name(fd: u32, buffer: u32, length: u32);
            fd_pwrite(fd: u32, iovecs: u32, count: u32, offset: u64, written: u32);
            fd_read(fd: u32, iovecs: u32, count: u32, read: u32);
            fd_readdir(fd: u32, buffer: u32, length: u32, cookie: u64, used: u32);
            fd_renumber(from: u32, to: u32);
            fd_seek(fd: u32, offset: u64, from: u32, position: u32);
            fd_sync(fd: u32);
            fd_tell(fd: u32, position: u32);
            fd_write(fd: u32, iovecs: u32, count: u32, written: u32);
            path_create_directory(fd: u32, path: u32, length: u32);
            path_filestat_get(fd: u32, lookup: u32, path: u32, length: u32, stat: u32);
            path_filestat_set_times(
                fd: u32, lookup: u32, path: u32, length: u32, accessed: u64, modified: u64, flags: u32
            );
            path_link(
                old_fd: u32, lookup: u32, old_path: u32, old_length: u32, new_fd: u32, new_path: u32, new_length: u32
            );
            path_open(
                fd: u32, lookup: u32, path: u32, length: u32, flags: u32, base: u64, inheriting: u64, fd_flags: u32,
                opened: u32
            );
            path_readlink(fd: u32, path: u32, path_length: u32, buffer: u32, length: u32, used: u32);
            path_remove_directory(fd: u32, path: u32, length: u32);
            path_rename(
                old_fd: u32, old_path: u32, old_length: u32, new_fd: u32, new_path: u32, new_length: u32
            );
            path_symlink(target: u32, target_length: u32, fd: u32, path: u32, length: u32);
            path_unlink_file(fd: u32, path: u32, length: u32);
            poll_oneoff(subscriptions: u32, events: u32, count: u32, happened: u32);
            random_get(buffer: u32, length: u32);
            sched_yield();
        }
        missing {
            proc_raise(u32);
            sock_accept(u32, u32, u32);
            sock_recv(u32, u32, u32, u32, u32, u32);
            sock_send(u32, u32, u32, u32, u32);
            sock_shutdown(u32, u32);
        }
    } };
}
#[cfg(feature = "compiler")]
pub(crate) use for_each_call;

/// Ends the program with an exit code.
pub(crate) fn exit(code: u32) -> Ending {
    Ending::Exit(code.cast_signed())
}

/// What the functions that are missing answer.
pub(crate) const MISSING: u32 = Errno::Nosys as u32;

/// Runs a function on the program's state and memory, with as many arguments as it has parameters, each in 64 bits.
type Call = fn(&mut Guest, &mut [u8], &[u64]) -> Result<u64, Ending>;

/// A function of the host as a pack calls it.
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    expect(dead_code, reason = "only packs look functions up")
)]
pub(crate) struct Function {
    pub name: &'static str,
    /// The types of the parameters, as in a pack: a character each.
    pub parameters: &'static [u8],
    pub results: &'static [u8],
    pub call: Call,
}

/// A parameter's type.
trait Value {
    const CODE: u8;
    fn of(argument: u64) -> Self;
}

impl Value for u32 {
    const CODE: u8 = b'i';

    fn of(argument: u64) -> u32 {
        argument as u32
    }
}

impl Value for u64 {
    const CODE: u8 = b'I';

    fn of(argument: u64) -> u64 {
        argument
    }
}

macro_rules! table {
    (
        calls { $($name:ident($($arg:ident: $type:ty),*);)* }
        missing { $($missing:ident($($missing_type:ty),*);)* }
    ) => {
        &[
            $(Function {
                name: stringify!($name),
                parameters: &[$(<$type as Value>::CODE),*],
                results: b"i",
                call: |guest, memory, arguments| {
                    let [$($arg),*] = arguments else { unreachable!("as many as the parameters") };
                    let answer = guest.call(memory, |host, memory| host.$name(memory, $(Value::of(*$arg)),*));
                    answer.map(u64::from)
                },
            },)*
            $(Function {
                name: stringify!($missing),
                parameters: &[$(<$missing_type as Value>::CODE),*],
                results: b"i",
                call: |_, _, _| Ok(MISSING.into()),
            },)*
            Function {
                name: "proc_exit",
                parameters: b"i",
                results: b"",
                call: |_, _, arguments| Err(exit(arguments.first().map_or(0, |code| *code as u32))),
            },
        ]
    };
}

/// All functions of [`WASI`].
pub(crate) const FUNCTIONS: &[Function] = for_each_call! { table!() };
