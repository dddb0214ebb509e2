//! Where the code of a pack can be left, and to where.

use super::registers::Registers;
use crate::engine::pack::ending;
use std::ops::Range;

/// The addresses of one instance of a pack.
pub(crate) struct Landing {
    /// The program's code, of which any instruction may be the last one that is executed.
    pub code: Range<usize>,
    /// The function that leaves it.
    pub leave: usize,
    pub instance: usize,
    /// All that is reserved for the program's memory.
    pub memory: Range<usize>,
    /// The addresses of a stack that is exhausted.
    pub stack_end: Range<usize>,
    /// The stack on which the code is left: below all that must be kept, and with room below itself.
    pub stack: usize,
}

impl Landing {
    /// Ends the program, if the thread is in its code.
    pub fn stop(&self, registers: &mut Registers) {
        if self.code.contains(&registers.program_counter()) {
            self.leave(registers, ending::BY_HOST);
        }
    }

    /// Ends the program for a fault at this address, if it was the program's; whether it was.
    pub fn trap(&self, registers: &mut Registers, address: Option<usize>) -> bool {
        let is_own = self.code.contains(&registers.program_counter());
        if is_own {
            let ending = match address {
                Some(address) if self.memory.contains(&address) => ending::TRAP_MEMORY,
                Some(address) if self.stack_end.contains(&address) => ending::TRAP_STACK,
                _ => ending::TRAP_OTHER,
            };
            self.leave(registers, ending);
        }
        is_own
    }

    fn leave(&self, registers: &mut Registers, ending: u32) {
        registers.enter(self.leave, [self.instance, ending as usize], self.stack);
    }
}
