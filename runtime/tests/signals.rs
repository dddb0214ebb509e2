//! Stopping programs by signals, in a process that has signals of its own. A file of its own, as handlers are the whole
//! process's.

#![cfg(target_os = "linux")]

mod support;

use afmpeg::{Error, Job, Runtime, Stdin};
use std::io::{self, Read};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::runtime;

const ENDLESS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#;

static OWN_SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    OWN_SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Installs the process's own handler, before any runtime does.
fn has_own_handler() {
    static INSTALLED: Once = Once::new();
    // SAFETY: the handler does nothing but count.
    INSTALLED.call_once(|| unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        libc::sigaction(libc::SIGURG, &action, std::ptr::null_mut());
    });
}

#[test]
fn the_handler_of_the_process_goes_on_to_get_its_signals() {
    has_own_handler();
    let program = runtime(ENDLESS);
    let stop = || program.run(Job::new(["program"]).timeout(Duration::from_millis(5)));
    assert!(matches!(stop(), Err(Error::Deadline { .. })));
    let before = OWN_SIGNALS.load(Ordering::Relaxed);
    // SAFETY: the signal has a handler.
    unsafe { libc::raise(libc::SIGURG) };
    assert_eq!(OWN_SIGNALS.load(Ordering::Relaxed), before + 1);
    assert!(matches!(stop(), Err(Error::Deadline { .. })));
    assert_eq!(
        OWN_SIGNALS.load(Ordering::Relaxed),
        before + 1,
        "signals that stop programs are not the process's"
    );
}

#[test]
fn jobs_stop_and_crash_as_ever_where_all_signals_are_blocked() {
    has_own_handler();
    let crash = runtime(r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#);
    let outside =
        runtime(r#"(module (memory (export "memory") 1) (func (export "_start") (drop (i32.load (i32.const -4)))))"#);
    let endless = runtime(ENDLESS);
    let careful = thread::spawn(move || {
        // SAFETY: only the mask of this thread changes.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        }
        for program in [crash, outside] {
            assert!(matches!(program.run(["program"]), Err(Error::Trap(_))));
        }
        let started = Instant::now();
        let result = endless.run(Job::new(["program"]).timeout(Duration::from_millis(10)));
        assert!(matches!(result, Err(Error::Deadline { .. })));
        assert!(started.elapsed() < Duration::from_millis(500));
    });
    careful.join().unwrap();
}

/// A job whose input is made by another job of the same runtime, which is itself stopped.
#[test]
fn jobs_within_jobs_are_stopped_one_by_one() {
    has_own_handler();
    struct Inner(Runtime, u32);
    impl Read for Inner {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            if self.1 == 0 {
                return Ok(0);
            }
            self.1 -= 1;
            let never = Stdin::Reader(Box::new(io::repeat(0)));
            let result = self
                .0
                .run(Job::new(["inner"]).stdin(never).timeout(Duration::from_millis(5)));
            assert!(matches!(result, Err(Error::Deadline { .. })));
            Ok(1)
        }
    }
    // Reads until the end, computing a little in between.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (local $i i32)
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
            (loop $more
                (local.set $i (i32.const 100000))
                (loop $compute (br_if $compute (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
                (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br_if $more (i32.load (i32.const 8))))))"#;
    let program = Runtime::builder()
        .max_concurrency(2)
        .from_bytes(&wat::parse_str(wat).unwrap())
        .unwrap();
    let outer = |inner_jobs, timeout| {
        let inner = Stdin::Reader(Box::new(Inner(program.clone(), inner_jobs)));
        program.run(Job::new(["outer"]).stdin(inner).timeout(timeout))
    };
    assert!(outer(10, Duration::from_secs(100)).unwrap().success());
    assert!(matches!(
        outer(u32::MAX, Duration::from_millis(60)),
        Err(Error::Deadline { .. })
    ));
    assert!(outer(3, Duration::from_secs(100)).unwrap().success());
}
