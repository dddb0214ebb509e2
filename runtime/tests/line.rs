//! Standing in line: in order, by priority, within bounds, at no cost, and together with other runtimes.

mod support;

use afmpeg::{Cancellation, Capacity, Error, Job, Runtime, Stats, Stdin};
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Reads its input, and ends.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Only one test at a time measures, or is in the way.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime(capacity: &Capacity) -> Runtime {
    let wasm = wat::parse_str(READER).unwrap();
    Runtime::builder().capacity(capacity).from_bytes(&wasm).unwrap()
}

/// An input that lets a job end when it is opened, and tells that the job has begun.
#[derive(Clone)]
struct Gate {
    open: Arc<(Mutex<bool>, Condvar)>,
    began: mpsc::Sender<&'static str>,
}

impl Gate {
    fn new() -> (Gate, mpsc::Receiver<&'static str>) {
        let (began, begins) = mpsc::channel();
        let open = Arc::default();
        (Gate { open, began }, begins)
    }

    fn open(&self) {
        *self.open.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.open.1.notify_all();
    }

    /// Opens it when what is returned is dropped: a scope waits for its jobs, also where an assertion in it has failed.
    fn open_in_the_end(&self) -> Opens<'_> {
        Opens(self)
    }

    fn job(&self, name: &'static str) -> Job {
        struct Input(Gate, &'static str);
        impl Read for Input {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                let _ = self.0.began.send(self.1);
                let guard = self.0.open.0.lock().unwrap();
                drop(self.0.open.1.wait_while(guard, |open| !*open).unwrap());
                Ok(0)
            }
        }
        Job::new(["program"]).stdin(Stdin::Reader(Box::new(Input(self.clone(), name))))
    }
}

struct Opens<'a>(&'a Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn jobs_go_by_priority_and_then_in_the_order_they_came() {
    let _alone = alone();
    let capacity = Capacity::builder().max_concurrency(1).build().unwrap();
    // Two modules stand in one line.
    let runtimes = [runtime(&capacity), runtime(&capacity)];
    let (gate, begins) = Gate::new();
    let comes = [
        ("first", 0),
        ("second", 0),
        ("low", -1),
        ("third", 0),
        ("high", 7),
        ("higher", 8),
        ("also high", 7),
    ];
    thread::scope(|scope| {
        let _end = gate.open_in_the_end();
        for (index, (name, priority)) in comes.into_iter().enumerate() {
            let job = gate.job(name).priority(priority);
            let runtime = &runtimes[index % 2];
            scope.spawn(move || runtime.run(job).unwrap());
            wait_until(name, || {
                let stats = capacity.stats();
                stats.running + stats.waiting == index + 1
            });
        }
        assert_eq!((capacity.stats().running, capacity.stats().waiting), (1, 6));
        gate.open();
    });
    let order: Vec<_> = begins.try_iter().collect();
    assert_eq!(
        order,
        ["first", "higher", "high", "also high", "second", "third", "low"]
    );
    assert_eq!(capacity.stats(), Stats::default());
}

#[test]
fn what_does_not_fit_in_the_line_is_refused() {
    let _alone = alone();
    let capacity = Capacity::builder().max_concurrency(1).max_waiting(2).build().unwrap();
    let runtime = runtime(&capacity);
    let (gate, begins) = Gate::new();
    thread::scope(|scope| {
        let _end = gate.open_in_the_end();
        let occupant = scope.spawn(|| runtime.run(gate.job("occupant")).unwrap());
        begins.recv_timeout(PATIENCE).unwrap();
        let busy = runtime.try_run(["program"]).unwrap_err();
        assert!(matches!(busy, Error::Busy { running: 1, waiting: 0 }), "{busy}");
        let waiters: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| runtime.run(gate.job("waiter")).unwrap()))
            .collect();
        wait_until("two wait", || runtime.stats().waiting == 2);
        let busy = runtime.run(["program"]).unwrap_err();
        assert!(matches!(busy, Error::Busy { running: 1, waiting: 2 }), "{busy}");
        gate.open();
        occupant.join().unwrap();
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
    });
    runtime.try_run(["program"]).unwrap();

    // Limits that would count for nothing are no limits.
    let wasm = wat::parse_str(READER).unwrap();
    let contradiction = Runtime::builder()
        .max_concurrency(3)
        .capacity(&capacity)
        .from_bytes(&wasm);
    assert!(matches!(contradiction, Err(Error::TwoCapacities)));
}

#[test]
fn draining_waits_for_those_who_run_and_refuses_all_others() {
    let _alone = alone();
    let capacity = Capacity::builder().max_concurrency(1).build().unwrap();
    let (closing, staying) = (runtime(&capacity), runtime(&capacity));
    let (gate, begins) = Gate::new();
    thread::scope(|scope| {
        let _end = gate.open_in_the_end();
        let occupant = scope.spawn(|| closing.run(gate.job("occupant")).unwrap());
        begins.recv_timeout(PATIENCE).unwrap();
        let waiter = scope.spawn(|| closing.run(gate.job("waiter")));
        let other = scope.spawn(|| staying.run(gate.job("other")));
        wait_until("two wait", || capacity.stats().waiting == 2);
        let draining = closing.drain(Duration::from_millis(30)).unwrap_err();
        assert!(matches!(draining, Error::Draining { running: 1 }), "{draining}");
        assert!(matches!(waiter.join().unwrap(), Err(Error::Closed)));
        assert!(matches!(closing.try_run(["program"]), Err(Error::Closed)));
        let drainer = scope.spawn(|| closing.drain(Duration::from_secs(20)));
        gate.open();
        drainer.join().unwrap().unwrap();
        occupant.join().unwrap();
        other.join().unwrap().unwrap();
    });
    staying.run(["program"]).unwrap();
}

#[test]
fn any_of_several_cancellations_ends_a_job_that_waits_or_runs() {
    let _alone = alone();
    let capacity = Capacity::builder().max_concurrency(1).build().unwrap();
    let wasm =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#);
    let runtime = Runtime::builder()
        .capacity(&capacity)
        .from_bytes(&wasm.unwrap())
        .unwrap();
    let (request, service) = (Cancellation::new(), Cancellation::new());
    let job = |request: &Cancellation| Job::new(["program"]).cancellation(request).cancellation(&service);
    thread::scope(|scope| {
        let _end = support::Cancels([&service]);
        let runs = scope.spawn(|| runtime.run(job(&Cancellation::new())));
        wait_until("one runs", || runtime.stats().running == 1);
        let waits = scope.spawn(|| runtime.run(job(&request)));
        let waits_on = scope.spawn(|| runtime.run(job(&Cancellation::new())));
        wait_until("two wait", || runtime.stats().waiting == 2);
        request.cancel();
        assert!(matches!(waits.join().unwrap(), Err(Error::Cancelled { .. })));
        assert_eq!((runtime.stats().running, runtime.stats().waiting), (1, 1));
        service.cancel();
        assert!(matches!(runs.join().unwrap(), Err(Error::Cancelled { .. })));
        assert!(matches!(waits_on.join().unwrap(), Err(Error::Cancelled { .. })));
    });
}

/// A waiting job takes nothing, with a deadline and a cancellation too, and ends at once when either comes.
#[test]
#[cfg(target_os = "linux")]
fn thousands_wait_at_no_cost() {
    const WAITING: usize = 4000;
    let cpu_time = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::try_from(time).unwrap()
    };
    let _alone = alone();
    let capacity = Capacity::builder().max_concurrency(1).build().unwrap();
    let runtime = runtime(&capacity);
    let (gate, begins) = Gate::new();
    let cancellation = Cancellation::new();
    thread::scope(|scope| {
        let _end = (gate.open_in_the_end(), support::Cancels([&cancellation]));
        let occupant = scope.spawn(|| runtime.run(gate.job("occupant")).unwrap());
        begins.recv_timeout(PATIENCE).unwrap();
        for _ in 0..WAITING {
            let job = Job::new(["program"])
                .cancellation(&cancellation)
                .timeout(Duration::from_secs(100));
            let wait = || assert!(matches!(runtime.run(job), Err(Error::Cancelled { .. })));
            thread::Builder::new()
                .stack_size(256 << 10)
                .spawn_scoped(scope, wait)
                .unwrap();
        }
        wait_until("all wait", || runtime.stats().waiting == WAITING);
        thread::sleep(Duration::from_millis(100));
        let (started, before) = (Instant::now(), cpu_time());
        thread::sleep(Duration::from_secs(2));
        let (took, passed) = (cpu_time() - before, started.elapsed());
        println!("{WAITING} waiting jobs took {took:?} in {passed:?}");
        assert!(took < passed / 100, "{took:?} in {passed:?}");
        cancellation.cancel();
        wait_until("none waits", || runtime.stats().waiting == 0);
        gate.open();
        occupant.join().unwrap();
    });
}
