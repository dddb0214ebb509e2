//! Where compiled code can be left.
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

use super::registers::Registers;
use wasmtime::{Engine, Module};

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
        Ok(CodeMap {
            functions,
            trap_address,
            _modules: [trap, program.clone()],
        })
    }

    /// Moves the program counter to the instruction that traps, if it lies in a function of the program.
    pub fn stop(&self, registers: &mut Registers) {
        if self.is_in_function(registers.program_counter()) {
            registers.set_program_counter(self.trap_address);
        }
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
