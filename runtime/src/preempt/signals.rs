//! Stopping a program that computes and makes no call, at no cost while it runs.
//!
//! Engines usually have the compiled code check, at every loop, whether it must stop; in vectorised loops that takes
//! more time than the loop itself. Here the code checks nothing. The job's thread is sent a signal; if the signal finds
//! it in the program's own code, its handler moves the program counter to an instruction that traps. The engine handles
//! this like any other trap, which ends the program and leaves everything else intact. If the signal finds the thread
//! elsewhere (in a host call, in the engine) it has no effect, and is sent again.
//!
//! `code_map.rs` lists the properties of wasmtime that this rests on. The code of a pack is made so that it can be left
//! at any instruction: the handler has the thread go on in a function of the pack's that returns to whoever started it.
//! Its traps are ended in the same way, by handlers of the signals that the processor's faults become.
//!
//! The tests stop programs at many thousands of instructions to find out if that ends.

#[cfg(feature = "compiler")]
pub(crate) use super::code_map::CodeMap;
use super::landing::Landing;
pub(crate) use signal::{handle_stops, handle_traps};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

pub(crate) const SUPPORTED: bool = true;

/// The code of a program, which can be left.
#[derive(Clone, Copy)]
pub(crate) enum Code<'a> {
    #[cfg(feature = "compiler")]
    Compiled(&'a CodeMap),
    Pack(&'a Landing),
}

/// A job's thread as seen by its signal handler.
struct Target<'a> {
    code: Code<'a>,
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

    /// Runs a program such that it can be stopped, if its code is known, on the current thread, which must be the job's
    /// own. It gets no stopping signals afterwards.
    pub fn run<R>(&self, code: Option<Code>, program: impl FnOnce() -> R) -> R {
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
        let target = code.map(|code| Target { code, thread: self });
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
    use super::super::registers::Registers;
    use super::{Code, Target};
    use std::ffi::{c_int, c_void};
    use std::io;
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

    /// The signals that the processor's faults become.
    const TRAPS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

    /// A signal with a handler of ours.
    struct Handled {
        number: c_int,
        /// The handler that was there before, which is called for signals that are not ours.
        previous: AtomicPtr<libc::sigaction>,
        /// The error of installing ours, or 0.
        installed: OnceLock<c_int>,
    }

    impl Handled {
        const fn new(number: c_int) -> Handled {
            Handled {
                number,
                previous: AtomicPtr::new(ptr::null_mut()),
                installed: OnceLock::new(),
            }
        }
    }

    static HANDLED: [Handled; 5] = [
        Handled::new(NUMBER),
        Handled::new(TRAPS[0]),
        Handled::new(TRAPS[1]),
        Handled::new(TRAPS[2]),
        Handled::new(TRAPS[3]),
    ];

    /// Installs the handler of the signal that stops programs, once.
    pub fn handle_stops() -> io::Result<()> {
        install(NUMBER, stop)
    }

    /// Installs the handlers of the signals of traps, once. wasmtime has handlers of its own, and either forwards what is
    /// the other's.
    pub fn handle_traps() -> io::Result<()> {
        TRAPS.iter().try_for_each(|number| install(*number, trap))
    }

    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

    fn install(number: c_int, handler: Handler) -> io::Result<()> {
        let Some(handled) = HANDLED.iter().find(|handled| handled.number == number) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let error = *handled.installed.get_or_init(|| {
            // SAFETY: both structures are plain data for which zeroes are valid, and they are filled in before use;
            // the handler does only what a signal handler may.
            unsafe {
                let mut previous: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(number, std::ptr::null(), &mut previous) != 0 {
                    return errno();
                }
                // Before ours can be called.
                handled.previous.store(Box::leak(Box::new(previous)), Ordering::Release);
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as usize;
                // Without SA_RESTART a system call that blocks is ended as well. But where somebody has a handler with
                // it, as Go's runtime has, threads that are not jobs' rely on that, and on what is blocked meanwhile.
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                if !matches!(previous.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
                    action.sa_flags |= previous.sa_flags & (libc::SA_RESTART | libc::SA_NODEFER);
                    action.sa_mask = previous.sa_mask;
                }
                let mut replaced: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(number, &action, &mut replaced) != 0 {
                    return errno();
                }
                // Another thread, such as one that makes an engine, may have installed one meanwhile.
                if replaced.sa_sigaction != previous.sa_sigaction {
                    handled.previous.store(Box::leak(Box::new(replaced)), Ordering::Release);
                }
                0
            }
        });
        if error == 0 {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(error))
        }
    }

    fn errno() -> c_int {
        io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
    }

    /// The target of the current thread.
    fn target<'a>() -> Option<&'a Target<'static>> {
        let slot = Slot::of_this_thread()?;
        // SAFETY: a target is set only while it is alive on this thread, and taken back before that.
        unsafe { slot.target.load(Ordering::Acquire).as_ref() }
    }

    /// Allocates nothing, locks nothing and calls nothing that does.
    extern "C" fn stop(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        match target() {
            Some(target) if target.thread.must_stop.load(Ordering::Acquire) => {
                // SAFETY: the kernel hands a handler installed with SA_SIGINFO the interrupted thread's registers.
                let mut registers = unsafe { Registers::of(context) };
                match target.code {
                    #[cfg(feature = "compiler")]
                    Code::Compiled(code_map) => code_map.stop(&mut registers),
                    Code::Pack(landing) => landing.stop(&mut registers),
                }
            }
            _ => forward(number, info, context),
        }
    }

    /// Likewise. The faults of compiled code are wasmtime's.
    extern "C" fn trap(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel hands a handler installed with SA_SIGINFO what it knows of the signal.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
        // Others have no positive code: they were sent.
        let is_fault = code > 0;
        if is_fault
            && let Some(Target {
                code: Code::Pack(landing),
                ..
            }) = target()
        {
            // SAFETY: likewise.
            let mut registers = unsafe { Registers::of(context) };
            let has_address = matches!(number, libc::SIGSEGV | libc::SIGBUS);
            if landing.trap(&mut registers, has_address.then_some(address)) {
                return;
            }
        }
        if is_default(number) {
            // SAFETY: the action is what was there before. A fault happens again when this returns; what was sent is sent
            // again, and comes then.
            unsafe {
                if let Some(previous) = previous(number) {
                    libc::sigaction(number, previous, std::ptr::null_mut());
                }
                if !is_fault {
                    libc::raise(number);
                }
            }
            return;
        }
        forward(number, info, context);
    }

    fn previous(number: c_int) -> Option<&'static libc::sigaction> {
        let handled = HANDLED.iter().find(|handled| handled.number == number)?;
        // SAFETY: what was stored is never freed.
        unsafe { handled.previous.load(Ordering::Acquire).as_ref() }
    }

    /// Whether the process had no handler for a signal before.
    fn is_default(number: c_int) -> bool {
        previous(number).is_none_or(|previous| matches!(previous.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN))
    }

    fn forward(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let Some(previous) = previous(number).filter(|_| !is_default(number)) else {
            return;
        };
        // SAFETY: the address is that of a handler with the signature that its flags tell.
        unsafe {
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                let handler: Handler = std::mem::transmute(previous.sa_sigaction);
                handler(number, info, context);
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(previous.sa_sigaction);
                handler(number);
            }
        }
    }
}
