//! A place of a tree that lies in another one: what is on the host below its name is reached neither by a descriptor, nor
//! by a rename, nor by a link.

#![cfg(unix)]

mod support;

use afmpeg::{HostDir, Job, MemoryFs, Tree};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use support::{SCRATCH, Script, number};

const CREATE: u64 = 1;
const DIRECTORY: u64 = 2;
const TRUNCATE: u64 = 8;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;

const SUCCESS: u64 = 0;
const BUSY: u64 = 10;
const NOENT: u64 = 44;
const PERM: u64 = 63;
const ROFS: u64 = 69;
const XDEV: u64 = 75;

const AT: u64 = SCRATCH as u64;
/// Where calls with two paths have the second one.
const SECOND: u64 = AT + 0x1000;

fn errors(answers: &[Vec<u8>]) -> Vec<u64> {
    answers.iter().map(|answer| number(answer)).collect()
}

fn path(script: &mut Script, path: &str) -> u64 {
    script.store(SCRATCH, path.as_bytes());
    path.len() as u64
}

fn rename(script: &mut Script, fd: u64, from: &str, to: &str) {
    let length = path(script, from);
    script.store(SECOND as u32, to.as_bytes());
    script.call("path_rename", &[fd, AT, length, fd, SECOND, to.len() as u64]);
}

/// Opens directories and then files below the last one; the numbers begin after that of the root.
fn opens(script: &mut Script, directory: &str, files: &[(&str, u64, u64)]) {
    script.open(directory, DIRECTORY, READ, 0);
    for (file, flags, rights) in files {
        script.open_at(4, file, *flags, *rights);
    }
}

#[test]
fn a_directory_that_was_opened_has_no_more_than_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let up = "../".repeat(root.components().count() - 1);
    symlink(format!("{up}proc/self/environ"), root.join("environ")).unwrap();
    symlink(format!("{up}proc"), root.join("kernel")).unwrap();
    let link = |name: &str| root.join(name).to_str().unwrap().trim_start_matches('/').to_owned();
    let tree = || {
        Tree::new("/w")
            .host_dir("/", HostDir::read_only("/").unwrap())
            .place("/proc", Arc::new(MemoryFs::new(0)))
    };
    let mut script = Script::default();
    let paths = [
        "proc/self/environ",
        "proc/self",
        &link("environ"),
        &link("kernel/self/environ"),
    ];
    opens(&mut script, "..", &paths.map(|path| (path, 0, READ)));
    // By the root itself, and what is there of /dev.
    script.open(&format!("../{}", link("environ")), 0, READ, 0);
    script.open_at(4, "dev/mem", 0, READ).open_at(4, "dev/null", 0, READ);
    let length = path(&mut script, "proc/self");
    script.call("path_filestat_get", &[4, 1, AT, length, SECOND]);
    let listed = path(&mut script, "proc");
    script.call("path_open", &[4, 1, AT, listed, DIRECTORY, READ, 0, 0, SECOND]);
    let listed = [6, SECOND, 1000, 0, AT];
    script.call("fd_readdir", &listed).load(SCRATCH, 4);
    // Nothing above it can be named.
    script.open_at(4, "../w", 0, READ);
    let answers = errors(&script.answers(|job| job.tree(tree())));
    let expected = [
        SUCCESS, NOENT, NOENT, NOENT, NOENT, NOENT, NOENT, SUCCESS, NOENT, SUCCESS, SUCCESS,
    ];
    assert_eq!(answers[..11], expected);
    // The entries `.` and `..`.
    assert_eq!(answers[11..], [2 * 24 + 3, PERM]);
}

/// A folder that may be written, with one in it that may not.
struct Nested {
    folder: tempfile::TempDir,
}

impl Nested {
    fn new() -> Nested {
        let folder = tempfile::tempdir().unwrap();
        let nested = Nested { folder };
        fs::create_dir_all(nested.path("a/originals/sub")).unwrap();
        fs::create_dir_all(nested.path("d")).unwrap();
        fs::write(nested.path("a/originals/x"), "original").unwrap();
        fs::write(nested.path("d/y"), "other").unwrap();
        // The owner's.
        symlink("a/originals", nested.path("short")).unwrap();
        symlink("../a", nested.path("d/round")).unwrap();
        symlink("a/originals/x", nested.path("file")).unwrap();
        nested
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn job(&self, job: Job, named: &str) -> Job {
        let outer = HostDir::read_write(self.folder.path()).unwrap().allow_links();
        let inner = HostDir::read_only(self.path(named)).unwrap().allow_links();
        let tree = Tree::new("/w").host_dir(".", outer).host_dir(named, inner);
        job.tree(tree.place("extra", Arc::new(MemoryFs::new(0))))
    }

    fn is_unchanged(&self) -> bool {
        let originals = self.path("a/originals");
        fs::read(originals.join("x")).is_ok_and(|text| text == b"original")
            && fs::read_dir(originals).unwrap().count() == 2
    }
}

#[test]
fn what_is_read_only_in_a_writable_folder_stays_so() {
    let nested = Nested::new();
    let ways = ["a/originals", "short", "d/round/originals", "own"];
    let mut script = Script::default();
    script.open(".", DIRECTORY, READ, 0);
    script.store(SCRATCH, b"a/originalsown");
    script.call("path_symlink", &[AT, 11, 4, AT + 11, 3]);
    let mut expected = vec![SUCCESS, SUCCESS];
    for way in ways {
        for fd in [3, 4] {
            script.open_at(fd, &format!("{way}/x"), 0, WRITE);
            script.open_at(fd, &format!("{way}/x"), TRUNCATE, READ);
            script.open_at(fd, &format!("{way}/new"), CREATE, WRITE);
            rename(&mut script, fd, &format!("{way}/x"), &format!("{way}/new"));
            rename(&mut script, fd, &format!("{way}/x"), "d/new");
            for (function, name) in [
                ("path_unlink_file", "x"),
                ("path_remove_directory", "sub"),
                ("path_create_directory", "new"),
            ] {
                let length = path(&mut script, &format!("{way}/{name}"));
                script.call(function, &[fd, AT, length]);
            }
            let length = path(&mut script, &format!("{way}/x"));
            script.call("path_filestat_set_times", &[fd, 1, AT, length, 0, 0, 5]);
            expected.extend([ROFS, ROFS, ROFS, ROFS, XDEV, ROFS, ROFS, ROFS, ROFS]);
        }
    }
    script.open_at(4, "file", 0, WRITE).open_at(4, "d/y", 0, WRITE);
    expected.extend([ROFS, SUCCESS]);
    assert_eq!(errors(&script.answers(|job| nested.job(job, "a/originals"))), expected);
    assert!(nested.is_unchanged());
}

#[test]
fn a_directory_on_the_way_to_a_place_stays_where_it_is() {
    let nested = Nested::new();
    let mut script = Script::default();
    script.open(".", DIRECTORY, READ, 0).open("d", DIRECTORY, READ, 0);
    for fd in [3, 4] {
        rename(&mut script, fd, "a", "b");
        rename(&mut script, fd, "d", "a");
        let length = path(&mut script, "a");
        script.call("path_remove_directory", &[fd, AT, length]);
    }
    // Another one moves, and what was opened before by its name is then not there, or what is there by the name.
    rename(&mut script, 4, "d", "e");
    script.open_at(5, "y", 0, READ);
    rename(&mut script, 4, "short", "d");
    script.open_at(5, "x", 0, WRITE);
    script.open_at(4, "e/y", 0, WRITE);
    let answers = errors(&script.answers(|job| nested.job(job, "a/originals")));
    let busy = [BUSY; 6];
    assert_eq!(answers, [&[0, 0][..], &busy, &[0, NOENT, 0, ROFS, 0]].concat());
    assert!(nested.is_unchanged() && nested.path("e/y").exists());
}

#[test]
fn what_a_place_shows_is_not_reached_by_the_name_that_its_own_leads_to() {
    let nested = Nested::new();
    let mut script = Script::default();
    // The place is given by the name of a link.
    script.open("short/x", 0, READ, 0).open("short/x", 0, WRITE, 0);
    script
        .open("a/originals/x", 0, WRITE, 0)
        .open("a/originals/x", TRUNCATE, READ, 0);
    assert_eq!(
        errors(&script.answers(|job| nested.job(job, "short"))),
        [SUCCESS, ROFS, PERM, PERM]
    );
    assert!(nested.is_unchanged());
}

#[test]
fn a_listing_has_the_places_in_a_directory() {
    let nested = Nested::new();
    let mut script = Script::default();
    script.open(".", DIRECTORY, READ, 0);
    script.call("fd_readdir", &[4, SECOND, 2000, 0, AT]).load(SCRATCH, 4);
    script.load(SECOND as u32, 2000);
    let answers = script.answers(|job| nested.job(job, "a/originals"));
    let mut entries = &answers[3][..number(&answers[2]) as usize];
    let mut names = Vec::new();
    while !entries.is_empty() {
        let length = number(&entries[16..20]) as usize;
        names.push(String::from_utf8(entries[24..24 + length].to_vec()).unwrap());
        entries = &entries[24 + length..];
    }
    names.sort();
    assert_eq!(names, [".", "..", "a", "d", "extra", "file", "short"]);
}

/// While the guest opens files, another process puts a link to the place where a directory was.
#[test]
fn no_race_leads_into_a_place() {
    let nested = Nested::new();
    fs::create_dir(nested.path("plain")).unwrap();
    fs::write(nested.path("plain/x"), "plain").unwrap();
    let swap = |from: &str, to: &str| fs::rename(nested.path(from), nested.path(to)).unwrap();
    let began = Instant::now();
    let goes_on = || began.elapsed() < Duration::from_secs(2);
    let (mut plain, mut others) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on() {
                for name in ["plain", "short"] {
                    swap(name, "swap");
                    thread::yield_now();
                    swap("swap", name);
                }
            }
        });
        let mut script = Script::default();
        script.open(".", DIRECTORY, READ, 0);
        let reads: Vec<usize> = (0..200)
            .map(|_| {
                script.open_at(4, "swap/x", 0, READ);
                let read = script.reads(5);
                script.call("fd_close", &[5]);
                read
            })
            .collect();
        while goes_on() {
            // Of the originals, the job has none.
            let tree = || {
                let outer = HostDir::read_only(Path::new(nested.folder.path())).unwrap();
                let nothing = Arc::new(MemoryFs::new(0));
                Tree::new("/w").host_dir(".", outer).place("a/originals", nothing)
            };
            let answers = script.answers(|job| job.tree(tree()));
            for read in &reads {
                assert!(!answers[*read].starts_with(b"origin"), "what is on the host was read");
                match answers[*read].starts_with(b"plain") {
                    true => plain += 1,
                    false => others += 1,
                }
            }
        }
    });
    println!("{plain} opens led to the directory, {others} to nothing");
    assert!(plain > 0 && others > 0);
}
