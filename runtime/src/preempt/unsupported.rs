//! The stand-in for signals on systems where programs are stopped by epochs alone.

pub(crate) const SUPPORTED: bool = false;

#[cfg(feature = "compiler")]
pub(crate) struct CodeMap;

#[cfg(feature = "compiler")]
impl CodeMap {
    pub fn new(_engine: &wasmtime::Engine, _program: &wasmtime::Module) -> wasmtime::Result<CodeMap> {
        Ok(CodeMap)
    }
}

/// What a program's code is, for those who stop it.
pub(crate) enum Code<'a> {
    #[cfg(feature = "compiler")]
    Compiled(&'a CodeMap),
    #[cfg(not(feature = "compiler"))]
    None(std::marker::PhantomData<&'a ()>),
}

pub(crate) fn accept_signals() {}

#[cfg(feature = "compiler")]
pub(crate) fn handle_stops() -> std::io::Result<()> {
    Ok(())
}

#[derive(Default)]
pub(crate) struct Thread;

impl Thread {
    pub fn stop(&self) {}

    pub fn cpu_time(&self) -> Option<std::time::Duration> {
        None
    }

    pub fn run<R>(&self, _code: Option<Code>, program: impl FnOnce() -> R) -> R {
        program()
    }
}
