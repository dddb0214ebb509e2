//! The same calls on the same real directory, answered by afmpeg and by wasmtime-wasi's preview 1: the same error
//! numbers, the same bytes, the same tree in the end.
//!
//! The intended differences are in [`differs_on_purpose`]; calls with other differences are not made:
//!
//! - Several buffers at a time: wasmtime-wasi uses the first that is not empty, which is allowed; afmpeg uses all.
//! - Inodes, devices and times, which differ between any two directories. Inodes are hashes in wasmtime-wasi.
//! - Rights: wasmtime-wasi gives each descriptor almost all; a file that was opened without a right can be used as if it
//!   had been, if the host's descriptor can.
//! - Symbolic links whose targets climb, which afmpeg's `HostDir` does not create, and all links unless `allow_links`
//!   is set.
//! - Clocks of processor time, which wasmtime-wasi does not have, and sleep.
//! - Descriptors of directories that are renamed or removed while they are open: in afmpeg they stand for a path.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../tests/support/mod.rs"]
mod support;

use afmpeg::HostDir;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use support::{SCRATCH, Script, interpreter, number};
use wasmtime::{Engine, InstancePre, Linker, Module, Store};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

const CREATE: u64 = 1;
const TRUNCATE: u64 = 8;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;

/// The address of results of a known size.
const RESULT: u64 = SCRATCH as u64 + 0x8000;
const OTHER_PATH: u64 = SCRATCH as u64 + 0x1000;
const LISTING_SIZE_BYTES: u32 = 4096;

static REFERENCE: LazyLock<InstancePre<WasiP1Ctx>> = LazyLock::new(|| {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |context| context).unwrap();
    linker
        .instantiate_pre(&Module::new(&engine, interpreter()).unwrap())
        .unwrap()
});

fn run_reference(script: &Script, folder: &Path) -> Vec<Vec<u8>> {
    let devices = tempfile::tempdir().unwrap();
    let output = MemoryOutputPipe::new(1 << 24);
    let context = WasiCtxBuilder::new()
        .arg("guest")
        .stdin(MemoryInputPipe::new(script.input().to_vec()))
        .stdout(output.clone())
        .allow_blocking_current_thread(true)
        .preopened_dir(folder, ".", FsPerms::ReadWrite)
        .unwrap()
        .preopened_dir(devices.path(), "/dev", FsPerms::ReadWrite)
        .unwrap()
        .build_p1();
    let mut store = Store::new(REFERENCE.module().engine(), context);
    let instance = REFERENCE.instantiate(&mut store).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    start.call(&mut store, ()).unwrap();
    drop(store);
    script.cut(&output.contents())
}

#[derive(Clone, Debug)]
enum Step {
    Open {
        path: String,
        follow: u64,
        flags: u64,
        rights: u64,
        fd_flags: u64,
    },
    Write {
        fd: u64,
        bytes: Vec<u8>,
    },
    WriteAt {
        fd: u64,
        bytes: Vec<u8>,
        offset: u64,
    },
    Read {
        fd: u64,
        length: u32,
    },
    ReadAt {
        fd: u64,
        length: u32,
        offset: u64,
    },
    Seek {
        fd: u64,
        offset: i64,
        whence: u64,
    },
    Tell {
        fd: u64,
    },
    SetSize {
        fd: u64,
        size: u64,
    },
    SetFlags {
        fd: u64,
        flags: u64,
    },
    SetTimes {
        fd: u64,
        flags: u64,
    },
    Renumber {
        from: u64,
        to: u64,
    },
    OnDescriptor {
        function: &'static str,
        fd: u64,
    },
    Advise {
        fd: u64,
        advice: u64,
    },
    Stat {
        fd: u64,
    },
    Type {
        fd: u64,
    },
    List {
        fd: u64,
        cookie: u64,
    },
    PathStat {
        path: String,
        follow: u64,
    },
    PathSetTimes {
        path: String,
        follow: u64,
        flags: u64,
    },
    OnPath {
        function: &'static str,
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Link {
        from: String,
        to: String,
        follow: u64,
    },
    Symlink {
        target: String,
        path: String,
    },
    ReadLink {
        path: String,
        length: u64,
    },
}

/// A listing is compared without inodes and in the order of names, everything else as it is.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Plain,
    Listing,
    /// The number of an opened file: the lowest that is free, as in POSIX, or with wasmtime-wasi the highest that was
    /// closed.
    Opened,
}

impl Step {
    /// Adds its calls; returns the kinds of its answers, of which the first is an error number.
    fn add_to(&self, script: &mut Script) -> Vec<Answer> {
        use Answer::{Listing, Opened, Plain};
        let at = u64::from(SCRATCH);
        let path_at = |script: &mut Script, path: &str| {
            script.store(SCRATCH, path.as_bytes());
            path.len() as u64
        };
        let other_at = |script: &mut Script, path: &str| {
            script.store(OTHER_PATH as u32, path.as_bytes());
            path.len() as u64
        };
        script.store(RESULT as u32, &[0; 64]);
        match self {
            Step::Open {
                path,
                follow,
                flags,
                rights,
                fd_flags,
            } => {
                let length = path_at(script, path);
                script.call(
                    "path_open",
                    &[3, *follow, at, length, *flags, *rights, 0, *fd_flags, RESULT],
                );
                script.load(RESULT as u32, 4);
                vec![Plain, Opened]
            }
            Step::Write { fd, bytes } => {
                script.buffers(bytes);
                script.call("fd_write", &[*fd, at, 1, RESULT]).load(RESULT as u32, 4);
                vec![Plain, Plain]
            }
            Step::WriteAt { fd, bytes, offset } => {
                script.buffers(bytes);
                script
                    .call("fd_pwrite", &[*fd, at, 1, *offset, RESULT])
                    .load(RESULT as u32, 4);
                vec![Plain, Plain]
            }
            Step::Read { fd, length } => {
                script.buffers(&vec![0; *length as usize]);
                script.call("fd_read", &[*fd, at, 1, RESULT]);
                script.load(RESULT as u32, 4).load(SCRATCH + 0x1000, *length);
                vec![Plain; 3]
            }
            Step::ReadAt { fd, length, offset } => {
                script.buffers(&vec![0; *length as usize]);
                script.call("fd_pread", &[*fd, at, 1, *offset, RESULT]);
                script.load(RESULT as u32, 4).load(SCRATCH + 0x1000, *length);
                vec![Plain; 3]
            }
            Step::Seek { fd, offset, whence } => {
                script
                    .call("fd_seek", &[*fd, offset.cast_unsigned(), *whence, RESULT])
                    .load(RESULT as u32, 8);
                vec![Plain, Plain]
            }
            Step::Tell { fd } => {
                script.call("fd_tell", &[*fd, RESULT]).load(RESULT as u32, 8);
                vec![Plain, Plain]
            }
            Step::SetSize { fd, size } => {
                script.call("fd_filestat_set_size", &[*fd, *size]);
                vec![Plain]
            }
            Step::SetFlags { fd, flags } => {
                script.call("fd_fdstat_set_flags", &[*fd, *flags]);
                vec![Plain]
            }
            Step::SetTimes { fd, flags } => {
                script.call("fd_filestat_set_times", &[*fd, 1_000_000_000, 2_000_000_000, *flags]);
                vec![Plain]
            }
            Step::Renumber { from, to } => {
                script.call("fd_renumber", &[*from, *to]);
                vec![Plain]
            }
            Step::OnDescriptor { function, fd } => {
                script.call(function, &[*fd]);
                vec![Plain]
            }
            Step::Advise { fd, advice } => {
                script.call("fd_advise", &[*fd, 0, 10, *advice]);
                vec![Plain]
            }
            Step::Stat { fd } => {
                script.call("fd_filestat_get", &[*fd, RESULT]);
                // The type, the number of links and the size.
                script.load(RESULT as u32 + 16, 24);
                vec![Plain, Plain]
            }
            Step::Type { fd } => {
                // The type and the flags.
                script.call("fd_fdstat_get", &[*fd, RESULT]).load(RESULT as u32, 4);
                vec![Plain, Plain]
            }
            Step::List { fd, cookie } => {
                // A later cookie continues the listing that this call begins.
                let whole = [*fd, at + 0x1000, LISTING_SIZE_BYTES.into(), 0, RESULT];
                script
                    .call("fd_readdir", &whole)
                    .store(SCRATCH + 0x1000, &[0; LISTING_SIZE_BYTES as usize]);
                script.call(
                    "fd_readdir",
                    &[*fd, at + 0x1000, LISTING_SIZE_BYTES.into(), *cookie, RESULT],
                );
                script.load(SCRATCH + 0x1000, LISTING_SIZE_BYTES);
                vec![Plain, Plain, Listing]
            }
            Step::PathStat { path, follow } => {
                let length = path_at(script, path);
                script.call("path_filestat_get", &[3, *follow, at, length, RESULT]);
                script.load(RESULT as u32 + 16, 24);
                vec![Plain, Plain]
            }
            Step::PathSetTimes { path, follow, flags } => {
                let length = path_at(script, path);
                let (accessed, modified) = (3_000_000_000, 4_000_000_000);
                script.call(
                    "path_filestat_set_times",
                    &[3, *follow, at, length, accessed, modified, *flags],
                );
                vec![Plain]
            }
            Step::OnPath { function, path } => {
                let length = path_at(script, path);
                script.call(function, &[3, at, length]);
                vec![Plain]
            }
            Step::Rename { from, to } => {
                let (from_length, to_length) = (path_at(script, from), other_at(script, to));
                script.call("path_rename", &[3, at, from_length, 3, OTHER_PATH, to_length]);
                vec![Plain]
            }
            Step::Link { from, to, follow } => {
                let (from_length, to_length) = (path_at(script, from), other_at(script, to));
                script.call("path_link", &[3, *follow, at, from_length, 3, OTHER_PATH, to_length]);
                vec![Plain]
            }
            Step::Symlink { target, path } => {
                let (target_length, length) = (other_at(script, target), path_at(script, path));
                script.call("path_symlink", &[OTHER_PATH, target_length, 3, at, length]);
                vec![Plain]
            }
            Step::ReadLink { path, length } => {
                let path_length = path_at(script, path);
                script.store(OTHER_PATH as u32, &[0; 64]);
                script.call("path_readlink", &[3, at, path_length, OTHER_PATH, *length, RESULT]);
                script.load(RESULT as u32, 4).load(OTHER_PATH as u32, 64);
                vec![Plain; 3]
            }
        }
    }
}

impl Script {
    /// One buffer with these bytes in it, described at the start of the scratch memory.
    fn buffers(&mut self, bytes: &[u8]) {
        let mut description = (SCRATCH + 0x1000).to_le_bytes().to_vec();
        description.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.store(SCRATCH, &description).store(SCRATCH + 0x1000, bytes);
    }
}

/// The names and types of a listing, sorted.
fn listing(bytes: &[u8]) -> Vec<(String, u8)> {
    let mut rest = bytes;
    let mut entries = Vec::new();
    while rest.len() >= 24 && number(&rest[..8]) != 0 {
        let length = number(&rest[16..20]) as usize;
        entries.push((String::from_utf8_lossy(&rest[24..24 + length]).into_owned(), rest[20]));
        rest = &rest[24 + length..];
    }
    entries.sort();
    entries
}

/// Returns whether the two may answer differently; each case has its reason beside it.
fn differs_on_purpose(step: &Step, (ours, theirs): (u64, u64), names_have_moved: bool) -> bool {
    const BADF: u64 = 8;
    const INVAL: u64 = 28;
    const ISDIR: u64 = 31;
    const NOENT: u64 = 44;
    const NOTDIR: u64 = 54;
    const PERM: u64 = 63;
    if (ours, theirs) == (NOTDIR, BADF) {
        // A file where a directory is required: wasmtime-wasi reports that for `path_open` alone.
        return true;
    }
    let is_gone = names_have_moved && (ours == NOENT || ours == NOTDIR);
    let both_refuse = ours != 0 && theirs != 0;
    match step {
        // A descriptor of a directory stands for its path, where POSIX has the directory itself: renamed, removed, or
        // reached by a link that is gone, it is not found any more.
        Step::Stat { .. } | Step::List { .. } if is_gone && theirs == 0 => true,
        Step::SetTimes { .. } if is_gone && theirs == BADF => true,
        // As in POSIX, a directory that is read is not a wrong number but a directory.
        Step::Read { .. } | Step::ReadAt { .. } | Step::Advise { .. } => (ours, theirs) == (ISDIR, BADF),
        // A descriptor that only reads changes nothing, the times included.
        Step::SetTimes { .. } if (ours, theirs) == (BADF, 0) => true,
        // Directories can be synced, and their times set, by their descriptors.
        Step::OnDescriptor { .. } | Step::SetTimes { .. } => (ours, theirs) == (0, BADF),
        // A slash at the end of a directory's name does not keep it from being removed.
        Step::OnPath {
            function: "path_remove_directory",
            path,
        } if path.ends_with('/') => both_refuse || (ours, theirs) == (0, INVAL),
        // As in POSIX, a link whose name ends like a directory's is followed.
        Step::PathStat { path, follow: 0 } if theirs == 0 => is_refused_by_its_letters(path),
        // Flags that exclude each other are refused before the descriptor is checked.
        Step::Open { .. } | Step::Link { .. } if ours == INVAL && (theirs == BADF || theirs == NOTDIR) => true,
        // The order of checks: afmpeg checks a path's text before it checks the tree.
        Step::Open { path, .. } | Step::PathStat { path, .. } | Step::PathSetTimes { path, .. } => {
            both_refuse && is_refused_by_its_letters(path)
        }
        Step::OnPath { path, .. } | Step::ReadLink { path, .. } => both_refuse && is_refused_by_its_letters(path),
        Step::Rename { from, to } | Step::Link { from, to, .. } => {
            both_refuse && (is_refused_by_its_letters(from) || is_refused_by_its_letters(to))
        }
        // A guest's links must not lead elsewhere when they are moved.
        Step::Symlink { target, .. } if ours == PERM && target.split('/').any(|part| part == "..") => true,
        Step::Symlink { target, path } => {
            both_refuse && (is_refused_by_its_letters(target) || is_refused_by_its_letters(path))
        }
        _ => false,
    }
}

fn moves_names(step: &Step) -> bool {
    match step {
        Step::Rename { .. } => true,
        Step::OnPath { function, .. } => matches!(*function, "path_unlink_file" | "path_remove_directory"),
        _ => false,
    }
}

/// Returns whether a path climbs out of its tree, can only name a directory, or can name nothing, judged by its text
/// alone.
fn is_refused_by_its_letters(path: &str) -> bool {
    let mut depth = 0;
    let climbs = path.split('/').any(|part| {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        depth < 0
    });
    let last = path.rsplit('/').next();
    climbs || path.starts_with('/') || matches!(last, Some("" | "." | "..")) || path.len() > 255 || path.contains('\0')
}

fn path() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(vec!["a", "b", "c", "d", "e", ".", ".."]);
    let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    prop_oneof![
        20 => path.clone(),
        2 => path.clone().prop_map(|path| path + "/"),
        1 => path.clone().prop_map(|path| "/".to_owned() + &path),
        1 => path.prop_map(|path| path.replace('/', "//")),
        1 => proptest::sample::select(vec![String::new(), "n".repeat(300), "a\0b".to_owned()]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || prop_oneof![20 => 5..9u64, 1 => Just(3u64), 1 => Just(77u64)];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let follow = || 0..2u64;
    let select = |values: &[u64]| proptest::sample::select(values.to_vec());
    let descriptor_functions = vec!["fd_close", "fd_close", "fd_sync", "fd_datasync"];
    let path_functions = vec![
        "path_create_directory",
        "path_create_directory",
        "path_remove_directory",
        "path_unlink_file",
    ];
    let files = prop_oneof![
        8 => (path(), follow(), 0..16u64, select(&[0, READ, WRITE, READ | WRITE]), select(&[0, 0, 1, 4])).prop_map(
            |(path, follow, flags, rights, fd_flags)| {
                // What is made or cut may be written to with wasmtime-wasi, and what may not be written to be read.
                let rights = if flags & (CREATE | TRUNCATE) != 0 { rights | WRITE } else { rights };
                let rights = if rights == 0 { READ } else { rights };
                Step::Open { path, follow, flags, rights, fd_flags }
            }
        ),
        8 => (path(), select(&[0, 1, 1, 9]), select(&[WRITE, READ | WRITE])).prop_map(
            |(path, flags, rights)| Step::Open { path, follow: 1, flags, rights, fd_flags: 0 }
        ),
        4 => (fd(), bytes()).prop_map(|(fd, bytes)| Step::Write { fd, bytes }),
        1 => (fd(), bytes(), 0..100u64).prop_map(|(fd, bytes, offset)| Step::WriteAt { fd, bytes, offset }),
        4 => (fd(), 0..50u32).prop_map(|(fd, length)| Step::Read { fd, length }),
        1 => (fd(), 0..50u32, 0..100u64).prop_map(|(fd, length, offset)| Step::ReadAt { fd, length, offset }),
        3 => (fd(), -10..200i64, 0..3u64).prop_map(|(fd, offset, whence)| Step::Seek { fd, offset, whence }),
        1 => fd().prop_map(|fd| Step::Tell { fd }),
        1 => (fd(), 0..200u64).prop_map(|(fd, size)| Step::SetSize { fd, size }),
        1 => (fd(), select(&[0, 1, 4, 5])).prop_map(|(fd, flags)| Step::SetFlags { fd, flags }),
        1 => (fd(), 0..16u64).prop_map(|(fd, flags)| Step::SetTimes { fd, flags }),
        1 => (fd(), fd()).prop_map(|(from, to)| Step::Renumber { from, to }),
        2 => (proptest::sample::select(descriptor_functions), fd())
            .prop_map(|(function, fd)| Step::OnDescriptor { function, fd }),
        1 => (fd(), 0..6u64).prop_map(|(fd, advice)| Step::Advise { fd, advice }),
        2 => fd().prop_map(|fd| Step::Stat { fd }),
        1 => fd().prop_map(|fd| Step::Type { fd }),
        2 => (prop_oneof![fd(), Just(3)], 0..3u64).prop_map(|(fd, cookie)| Step::List { fd, cookie }),
    ];
    let paths = prop_oneof![
        2 => (path(), follow()).prop_map(|(path, follow)| Step::PathStat { path, follow }),
        1 => (path(), follow(), 0..16u64)
            .prop_map(|(path, follow, flags)| Step::PathSetTimes { path, follow, flags }),
        5 => (proptest::sample::select(path_functions), path())
            .prop_map(|(function, path)| Step::OnPath { function, path }),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => (path(), path(), select(&[0, 0, 0, 1])).prop_map(|(from, to, follow)| Step::Link { from, to, follow }),
        3 => (path(), path()).prop_map(|(target, path)| Step::Symlink { target, path }),
        1 => (path(), 0..64u64).prop_map(|(path, length)| Step::ReadLink { path, length }),
    ];
    prop_oneof![3 => files, 2 => paths]
}

/// Returns a folder's content: the bytes of files and the targets of links.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (bool, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = match () {
                _ if metadata.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                _ if metadata.is_file() => fs::read(&path).unwrap(),
                _ => {
                    folders.push(path.clone());
                    Vec::new()
                }
            };
            let name = path.strip_prefix(folder).unwrap().to_owned();
            found.insert(name, (metadata.is_dir(), content));
        }
    }
    found
}

fn cases() -> u32 {
    std::env::var("AFMPEG_TEST_CASES").map_or(300, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_answer_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        let mut script = Script::default();
        let kinds: Vec<Vec<Answer>> = steps.iter().map(|step| step.add_to(&mut script)).collect();
        let (our_folder, their_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = Arc::new(HostDir::read_write(our_folder.path()).unwrap().allow_links());
        let mut ours = script.answers(|job| job.file_system(".", dir)).into_iter();
        let mut theirs = run_reference(&script, their_folder.path()).into_iter();
        let errno = |answer: &[u8]| number(&answer[..answer.len().min(8)]);
        let mut names_have_moved = false;
        for (index, (step, kinds)) in steps.iter().zip(kinds).enumerate() {
            for kind in kinds {
                let (our, their) = (ours.next().unwrap(), theirs.next().unwrap());
                names_have_moved |= moves_names(step) && our == their && errno(&our) == 0;
                if kind == Answer::Listing {
                    prop_assert_eq!(listing(&our), listing(&their), "step {}: {:?}", index, step);
                } else if our != their && kind == Answer::Opened {
                    // From here on the numbers stand for other files.
                    return Ok(());
                } else if our != their {
                    let errnos = (errno(&our), errno(&their));
                    prop_assert!(
                        differs_on_purpose(step, errnos, names_have_moved),
                        "step {index}: {step:?}: {our:?} is not {their:?}"
                    );
                    if (errnos.0 == 0) != (errnos.1 == 0) {
                        // From here on the trees may differ.
                        return Ok(());
                    }
                }
            }
        }
        prop_assert_eq!(tree(our_folder.path()), tree(their_folder.path()));
    }
}
