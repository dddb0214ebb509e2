// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! Where jobs must not be: in the child of a fork, and in an interpreter that ends.

use crate::error;
use crate::task::Task;
use pyo3::prelude::*;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The process that has the threads of the engine and of runtimes, once there are any.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The interpreter ends: threads that came back to it now would not return.
static CLOSING: AtomicBool = AtomicBool::new(false);

static RUNNING: Mutex<Vec<Weak<Task>>> = Mutex::new(Vec::new());

/// The time that jobs have to end in, which they do in milliseconds unless a caller's own stream does not return.
const PATIENCE: Duration = Duration::from_secs(2);

/// Fails in the child of a process that had a runtime: threads and locks of that are not there any more.
pub fn check(py: Python) -> PyResult<()> {
    let own = process::id();
    match OWNER.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != own => return Err(error::simple(py, "Forked", &forked(owner))),
        _ => {}
    }
    if CLOSING.load(Ordering::Acquire) {
        return Err(error::simple(py, "Closed", "the interpreter is exiting"));
    }
    Ok(())
}

fn forked(owner: u32) -> String {
    format!("this process was forked from process {owner} after that had made a Runtime, whose threads are not here")
}

/// Whether this is the process that has the threads.
pub fn is_owner() -> bool {
    OWNER.load(Ordering::Relaxed) == process::id()
}

pub fn add(task: Weak<Task>) {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.retain(|task| task.strong_count() > 0);
    running.push(task);
}

/// Ends all jobs before the interpreter ends.
#[pyfunction]
pub fn shut_down(py: Python) {
    if !is_owner() {
        return;
    }
    CLOSING.store(true, Ordering::Release);
    let running = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    let running: Vec<_> = running.iter().filter_map(Weak::upgrade).collect();
    for task in &running {
        task.cancel();
    }
    py.detach(|| {
        let until = Instant::now() + PATIENCE;
        for task in running {
            task.wait_until(until);
            task.wait_for_callers(until);
        }
    });
}
