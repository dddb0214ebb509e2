//! Plausible sequences of host calls, mixed with implausible ones, on all kinds of file systems at once; and the
//! conditions that must hold after each. The fuzz target, `cargo xtask fuzz` and a property test run them.

#![allow(dead_code, reason = "every user has its own part of this")]

use crate::support::{FUNCTIONS, MEMORY_SIZE_BYTES, SCRATCH, Script};
use afmpeg::{Access, Error, HostDir, MemoryFs, OverlayFs};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WRITTEN_MAX_BYTES: u64 = 1 << 20;
const OPEN_FILES_MAX: usize = 40;
/// Enough for any sequence on a busy machine; few need it.
const TIMEOUT: Duration = Duration::from_millis(250);
/// A limit of elapsed time, which a busy host may use up.
const PATIENCE: Duration = Duration::from_secs(20);
/// The processor time that a sequence may use beyond its deadline; other processes do not affect it.
const CPU_TIME_MAX: Duration = Duration::from_secs(1);
/// The time within which a stopped job's thread must end.
const THREAD_END_MAX: Duration = Duration::from_secs(5);
/// The memory of the process that a job may hold, during it and for a moment after: far below what a fault would take.
const RESIDENT_MAX_BYTES: u64 = 192 << 20;

/// In a file's content and in a name outside of what the guest is given. No path of a sequence has them.
const SECRET_CONTENT: &str = "canary-7f3a91c4-content";
const SECRET_NAME: &str = "canary-5be2d078-name";

/// The source of choices: given bytes, consumed from the front, or an endless stream from a seed.
pub enum Choices<'a> {
    Given(&'a [u8]),
    Seeded { state: u64, bytes_left: usize },
}

impl Choices<'_> {
    pub fn seeded(seed: u64) -> Choices<'static> {
        let mut choices = Choices::Seeded {
            state: seed,
            bytes_left: 8,
        };
        // Mostly some dozens of calls, now and then hundreds.
        let length = choices.number();
        let most = if length.is_multiple_of(16) { 4000 } else { 600 };
        Choices::Seeded {
            state: seed ^ length,
            bytes_left: (length >> 8) as usize % most,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Choices::Given(bytes) => bytes.is_empty(),
            Choices::Seeded { bytes_left, .. } => *bytes_left == 0,
        }
    }

    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut chosen = [0; N];
        match self {
            Choices::Given(bytes) => {
                let count = bytes.len().min(N);
                let (first, rest) = bytes.split_at(count);
                chosen[..count].copy_from_slice(first);
                *bytes = rest;
            }
            Choices::Seeded { state, bytes_left } => {
                *bytes_left = bytes_left.saturating_sub(N);
                for part in chosen.chunks_mut(8) {
                    // SplitMix64: good enough, and stable between versions.
                    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let mut mixed = *state;
                    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..part.len()]);
                }
            }
        }
        chosen
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    fn below(&mut self, end: usize) -> usize {
        debug_assert!(end <= 256, "a byte decides");
        usize::from(self.byte()) % end
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// A value at the edges of what a pointer, a length, a descriptor or a set of flags can be, or any.
    fn argument(&mut self) -> u64 {
        let end = u64::from(MEMORY_SIZE_BYTES);
        let edges = [
            end - 1,
            end,
            end - 8,
            1 << 31,
            u64::from(u32::MAX),
            i64::MAX as u64,
            u64::MAX,
        ];
        match self.byte() {
            choice @ 0..=99 => u64::from(choice % 10),
            choice @ 100..=199 => u64::from(SCRATCH) + u64::from(choice - 100) * 8,
            choice @ 200..=219 => edges[usize::from(choice) % edges.len()],
            220..=239 => u64::from(u16::from_le_bytes(self.bytes())),
            _ => self.number(),
        }
    }

    /// An offset or a length: mostly a small one, now and then one at an edge.
    fn offset(&mut self) -> u64 {
        match self.byte() {
            0..=199 => u64::from(u16::from_le_bytes(self.bytes())) % 5000,
            200..=219 => self.one_of(&[1 << 20, (1 << 20) + 1, 1 << 31, 1 << 32, 1 << 40]),
            220..=239 => self.one_of(&[i64::MAX as u64, u64::MAX, 1 << 63, u64::MAX - 4096]),
            _ => self.number(),
        }
    }

    fn path(&mut self) -> String {
        const PARTS: [&str; 20] = [
            "a", "b", "c", "d", "e", "f", "a", "b", "link", "loop", "out", "up", "deep", "..", ".", "", "ä", "dir",
            "dir", "file",
        ];
        match self.byte() {
            0..=3 => return "n".repeat(usize::from(self.byte()) * 40),
            4..=6 => return "d/".repeat(usize::from(self.byte()) * 12),
            7..=9 => {
                return self
                    .one_of(&[
                        "/",
                        "/etc/passwd",
                        "../secret",
                        "..",
                        "",
                        "dir/../../secret",
                        "out/secret",
                    ])
                    .to_owned();
            }
            _ => {}
        }
        let count = 1 + self.below(3);
        let parts: Vec<&str> = (0..count).map(|_| self.one_of(&PARTS)).collect();
        parts.join("/")
    }
}

/// The metadata of one entry of a tree: every change of the entry changes it.
type Facts = (PathBuf, u64, u64, u64, u32, (i64, i64), Option<PathBuf>);

fn facts(folder: &Path, with_times: bool, found: &mut Vec<Facts>) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.path();
        let times = if with_times {
            (metadata.ctime(), metadata.ctime_nsec())
        } else {
            (0, 0)
        };
        found.push((
            path.clone(),
            metadata.ino(),
            metadata.len(),
            metadata.nlink(),
            metadata.mode(),
            times,
            fs::read_link(&path).ok(),
        ));
        if metadata.is_dir() {
            facts(&path, with_times, found);
        }
    }
}

fn tree(folder: &Path) -> Vec<Facts> {
    let mut found = Vec::new();
    facts(folder, true, &mut found);
    found
}

/// Returns whether a link at this path of a tree leads out of the tree, judged by the text of its target.
fn climbs(at: &Path, target: &Path) -> bool {
    use std::path::Component;
    let mut depth = at.components().count() as i64 - 1;
    target.components().any(|part| {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return true,
        }
        depth < 0
    })
}

fn populate(folder: &Path) {
    fs::create_dir_all(folder.join("dir/deep")).unwrap();
    fs::create_dir_all(folder.join("a")).unwrap();
    fs::write(folder.join("b"), "content").unwrap();
    fs::write(folder.join("dir/file"), vec![b'x'; 5000]).unwrap();
    symlink("../secret", folder.join("out")).unwrap();
    symlink("dir", folder.join("link")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    symlink("../..", folder.join("dir/up")).unwrap();
}

/// Folders of the host that are given to guests, and the surroundings that must not change. One thread uses it, since
/// it is checked and cleaned after each sequence.
pub struct Place {
    around: TempDir,
    /// Metadata that no sequence may change: of the read-only folder and of everything outside.
    kept: Vec<Facts>,
    written: Vec<Facts>,
    /// The links that we put there, by their inodes: a guest may move them.
    own_links: Vec<u64>,
    /// The descriptors, threads and memory of the process before, if nothing else runs in it.
    process: Option<Process>,
}

/// The resources that the process holds.
#[derive(Clone, Copy, Debug)]
struct Process {
    descriptors: usize,
    threads: usize,
    resident_bytes: u64,
}

impl Process {
    fn now() -> Process {
        let count = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
        let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        Process {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            resident_bytes: pages.unwrap_or_default() * 4096,
        }
    }
}

const GIVEN: [&str; 3] = ["given", "upper", "lower"];

impl Place {
    pub fn new() -> Place {
        let around = tempfile::tempdir().unwrap();
        fs::create_dir(around.path().join("secret")).unwrap();
        fs::write(around.path().join("secret/secret"), SECRET_CONTENT).unwrap();
        fs::write(around.path().join("secret").join(SECRET_NAME), "").unwrap();
        for name in GIVEN {
            fs::create_dir(around.path().join(name)).unwrap();
        }
        let mut place = Place {
            around,
            kept: Vec::new(),
            written: Vec::new(),
            own_links: Vec::new(),
            process: None,
        };
        // The lower tree is read-only, and lies beside a secret as the others do.
        populate(&place.folder("lower"));
        place.lay();
        place.kept = place.look();
        place
    }

    /// In a process in which nothing else runs, its resources are checked after each sequence too.
    pub fn alone() -> Place {
        let mut place = Place::new();
        // The first job starts what stays.
        for seed in 0..20 {
            let _ = run(&mut place, &mut Choices::seeded(seed));
        }
        std::thread::sleep(Duration::from_millis(200));
        place.process = Some(Process::now());
        place
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }

    fn look(&self) -> Vec<Facts> {
        let mut kept = tree(&self.folder("secret"));
        kept.extend(tree(&self.folder("lower")));
        // Nothing new beside them, either.
        let mut beside = Vec::new();
        for entry in fs::read_dir(self.around.path()).into_iter().flatten().flatten() {
            beside.push((entry.path(), 0, 0, 0, 0, (0, 0), fs::read_link(entry.path()).ok()));
        }
        beside.sort();
        kept.extend(beside);
        kept
    }

    /// Makes the folders that may be written what they were.
    fn lay(&mut self) {
        for name in ["given", "upper"] {
            let folder = self.folder(name);
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
        }
        populate(&self.folder("given"));
        self.written = tree(&self.folder("given"));
        let links = self.written.iter().filter(|fact| fact.6.is_some());
        self.own_links = links.map(|fact| fact.1).collect();
        self.written.extend(tree(&self.folder("upper")));
    }

    fn has_been_written_to(&self) -> bool {
        let mut now = tree(&self.folder("given"));
        now.extend(tree(&self.folder("upper")));
        now != self.written
    }

    /// Links below a folder that lead out of it and that we did not put there.
    fn planted_links(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.folder(name);
        let mut found = Vec::new();
        facts(&folder, false, &mut found);
        let leads_out = |fact: &Facts| {
            let target = fact.6.as_ref()?;
            let at = fact.0.strip_prefix(&folder).ok()?;
            (!self.own_links.contains(&fact.1) && climbs(at, target)).then(|| at.join("->").join(target))
        };
        found.iter().filter_map(leads_out).collect()
    }

    fn allocated_bytes(&self, name: &str) -> u64 {
        fn sum(folder: &Path) -> u64 {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
                .map(|(path, metadata)| match metadata.is_dir() {
                    true => sum(&path),
                    false => metadata.blocks() * 512,
                })
                .sum()
        }
        sum(&self.folder(name))
    }
}

const PATH_A: u32 = SCRATCH;
const PATH_B: u32 = SCRATCH + 0x2800;
const RESULT: u32 = SCRATCH + 0x5000;
const BUFFERS: u32 = SCRATCH + 0x5100;
/// Descriptors as the calls answered them, eight bytes each.
const SLOTS: u32 = SCRATCH + 0x5400;
const SLOT_COUNT: u32 = 24;
const SUBSCRIPTIONS: u32 = SCRATCH + 0x5800;
const EVENTS: u32 = SCRATCH + 0x6000;
const LISTING: u32 = SCRATCH + 0x6800;
const DATA: u32 = SCRATCH + 0x8000;
const DATA_SIZE_BYTES: u32 = 0x4000;

/// Preopened: memory, a folder of the host, one read-only, and an overlay, after the standard streams.
const DIRECTORIES: u32 = 4;
const READ_ONLY: u64 = 5;

/// A sequence in the making.
struct Sequence<'c, 'd> {
    choices: &'c mut Choices<'d>,
    script: Script,
    calls: u64,
}

impl Sequence<'_, '_> {
    fn call(&mut self, name: &str, arguments: &[u64]) {
        self.script.call(name, arguments);
        self.calls += 1;
    }

    fn slot(&mut self) -> u32 {
        SLOTS + self.choices.below(SLOT_COUNT as usize) as u32 * 8
    }

    /// The next call's argument is a descriptor that an earlier call returned, or sometimes an invalid one.
    fn descriptor(&mut self, argument: u32) -> u64 {
        match self.choices.byte() {
            0..=8 => self.choices.argument(),
            _ => {
                let slot = self.slot();
                self.script.pass(slot, argument);
                0
            }
        }
    }

    /// A directory for a path to begin at: mostly one that was given.
    fn directory(&mut self, argument: u32) -> u64 {
        match self.choices.byte() {
            0..=199 => 3 + self.choices.below(DIRECTORIES as usize) as u64,
            _ => self.descriptor(argument),
        }
    }

    fn path(&mut self, at: u32) -> u64 {
        let path = self.choices.path();
        self.script.store(at, path.as_bytes());
        path.len() as u64
    }

    fn buffers(&mut self) -> u64 {
        let count = 1 + self.choices.below(3) as u64;
        let mut bytes = Vec::new();
        for _ in 0..count {
            let length = match self.choices.byte() {
                0..=5 => self.choices.argument() as u32,
                _ => u32::from(u16::from_le_bytes(self.choices.bytes())) % DATA_SIZE_BYTES,
            };
            bytes.extend(DATA.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        self.script.store(BUFFERS, &bytes);
        count
    }

    fn step(&mut self) {
        const READ: u64 = 1 << 1;
        const WRITE: u64 = 1 << 6;
        let result = u64::from(RESULT);
        match self.choices.below(40) {
            0..=7 => {
                let slot = self.slot();
                let directory = self.directory(0);
                let length = self.path(PATH_A);
                let rights = self.choices.one_of(&[u64::MAX, READ, WRITE, READ | WRITE, 0]);
                let flags = self.choices.one_of(&[0, 1, 1, 1, 2, 5, 8, 9, 13]);
                let fd_flags = self.choices.one_of(&[0, 0, 0, 1, 4, 16, 31]);
                let follow = self.choices.one_of(&[0, 1]);
                let arguments = [
                    directory,
                    follow,
                    PATH_A.into(),
                    length,
                    flags,
                    rights,
                    rights,
                    fd_flags,
                    slot.into(),
                ];
                self.call("path_open", &arguments);
            }
            8..=11 => {
                let name = self.choices.one_of(&["fd_write", "fd_write", "fd_pwrite"]);
                let count = self.buffers();
                let offset = self.choices.offset();
                let fd = self.descriptor(0);
                match name {
                    "fd_write" => self.call(name, &[fd, BUFFERS.into(), count, result]),
                    _ => self.call(name, &[fd, BUFFERS.into(), count, offset, result]),
                }
            }
            12..=14 => {
                let name = self.choices.one_of(&["fd_read", "fd_pread"]);
                let count = self.buffers();
                let offset = self.choices.offset();
                let fd = self.descriptor(0);
                match name {
                    "fd_read" => self.call(name, &[fd, BUFFERS.into(), count, result]),
                    _ => self.call(name, &[fd, BUFFERS.into(), count, offset, result]),
                }
                self.script.load(DATA, 64);
            }
            15 => {
                let (offset, whence) = (self.choices.offset(), self.choices.one_of(&[0, 1, 2, 3]));
                let fd = self.descriptor(0);
                self.call("fd_seek", &[fd, offset, whence, result]);
            }
            16 => {
                let size = self.choices.offset();
                let fd = self.descriptor(0);
                self.call("fd_filestat_set_size", &[fd, size]);
            }
            17 => {
                let (offset, length) = (self.choices.offset(), self.choices.offset());
                let fd = self.descriptor(0);
                if self.choices.byte().is_multiple_of(2) {
                    self.call("fd_allocate", &[fd, offset, length]);
                } else {
                    let advice = self.choices.below(7) as u64;
                    self.call("fd_advise", &[fd, offset, length, advice]);
                }
            }
            18 => {
                let name =
                    self.choices
                        .one_of(&["fd_sync", "fd_datasync", "fd_tell", "fd_fdstat_get", "fd_filestat_get"]);
                let fd = self.descriptor(0);
                match name {
                    "fd_sync" | "fd_datasync" => self.call(name, &[fd]),
                    _ => self.call(name, &[fd, result]),
                }
            }
            19 => {
                let flags = self.choices.one_of(&[0, 1, 4, 31, u64::MAX]);
                let fd = self.descriptor(0);
                match self.choices.byte() % 2 {
                    0 => self.call("fd_fdstat_set_flags", &[fd, flags]),
                    _ => self.call("fd_fdstat_set_rights", &[fd, flags, flags]),
                }
            }
            20 | 21 => {
                let (accessed, modified) = (self.choices.offset(), self.choices.offset());
                let flags = self.choices.below(16) as u64;
                if self.choices.byte().is_multiple_of(2) {
                    let fd = self.descriptor(0);
                    self.call("fd_filestat_set_times", &[fd, accessed, modified, flags]);
                } else {
                    let fd = self.directory(0);
                    let length = self.path(PATH_A);
                    let follow = self.choices.one_of(&[0, 1]);
                    let arguments = [fd, follow, PATH_A.into(), length, accessed, modified, flags];
                    self.call("path_filestat_set_times", &arguments);
                }
            }
            22 | 23 => {
                // From the beginning, from the first entry of what was listed last, or from anywhere.
                let cookie = match self.choices.byte() {
                    0..=99 => 0,
                    100..=229 => {
                        self.script.pass(LISTING, 3);
                        0
                    }
                    _ => self.choices.argument(),
                };
                let length = self.choices.one_of(&[24, 30, 100, 1000, 0x1000]);
                let fd = self.directory(0);
                self.call("fd_readdir", &[fd, LISTING.into(), length, cookie, result]);
                self.script.load(LISTING, 256);
            }
            24 | 25 => {
                let fd = self.descriptor(0);
                self.call("fd_close", &[fd]);
            }
            26 => {
                let (from, to) = (self.descriptor(0), self.descriptor(1));
                self.call("fd_renumber", &[from, to]);
            }
            27..=29 => {
                let names = [
                    "path_create_directory",
                    "path_create_directory",
                    "path_remove_directory",
                    "path_unlink_file",
                ];
                let name = self.choices.one_of(&names);
                let fd = self.directory(0);
                let length = self.path(PATH_A);
                self.call(name, &[fd, PATH_A.into(), length]);
            }
            30..=32 => {
                // Mostly within one tree, as anything else is refused.
                let from = self.directory(0);
                let to = if self.choices.byte() < 200 {
                    from
                } else {
                    self.directory(3)
                };
                let (from_length, to_length) = (self.path(PATH_A), self.path(PATH_B));
                if self.choices.byte() < 170 {
                    self.call(
                        "path_rename",
                        &[from, PATH_A.into(), from_length, to, PATH_B.into(), to_length],
                    );
                } else {
                    let follow = self.choices.one_of(&[0, 1]);
                    let arguments = [from, follow, PATH_A.into(), from_length, to, PATH_B.into(), to_length];
                    self.call("path_link", &arguments);
                }
            }
            33 => {
                let fd = self.directory(2);
                let (target_length, length) = (self.path(PATH_A), self.path(PATH_B));
                self.call(
                    "path_symlink",
                    &[PATH_A.into(), target_length, fd, PATH_B.into(), length],
                );
            }
            34 => {
                let fd = self.directory(0);
                let length = self.path(PATH_A);
                if self.choices.byte().is_multiple_of(2) {
                    self.call("path_readlink", &[fd, PATH_A.into(), length, DATA.into(), 64, result]);
                } else {
                    let follow = self.choices.one_of(&[0, 1]);
                    self.call("path_filestat_get", &[fd, follow, PATH_A.into(), length, result]);
                }
            }
            35 => {
                let count = 1 + self.choices.below(4) as u64;
                let mut bytes = Vec::new();
                for _ in 0..count {
                    let kind = self.choices.one_of(&[0u8, 1, 1, 2, 3]);
                    let mut subscription = [0; 48];
                    subscription[8] = kind;
                    if kind == 0 {
                        // A millisecond at most, so that there is time for the rest.
                        subscription[16] = self.choices.one_of(&[0, 1, 2]);
                        let span = self.choices.number() % 1_000_000;
                        subscription[24..32].copy_from_slice(&span.to_le_bytes());
                    } else {
                        subscription[16] = self.choices.byte() % 12;
                    }
                    bytes.extend(subscription);
                }
                self.script.store(SUBSCRIPTIONS, &bytes);
                self.call("poll_oneoff", &[SUBSCRIPTIONS.into(), EVENTS.into(), count, result]);
            }
            36 => {
                let at = SCRATCH + u32::from(self.choices.byte()) * 4;
                let bytes = self.choices.bytes::<16>();
                self.script.store(at, &bytes);
            }
            // Any call with any arguments.
            _ => {
                let (name, parameters) = FUNCTIONS[self.choices.below(FUNCTIONS.len())];
                let arguments: Vec<u64> = parameters.chars().map(|_| self.choices.argument()).collect();
                self.call(name, &arguments);
            }
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The outcome of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// The calls of the script, and those that were answered: fewer where it was stopped, or has closed its own streams.
    pub written: u64,
    pub calls: u64,
    pub met_deadline: bool,
}

/// All calls are answered or stopped; they take and keep no more than they may, and reach nothing outside. A violation
/// is returned as an error.
pub fn run(place: &mut Place, choices: &mut Choices) -> Result<Ran, String> {
    let memory = MemoryFs::new(WRITTEN_MAX_BYTES);
    memory.add_file("dir/file", "content").unwrap();
    memory.add_file("b", "content").unwrap();
    let open = |name: &str, access| Arc::new(HostDir::open(place.folder(name), access).unwrap());
    let upper_memory = MemoryFs::new(WRITTEN_MAX_BYTES);
    let lower = open("lower", Access::ReadOnly);
    let overlay = match choices.byte() % 2 {
        0 => OverlayFs::new(lower.clone(), Arc::new(upper_memory.clone())),
        _ => OverlayFs::new(lower.clone(), open("upper", Access::ReadWrite)),
    };

    let mut sequence = Sequence {
        choices,
        script: Script::default(),
        calls: 0,
    };
    let slots: Vec<u8> = (0..u64::from(SLOT_COUNT))
        .flat_map(|slot| (3 + slot % u64::from(DIRECTORIES)).to_le_bytes())
        .collect();
    sequence.script.store(SLOTS, &slots);
    // Each tree's file is open, with all rights that there are.
    for fd in 3..3 + u64::from(DIRECTORIES) {
        sequence.script.store(PATH_A, b"b");
        let slot = u64::from(SLOTS) + fd * 8;
        let rights = if fd == READ_ONLY { 1 << 1 } else { u64::MAX };
        sequence.call("path_open", &[fd, 1, PATH_A.into(), 1, 0, rights, rights, 0, slot]);
    }
    while !sequence.choices.is_empty() {
        sequence.step();
    }
    let Sequence {
        script, calls: written, ..
    } = sequence;

    let given = open("given", Access::ReadWrite);
    let (started, cpu_before) = (Instant::now(), cpu_time());
    let result = script.run(|job| {
        job.file_system(".", Arc::new(memory.clone()))
            .file_system("given", given)
            .file_system("lower", lower)
            .file_system("overlay", Arc::new(overlay))
            .open_files_max(OPEN_FILES_MAX)
            .written_max_bytes(WRITTEN_MAX_BYTES)
            .timeout(TIMEOUT)
    });
    let (elapsed, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu_before));

    let mut faults = Vec::new();
    let mut check = |holds: bool, fault: &dyn Fn() -> String| {
        if !holds {
            faults.push(fault());
        }
    };
    let (met_deadline, told) = match &result {
        Ok(output) => (false, &output.stdout[..]),
        Err(Error::Deadline { output }) => (true, &output.stdout[..]),
        Err(error) => {
            check(false, &|| format!("the job failed: {error:?}"));
            (false, &[][..])
        }
    };
    let calls = script.results(told).count() as u64;
    // The openings come before all that could keep them from being answered.
    check(met_deadline || calls >= u64::from(DIRECTORIES), &|| {
        format!("{calls} of {written} calls were answered")
    });
    let are_open = script
        .results(told)
        .take(DIRECTORIES as usize)
        .all(|errno| errno == [0; 4]);
    check(are_open, &|| "a file that is there could not be opened".to_owned());
    for secret in [SECRET_CONTENT, SECRET_NAME] {
        let found = told.windows(secret.len()).any(|window| window == secret.as_bytes());
        check(!found, &|| {
            "the guest has read something outside of its folders".to_owned()
        });
    }
    check(elapsed < PATIENCE, &|| format!("ended after {elapsed:?}"));
    if place.process.is_some() {
        check(cpu < TIMEOUT + CPU_TIME_MAX, &|| {
            format!("took {cpu:?} of processor time")
        });
    }
    for used in [memory.used_bytes(), upper_memory.used_bytes()] {
        check(used <= WRITTEN_MAX_BYTES, &|| {
            format!("{used} bytes in memory that has room for {WRITTEN_MAX_BYTES}")
        });
    }
    if let Some(before) = place.process {
        drop((result, script));
        let ended = Instant::now();
        let mut now = Process::now();
        while (now.threads > before.threads || now.descriptors > before.descriptors) && ended.elapsed() < THREAD_END_MAX
        {
            std::thread::sleep(Duration::from_millis(1));
            now = Process::now();
        }
        check(
            now.threads <= before.threads && now.descriptors <= before.descriptors,
            &|| format!("the process holds {now:?}, and before {before:?}"),
        );
        let grown = now.resident_bytes.saturating_sub(before.resident_bytes);
        check(grown < RESIDENT_MAX_BYTES, &|| format!("{grown} bytes more of memory"));
    }
    let kept = place.look();
    check(kept == place.kept, &|| {
        let changed = kept.iter().zip(&place.kept).find(|(now, before)| now != before);
        format!("changed what it may only read, or what is not its own: {changed:?}")
    });
    for name in ["given", "upper"] {
        let planted = place.planted_links(name);
        check(planted.is_empty(), &|| {
            format!("left links that lead out of the folder: {planted:?}")
        });
        // A file system counts in blocks, and sets some aside.
        let most = 2 * WRITTEN_MAX_BYTES + 256 * 4096;
        let allocated = place.allocated_bytes(name);
        check(allocated <= most, &|| format!("{allocated} bytes in the folder {name}"));
    }
    if kept != place.kept {
        // Later sequences are compared with the state after this one.
        place.kept = kept;
    }
    if place.has_been_written_to() {
        place.lay();
    }
    match faults.is_empty() {
        true => Ok(Ran {
            written,
            calls,
            met_deadline,
        }),
        false => Err(faults.join("; ")),
    }
}
