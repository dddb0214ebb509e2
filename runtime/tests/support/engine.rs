//! What runs the modules of tests.
#![allow(dead_code, reason = "each test program uses a part of this")]

/// What runs the module: wasmtime, or where the variable AFMPEG_TEST_ENGINE is `pack` the pack beside it.
pub fn name() -> &'static str {
    match std::env::var_os("AFMPEG_TEST_ENGINE") {
        Some(engine) if engine == "pack" => "pack",
        _ => "wasmtime",
    }
}

/// The same for the library.
pub fn builder() -> afmpeg::RuntimeBuilder {
    afmpeg::Runtime::builder().engine(match name() {
        "pack" => afmpeg::Engine::Pack,
        _ => afmpeg::Engine::Wasmtime,
    })
}
