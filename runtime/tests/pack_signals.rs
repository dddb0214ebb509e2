//! Packs beside wasmtime and beside handlers of the process's own, in a process of its own.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod support;

use afmpeg::{Error, Job, Runtime};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::packs::runtime_of;

const OUTSIDE: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (drop (i32.load (i32.const -4)))))"#;
/// Recursion that no compiler can make a loop of.
const DEEP: &str = r#"(module (memory (export "memory") 1)
    (func $down (param i32)
        (if (i32.load (i32.const 8)) (then (return)))
        (call $down (i32.add (local.get 0) (i32.const 1)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get 0))))
    (func (export "_start") (call $down (i32.const 1))))"#;
const ENDLESS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#;

fn packed(wat: &str) -> Runtime {
    runtime_of(&Runtime::builder(), &wat::parse_str(wat).unwrap())
}

/// A page that nobody can reach until the process's own handler has let them.
static OWN_PAGE: AtomicUsize = AtomicUsize::new(0);
static OWN_FAULTS: AtomicUsize = AtomicUsize::new(0);
const PAGE_BYTES: usize = 4096;

extern "C" fn own_handler(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands it over.
    let address = unsafe { (*info).si_addr() }.addr();
    let page = OWN_PAGE.load(Ordering::SeqCst);
    if page != 0 && (page..page + PAGE_BYTES).contains(&address) {
        OWN_FAULTS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the page is the test's.
        unsafe { libc::mprotect(ptr::without_provenance_mut(page), PAGE_BYTES, libc::PROT_READ) };
        return;
    }
    // SAFETY: only what a handler may do.
    unsafe { libc::_exit(99) };
}

/// Installs the process's own handler, before any runtime does.
fn has_own_handler() {
    static INSTALLED: Once = Once::new();
    // SAFETY: the handler does what one may.
    INSTALLED.call_once(|| unsafe {
        let page = libc::mmap(
            ptr::null_mut(),
            PAGE_BYTES,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        OWN_PAGE.store(page.addr(), Ordering::SeqCst);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = own_handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut());
    });
}

/// Runs into a fault that the process's own handler mends.
fn fault_of_the_process() {
    let page = OWN_PAGE.load(Ordering::SeqCst);
    let before = OWN_FAULTS.load(Ordering::SeqCst);
    // SAFETY: the handler makes the page readable when it is read.
    unsafe {
        libc::mprotect(ptr::without_provenance_mut(page), PAGE_BYTES, libc::PROT_NONE);
        ptr::without_provenance::<u8>(page).read_volatile();
    }
    assert_eq!(OWN_FAULTS.load(Ordering::SeqCst), before + 1);
}

fn traps(program: &Runtime, reason: &str) {
    match program.run(["program"]) {
        Err(Error::Trap(trap)) => assert!(trap.reason.contains(reason), "{}", trap.reason),
        result => panic!("{result:?}"),
    }
}

#[test]
fn each_gets_its_own_faults() {
    has_own_handler();
    fault_of_the_process();
    // wasmtime's handlers come after those of packs here, and before them in the other test.
    let (outside, deep) = (packed(OUTSIDE), packed(DEEP));
    traps(&outside, "out of bounds");
    fault_of_the_process();
    let (compiled_outside, compiled_deep) = (support::runtime(OUTSIDE), support::runtime(DEEP));
    let endless = packed(ENDLESS);
    for _ in 0..3 {
        traps(&compiled_outside, "out of bounds");
        traps(&outside, "out of bounds");
        fault_of_the_process();
        traps(&deep, "stack");
        traps(&compiled_deep, "stack");
        let result = endless.run(Job::new(["program"]).timeout(Duration::from_millis(5)));
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    }
    // At once, on several threads.
    thread::scope(|scope| {
        for program in [&outside, &compiled_outside, &deep, &compiled_deep] {
            scope.spawn(|| (0..50).for_each(|_| traps(program, "wasm trap")));
        }
        scope.spawn(|| (0..50).for_each(|_| fault_of_the_process()));
    });
}

#[test]
fn programs_trap_and_stop_where_all_signals_are_blocked() {
    has_own_handler();
    let (outside, deep, endless) = (packed(OUTSIDE), packed(DEEP), packed(ENDLESS));
    let careful = thread::spawn(move || {
        // SAFETY: only the mask of this thread changes.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, ptr::null_mut());
        }
        traps(&outside, "out of bounds");
        traps(&deep, "stack");
        let result = endless.run(Job::new(["program"]).timeout(Duration::from_millis(10)));
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    });
    careful.join().unwrap();
}

/// The variable with which a test starts itself as another process, which loads a pack and then has this fault.
const FAULT: &str = "AFMPEG_TEST_FAULT";

#[test]
#[ignore = "what other tests start as a process of its own"]
fn in_a_child() {
    let fault = std::env::var(FAULT).unwrap();
    if fault == "compiled first" {
        traps(&support::runtime(OUTSIDE), "out of bounds");
    }
    let outside = packed(OUTSIDE);
    traps(&outside, "out of bounds");
    traps(&support::runtime(OUTSIDE), "out of bounds");
    match &*fault {
        "compiled first" => traps(&outside, "out of bounds"),
        // SAFETY: it is to end the process.
        "read" => unsafe {
            ptr::without_provenance::<u8>(16).read_volatile();
        },
        // SAFETY: likewise. Rust's handler takes itself away for the first.
        "sent" => unsafe {
            libc::raise(libc::SIGSEGV);
            libc::raise(libc::SIGSEGV);
        },
        "stack" => {
            fn down(depth: u64) -> u64 {
                let frame = std::hint::black_box([depth; 100]);
                if frame[0] == u64::MAX {
                    0
                } else {
                    down(frame[0] + 1) + frame[1]
                }
            }
            println!("{}", down(0));
        }
        fault => panic!("{fault}"),
    }
    println!("the end");
}

#[test]
fn faults_of_the_process_end_it_as_ever() {
    let ends = |fault| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "--test-threads=1", "in_a_child"]);
        let output = command.env(FAULT, fault).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.signal(), text)
    };
    for fault in ["read", "sent"] {
        let (signal, text) = ends(fault);
        assert_eq!(signal, Some(libc::SIGSEGV), "{fault}: {text}");
    }
    // Rust's own handler says it.
    let (signal, text) = ends("stack");
    assert_eq!(signal, Some(libc::SIGABRT), "{text}");
    assert!(text.contains("overflowed its stack"), "{text}");
    let (signal, text) = ends("compiled first");
    assert_eq!(signal, None, "{text}");
    assert!(text.contains("the end"), "{text}");
}
