//! The bridge to wasmtime: its configuration, the import table, and running one instance.

use super::calls::{self, WASI, for_each_call};
use super::guest::{Ending, Guest, Limiter};
use super::{Ran, Stop, WASM_STACK_SIZE_BYTES};
use crate::bulk;
use crate::cache::Key;
use crate::error::Error;
use crate::preempt::{Code, CodeMap, Preemption, Thread, handle_stops};
use crate::trust::Reason;
use std::fs::File;
use std::sync::OnceLock;
use std::time::Instant;
use wasmtime::{
    Caller, Config, Engine, ExternType, InstancePre, Linker, Memory, Module, ResourceLimiter, Store, TypedFunc,
    UpdateDeadline,
};

/// A compiled module, which can be run.
pub(crate) struct Program {
    engine: Engine,
    program: InstancePre<State>,
    preemption: Preemption,
    code_map: OnceLock<CodeMap>,
}

pub(crate) fn engine(preemption: Preemption) -> Result<Engine, Error> {
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
    Engine::new(&config).map_err(broken)
}

fn broken(source: wasmtime::Error) -> Error {
    Error::Engine { source: source.into() }
}

pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Module, Error> {
    let invalid = |source: wasmtime::Error| Error::ModuleInvalid { source: source.into() };
    Module::validate(engine, wasm).map_err(invalid)?;
    let cut = bulk::cut(wasm).map_err(|source| Error::ModuleInvalid { source: source.into() })?;
    Module::new(engine, cut.as_deref().unwrap_or(wasm)).map_err(invalid)
}

/// The key of a module's code in the cache.
pub(crate) fn key(engine: &Engine, module: Option<blake3::Hash>) -> Key {
    Key::new()
        .with(module.as_ref().map_or(&[], |hash| hash.as_bytes()))
        .with(bulk::SOURCE.as_bytes())
        .with_hash_of(&engine.precompile_compatibility_hash())
}

/// Takes a module's code from the cache.
pub(crate) fn kept(engine: &Engine, file: File) -> Result<Module, Reason> {
    // SAFETY: only the cache calls this, with what `to_keep` gave for the same module and the same compiler.
    unsafe { Module::deserialize_open_file(engine, file) }.map_err(|error| format!("{error:#}"))
}

pub(crate) fn to_keep(module: &Module) -> Result<Vec<u8>, Reason> {
    module.serialize().map_err(|error| error.to_string())
}

/// A store's data for one job.
struct State {
    guest: Guest,
    /// The entries of all tables.
    table_entries: usize,
    memory: Option<Memory>,
}

/// The host memory of a table entry: a pointer, and as much again while the table is moved.
const TABLE_ENTRY_SIZE_BYTES: u64 = 16;

/// The most entries that a program's tables may have together; real programs have tens of thousands.
const TABLE_ENTRIES_MAX: usize = 10_000_000;

impl State {
    fn limiter(&mut self) -> &mut Limiter {
        &mut self.guest.limiter
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let maximum = maximum.map(|maximum| maximum as u64);
        Ok(self.limiter().memory_may_grow(current as u64, desired as u64, maximum))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let entries = self.table_entries.saturating_add(more);
        if entries > TABLE_ENTRIES_MAX || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let granted = self
            .limiter()
            .take_for_table(more as u64 * TABLE_ENTRY_SIZE_BYTES, more as u64);
        if granted {
            self.table_entries = entries;
        }
        Ok(granted)
    }
}

/// Adds each function to a linker.
macro_rules! define {
    (
        $linker:ident
        calls { $($name:ident($($arg:ident: $type:ty),*);)* }
        missing { $($missing:ident($($missing_type:ty),*);)* }
    ) => {
        $($linker.func_wrap(WASI, stringify!($name), |mut caller: Caller<'_, State>, $($arg: $type),*| {
            let (memory, state) = memory(&mut caller)?;
            Ok(state.guest.call(memory, |host, memory| host.$name(memory, $($arg),*))?)
        })?;)*
        $($linker.func_wrap(WASI, stringify!($missing), |_: Caller<'_, State>, $(_: $missing_type),*| {
            calls::MISSING
        })?;)*
    };
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    add_calls(&mut linker)?;
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> wasmtime::Result<()> {
        Err(calls::exit(code).into())
    })?;
    // Code that `bulk` adds to a module calls this between two pieces of work.
    let check = |caller: Caller<'_, State>| -> wasmtime::Result<()> { Ok(caller.data().guest.check()?) };
    linker.func_wrap(calls::CHECK.0, calls::CHECK.1, check)?;
    Ok(linker)
}

fn add_calls(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for_each_call! { define!(linker) }
    Ok(())
}

/// The memory of the program that called, and its state.
fn memory<'a>(caller: &'a mut Caller<'_, State>) -> wasmtime::Result<(&'a mut [u8], &'a mut State)> {
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
    Ok(memory.data_and_store_mut(caller))
}

impl Program {
    pub fn new(engine: Engine, module: &Module, preemption: Preemption) -> Result<Program, Error> {
        check_program(module)?;
        let linker = linker(&engine).map_err(broken)?;
        let program = linker.instantiate_pre(module).map_err(|source| Error::NotAProgram {
            reason: source.to_string(),
        })?;
        Ok(Program {
            engine,
            program,
            preemption,
            code_map: OnceLock::new(),
        })
    }

    /// Prepares stopping by signals, for the first job that needs it, since it takes a moment.
    pub fn prepare_stops(&self) -> Result<(), Error> {
        if self.preemption == Preemption::Signals && self.code_map.get().is_none() {
            let code_map = CodeMap::new(&self.engine, self.program.module()).map_err(broken)?;
            handle_stops().map_err(|source| Error::Engine { source: source.into() })?;
            self.code_map.get_or_init(|| code_map);
        }
        Ok(())
    }

    /// Has all programs on the engine check for an interruption; those without one continue.
    pub fn increment_epoch(&self) {
        self.engine.increment_epoch();
    }

    pub fn run(&self, guest: Guest, thread: &Thread) -> Result<Ran, Error> {
        let code = self.code_map.get().map(Code::Compiled);
        thread.run(code, || self.run_in(guest))
    }

    fn run_in(&self, guest: Guest) -> Result<Ran, Error> {
        let started = Instant::now();
        let mut store = self.store(guest);
        let start = self.instantiate(&mut store);
        let instantiate = started.elapsed();
        let result = match start {
            Ok(start) => start.call(&mut store, ()),
            Err(error) if error.is::<wasmtime::Trap>() || error.is::<Ending>() => Err(error),
            // The module's own memory may be larger than the job's limit.
            Err(error) => return Err(super::not_started(&store.data().guest, error.into())),
        };
        let stop = match result {
            Ok(()) => None,
            Err(error) => Some(match error.downcast::<Ending>() {
                Ok(ending) => Stop::Ending(ending),
                Err(error) => trap(&error),
            }),
        };
        Ok(Ran {
            instantiate,
            run: started.elapsed() - instantiate,
            stop,
            guest: store.into_data().guest,
        })
    }

    fn store(&self, guest: Guest) -> Store<State> {
        let state = State {
            guest,
            table_entries: 0,
            memory: None,
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| state);
        if self.preemption == Preemption::Epochs {
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|store| {
                store.data().guest.check()?;
                // Another job was to be stopped.
                Ok(UpdateDeadline::Continue(1))
            });
        }
        store
    }

    /// An instance that is ready to be started.
    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<TypedFunc<(), ()>> {
        self.program.instantiate(&mut *store)?.get_typed_func(store, "_start")
    }
}

fn check_program(module: &Module) -> Result<(), Error> {
    let missing = |reason: &str| {
        Err(Error::NotAProgram {
            reason: reason.to_owned(),
        })
    };
    match module.get_export("_start") {
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
        _ => return missing("it exports no function `_start` without parameters and results"),
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(memory)) if !memory.is_64() && !memory.is_shared() => Ok(()),
        _ => missing("it exports no 32-bit memory called `memory`"),
    }
}

fn trap(error: &wasmtime::Error) -> Stop {
    let frames = error
        .downcast_ref::<wasmtime::WasmBacktrace>()
        .map(|backtrace| backtrace.frames());
    let function = frames
        .and_then(|frames| frames.iter().find(|frame| !bulk::is_added(frame.func_name())))
        .map(|frame| match frame.func_name() {
            Some(name) => name.to_owned(),
            None => {
                let index = bulk::original_index(frame.module(), frame.func_index());
                format!("function {index}")
            }
        });
    Stop::Trap {
        reason: error.root_cause().to_string(),
        function,
    }
}
