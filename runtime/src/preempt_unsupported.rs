//! The stand-in for `preempt` on systems where programs are stopped by epochs alone.

use wasmtime::{Engine, Module};

pub(crate) const SUPPORTED: bool = false;

pub(crate) struct CodeMap;

impl CodeMap {
    pub fn new(_engine: &Engine, _program: &Module) -> wasmtime::Result<CodeMap> {
        Ok(CodeMap)
    }
}

pub(crate) fn accept_signals() {}

#[derive(Default)]
pub(crate) struct Thread;

impl Thread {
    /// # Safety
    ///
    /// There is nothing to observe.
    pub unsafe fn stop(&self) {}

    pub fn run<R>(&self, _code_map: &CodeMap, program: impl FnOnce() -> R) -> R {
        program()
    }
}
