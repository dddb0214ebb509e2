//! Stopping a program that computes and makes no call, at no cost while it runs.
//!
//! Engines usually have the compiled code check, at every loop, whether it must stop; in vectorised loops that takes
//! more time than the loop itself. Here the code checks nothing. The job's thread is sent a signal; if the signal finds
//! it in the program's own code, its handler moves the program counter to an instruction that traps. The engine handles
//! this like any other trap, which ends the program and leaves everything else intact. If the signal finds the thread
//! elsewhere (in a host call, in the engine) it has no effect, and is sent again.
//!
//! This rests on properties of wasmtime, which its version 48 has on both processors:
//!
//! - Compiled functions own nothing that must be cleaned up, so they may be left at any instruction. What must not be
//!   left half way, such as the notes that trampolines make when the program is entered and left, lies outside them.
//! - At each of their instructions the frame pointer names a frame of the program, or of the trampoline that entered
//!   it: its own or, in the first instructions of a function and the last, its caller's. So the backtrace of a trap can
//!   be taken, at worst without one frame. This does not hold for tail calls that need more room for arguments than
//!   their caller has; the engine is configured to refuse those.
//! - A trap is looked up by its address in all code of the process, and ends the program that the thread had entered
//!   last. The address belongs to no function of the program, so it adds nothing to the backtrace.
//! - The handler of the trap takes locks and memory. It runs on behalf of an instruction of the program, when the
//!   thread holds none of either.
//!
//! The tests stop programs at many thousands of instructions to find out if that ends.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;
use wasmtime::{Engine, Module};

pub(crate) const SUPPORTED: bool = true;

/// The addresses of a program's compiled functions, and of an instruction that traps.
pub(crate) struct CodeMap {
    /// The addresses of the functions, sorted. The engine's own code between them is not included: it must not be left
    /// half way.
    functions: Vec<std::ops::Range<usize>>,
    trap_address: usize,
    /// Keeps the trapping instruction in memory, and the program's functions.
    _modules: [Module; 2],
}

/// A module of one function that does nothing but trap.
const TRAP_WASM: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// The instruction that Cranelift traps with.
#[cfg(target_arch = "x86_64")]
const TRAP_OPCODE: &[u8] = &[0x0f, 0x0b];
#[cfg(target_arch = "aarch64")]
const TRAP_OPCODE: &[u8] = &[0x1f, 0xc1, 0, 0];

impl CodeMap {
    pub fn new(engine: &Engine, program: &Module) -> wasmtime::Result<CodeMap> {
        let trap = Module::new(engine, TRAP_WASM)?;
        let trap_function = function_addresses(&trap).into_iter().next();
        let trap_offset = trap
            .text()
            .windows(TRAP_OPCODE.len())
            .position(|bytes| bytes == TRAP_OPCODE);
        let trap_address = trap_offset.map(|offset| trap.text().as_ptr().addr() + offset);
        let trap_address = trap_address
            .filter(|address| trap_function.is_some_and(|function| function.contains(address)))
            .ok_or_else(|| wasmtime::format_err!("the trapping instruction is not where it is expected"))?;
        let mut functions = function_addresses(program);
        functions.sort_by_key(|function| function.start);
        signal::install()?;
        Ok(CodeMap {
            functions,
            trap_address,
            _modules: [trap, program.clone()],
        })
    }

    fn is_in_function(&self, address: usize) -> bool {
        let after = self.functions.partition_point(|function| function.start <= address);
        after
            .checked_sub(1)
            .is_some_and(|index| self.functions[index].contains(&address))
    }
}

fn function_addresses(module: &Module) -> Vec<std::ops::Range<usize>> {
    let start = module.text().as_ptr().addr();
    module
        .functions()
        .map(|function| start + function.offset..start + function.offset + function.len)
        .collect()
}

/// A job's thread as seen by its signal handler.
struct Target<'a> {
    code_map: &'a CodeMap,
    thread: &'a Thread,
}

/// A job's thread as seen by the thread that may stop it.
#[derive(Default)]
pub(crate) struct Thread {
    /// The kernel's thread ID while a program runs on the thread, otherwise 0.
    id: AtomicI32,
    must_stop: AtomicBool,
}

impl Thread {
    /// Sends the signal, which stops the thread if it finds it in the program's code.
    pub fn stop(&self) {
        self.must_stop.store(true, Ordering::Release);
        let id = self.id.load(Ordering::Acquire);
        if id != 0 {
            // A thread that has just ended gets nothing. If another thread has its ID since, one that is no job's, the
            // signal has no effect there.
            // SAFETY: the call takes plain IDs, and the process's own is right.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, signal::NUMBER) };
        }
    }

    /// Returns the processor time of the thread, if a program runs on it.
    pub fn cpu_time(&self) -> Option<Duration> {
        let id = self.id.load(Ordering::Acquire);
        if id == 0 {
            return None;
        }
        // The kernel's ID of a thread's clock, which is part of its interface.
        const CPUCLOCK_PERTHREAD_MASK: libc::clockid_t = 4;
        const CPUCLOCK_SCHED: libc::clockid_t = 2;
        let clock = (!(id as libc::clockid_t) << 3) | CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is written where it may be.
        match unsafe { libc::clock_gettime(clock, &mut time) } {
            0 => Some(Duration::new(
                time.tv_sec.try_into().ok()?,
                time.tv_nsec.try_into().ok()?,
            )),
            _ => None,
        }
    }

    /// Runs a program such that it can be stopped, if there is a map of its code, on the current thread, which must be
    /// the job's own. It gets no stopping signals afterwards.
    pub fn run<R>(&self, code_map: Option<&CodeMap>, program: impl FnOnce() -> R) -> R {
        /// Takes the target back even when the program panics.
        struct Reset<'a>(&'a Thread, Option<&'static signal::Slot>);
        impl Drop for Reset<'_> {
            fn drop(&mut self) {
                self.0.id.store(0, Ordering::Release);
                if let Some(slot) = self.1 {
                    // A signal that was sent but not yet delivered must not be taken for one of the process.
                    signal::set_blocked(&[signal::NUMBER], libc::SIG_BLOCK);
                    slot.leave();
                }
            }
        }
        let target = code_map.map(|code_map| Target { code_map, thread: self });
        let slot = target
            .as_ref()
            .map(|target| signal::Slot::enter((&raw const *target).cast()));
        let _reset = Reset(self, slot);
        self.id.store(signal::thread_id(), Ordering::Release);
        program()
    }
}

/// Unblocks the signals that stop programs and those of their traps on the current thread, which must be a job's own.
///
/// Services that take signals on one thread block them on all others, and threads inherit that. A trap whose signal is
/// blocked ends the process, and a stop that is blocked stops nothing.
pub(crate) fn accept_signals() {
    let traps = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
    signal::set_blocked(&traps, libc::SIG_UNBLOCK);
    signal::set_blocked(&[signal::NUMBER], libc::SIG_UNBLOCK);
}

mod signal {
    use super::Target;
    use std::ffi::{c_int, c_void};
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

    /// A signal that is ignored by default and that programs do not rely on, so that a stray one has no effect.
    pub const NUMBER: c_int = libc::SIGURG;

    /// The place in which the handler finds the target of its thread.
    ///
    /// It is not a thread-local variable: in a library that is loaded later, the first access to one may allocate,
    /// which a signal handler must not.
    pub struct Slot {
        /// The ID of the thread that has the slot; 0 if none has.
        thread_id: AtomicI32,
        target: AtomicPtr<Target<'static>>,
        next: *const Slot,
    }

    // SAFETY: the pointer to the next slot never changes, and slots live as long as the process.
    unsafe impl Sync for Slot {}
    // SAFETY: likewise.
    unsafe impl Send for Slot {}

    /// The first of all slots, of which there are as many as there were jobs at a time.
    static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

    impl Slot {
        fn all() -> impl Iterator<Item = &'static Slot> {
            // SAFETY: slots are never freed.
            let slot = |slot: *const Slot| unsafe { slot.as_ref() };
            std::iter::successors(slot(SLOTS.load(Ordering::Acquire)), move |last| slot(last.next))
        }

        /// Lets the handler find a target on this thread, until the slot is left.
        pub fn enter(target: *const Target<'static>) -> &'static Slot {
            let thread_id = thread_id();
            let free = Slot::all().find(|slot| {
                let taken = slot
                    .thread_id
                    .compare_exchange(0, thread_id, Ordering::AcqRel, Ordering::Relaxed);
                taken.is_ok()
            });
            if let Some(slot) = free {
                slot.target.store(target.cast_mut(), Ordering::Release);
                return slot;
            }
            let new = Box::leak(Box::new(Slot {
                thread_id: AtomicI32::new(thread_id),
                target: AtomicPtr::new(target.cast_mut()),
                next: ptr::null(),
            }));
            let mut first = SLOTS.load(Ordering::Acquire);
            loop {
                new.next = first;
                match SLOTS.compare_exchange_weak(first, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return new,
                    Err(other) => first = other,
                }
            }
        }

        /// Only by the thread that entered it.
        pub fn leave(&self) {
            self.target.store(ptr::null_mut(), Ordering::Release);
            self.thread_id.store(0, Ordering::Release);
        }

        fn of_this_thread() -> Option<&'static Slot> {
            let thread_id = thread_id();
            Slot::all().find(|slot| slot.thread_id.load(Ordering::Acquire) == thread_id)
        }
    }

    /// Returns the kernel's ID of the current thread.
    pub fn thread_id() -> i32 {
        // SAFETY: the call takes nothing and cannot fail.
        unsafe { libc::gettid() }
    }

    /// The handler that was there before, which is called for signals that are not ours.
    static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

    /// Changes what the current thread has blocked.
    pub fn set_blocked(numbers: &[c_int], how: c_int) {
        // SAFETY: the set is plain data for which zeroes are valid, and is filled in before use. The mask is that of
        // this thread alone.
        unsafe {
            let mut signals: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut signals);
            for number in numbers {
                libc::sigaddset(&mut signals, *number);
            }
            libc::pthread_sigmask(how, &signals, std::ptr::null_mut());
        }
    }

    pub fn install() -> std::io::Result<()> {
        static INSTALLED: OnceLock<c_int> = OnceLock::new();
        let error = *INSTALLED.get_or_init(|| {
            // SAFETY: both structures are plain data for which zeroes are valid, and they are filled in before use;
            // the handler does only what a signal handler may.
            unsafe {
                let mut previous: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(NUMBER, std::ptr::null(), &mut previous) != 0 {
                    return errno();
                }
                let _ = PREVIOUS.set(previous);
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                // Without SA_RESTART a system call that blocks is ended as well. But where somebody has a handler with
                // it, as Go's runtime has, threads that are not jobs' rely on that, and on what is blocked meanwhile.
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                if !matches!(previous.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
                    action.sa_flags |= previous.sa_flags & libc::SA_RESTART;
                    action.sa_mask = previous.sa_mask;
                }
                match libc::sigaction(NUMBER, &action, std::ptr::null_mut()) {
                    0 => 0,
                    _ => errno(),
                }
            }
        });
        if error == 0 {
            Ok(())
        } else {
            Err(std::io::Error::from_raw_os_error(error))
        }
    }

    fn errno() -> c_int {
        std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
    }

    /// Allocates nothing, locks nothing and calls nothing that does.
    extern "C" fn handler(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let target =
            Slot::of_this_thread().map_or(ptr::null(), |slot| slot.target.load(Ordering::Acquire).cast_const());
        // SAFETY: a target is set only while it is alive on this thread, and taken back before that.
        let target = unsafe { target.as_ref() };
        match target {
            Some(target) if target.thread.must_stop.load(Ordering::Acquire) => {
                // SAFETY: the kernel hands a handler installed with SA_SIGINFO the interrupted thread's registers.
                let program_counter = unsafe { program_counter(context.cast()) };
                if target.code_map.is_in_function(*program_counter as usize) {
                    *program_counter = target.code_map.trap_address as _;
                }
            }
            _ => forward(number, info, context),
        }
    }

    fn forward(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let Some(previous) = PREVIOUS.get() else { return };
        if matches!(previous.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            return;
        }
        // SAFETY: the address is that of a handler with the signature that its flags tell.
        unsafe {
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(previous.sa_sigaction);
                handler(number, info, context);
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(previous.sa_sigaction);
                handler(number);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn program_counter<'a>(context: *mut libc::ucontext_t) -> &'a mut libc::greg_t {
        // SAFETY: the caller guarantees that the context is valid.
        unsafe { &mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize] }
    }

    #[cfg(target_arch = "aarch64")]
    unsafe fn program_counter<'a>(context: *mut libc::ucontext_t) -> &'a mut u64 {
        // SAFETY: the caller guarantees that the context is valid.
        unsafe { &mut (*context).uc_mcontext.pc }
    }
}
