//! The WASI calls of guests, well-meaning and hostile.

#[path = "support/hostile_calls.rs"]
mod hostile_calls;
mod support;

use afmpeg::fs::{FileType, OpenOptions};
use afmpeg::{Access, FileSystem, HostDir, MemoryFs};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use support::{MEMORY_SIZE_BYTES, SCRATCH, Script, number};

const CREATE: u64 = 1;
const DIRECTORY: u64 = 2;
const EXCLUSIVE: u64 = 4;
const TRUNCATE: u64 = 8;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;
const APPEND: u64 = 1;
const DIRECTORY_TYPE: u8 = 3;

const SUCCESS: u64 = 0;
const BADF: u64 = 8;
const EXIST: u64 = 20;
const FAULT: u64 = 21;
const INVAL: u64 = 28;
const NOENT: u64 = 44;
const NOSPC: u64 = 51;
const NOSYS: u64 = 52;
const PERM: u64 = 63;
const ROFS: u64 = 69;
const XDEV: u64 = 75;

fn errors(answers: &[Vec<u8>]) -> Vec<u64> {
    answers.iter().map(|answer| number(answer)).collect()
}

fn host_directory(access: Access) -> (tempfile::TempDir, Arc<HostDir>) {
    let folder = tempfile::tempdir().unwrap();
    let dir = Arc::new(HostDir::open(folder.path(), access).unwrap());
    (folder, dir)
}

#[test]
fn files_are_written_read_and_listed() {
    let (folder, dir) = host_directory(Access::ReadWrite);
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let mut script = Script::default();
    script
        .open("sub/new", CREATE | EXCLUSIVE, READ | WRITE, 0)
        .write(5, b"hello")
        .call("fd_seek", &[5, 1, 0, (SCRATCH + 8).into()])
        .read(5, 4)
        .open("sub/new", CREATE | EXCLUSIVE, WRITE, 0)
        .open("./sub/../sub//new", 0, WRITE, APPEND)
        .write(6, b" world")
        .open("sub/new", TRUNCATE | CREATE, READ, 0)
        .call("fd_filestat_get", &[7, SCRATCH.into()])
        .load(SCRATCH + 32, 8)
        .open("missing", 0, READ, 0);
    let answers = script.answers(|job| job.file_system(".", dir.clone()));
    assert_eq!(answers[5], b"ello");
    let expected = [0, 0, 0, 0, 4, number(b"ello"), EXIST, 0, 0, 0, 0, 0, NOENT];
    assert_eq!(errors(&answers), expected);
}

#[test]
fn files_beyond_4_gib_are_addressed_and_stay_sparse() {
    let (folder, dir) = host_directory(Access::ReadWrite);
    let mut script = Script::default();
    script
        .open("big", CREATE, READ | WRITE, 0)
        .call("fd_seek", &[5, 5 << 30, 0, (SCRATCH + 8).into()])
        .write(5, b"end")
        .call("fd_seek", &[5, (-2i64).cast_unsigned(), 2, (SCRATCH + 16).into()])
        .load(SCRATCH + 16, 8)
        .read(5, 2)
        .call("fd_seek", &[5, (-1i64).cast_unsigned(), 0, (SCRATCH + 16).into()]);
    let answers = script.answers(|job| job.file_system(".", dir.clone()));
    assert_eq!(number(&answers[4]), (5 << 30) + 1);
    assert_eq!(answers[7], b"nd");
    assert_eq!(number(&answers[8]), INVAL);
    assert_eq!(
        std::fs::metadata(folder.path().join("big")).unwrap().len(),
        (5 << 30) + 3
    );
}

#[test]
fn memory_refuses_what_exceeds_its_limit_before_it_is_allocated() {
    let memory = MemoryFs::new(1000);
    let mut script = Script::default();
    script
        .open("file", CREATE, READ | WRITE, 0)
        .call("fd_filestat_set_size", &[5, 1 << 62])
        .call("fd_seek", &[5, 1 << 61, 0, (SCRATCH + 8).into()])
        .write(5, b"x")
        .call("fd_filestat_set_size", &[5, 1000])
        .call("fd_filestat_set_size", &[5, 1001])
        .call("fd_filestat_set_size", &[5, 10]);
    let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())));
    assert_eq!(errors(&answers), [0, NOSPC, 0, NOSPC, 0, NOSPC, 0]);
    assert_eq!(memory.used_bytes(), 10);
    assert_eq!(memory.take_file("file").unwrap(), [0; 10][..]);
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn memory_shares_inputs_and_hands_out_outputs_without_copying() {
    let input = bytes::Bytes::from(vec![7; 100_000]);
    let memory = MemoryFs::new(1 << 20);
    memory.add_file("in/a", input.clone()).unwrap();
    let mut script = Script::default();
    script
        .open("in/a", 0, READ, 0)
        .read(5, 3)
        .open("out", CREATE, WRITE, 0)
        .write(6, b"result");
    let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())));
    assert_eq!(answers[3], [7, 7, 7]);
    assert_eq!(memory.files(), [("in/a".to_owned(), 100_000), ("out".to_owned(), 6)]);
    assert_eq!(memory.read_file("in/a").unwrap().as_ptr(), input.as_ptr());
    let first = memory.read_file("out").unwrap();
    assert_eq!(memory.take_file("out").unwrap().as_ptr(), first.as_ptr());
    assert_eq!(first, &b"result"[..]);
}

#[test]
fn nothing_above_a_directory_can_be_named() {
    let (folder, _) = host_directory(Access::ReadWrite);
    let inside = folder.path().join("inside");
    std::fs::create_dir_all(inside.join("sub")).unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    std::os::unix::fs::symlink(folder.path(), inside.join("up")).unwrap();
    std::os::unix::fs::symlink("sub", inside.join("fine")).unwrap();
    let dir = Arc::new(HostDir::read_write(&inside).unwrap());
    let mut script = Script::default();
    for path in [
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "link",
        "up/secret",
        "fine/../../secret",
        "..",
    ] {
        script.open(path, 0, READ, 0).open(path, CREATE, WRITE, 0);
    }
    script.store(SCRATCH, b"/etcl");
    script.call("path_symlink", &[SCRATCH.into(), 4, 3, (SCRATCH + 4).into(), 1]);
    script.store(SCRATCH, b"../secretx");
    script.call("path_rename", &[3, SCRATCH.into(), 9, 3, (SCRATCH + 9).into(), 1]);
    script.call("path_link", &[3, 0, SCRATCH.into(), 9, 3, (SCRATCH + 9).into(), 1]);
    script.call("path_unlink_file", &[3, SCRATCH.into(), 9]);
    let answers = script.answers(|job| job.file_system(".", dir.clone()));
    assert_eq!(errors(&answers), vec![PERM; 18]);

    // A link that leads to another place inside is followed.
    let mut script = Script::default();
    script.open("fine", DIRECTORY, READ, 0);
    assert_eq!(
        errors(&script.answers(|job| job.file_system(".", dir.clone()))),
        [SUCCESS]
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("secret")).unwrap(), "secret");
}

#[test]
fn a_read_only_directory_does_not_change() {
    let (folder, dir) = host_directory(Access::ReadOnly);
    std::fs::write(folder.path().join("file"), "content").unwrap();
    let mut script = Script::default();
    script.store(SCRATCH, b"filedirectory");
    script.call("path_create_directory", &[3, (SCRATCH + 4).into(), 9]);
    script.call("path_unlink_file", &[3, SCRATCH.into(), 4]);
    script.call("path_rename", &[3, SCRATCH.into(), 4, 3, (SCRATCH + 4).into(), 9]);
    script.call("path_filestat_set_times", &[3, 1, SCRATCH.into(), 4, 0, 0, 5]);
    script
        .open("file", 0, WRITE, 0)
        .open("file", TRUNCATE, READ, 0)
        .open("new", CREATE, READ, 0);
    assert_eq!(
        errors(&script.answers(|job| job.file_system(".", dir.clone()))),
        vec![ROFS; 7]
    );
    script = Script::default();
    script.open("file", CREATE, READ, 0);
    assert_eq!(
        errors(&script.answers(|job| job.file_system(".", dir.clone()))),
        [SUCCESS]
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "content");
}

#[test]
fn a_listing_read_in_small_pieces_has_every_name_once() {
    let memory = MemoryFs::new(0);
    let mut expected = vec![".".to_owned(), "..".to_owned()];
    for index in 0..50 {
        let name = "n".repeat(index % 7 + 1) + &index.to_string();
        memory.add_file(&name, "").unwrap();
        expected.push(name);
    }
    // Too small for most entries at once: what is cut off comes again with the next cookie.
    let piece_size_bytes = 70;
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        let mut script = Script::default();
        script.open(".", DIRECTORY, READ, 0);
        script.call(
            "fd_readdir",
            &[5, (SCRATCH + 16).into(), piece_size_bytes, cookie, SCRATCH.into()],
        );
        script.load(SCRATCH, 4).load(SCRATCH + 16, piece_size_bytes as u32);
        let answers = script.answers(|job| job.file_system(".", Arc::new(memory.clone())));
        assert_eq!(number(&answers[1]), SUCCESS);
        let used = number(&answers[2]) as usize;
        let mut piece = &answers[3][..used];
        while piece.len() >= 24 {
            let length = number(&piece[16..20]) as usize;
            let Some(name) = piece.get(24..24 + length) else { break };
            names.push(String::from_utf8(name.to_vec()).unwrap());
            cookie = number(&piece[..8]);
            piece = &piece[24 + length..];
        }
        if used < piece_size_bytes as usize {
            break;
        }
    }
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn pointers_and_lengths_outside_the_memory_are_faults() {
    let end = u64::from(MEMORY_SIZE_BYTES);
    let memory = Arc::new(MemoryFs::new(0));
    memory.add_file("file", "0123456789").unwrap();
    for pointer in [end, end - 3, u64::from(u32::MAX), u64::from(u32::MAX) - 3, 1 << 31] {
        let mut script = Script::default();
        script.open("file", 0, READ, 0);
        script
            .call("args_get", &[pointer, SCRATCH.into()])
            .call("clock_time_get", &[0, 0, pointer])
            .call("random_get", &[pointer, 4])
            .call("random_get", &[SCRATCH.into(), pointer])
            .call("fd_read", &[5, pointer, 1, SCRATCH.into()])
            .call("fd_read", &[5, SCRATCH.into(), 0, pointer])
            .call("fd_seek", &[5, 0, 0, pointer])
            .call("path_filestat_get", &[3, 0, pointer, 4, SCRATCH.into()])
            .call("poll_oneoff", &[pointer, SCRATCH.into(), 1, SCRATCH.into()])
            .call("poll_oneoff", &[SCRATCH.into(), pointer, 1, SCRATCH.into()]);
        let answers = script.answers(|job| job.file_system(".", memory.clone()));
        assert_eq!(errors(&answers)[1..], [FAULT; 10], "for pointer {pointer:#x}");
    }
    // Buffers that each lie in memory but add up to more than 32 bits, and more buffers than a call may have.
    let mut script = Script::default();
    script.open("file", 0, READ, 0);
    script.call("fd_read", &[5, SCRATCH.into(), 1 << 29, (SCRATCH + 8).into()]);
    assert_eq!(
        errors(&script.answers(|job| job.file_system(".", memory.clone()))),
        [0, INVAL]
    );
}

#[test]
fn what_needs_sockets_or_signals_is_missing_and_descriptors_are_checked() {
    let mut script = Script::default();
    script
        .call("sock_send", &[1, 0, 0, 0, 0])
        .call("proc_raise", &[9])
        .call("fd_prestat_get", &[4, SCRATCH.into()])
        .call("fd_close", &[77])
        .call("fd_renumber", &[77, 1])
        .call("fd_close", &[3])
        .call("fd_tell", &[3, SCRATCH.into()]);
    let answers = script.answers(|job| job);
    assert_eq!(errors(&answers), [NOSYS, NOSYS, BADF, BADF, BADF, SUCCESS, BADF]);
}

#[test]
fn a_rename_between_file_systems_is_refused_and_between_names_of_one_is_not() {
    let one = Arc::new(MemoryFs::new(0));
    one.add_file("a", "1").unwrap();
    let other = Arc::new(MemoryFs::new(0));
    let mut script = Script::default();
    script.store(SCRATCH, b"ab");
    for to in [4, 5] {
        script.call("path_rename", &[3, SCRATCH.into(), 1, to, (SCRATCH + 1).into(), 1]);
    }
    let answers = script.answers(|job| {
        job.file_system(".", one.clone())
            .file_system("/o", other)
            .file_system("/again", one.clone())
    });
    assert_eq!(errors(&answers), [XDEV, SUCCESS]);
    assert_eq!(one.files(), [("b".to_owned(), 1)]);
}

fn proptest_config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The fuzz target's body, on as many inputs as there is time for.
#[test]
fn hostile_calls_are_answered() {
    let (written, answered) = (Cell::new(0), Cell::new(0));
    proptest!(proptest_config(), |(bytes in proptest::collection::vec(any::<u8>(), 0..3000))| {
        let place = &mut hostile_calls::Place::new();
        let ran = hostile_calls::run(place, &mut hostile_calls::Choices::Given(&bytes));
        prop_assert!(ran.is_ok(), "{ran:?}");
        let ran = ran.unwrap();
        // A busy host stops some.
        if !ran.met_deadline {
            written.set(written.get() + ran.written);
            answered.set(answered.get() + ran.calls);
        }
    });
    let (written, answered) = (written.get(), answered.get());
    println!("{answered} of {written} calls were answered");
    // The others come after one that has closed or read the guest's own streams.
    assert!(answered > 10_000 && answered > written / 2, "{answered} of {written}");
}

/// Memory and a real directory give the same answers to the same calls.
#[test]
fn memory_behaves_like_a_directory_of_the_host() {
    let (files, directories) = (Cell::new(0), Cell::new(0));
    proptest!(proptest_config(), |(steps in proptest::collection::vec(step(), 1..60))| {
        let (folder, host) = host_directory(Access::ReadWrite);
        let memory = MemoryFs::new(1 << 30);
        let mut script = Script::default();
        let mut sizes = Vec::new();
        for step in &steps {
            if matches!(step, Step::Size { .. }) {
                sizes.push(script.answer_count() + 2);
            }
            step.add_to(&mut script);
        }
        let answers = |file_system: Arc<dyn FileSystem>| {
            let mut answers = script.answers(|job| job.file_system(".", file_system));
            for size in &sizes {
                // That of a directory is the host's own affair.
                if answers[size - 1] == [DIRECTORY_TYPE] {
                    answers[*size].clear();
                }
            }
            answers
        };
        prop_assert_eq!(answers(host.clone()), answers(Arc::new(memory.clone())));
        let tree = tree_of_folder(folder.path());
        prop_assert_eq!(&tree, &tree_of_memory(&memory));
        let count = tree.values().filter(|content| content.is_some()).count();
        files.set(files.get() + count);
        directories.set(directories.get() + tree.len() - count);
    });
    let (files, directories) = (files.get(), directories.get());
    println!("{files} files and {directories} directories in the end");
    assert!(
        files > 100 && directories > 100,
        "{files} files, {directories} directories"
    );
}

/// Everything below a directory, by its path: the bytes of files, and none of directories.
type Contents = BTreeMap<String, Option<Vec<u8>>>;

fn tree_of_folder(folder: &Path) -> Contents {
    let mut found = Contents::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            assert!(kind.is_dir() || kind.is_file(), "{name}");
            found.insert(name, kind.is_file().then(|| std::fs::read(&path).unwrap()));
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

fn tree_of_memory(memory: &MemoryFs) -> Contents {
    let mut found = Contents::new();
    let mut folders = vec![String::new()];
    while let Some(current) = folders.pop() {
        let place = if current.is_empty() { "." } else { &current };
        for entry in memory.read_dir(place).unwrap() {
            let name = match &*current {
                "" => entry.name,
                current => format!("{current}/{}", entry.name),
            };
            let is_file = entry.file_type == FileType::File;
            assert!(is_file || entry.file_type == FileType::Directory, "{name}");
            if !is_file {
                folders.push(name.clone());
            }
            let content = is_file.then(|| memory.read_file(&name).unwrap().to_vec());
            found.insert(name, content);
        }
    }
    found
}

#[derive(Clone, Debug)]
enum Step {
    Open {
        path: String,
        flags: u64,
        rights: u64,
        fd_flags: u64,
    },
    Write {
        fd: u64,
        bytes: Vec<u8>,
    },
    Read {
        fd: u64,
        length: u32,
    },
    Seek {
        fd: u64,
        offset: i64,
        whence: u64,
    },
    SetSize {
        fd: u64,
        size: u64,
    },
    Close {
        fd: u64,
    },
    Size {
        path: String,
    },
    Path {
        function: &'static str,
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
}

impl Step {
    fn add_to(&self, script: &mut Script) {
        match self {
            Step::Open {
                path,
                flags,
                rights,
                fd_flags,
            } => script.open(path, *flags, *rights, *fd_flags).load(SCRATCH + 0x8000, 4),
            Step::Write { fd, bytes } => script.write(*fd, bytes),
            // The buffer is cleared first, as it keeps what other calls left there.
            Step::Read { fd, length } => script.store(SCRATCH + 8, &[0; 4]).read(*fd, 0).read(*fd, *length),
            Step::Seek { fd, offset, whence } => script
                .store(SCRATCH + 8, &[0; 8])
                .call("fd_seek", &[*fd, offset.cast_unsigned(), *whence, (SCRATCH + 8).into()])
                .load(SCRATCH + 8, 8),
            Step::SetSize { fd, size } => script.call("fd_filestat_set_size", &[*fd, *size]),
            Step::Close { fd } => script.call("fd_close", &[*fd]),
            Step::Size { path } => {
                script.store(SCRATCH, path.as_bytes()).store(SCRATCH + 0x9000, &[0; 64]);
                let arguments = [3, 1, SCRATCH.into(), path.len() as u64, (SCRATCH + 0x9000).into()];
                script
                    .call("path_filestat_get", &arguments)
                    .load(SCRATCH + 0x9000 + 16, 1)
                    .load(SCRATCH + 0x9000 + 32, 8)
            }
            Step::Path { function, path } => {
                script.store(SCRATCH, path.as_bytes());
                script.call(function, &[3, SCRATCH.into(), path.len() as u64])
            }
            Step::Rename { from, to } => {
                script
                    .store(SCRATCH, from.as_bytes())
                    .store(SCRATCH + 0x100, to.as_bytes());
                let (from_length, to_length) = (from.len() as u64, to.len() as u64);
                script.call(
                    "path_rename",
                    &[3, SCRATCH.into(), from_length, 3, (SCRATCH + 0x100).into(), to_length],
                )
            }
        };
    }
}

fn path() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(vec!["a", "b", "c", "d", ".", ".."]);
    let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    (path, prop::bool::weighted(0.1)).prop_map(|(path, slash)| if slash { path + "/" } else { path })
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || 5..9u64;
    let rights = proptest::sample::select(vec![READ, WRITE, READ | WRITE]);
    let flags = proptest::sample::select(vec![
        0,
        CREATE,
        CREATE,
        CREATE | EXCLUSIVE,
        CREATE | TRUNCATE,
        TRUNCATE,
        DIRECTORY,
    ]);
    let functions = vec![
        "path_create_directory",
        "path_create_directory",
        "path_remove_directory",
        "path_unlink_file",
    ];
    prop_oneof![
        4 => (path(), flags, rights, 0..2u64).prop_map(|(path, flags, rights, fd_flags)| {
            Step::Open { path, flags, rights, fd_flags }
        }),
        3 => (fd(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(fd, bytes)| Step::Write { fd, bytes }),
        2 => (fd(), 1..50u32).prop_map(|(fd, length)| Step::Read { fd, length }),
        2 => (fd(), -10..200i64, 0..4u64).prop_map(|(fd, offset, whence)| Step::Seek { fd, offset, whence }),
        1 => (fd(), 0..200u64).prop_map(|(fd, size)| Step::SetSize { fd, size }),
        1 => fd().prop_map(|fd| Step::Close { fd }),
        1 => path().prop_map(|path| Step::Size { path }),
        4 => (proptest::sample::select(functions), path()).prop_map(|(function, path)| Step::Path { function, path }),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename { from, to }),
    ]
}

#[test]
fn a_host_directory_keeps_its_word_without_a_guest() {
    let (folder, dir) = host_directory(Access::ReadWrite);
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    let options = OpenOptions::default();
    assert!(dir.open("link", &options).is_err());
    assert!(dir.open("../anything", &options).is_err());
    assert!(dir.metadata("link", true).is_err());
    assert!(dir.metadata("link", false).is_ok());
}
