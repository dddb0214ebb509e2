//! Running packs: native code of a module, which was made ahead of time.

mod abi;
pub(crate) mod ending;
mod load;
mod memory;

use super::calls::Function;
use super::guest::{Ending, Guest};
use super::{CALLERS_STACK_SIZE_BYTES, Ran, Stop, WASM_STACK_SIZE_BYTES};
use crate::cache::Place;
use crate::cache_status::CacheStatus;
use crate::error::Error;
use crate::module::Of;
use crate::pack::Pack;
use crate::pack_error::PackError;
use crate::preempt::{self, Code, Landing, Thread};
use load::Loaded;
use memory::{Memory, SignalStack};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::time::Instant;

/// A pack that was loaded.
pub(crate) struct Program {
    loaded: Loaded,
}

/// What an instance calls is called with this.
struct Context {
    guest: Guest,
    imports: &'static [&'static Function],
    memory: Memory,
    /// The module's own limit.
    memory_max_bytes: u64,
    ending: Option<Ending>,
    /// The panic of a caller's own code. It must not pass through the pack, which cannot be unwound.
    panic: Option<Box<dyn Any + Send>>,
}

/// The most memory for tables of a program: wasmtime's 10,000,000 entries, of 32 bytes each.
const TABLE_SIZE_MAX_BYTES: u64 = 320_000_000;

impl Program {
    /// Loads a pack of a module, through the folder of compiled code if there is one.
    pub fn load(pack: &Pack, of: Of<'_>, place: Option<Place>) -> Result<(Program, CacheStatus), Error> {
        let (loaded, status) = load::load(pack, of, place)?;
        preempt::handle_traps().map_err(|error| {
            pack.refused(PackError::Load {
                reason: format!("its traps cannot be handled: {error}"),
            })
        })?;
        Ok((Program { loaded }, status))
    }

    pub fn machine(&self) -> &'static str {
        self.loaded.machine
    }

    pub fn prepare_stops(&self) -> Result<(), Error> {
        preempt::handle_stops().map_err(|source| Error::Engine { source: source.into() })
    }

    pub fn run(&self, guest: Guest, thread: &Thread) -> Result<Ran, Error> {
        let pack = self.loaded.pack;
        let started = Instant::now();
        let prepared = Memory::reserve().and_then(|memory| Ok((memory, SignalStack::new()?)));
        let (memory, signal_stack) = match prepared {
            Ok(prepared) => prepared,
            Err(source) => return Err(Error::Instantiate { source: source.into() }),
        };
        let instance = Instance::new(pack)?;
        let address = memory.address();
        let context = UnsafeCell::new(Context {
            guest,
            imports: self.loaded.imports,
            memory,
            memory_max_bytes: pack.memory_max_pages.saturating_mul(abi::PAGE_SIZE_BYTES),
            ending: None,
            panic: None,
        });
        // The program's stack begins about here.
        let stack_begin = ptr::from_ref(&context).addr();
        let stack_limit = stack_begin - WASM_STACK_SIZE_BYTES;
        let host = abi::Host {
            context: context.get().cast(),
            call,
            must_end,
            grow,
            allocate,
            release,
            memory: address.as_ptr(),
            memory_max_pages: memory::PAGES_MAX,
            stack_limit: ptr::without_provenance(stack_limit),
        };
        let landing = Landing {
            code: pack.code_begin.addr()..pack.code_end.addr(),
            leave: pack.leave as usize,
            instance: instance.address.as_ptr().addr(),
            memory: address.addr().get()..address.addr().get() + abi::MEMORY_RESERVED_BYTES,
            // With the guard page below and what a frame may leap over.
            stack_end: stack_limit - 2 * CALLERS_STACK_SIZE_BYTES..stack_limit + 4096,
            stack: stack_limit,
        };
        let instantiate = started.elapsed();
        let ending = {
            let _on_signal_stack = signal_stack
                .enter()
                .map_err(|source| Error::Instantiate { source: source.into() })?;
            // SAFETY: the instance is zeroed memory of the size and alignment that the pack asks for, and it and the
            // host live until this returns. The landing is of this instance.
            thread.run(Some(Code::Pack(&landing)), || unsafe {
                (pack.run)(instance.address.as_ptr().cast(), &host)
            })
        };
        let run = started.elapsed() - instantiate;
        // SAFETY: once after the run, as the pack wants it; the host still lives.
        unsafe { (pack.release)(instance.address.as_ptr().cast()) };
        let (stop, guest) = context.into_inner().end(ending)?;
        Ok(Ran {
            instantiate,
            run,
            stop,
            guest,
        })
    }
}

impl Context {
    /// Why the program has ended, if it has not by itself.
    fn end(self, ending: u32) -> Result<(Option<Stop>, Guest), Error> {
        if let Some(panic) = self.panic {
            resume_unwind(panic);
        }
        let stop = match (ending, self.ending) {
            (ending::RETURNED, _) => None,
            (ending::NO_MEMORY, _) => {
                let source = io::Error::from(io::ErrorKind::OutOfMemory);
                return Err(super::not_started(&self.guest, source.into()));
            }
            (_, Some(ending)) => Some(Stop::Ending(ending)),
            (ending, None) => Some(Stop::Trap {
                reason: reason(ending).to_owned(),
                function: None,
            }),
        };
        Ok((stop, self.guest))
    }
}

/// The trap's name, which is that of wasmtime's.
fn reason(ending: u32) -> &'static str {
    match ending {
        ending::TRAP_MEMORY => "wasm trap: out of bounds memory access",
        ending::TRAP_TABLE => "wasm trap: undefined element: out of bounds table access",
        ending::TRAP_INDIRECT => "wasm trap: indirect call type mismatch",
        ending::TRAP_UNREACHABLE => "wasm trap: wasm `unreachable` instruction executed",
        ending::TRAP_DIVISION => "wasm trap: integer divide by zero",
        ending::TRAP_OVERFLOW => "wasm trap: integer overflow",
        ending::TRAP_CONVERSION => "wasm trap: invalid conversion to integer",
        ending::TRAP_STACK => "wasm trap: call stack exhausted",
        // A stop that nobody knows of any more, or an instruction that no module has.
        ending::BY_HOST => "wasm trap: interrupt",
        _ => "wasm trap: the code of the pack has failed",
    }
}

/// The memory of an instance.
struct Instance {
    address: NonNull<u8>,
    layout: Layout,
}

impl Instance {
    fn new(pack: &abi::Pack) -> Result<Instance, Error> {
        let size_bytes = usize::try_from(pack.instance_size_bytes).unwrap_or(usize::MAX).max(1);
        let layout = Layout::from_size_align(size_bytes, abi::INSTANCE_ALIGNMENT_BYTES);
        let layout = layout.map_err(|source| Error::Instantiate { source: source.into() })?;
        // SAFETY: the size is not zero.
        match NonNull::new(unsafe { alloc_zeroed(layout) }) {
            Some(address) => Ok(Instance { address, layout }),
            None => Err(Error::Instantiate {
                source: io::Error::from(io::ErrorKind::OutOfMemory).into(),
            }),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.address.as_ptr(), self.layout) };
    }
}

/// The context of a call from an instance.
///
/// # Safety
///
/// The pointer must be that of the running instance's host, and no other call of the instance may be under way: it has one
/// thread, and no call enters it again.
unsafe fn context<'a>(context: *mut c_void) -> &'a mut Context {
    // SAFETY: as the caller guarantees; the instance's owner has no reference while the instance runs.
    unsafe { &mut *context.cast() }
}

unsafe extern "C" fn call(host: *mut c_void, import: u32, arguments: *const u64, ends: *mut u32) -> u64 {
    // SAFETY: called by the instance, with the context that it was given.
    let context = unsafe { context(host) };
    let call = AssertUnwindSafe(|| {
        let Some(function) = context.imports.get(import as usize) else {
            unreachable!("a pack calls its own imports");
        };
        let arguments = match function.parameters.len() {
            0 => &[][..],
            // SAFETY: the pack hands over as many arguments as the type of its import has, which was compared.
            count => unsafe { std::slice::from_raw_parts(arguments, count) },
        };
        // SAFETY: these bytes are accessible, and the program does not run while the host has them.
        let memory =
            unsafe { std::slice::from_raw_parts_mut(context.memory.address().as_ptr(), context.memory.size_bytes()) };
        (function.call)(&mut context.guest, memory, arguments)
    });
    match catch_unwind(call) {
        Ok(Ok(answer)) => return answer,
        Ok(Err(ending)) => context.ending = Some(ending),
        Err(panic) => context.panic = Some(panic),
    }
    // SAFETY: the pack waits for the answer there.
    unsafe { *ends = 1 };
    0
}

unsafe extern "C" fn must_end(host: *mut c_void) -> u32 {
    // SAFETY: as in `call`.
    let context = unsafe { context(host) };
    match context.guest.check() {
        Ok(()) => 0,
        Err(ending) => {
            context.ending = Some(ending);
            1
        }
    }
}

unsafe extern "C" fn grow(host: *mut c_void, _pages: u64, more_pages: u64) -> u32 {
    // SAFETY: as in `call`.
    let context = unsafe { context(host) };
    let memory = &mut context.memory;
    let current = memory.size_bytes() as u64;
    let desired = more_pages.saturating_mul(abi::PAGE_SIZE_BYTES).saturating_add(current);
    let allowed = context
        .guest
        .limiter
        .memory_may_grow(current, desired, Some(context.memory_max_bytes));
    (allowed && memory.grow(more_pages).is_ok()).into()
}

unsafe extern "C" fn allocate(host: *mut c_void, size_bytes: u64) -> *mut c_void {
    // SAFETY: as in `call`.
    let context = unsafe { context(host) };
    let limiter = &mut context.guest.limiter;
    if size_bytes > TABLE_SIZE_MAX_BYTES || !limiter.take_for_table(size_bytes, size_bytes) {
        return ptr::null_mut();
    }
    // Of the system's own, so that nothing is kept of what is given back.
    match memory::zeroed(size_bytes as usize) {
        Ok(memory) => memory.as_ptr().cast(),
        Err(_) => {
            limiter.give_back(size_bytes);
            ptr::null_mut()
        }
    }
}

unsafe extern "C" fn release(host: *mut c_void, memory: *mut c_void, size_bytes: u64) {
    // SAFETY: as in `call`.
    let context = unsafe { context(host) };
    if let Some(memory) = NonNull::new(memory) {
        memory::unmap(memory.cast(), size_bytes as usize);
        context.guest.limiter.give_back(size_bytes);
    }
}
