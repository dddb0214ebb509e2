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
//!
//! The numbers of opened files differ, too: the lowest that is free, as in POSIX, or with wasmtime-wasi the highest that
//! was closed. The guest keeps them, and steps say which of the kept ones they mean.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../tests/support/mod.rs"]
mod support;

use afmpeg::HostDir;
use proptest::prelude::*;
use std::cell::RefCell;
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
/// The numbers of opened files, eight bytes each.
const SLOTS: u32 = SCRATCH + 0x9000;
const SLOT_COUNT: u32 = 5;
/// A number that no open file has.
const NONE: u64 = 77;
/// Of a directory, among file types.
const DIRECTORY: u8 = 3;
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

/// A descriptor: a file that was opened, or a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fd {
    Opened(u32),
    Number(u64),
}

impl Fd {
    /// What stands for it among the arguments of the next call, as this one of them.
    fn argument(self, script: &mut Script, index: u32) -> u64 {
        match self {
            Fd::Opened(slot) => {
                script.pass(slot_at(slot), index);
                0
            }
            Fd::Number(number) => number,
        }
    }

    /// Forgets the number, which will be another file's.
    fn forget(self, script: &mut Script) {
        if let Fd::Opened(slot) = self {
            script.store(slot_at(slot), &NONE.to_le_bytes());
        }
    }

    /// Loads its type and flags, behind the error number.
    fn load_type(self, script: &mut Script) {
        script.store(RESULT as u32, &[0; 64]);
        let fd = self.argument(script, 0);
        script.call("fd_fdstat_get", &[fd, RESULT]).load(RESULT as u32, 4);
    }
}

fn slot_at(slot: u32) -> u32 {
    SLOTS + slot * 8
}

#[derive(Clone, Debug)]
enum Step {
    Open {
        slot: u32,
        path: String,
        follow: u64,
        flags: u64,
        rights: u64,
        fd_flags: u64,
    },
    Write {
        fd: Fd,
        bytes: Vec<u8>,
    },
    WriteAt {
        fd: Fd,
        bytes: Vec<u8>,
        offset: u64,
    },
    Read {
        fd: Fd,
        length: u32,
    },
    ReadAt {
        fd: Fd,
        length: u32,
        offset: u64,
    },
    Seek {
        fd: Fd,
        offset: i64,
        whence: u64,
    },
    Tell {
        fd: Fd,
    },
    SetSize {
        fd: Fd,
        size: u64,
    },
    SetFlags {
        fd: Fd,
        flags: u64,
    },
    SetTimes {
        fd: Fd,
        flags: u64,
    },
    Renumber {
        from: Fd,
        to: Fd,
    },
    Close {
        fd: Fd,
    },
    Sync {
        function: &'static str,
        fd: Fd,
    },
    Advise {
        fd: Fd,
        advice: u64,
    },
    Stat {
        fd: Fd,
    },
    Type {
        fd: Fd,
    },
    List {
        fd: Fd,
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
    Errno,
    Plain,
    Listing,
}

impl Step {
    /// Adds its calls; returns the kinds of its answers.
    fn add_to(&self, script: &mut Script) -> Vec<Answer> {
        use Answer::{Errno, Listing, Plain};
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
                slot,
                path,
                follow,
                flags,
                rights,
                fd_flags,
            } => {
                let length = path_at(script, path);
                let number = slot_at(*slot).into();
                script.call(
                    "path_open",
                    &[3, *follow, at, length, *flags, *rights, 0, *fd_flags, number],
                );
                Fd::Opened(*slot).load_type(script);
                vec![Errno, Errno, Plain]
            }
            Step::Write { fd, bytes } => {
                script.buffers(bytes);
                let fd = fd.argument(script, 0);
                script.call("fd_write", &[fd, at, 1, RESULT]).load(RESULT as u32, 4);
                vec![Errno, Plain]
            }
            Step::WriteAt { fd, bytes, offset } => {
                script.buffers(bytes);
                let fd = fd.argument(script, 0);
                script
                    .call("fd_pwrite", &[fd, at, 1, *offset, RESULT])
                    .load(RESULT as u32, 4);
                vec![Errno, Plain]
            }
            Step::Read { fd, length } => {
                script.buffers(&vec![0; *length as usize]);
                let fd = fd.argument(script, 0);
                script.call("fd_read", &[fd, at, 1, RESULT]);
                script.load(RESULT as u32, 4).load(SCRATCH + 0x1000, *length);
                vec![Errno, Plain, Plain]
            }
            Step::ReadAt { fd, length, offset } => {
                script.buffers(&vec![0; *length as usize]);
                let fd = fd.argument(script, 0);
                script.call("fd_pread", &[fd, at, 1, *offset, RESULT]);
                script.load(RESULT as u32, 4).load(SCRATCH + 0x1000, *length);
                vec![Errno, Plain, Plain]
            }
            Step::Seek { fd, offset, whence } => {
                let fd = fd.argument(script, 0);
                script
                    .call("fd_seek", &[fd, offset.cast_unsigned(), *whence, RESULT])
                    .load(RESULT as u32, 8);
                vec![Errno, Plain]
            }
            Step::Tell { fd } => {
                let fd = fd.argument(script, 0);
                script.call("fd_tell", &[fd, RESULT]).load(RESULT as u32, 8);
                vec![Errno, Plain]
            }
            Step::SetSize { fd, size } => {
                let fd = fd.argument(script, 0);
                script.call("fd_filestat_set_size", &[fd, *size]);
                vec![Errno]
            }
            Step::SetFlags { fd, flags } => {
                let fd = fd.argument(script, 0);
                script.call("fd_fdstat_set_flags", &[fd, *flags]);
                vec![Errno]
            }
            Step::SetTimes { fd, flags } => {
                fd.load_type(script);
                let fd = fd.argument(script, 0);
                script.call("fd_filestat_set_times", &[fd, 1_000_000_000, 2_000_000_000, *flags]);
                vec![Errno, Plain, Errno]
            }
            Step::Renumber { from, to } => {
                let arguments = [from.argument(script, 0), to.argument(script, 1)];
                script.call("fd_renumber", &arguments);
                if from != to {
                    from.forget(script);
                }
                vec![Errno]
            }
            Step::Close { fd } => {
                let number = fd.argument(script, 0);
                script.call("fd_close", &[number]);
                // It is closed now.
                fd.load_type(script);
                fd.forget(script);
                vec![Errno, Errno, Plain]
            }
            Step::Sync { function, fd } => {
                fd.load_type(script);
                let fd = fd.argument(script, 0);
                script.call(function, &[fd]);
                vec![Errno, Plain, Errno]
            }
            Step::Advise { fd, advice } => {
                let fd = fd.argument(script, 0);
                script.call("fd_advise", &[fd, 0, 10, *advice]);
                vec![Errno]
            }
            Step::Stat { fd } => {
                let fd = fd.argument(script, 0);
                script.call("fd_filestat_get", &[fd, RESULT]);
                // The type, the number of links and the size.
                script.load(RESULT as u32 + 16, 24);
                vec![Errno, Plain]
            }
            Step::Type { fd } => {
                fd.load_type(script);
                vec![Errno, Plain]
            }
            Step::List { fd, cookie } => {
                // A later cookie continues the listing that this call begins.
                let whole = [
                    fd.argument(script, 0),
                    at + 0x1000,
                    LISTING_SIZE_BYTES.into(),
                    0,
                    RESULT,
                ];
                script
                    .call("fd_readdir", &whole)
                    .store(SCRATCH + 0x1000, &[0; LISTING_SIZE_BYTES as usize]);
                let fd = fd.argument(script, 0);
                script.call(
                    "fd_readdir",
                    &[fd, at + 0x1000, LISTING_SIZE_BYTES.into(), *cookie, RESULT],
                );
                script.load(SCRATCH + 0x1000, LISTING_SIZE_BYTES);
                vec![Errno, Errno, Listing]
            }
            Step::PathStat { path, follow } => {
                let length = path_at(script, path);
                script.call("path_filestat_get", &[3, *follow, at, length, RESULT]);
                script.load(RESULT as u32 + 16, 24);
                vec![Errno, Plain]
            }
            Step::PathSetTimes { path, follow, flags } => {
                let length = path_at(script, path);
                let (accessed, modified) = (3_000_000_000, 4_000_000_000);
                script.call(
                    "path_filestat_set_times",
                    &[3, *follow, at, length, accessed, modified, *flags],
                );
                vec![Errno]
            }
            Step::OnPath { function, path } => {
                let length = path_at(script, path);
                script.call(function, &[3, at, length]);
                vec![Errno]
            }
            Step::Rename { from, to } => {
                let (from_length, to_length) = (path_at(script, from), other_at(script, to));
                script.call("path_rename", &[3, at, from_length, 3, OTHER_PATH, to_length]);
                vec![Errno]
            }
            Step::Link { from, to, follow } => {
                let (from_length, to_length) = (path_at(script, from), other_at(script, to));
                script.call("path_link", &[3, *follow, at, from_length, 3, OTHER_PATH, to_length]);
                vec![Errno]
            }
            Step::Symlink { target, path } => {
                let (target_length, length) = (other_at(script, target), path_at(script, path));
                script.call("path_symlink", &[OTHER_PATH, target_length, 3, at, length]);
                vec![Errno]
            }
            Step::ReadLink { path, length } => {
                let path_length = path_at(script, path);
                script.store(OTHER_PATH as u32, &[0; 64]);
                script.call("path_readlink", &[3, at, path_length, OTHER_PATH, *length, RESULT]);
                script.load(RESULT as u32, 4).load(OTHER_PATH as u32, 64);
                vec![Errno, Plain, Plain]
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

/// What the steps so far have brought about, as far as answers may differ by it.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    names_have_moved: bool,
    /// Number 3 stands for something that was opened.
    base_is_replaced: bool,
    /// The step's descriptor is a directory's.
    is_directory: bool,
}

/// Returns whether the two may answer differently; each case has its reason beside it.
fn differs_on_purpose(step: &Step, (ours, theirs): (u64, u64), state: State) -> bool {
    const BADF: u64 = 8;
    const INVAL: u64 = 28;
    const ISDIR: u64 = 31;
    const NOENT: u64 = 44;
    const NOTDIR: u64 = 54;
    const PERM: u64 = 63;
    // A file where a directory is required: wasmtime-wasi reports that for `path_open` alone.
    if (ours, theirs) == (NOTDIR, BADF) && (matches!(step, Step::List { .. }) || is_below_base(step)) {
        return !is_below_base(step) || state.base_is_replaced;
    }
    let is_gone = state.names_have_moved && (ours == NOENT || ours == NOTDIR);
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
        Step::Sync { .. } | Step::SetTimes { .. } => (ours, theirs) == (0, BADF) && state.is_directory,
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

/// Returns whether a step has paths below the descriptor 3 and is not `path_open`.
fn is_below_base(step: &Step) -> bool {
    matches!(
        step,
        Step::PathStat { .. }
            | Step::PathSetTimes { .. }
            | Step::OnPath { .. }
            | Step::Rename { .. }
            | Step::Link { .. }
            | Step::Symlink { .. }
            | Step::ReadLink { .. }
    )
}

/// Returns whether a step that one refuses and the other doesn't leaves the trees different.
fn changes_tree(step: &Step) -> bool {
    !matches!(
        step,
        Step::Stat { .. }
            | Step::List { .. }
            | Step::PathStat { .. }
            | Step::Sync { .. }
            | Step::SetTimes { .. }
            | Step::Type { .. }
    )
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
    let slot = || 0..SLOT_COUNT;
    let fd = || {
        prop_oneof![
            40 => slot().prop_map(Fd::Opened),
            1 => Just(Fd::Number(3)),
            1 => Just(Fd::Number(NONE)),
        ]
    };
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let follow = || 0..2u64;
    let select = |values: &[u64]| proptest::sample::select(values.to_vec());
    let path_functions = vec![
        "path_create_directory",
        "path_create_directory",
        "path_remove_directory",
        "path_unlink_file",
    ];
    let files = prop_oneof![
        8 => (slot(), path(), follow(), 0..16u64, select(&[0, READ, WRITE, READ | WRITE]), select(&[0, 0, 1, 4])).prop_map(
            |(slot, path, follow, flags, rights, fd_flags)| {
                // What is made or cut may be written to with wasmtime-wasi, and what may not be written to be read.
                let rights = if flags & (CREATE | TRUNCATE) != 0 { rights | WRITE } else { rights };
                let rights = if rights == 0 { READ } else { rights };
                Step::Open { slot, path, follow, flags, rights, fd_flags }
            }
        ),
        8 => (slot(), path(), select(&[0, 1, 1, 9]), select(&[WRITE, READ | WRITE])).prop_map(
            |(slot, path, flags, rights)| Step::Open { slot, path, follow: 1, flags, rights, fd_flags: 0 }
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
        1 => fd().prop_map(|fd| Step::Close { fd }),
        1 => (proptest::sample::select(vec!["fd_sync", "fd_datasync"]), fd())
            .prop_map(|(function, fd)| Step::Sync { function, fd }),
        1 => (fd(), 0..6u64).prop_map(|(fd, advice)| Step::Advise { fd, advice }),
        2 => fd().prop_map(|fd| Step::Stat { fd }),
        1 => fd().prop_map(|fd| Step::Type { fd }),
        2 => (prop_oneof![fd(), Just(Fd::Number(3))], 0..3u64).prop_map(|(fd, cookie)| Step::List { fd, cookie }),
    ];
    let paths = prop_oneof![
        2 => (path(), follow()).prop_map(|(path, follow)| Step::PathStat { path, follow }),
        1 => (path(), follow(), 0..16u64)
            .prop_map(|(path, follow, flags)| Step::PathSetTimes { path, follow, flags }),
        5 => (proptest::sample::select(path_functions), path())
            .prop_map(|(function, path)| Step::OnPath { function, path }),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => (path(), path(), select(&[0, 0, 0, 1])).prop_map(|(from, to, follow)| Step::Link { from, to, follow }),
        // Few climb, as the trees differ from there on.
        3 => (prop_oneof![9 => path().prop_map(|path| path.replace("..", "a")), 1 => path()], path())
            .prop_map(|(target, path)| Step::Symlink { target, path }),
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
    support::count::of("AFMPEG_TEST_CASES", 300)
}

/// How far the comparison came, over all cases.
#[derive(Default)]
struct Reached {
    steps: usize,
    compared: usize,
    /// Steps whose calls both made without an error.
    done: usize,
}

/// Compares the answers to one step. Returns whether the next one can be compared.
fn compare(
    step: &Step,
    kinds: &[Answer],
    ours: &[Vec<u8>],
    theirs: &[Vec<u8>],
    state: &mut State,
) -> Result<bool, TestCaseError> {
    let is_done = |answer: &Vec<u8>| *answer == [0; 4];
    let succeeded = is_done(&ours[0]) && is_done(&theirs[0]);
    state.names_have_moved |= moves_names(step) && succeeded;
    state.base_is_replaced |= succeeded && matches!(step, Step::Renumber { to: Fd::Number(3), .. });
    // Where the type comes before the call that it matters to.
    state.is_directory = ours.get(1).is_some_and(|loaded| loaded.first() == Some(&DIRECTORY));
    for (index, kind) in kinds.iter().enumerate() {
        let (our, their) = (&ours[index], &theirs[index]);
        match kind {
            Answer::Listing => prop_assert_eq!(listing(our), listing(their), "{:?}", step),
            Answer::Plain => prop_assert_eq!(our, their, "{:?}", step),
            Answer::Errno if our != their => {
                let errnos = (number(our), number(their));
                prop_assert!(
                    differs_on_purpose(step, errnos, *state),
                    "{step:?}: {errnos:?}, {state:?}"
                );
                if is_done(our) != is_done(their) {
                    return Ok(!changes_tree(step));
                }
            }
            Answer::Errno => {}
        }
    }
    Ok(true)
}

fn compare_all(steps: &[Step], reached: &RefCell<Reached>) -> Result<(), TestCaseError> {
    let mut script = Script::default();
    for slot in 0..SLOT_COUNT {
        script.store(slot_at(slot), &NONE.to_le_bytes());
    }
    let kinds: Vec<Vec<Answer>> = steps.iter().map(|step| step.add_to(&mut script)).collect();
    let (our_folder, their_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = Arc::new(HostDir::read_write(our_folder.path()).unwrap().allow_links());
    let ours = script.answers(|job| job.file_system(".", dir));
    let theirs = run_reference(&script, their_folder.path());
    let (mut ours, mut theirs) = (&ours[..], &theirs[..]);
    let mut state = State::default();
    reached.borrow_mut().steps += steps.len();
    for (step, kinds) in steps.iter().zip(kinds) {
        let (our, their);
        (our, ours) = ours.split_at(kinds.len());
        (their, theirs) = theirs.split_at(kinds.len());
        if !compare(step, &kinds, our, their, &mut state)? {
            // From here on the trees may differ.
            return Ok(());
        }
        let mut reached = reached.borrow_mut();
        reached.compared += 1;
        reached.done += usize::from(our[0] == [0; 4]);
    }
    prop_assert_eq!(tree(our_folder.path()), tree(their_folder.path()));
    Ok(())
}

#[test]
fn both_answer_the_same() {
    let config = ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let reached = RefCell::default();
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..60))| compare_all(&steps, &reached)?);
    let Reached { steps, compared, done } = reached.into_inner();
    println!("{compared} of {steps} steps were compared, {done} of them without an error");
    assert!(compared > steps / 10 * 8, "{compared} of {steps} steps");
    // Most calls ask for what is not there; a tenth is what is usual.
    assert!(done > steps / 20, "{done} of {steps} steps");
}
