//! The registers of a thread that a signal has interrupted.

use std::ffi::c_void;

/// They take effect when the signal's handler returns.
pub struct Registers(*mut libc::ucontext_t);

impl Registers {
    /// # Safety
    ///
    /// The context must be the one that the kernel has handed to a handler that is installed with `SA_SIGINFO` and has not
    /// returned.
    pub unsafe fn of(context: *mut c_void) -> Registers {
        Registers(context.cast())
    }
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    fn at(&mut self, register: libc::c_int) -> &mut libc::greg_t {
        // SAFETY: the context is valid, and its registers are as many as have names.
        unsafe { &mut (*self.0).uc_mcontext.gregs[register as usize] }
    }

    pub fn program_counter(&mut self) -> usize {
        *self.at(libc::REG_RIP) as usize
    }

    pub fn set_program_counter(&mut self, address: usize) {
        *self.at(libc::REG_RIP) = address as libc::greg_t;
    }

    /// Has the thread go on as if it had called a function of two arguments on this stack, which never returns.
    pub fn enter(&mut self, function: usize, arguments: [usize; 2], stack: usize) {
        self.set_program_counter(function);
        *self.at(libc::REG_RDI) = arguments[0] as libc::greg_t;
        *self.at(libc::REG_RSI) = arguments[1] as libc::greg_t;
        // A call leaves its return address on a stack that was aligned before.
        *self.at(libc::REG_RSP) = ((stack & !15) - 8) as libc::greg_t;
        // The calling convention wants the direction flag clear.
        const DIRECTION: libc::greg_t = 1 << 10;
        *self.at(libc::REG_EFL) &= !DIRECTION;
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    pub fn program_counter(&mut self) -> usize {
        // SAFETY: the context is valid.
        unsafe { (*self.0).uc_mcontext.pc as usize }
    }

    pub fn set_program_counter(&mut self, address: usize) {
        // SAFETY: likewise.
        unsafe { (*self.0).uc_mcontext.pc = address as u64 }
    }

    /// Has the thread go on as if it had called a function of two arguments on this stack, which never returns.
    pub fn enter(&mut self, function: usize, arguments: [usize; 2], stack: usize) {
        self.set_program_counter(function);
        // SAFETY: likewise.
        let registers = unsafe { &mut (*self.0).uc_mcontext };
        registers.regs[0] = arguments[0] as u64;
        registers.regs[1] = arguments[1] as u64;
        registers.sp = (stack & !15) as u64;
    }
}
