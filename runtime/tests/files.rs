//! File systems, by their own interface: an overlay is to its user what a plain one is, and a reader is a file.

use afmpeg::fs::{Access, FileSystem, FileType, HostDir, MemoryFs, Metadata, OpenOptions, Opened, OverlayFs, ReadAt};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
enum Call {
    /// Opens, writes at an offset if asked to, and reads all of it.
    Open {
        path: String,
        write: bool,
        create: bool,
        exclusive: bool,
        truncate: bool,
        offset: u64,
    },
    Metadata(String),
    ReadDir(String),
    CreateDir(String),
    RemoveDir(String),
    RemoveFile(String),
    Rename(String, String),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", ".."]);
    prop::collection::vec(name, 1..4)
        .prop_map(|names| names.join("/"))
        .prop_filter("leaves the tree", |path| {
            let mut depth = 0;
            path.split('/').all(|name| {
                depth += if name == ".." { -1 } else { 1 };
                depth >= 0
            })
        })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (path(), any::<[bool; 4]>(), 0..5u64).prop_map(|(path, [write, create, exclusive, truncate], offset)| {
            Call::Open { path, write, create, exclusive: create && exclusive, truncate: write && truncate, offset }
        }),
        1 => path().prop_map(Call::Metadata),
        1 => path().prop_map(Call::ReadDir),
        1 => path().prop_map(Call::CreateDir),
        1 => path().prop_map(Call::RemoveDir),
        1 => path().prop_map(Call::RemoveFile),
        1 => (path(), path()).prop_map(|(from, to)| Call::Rename(from, to)),
    ]
}

/// Returns a call's result, as far as callers can rely on it.
fn answer(files: &dyn FileSystem, call: &Call) -> Result<String, io::ErrorKind> {
    let describe = |metadata: Metadata| match metadata.file_type {
        FileType::File => format!("{} bytes", metadata.size_bytes),
        other => format!("{other:?}"),
    };
    let answer = match call {
        Call::Open {
            path,
            write,
            create,
            exclusive,
            truncate,
            offset,
        } => {
            let mut options = OpenOptions::default();
            options.read = true;
            options.write = *write;
            options.create = *create;
            options.exclusive = *exclusive;
            options.truncate = *truncate;
            options.follow_links = true;
            files.open(path, &options).and_then(|opened| match opened {
                Opened::Directory => Ok("a directory".to_owned()),
                Opened::File(mut file) => {
                    if *write {
                        file.write_at(path.as_bytes(), *offset)?;
                    }
                    let mut bytes = vec![0; 100];
                    let count = file.read_at(&mut bytes, 0)?;
                    Ok(format!("{:?}", &bytes[..count]))
                }
                _ => unreachable!("what is opened is a file or a directory"),
            })
        }
        Call::Metadata(path) => files.metadata(path, true).map(describe),
        Call::ReadDir(path) => files.read_dir(path).map(|entries| {
            let entries: BTreeSet<_> = entries
                .into_iter()
                .map(|entry| (entry.name, format!("{:?}", entry.file_type)))
                .collect();
            format!("{entries:?}")
        }),
        Call::CreateDir(path) => files.create_dir(path).map(|()| String::new()),
        Call::RemoveDir(path) => files.remove_dir(path).map(|()| String::new()),
        Call::RemoveFile(path) => files.remove_file(path).map(|()| String::new()),
        Call::Rename(from, to) => files.rename(from, to).map(|()| String::new()),
    };
    answer.map_err(|error| error.kind())
}

/// All that is below a path.
fn tree(files: &dyn FileSystem, path: &str, found: &mut Vec<(String, Result<String, io::ErrorKind>)>) {
    let Ok(entries) = files.read_dir(path) else { return };
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (entry.name, entry.file_type)).collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, file_type) in entries {
        let path = if path == "." { name } else { format!("{path}/{name}") };
        let open = Call::Open {
            path: path.clone(),
            write: false,
            create: false,
            exclusive: false,
            truncate: false,
            offset: 0,
        };
        found.push((path.clone(), answer(files, &open)));
        if file_type == FileType::Directory {
            tree(files, &path, found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The same calls on a plain tree and on an overlay over the same files: the same answers and the same files, but
    /// for the renames of directories that an overlay refuses. The lower tree stays as it was.
    #[test]
    fn an_overlay_is_like_a_plain_tree(
        before in prop::collection::vec(call(), 0..12),
        after in prop::collection::vec(call(), 0..12),
    ) {
        let (plain, lower) = (MemoryFs::new(1 << 20), Arc::new(MemoryFs::new(1 << 20)));
        for call in &before {
            prop_assert_eq!(answer(&plain, call), answer(&*lower, call));
        }
        let mut lower_before = Vec::new();
        tree(&*lower, ".", &mut lower_before);
        let overlay = OverlayFs::new(lower.clone(), Arc::new(MemoryFs::new(1 << 20)));
        for call in &after {
            let got = answer(&overlay, call);
            if got == Err(io::ErrorKind::CrossesDevices) {
                prop_assert!(matches!(call, Call::Rename(..)));
                continue;
            }
            prop_assert_eq!(&got, &answer(&plain, call), "{:?}", call);
        }
        let (mut expected, mut found, mut lower_after) = (Vec::new(), Vec::new(), Vec::new());
        tree(&plain, ".", &mut expected);
        tree(&overlay, ".", &mut found);
        tree(&*lower, ".", &mut lower_after);
        prop_assert_eq!(expected, found);
        prop_assert_eq!(lower_before, lower_after);
    }
}

/// For several faults at once, all file systems name the one that Linux does.
#[test]
fn a_rename_into_itself_or_onto_what_holds_it_is_refused_as_the_host_does() {
    let folder = tempfile::tempdir().unwrap();
    let host = HostDir::open(folder.path(), Access::ReadWrite).unwrap();
    let memory = MemoryFs::new(1 << 20);
    let overlay = OverlayFs::new(Arc::new(MemoryFs::new(0)), Arc::new(MemoryFs::new(1 << 20)));
    let systems: [&dyn FileSystem; 3] = [&host, &memory, &overlay];
    let file = |path: &str| Call::Open {
        path: path.into(),
        write: true,
        create: true,
        exclusive: false,
        truncate: false,
        offset: 0,
    };
    let mut calls = vec![Call::CreateDir("a".into()), Call::CreateDir("a/b".into())];
    calls.extend([file("a/c"), file("d"), Call::CreateDir("e".into())]);
    let paths = ["a", "a/b", "a/c", "d", "e", "a/b/n", "a/c/n"];
    let faulty = [
        ("a/c", "a"),
        ("a/b", "a"),
        ("a", "a/b"),
        ("a", "a/c"),
        ("a", "a/b/n"),
        ("a", "a/c/n"),
        ("d", "a"),
        ("d", "e"),
        ("a", "d"),
        ("e", "a"),
        ("d", "d"),
        ("e", "e"),
    ];
    calls.extend(faulty.map(|(from, to)| Call::Rename(from.into(), to.into())));
    calls.extend(paths.map(|path| Call::Metadata(path.into())));
    for call in &calls {
        let answers = systems.map(|files| answer(files, call));
        assert!(answers.iter().all(|one| *one == answers[0]), "{call:?}: {answers:?}");
    }
}

/// Bytes that are made up as they are read: the file is larger than any memory.
struct Vast {
    reads: Mutex<Vec<(u64, usize)>>,
}

const VAST_SIZE_BYTES: u64 = 50 << 40;

impl ReadAt for Vast {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(VAST_SIZE_BYTES)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.lock().unwrap().push((offset, buffer.len()));
        buffer.fill((offset >> 40) as u8);
        Ok(buffer.len())
    }
}

#[test]
fn a_reader_is_a_file_of_which_only_what_is_read_is_fetched() {
    let files = MemoryFs::new(100);
    let vast = Arc::new(Vast {
        reads: Mutex::default(),
    });
    files.add_reader("deep/vast", vast.clone()).unwrap();
    assert_eq!(files.metadata("deep/vast", true).unwrap().size_bytes, VAST_SIZE_BYTES);
    let mut options = OpenOptions::default();
    options.read = true;
    options.write = true;
    let Opened::File(mut file) = files.open("deep/vast", &options).unwrap() else {
        panic!("a file")
    };
    let mut buffer = [0; 10];
    assert_eq!(file.read_at(&mut buffer, 49 << 40).unwrap(), 10);
    assert_eq!(buffer, [49; 10]);
    assert_eq!(file.read_at(&mut buffer, VAST_SIZE_BYTES - 3).unwrap(), 3);
    assert_eq!(file.read_at(&mut buffer, VAST_SIZE_BYTES + 3).unwrap(), 0);
    assert_eq!(
        vast.reads.lock().unwrap()[..2],
        [(49 << 40, 10), (VAST_SIZE_BYTES - 3, 3)]
    );
    assert_eq!(
        file.write_at(b"x", 0).unwrap_err().kind(),
        io::ErrorKind::ReadOnlyFilesystem
    );
    assert_eq!(
        files.read_file("deep/vast").unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );
    // Nothing of this counts as written, and a file that replaces it is an ordinary one.
    assert_eq!(files.used_bytes(), 0);
    file.set_len(0).unwrap();
    file.write_at(b"new", 0).unwrap();
    assert_eq!(&files.take_file("deep/vast").unwrap()[..], b"new");
}
