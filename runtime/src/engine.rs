//! The bridge to wasmtime: its configuration, the import table, and running one instance.

use crate::budget::Budget;
use crate::bulk;
use crate::fs::Exceeded;
use crate::interrupt::Interruption;
use crate::limit::Limit;
use crate::output::Figures;
use crate::preempt::Preemption;
use crate::wasi::{Errno, Failure, GuestMemory, Host};
use std::sync::Arc;
use wasmtime::{Caller, Config, Engine, InstancePre, Linker, Memory, ResourceLimiter, Store, UpdateDeadline};

/// The native stack for the program's recursion.
const WASM_STACK_SIZE_BYTES: usize = 8 << 20;

/// The stack that a caller's file systems, streams and callbacks have at least, at any depth of the program: twice
/// Rust's default for a thread. The documentation of each place that takes such code states it.
const CALLERS_STACK_SIZE_BYTES: usize = 4 << 20;

/// The stack of a thread that runs a job: the program's and what the host calls need on top.
pub(crate) const THREAD_STACK_SIZE_BYTES: usize = WASM_STACK_SIZE_BYTES + CALLERS_STACK_SIZE_BYTES;

const WASI: &str = "wasi_snapshot_preview1";

pub(crate) fn engine(preemption: Preemption) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(preemption == Preemption::Epochs);
    // A tail call moves the frame while the frame pointer already names its new place, and a program that is stopped
    // there by a signal could not be walked for its backtrace. No C compiler makes them unless it is told to.
    config.wasm_tail_call(false);
    // The limits of a job assume a single 32-bit memory.
    config.wasm_multi_memory(false);
    config.wasm_memory64(false);
    config.max_wasm_stack(WASM_STACK_SIZE_BYTES);
    // Nothing here is asynchronous, but wasmtime requires this to be no smaller.
    config.async_stack_size(WASM_STACK_SIZE_BYTES);
    // Maps from native code to WebAssembly offsets would say nothing about a module without debug information, and
    // unwind tables serve foreign debuggers only: both make the code on disk larger and slower to load.
    config.generate_address_map(false);
    config.native_unwind_info(cfg!(windows));
    #[cfg(feature = "perf")]
    config.profiler(wasmtime::ProfilingStrategy::PerfMap);
    Engine::new(&config)
}

/// A store's data for one job.
pub(crate) struct State {
    pub host: Host,
    pub limiter: Limiter,
    /// The last limit that a host call reached.
    exceeded: Option<Exceeded>,
    memory: Option<Memory>,
}

impl State {
    /// The limit that the program reached, if any; the one of its own memory comes first.
    pub fn exceeded(&self) -> Option<Exceeded> {
        self.limiter.refused.or(self.exceeded)
    }
}

pub(crate) struct Limiter {
    memory_max_bytes: u64,
    figures: Arc<Figures>,
    /// Why the last attempt to grow failed, unless as much was granted since. Granting less does not mean that the program got
    /// by: it needs a little memory to fail, too.
    refused: Option<Exceeded>,
    /// How much that attempt asked for.
    refused_more: usize,
    table_entries: usize,
    host_memory: Arc<Budget>,
}

/// The host memory of a table entry: a pointer, and as much again while the table is moved.
const TABLE_ENTRY_SIZE_BYTES: u64 = 16;

/// The most entries that a program's tables may have together; real programs have tens of thousands.
const TABLE_ENTRIES_MAX: usize = 10_000_000;

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let desired_bytes = desired as u64;
        let allowed = desired_bytes <= self.memory_max_bytes && maximum.is_none_or(|maximum| desired <= maximum);
        let more = desired.saturating_sub(current);
        if allowed {
            self.figures.set_memory(desired_bytes);
            self.refused = self.refused.filter(|_| more < self.refused_more);
        } else {
            self.refused = Some(Exceeded::new(Limit::Memory, self.memory_max_bytes, desired_bytes));
            self.refused_more = more;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let entries = self.table_entries.saturating_add(more);
        if entries > TABLE_ENTRIES_MAX || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if let Err(exceeded) = self.host_memory.take(more as u64 * TABLE_ENTRY_SIZE_BYTES) {
            self.refused = Some(exceeded);
            self.refused_more = more;
            return Ok(false);
        }
        self.table_entries = entries;
        Ok(true)
    }
}

/// The ways in which a guest's `_start` ends without returning.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ending {
    #[error("exit code {0}")]
    Exit(i32),
    #[error("interrupted: {0:?}")]
    Interrupted(Interruption),
}

/// Adds a preview 1 function to the linker for each of these methods.
macro_rules! define {
    ($linker:ident: $($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        $linker.func_wrap(WASI, stringify!($name), |mut caller: Caller<'_, State>, $($arg: $type),*| {
            call(&mut caller, |host, memory| host.$name(memory, $($arg),*))
        })?;
    )*};
}

/// Functions that make no sense in a sandbox without sockets and signals: they exist, and fail.
macro_rules! define_missing {
    ($linker:ident: $($name:ident($($type:ty),*);)*) => {$(
        $linker.func_wrap(WASI, stringify!($name), |_: Caller<'_, State>, $(_: $type),*| Errno::Nosys as u32)?;
    )*};
}

pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    add_calls(&mut linker)?;
    define_missing! { linker:
        proc_raise(u32);
        sock_accept(u32, u32, u32);
        sock_recv(u32, u32, u32, u32, u32, u32);
        sock_send(u32, u32, u32, u32, u32);
        sock_shutdown(u32, u32);
    }
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> wasmtime::Result<()> {
        Err(Ending::Exit(code.cast_signed()).into())
    })?;
    // Code that `bulk` adds to a module calls this between two pieces of work.
    linker.func_wrap(
        bulk::CHECK.0,
        bulk::CHECK.1,
        |caller: Caller<'_, State>| -> wasmtime::Result<()> {
            match caller.data().host.interrupt.check() {
                Some(interruption) => Err(Ending::Interrupted(interruption).into()),
                None => Ok(()),
            }
        },
    )?;
    Ok(linker)
}

/// Adds the functions that are methods of [`Host`].
fn add_calls(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define! { linker:
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
    Ok(())
}

/// Runs one host call on the guest's memory, unless the job must end.
fn call(
    caller: &mut Caller<'_, State>,
    function: impl FnOnce(&mut Host, &mut GuestMemory) -> Result<(), Failure>,
) -> wasmtime::Result<u32> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => {
            // A start function runs before the instance is handed out, so the first call finds the memory itself.
            let memory = caller.get_export("memory").and_then(|export| export.into_memory());
            let memory = memory.ok_or_else(|| wasmtime::format_err!("the module exports no memory"))?;
            caller.data_mut().memory = Some(memory);
            memory
        }
    };
    let (bytes, state) = memory.data_and_store_mut(caller);
    let interrupted = |host: &Host| match host.interrupt.check() {
        Some(interruption) => Err(Ending::Interrupted(interruption)),
        None => Ok(()),
    };
    interrupted(&state.host)?;
    let answer = function(&mut state.host, &mut GuestMemory(bytes));
    let figures = &state.limiter.figures;
    figures.set_moved(state.host.bytes_read, state.host.account.bytes_written);
    let Err(failure) = answer else {
        return Ok(Errno::Success as u32);
    };
    if failure.exceeded.is_some() {
        state.exceeded = failure.exceeded;
    }
    if failure.errno == Errno::Intr {
        // Only an interruption of the job ends a wait with this.
        interrupted(&state.host)?;
    }
    Ok(failure.errno as u32)
}

pub(crate) fn store(
    engine: &Engine,
    host: Host,
    memory_max_bytes: u64,
    preemption: Preemption,
    figures: &Arc<Figures>,
) -> Store<State> {
    let limiter = Limiter {
        memory_max_bytes,
        figures: figures.clone(),
        refused: None,
        refused_more: 0,
        table_entries: 0,
        host_memory: host.account.host_memory().clone(),
    };
    let mut store = Store::new(
        engine,
        State {
            host,
            limiter,
            exceeded: None,
            memory: None,
        },
    );
    store.limiter(|state| &mut state.limiter);
    if preemption == Preemption::Epochs {
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| match store.data().host.interrupt.check() {
            Some(interruption) => Err(Ending::Interrupted(interruption).into()),
            // Another job was to be stopped.
            None => Ok(UpdateDeadline::Continue(1)),
        });
    }
    store
}

/// An instance that is ready to be started.
pub(crate) fn instantiate(
    program: &InstancePre<State>,
    store: &mut Store<State>,
) -> wasmtime::Result<wasmtime::TypedFunc<(), ()>> {
    program.instantiate(&mut *store)?.get_typed_func(store, "_start")
}
