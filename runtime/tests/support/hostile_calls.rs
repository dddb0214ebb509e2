//! Any calls with any arguments: the body of the fuzz target, which a property test runs as well.

use crate::support::{FUNCTIONS, MEMORY_SIZE_BYTES, SCRATCH, Script};
use afmpeg::{Access, Error, HostDir, MemoryFs};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WRITTEN_MAX_BYTES: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_millis(50);
/// Far more than a stopped job takes, on a busy machine with sanitizers.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is in a folder, links not followed, and when it was last written.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap_or_default())
        })
        .collect();
    entries.sort();
    entries
}

/// Where hostile paths may lead: a folder to be left alone around one that is given away.
struct Place {
    around: TempDir,
    before: Vec<(String, Vec<u8>)>,
}

impl Place {
    fn new() -> Place {
        let around = tempfile::tempdir().unwrap();
        let inside = around.path().join("inside");
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::write(inside.join("b"), "content").unwrap();
        fs::write(around.path().join("secret"), "secret").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink("../secret", inside.join("c")).unwrap();
            symlink(around.path(), inside.join("d")).unwrap();
            symlink("e", inside.join("e")).unwrap();
        }
        let before = snapshot(around.path());
        Place { around, before }
    }
}

/// Bytes that decide, used up from the front; zeroes follow them.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = self.0.len().min(N);
        let (chosen, rest) = self.0.split_at(count);
        bytes[..count].copy_from_slice(chosen);
        self.0 = rest;
        bytes
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
            _ => u64::from_le_bytes(self.bytes()),
        }
    }
}

/// Whatever the calls are, they are answered or stopped, write no more than they may, and reach nothing outside.
pub fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let place = Place::new();
    let memory = MemoryFs::new(WRITTEN_MAX_BYTES);
    memory.add_file("a/b", "content").unwrap();
    memory.add_file("c", "content").unwrap();
    let inside = place.around.path().join("inside");
    let access = if choices.byte() % 2 == 0 {
        Access::ReadWrite
    } else {
        Access::ReadOnly
    };
    let dir = Arc::new(HostDir::open(inside, access).unwrap());

    let mut script = Script::default();
    // Rights to everything, of a file and of a directory in each file system.
    for (fd, path, flags) in [(3, "a/b", 0), (3, "a", 2), (4, "b", 0), (4, "a", 2)] {
        script.store(SCRATCH, path.as_bytes());
        let arguments = [
            fd,
            1,
            SCRATCH.into(),
            path.len() as u64,
            flags,
            u64::MAX,
            u64::MAX,
            0,
            (SCRATCH + 64).into(),
        ];
        script.call("path_open", &arguments);
    }
    // Paths that end after each of their letters, and numbers of all sizes.
    script.store(SCRATCH, b"a/../../secret\0c/d/secret/e");
    let numbers: Vec<u8> = (0..64u64).flat_map(|bit| (1u64 << bit).to_le_bytes()).collect();
    script.store(SCRATCH + 256, &numbers);
    while !choices.0.is_empty() {
        let function = usize::from(choices.byte()) % (FUNCTIONS.len() + 1);
        match FUNCTIONS.get(function) {
            Some((name, parameters)) => {
                let arguments: Vec<u64> = parameters.chars().map(|_| choices.argument()).collect();
                script.call(name, &arguments)
            }
            None => {
                let at = SCRATCH + u32::from(choices.byte()) * 4;
                script.store(at, &choices.bytes::<16>())
            }
        };
    }

    let started = Instant::now();
    let result = script.run(|job| {
        job.file_system(".", Arc::new(memory.clone()))
            .file_system("host", dir)
            .open_files_max(100)
            .timeout(TIMEOUT)
    });
    assert!(matches!(result, Ok(_) | Err(Error::Deadline { .. })), "{result:?}");
    assert!(started.elapsed() < PATIENCE, "took {:?}", started.elapsed());
    assert!(memory.used_bytes() <= WRITTEN_MAX_BYTES);
    assert_eq!(snapshot(place.around.path()), place.before);
}
