//! The stand-in for signals on systems where programs are stopped by epochs alone.

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
    pub fn stop(&self) {}

    pub fn cpu_time(&self) -> Option<std::time::Duration> {
        None
    }

    pub fn run<R>(&self, _code_map: Option<&CodeMap>, program: impl FnOnce() -> R) -> R {
        program()
    }
}
