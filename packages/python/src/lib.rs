// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! What the Python package `afmpeg` calls of the runtime crate; its interface is written in Python, beside this.

#![expect(missing_debug_implementations, reason = "Python shows its objects in its own way")]

mod convert;
mod error;
mod files;
mod frame;
mod guard;
mod progress;
mod runtime;
mod settings;
mod task;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::frame::Frame;
    #[pymodule_export]
    use crate::guard::shut_down;
    #[pymodule_export]
    use crate::progress::Progress;
    #[pymodule_export]
    use crate::runtime::Runtime;
    #[pymodule_export]
    use crate::task::Job;
}
