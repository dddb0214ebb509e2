//! What goes wrong ends in a clear error with its documented exit code, and leaves nothing half-done.

mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use support::{Ended, Fixture, archive, files_in, response, run, serve, serve_files, sha256, wait};
use xtask::cache::Cache;

#[test]
fn a_name_that_is_no_profile_lists_what_names_are_made_of() {
    let fixture = Fixture::new();
    let shipped = "o2-gpl, o2-lgpl, o3-gpl, o3-gpl-full, o3-gpl-scalar, o3-lgpl, o3-lgpl-web, oz-gpl, oz-lgpl,";
    for (name, wanted) in [
        ("o4-gpl", "`o4` is no level: o2, o3, oz"),
        ("o3-bsd", "`bsd` is no licence: gpl, lgpl"),
        ("o3", "`` is no licence: gpl, lgpl"),
        (
            "o3-lgpl-sound",
            "`sound` is neither a set (audio, base, full, lean, probe, standard, web) nor a lever (inlining, narrow,",
        ),
    ] {
        let ended = run(fixture.command(&["build", "--profile", name]));
        ended.expect(2, &[&format!("no profile `{name}`"), wanted, shipped]);
    }
    run(fixture.command(&["build"])).expect(2, &["--profile"]);
    run(fixture.command(&["build", "--profile", "o3-gpl", "--jobs", "0"])).expect(2, &["--jobs"]);
}

/// Puts a text into a file in place of another one, builds, and puts it back.
fn with_edit(fixture: &Fixture, file: &str, from: &str, to: &str, build: impl FnOnce() -> Ended) -> Ended {
    let path = fixture.root().join(file);
    let good = fs::read_to_string(&path).unwrap();
    assert!(good.contains(from), "{file} has no {from}");
    fs::write(&path, good.replacen(from, to, 1)).unwrap();
    let ended = build();
    fs::write(&path, good).unwrap();
    ended
}

#[test]
fn a_fault_in_a_file_is_named_with_its_line_and_the_way_out() {
    let fixture = Fixture::new();
    let (o2, zlib, x264) = (
        "profiles/levels/o2.toml",
        "ffmpeg-src/zlib.toml",
        "ffmpeg-src/x264.toml",
    );
    let (standard, base) = ("profiles/components/standard.toml", "profiles/components/base.toml");
    let native = "encoders = [\"aac\", ";
    for (file, from, to, wanted) in [
        (o2, "simd = true", "sidm = true", &["o2.toml:3", "sidm"][..]),
        (o2, "\"2\"", "\"4\"", &["o2.toml:2", "optimise"]),
        (o2, "simd = true", "= 3", &["o2.toml:3"]),
        (zlib, "description = ", "descripton = ", &["zlib.toml:", "descripton"]),
        (zlib, "libs = \"-lz\"\n", "", &["zlib.toml:", "missing field `libs`"]),
        (
            zlib,
            "license_files",
            "needs = [\"oggg\"]\nlicense_files",
            &["zlib.toml:", "needs `oggg`", "the libraries are "],
        ),
        (
            zlib,
            "\"Zlib\"",
            "\"GPL2\"",
            &["zlib.toml:", "`GPL2` is no SPDX expression"],
        ),
        (zlib, "\"Zlib\"", "\"AGPL-3.0-only\"", &["zlib.toml:", "on no terms"]),
        (
            zlib,
            "system = \"files\"",
            "system = \"make\"",
            &["zlib.toml:", "for no other system"],
        ),
        (
            zlib,
            "system = \"files\"",
            "system = \"scons\"",
            &["zlib.toml:", "scons", "autotools"],
        ),
        (
            x264,
            "version = \"0.164",
            "version = \"r164",
            &["x264.toml:", "does not match the version r164"],
        ),
        (
            standard,
            "\"openh264\",",
            "\"openh265\",",
            &[
                "standard.toml:7",
                "openh265",
                "the libraries are ",
                "ffmpeg-src/NAME.toml",
            ],
        ),
        (
            standard,
            "[\"base\"]",
            "[\"basis\"]",
            &["standard.toml:2", "no set `basis`", "profiles/components/NAME.toml"],
        ),
        (
            base,
            "[components]",
            "extends = [\"standard\"]\n[components]",
            &["base.toml:3", "circle", "standard -> base -> standard"],
        ),
        (
            standard,
            native,
            "encoders = [\"libfoo\", ",
            &["standard.toml:26", "no library gives libfoo", "ffmpeg-src/NAME.toml"],
        ),
        (
            standard,
            native,
            "encoders = [\"libx264\", ",
            &[
                "standard.toml:26",
                "from the library x264, which is not taken",
                "LGPL-2.1-or-later",
            ],
        ),
        (
            standard,
            native,
            "enkoders = [\"aac\", ",
            &["standard.toml:26", "no `enkoders`", "encoders, filters"],
        ),
        (
            base,
            "decoders = [\"av1\"]",
            "encoders = [\"aac\"]",
            &["standard.toml:26", "aac", "base.toml:26 forbids it"],
        ),
        (
            standard,
            "\"amix\", ",
            "\"eq\", ",
            &["standard.toml:30", "eq", "the licence LGPL-2.1-or-later forbids it"],
        ),
    ] {
        let ended = with_edit(&fixture, file, from, to, || run(fixture.build_zlib()));
        ended.expect(2, wanted);
    }
    let openh264 = "ffmpeg-src/openh264.toml";
    let needs = |name: &str| format!("needs = [\"{name}\"]\nlicense_files");
    let ended = with_edit(&fixture, zlib, "license_files", &needs("openh264"), || {
        with_edit(&fixture, openh264, "license_files", &needs("zlib"), || {
            run(fixture.build_zlib())
        })
    });
    ended.expect(2, &["toml:", "needs go round", "zlib -> openh264 -> zlib"]);
    fixture.edit_source("openh264", |source| {
        drop(source.insert("sha256".into(), "nonsense".into()))
    });
    run(fixture.build_zlib()).expect(2, &["ffmpeg-src/openh264.toml", "nonsense"]);
}

#[test]
fn an_option_that_the_build_system_does_not_know_is_no_option() {
    let fixture = Fixture::new();
    let configure = "#!/bin/sh\necho 'configure: WARNING: unrecognized options: --disable-nonsense' >&2\n";
    let archive = archive(
        "zlib-1",
        &[
            ("configure", configure),
            ("Makefile", "all:\n\ttouch libz.a\n"),
            ("LICENSE", ""),
        ],
    );
    fs::write(fixture.mirror().join("other"), &archive).unwrap();
    fixture.pin_zlib(&sha256(&archive), &["http://127.0.0.1:9/zlib.tar.gz".to_owned()]);
    let set = |options: &str| {
        fixture.edit("zlib", |file| {
            let build =
                format!("system = \"autotools\"\noptions = [{options}]\nheaders = []\narchives = [\"libz.a\"]\n");
            file.insert("build".into(), build.parse::<toml::Table>().unwrap().into());
        });
    };
    set("\"--disable-nonsense\"");
    let ended = run(fixture.build_zlib());
    ended.expect(
        2,
        &[
            "step zlib",
            "ffmpeg-src/zlib.toml:",
            "does not take all that it is given",
            "--disable-nonsense",
            "hint: ",
        ],
    );
    assert_eq!(fixture.results(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_wrong_digest_is_refused_and_the_next_origin_is_asked() {
    let fixture = Fixture::new();
    let good = fs::read(fixture.mirror().join("any name")).unwrap();
    fs::remove_dir_all(fixture.mirror()).unwrap();
    fs::create_dir(fixture.mirror()).unwrap();
    let bad = b"something else".to_vec();
    let server = serve(vec![response(&bad, bad.len())]);
    fixture.pin_zlib(&sha256(&good), &[format!("{server}/zlib.tar.gz")]);
    let ended = run(fixture.build_zlib());
    ended.expect(
        3,
        &[
            &format!("fetching zlib from {server}/zlib.tar.gz"),
            &format!("wanted sha256 {}", sha256(&good)),
            &format!("got           {}", sha256(&bad)),
        ],
    );
    assert_eq!(
        files_in(&fixture.cache().join("downloads")),
        Vec::<std::path::PathBuf>::new()
    );

    let truncated = response(&good[..good.len() / 2], good.len());
    let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    let server = serve(vec![truncated, not_found, response(&good, good.len())]);
    fixture.pin_zlib(&sha256(&good), &["a", "b", "c"].map(|name| format!("{server}/{name}")));
    run(fixture.build_zlib()).expect(0, &[]);
    assert_eq!(files_in(&fixture.cache().join("downloads")).len(), 1);
}

#[test]
fn a_download_that_breaks_off_goes_on_from_any_origin() {
    let fixture = Fixture::new();
    let good = fs::read(fixture.mirror().join("any name")).unwrap();
    fs::remove_dir_all(fixture.mirror()).unwrap();
    fs::create_dir(fixture.mirror()).unwrap();
    let half = good.len() / 2;
    let rest = |data: &[u8]| {
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {half}-{}/{}\r\nContent-Length: {}\r\n\r\n",
            good.len() - 1,
            good.len(),
            good.len() - half
        );
        [head.as_bytes(), &data[half..]].concat()
    };
    let cut = response(&good[..half], good.len());
    let mut other = good.clone();
    other[half..].fill(0);
    let server = serve(vec![
        cut.clone(),
        rest(&good),
        // What does not fit to the beginning is fetched as a whole.
        cut,
        rest(&other),
        response(&good, good.len()),
    ]);
    fixture.pin_zlib(&sha256(&good), &[format!("{server}/a")]);
    for _ in 0..2 {
        run(fixture.build_zlib()).expect(3, &["no origin gave zlib", "the download broke off"]);
        run(fixture.build_zlib()).expect(0, &["zlib: done"]);
        assert_eq!(files_in(&fixture.cache().join("downloads")).len(), 1);
        fs::remove_dir_all(fixture.cache()).unwrap();
    }
}

/// apt fails where two of it read lists into one folder.
#[test]
fn two_runs_read_the_lists_of_a_suite_one_after_the_other() {
    let place = tempfile::TempDir::new().unwrap();
    let program = place.path().join("apt-get");
    let busy = place.path().join("busy");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n*indextargets*) echo 'http://127.0.0.1:9/debian/ sid main' ;;\n\
         *update*) mkdir '{0}' || {{ echo 'two at once' >&2; exit 100; }}; sleep 1; rmdir '{0}' ;;\nesac\n",
        busy.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let fixtures = [Fixture::new(), Fixture::new()];
    let builds = ["1", "2"].into_iter().zip(&fixtures).map(|(digit, fixture)| {
        let digest = digit.repeat(64);
        fixture.edit_source("zlib", |zlib| {
            zlib.insert("sha256".into(), digest.into());
            zlib["origin"][0] = toml::toml! { debian = "zlib1g" suite = "sid" version = "1" }.into();
        });
        let mut build = fixture.build_zlib();
        build
            .env("PATH", &path)
            .env("AFMPEG_CACHE_DIR", place.path().join("cache"));
        // A variable that is no text is none of ours.
        build.env("OTHER", OsStr::from_bytes(b"\xff"));
        build.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for build in builds.collect::<Vec<_>>() {
        let ended = wait(build);
        ended.expect(3, &["sid offers no file with sha256"]);
        assert!(!ended.stderr.contains("two at once"), "{}", ended.stderr);
    }
}

/// pip runs programs out of archives of sources.
#[test]
fn nothing_of_an_archive_is_run_before_its_digest_is_compared() {
    let fixture = Fixture::new();
    let is_run = fixture.folder.path().join("is run");
    let backend = format!(
        "import os\nopen({:?}, 'w').close()\n\
         def get_requires_for_build_wheel(config_settings=None):\n    return []\n\
         def prepare_metadata_for_build_wheel(folder, config_settings=None):\n    \
         os.mkdir(folder + '/sample-1.dist-info')\n    \
         with open(folder + '/sample-1.dist-info/METADATA', 'w') as file:\n        \
         file.write('Metadata-Version: 2.1\\nName: sample\\nVersion: 1\\n')\n    \
         return 'sample-1.dist-info'\n",
        is_run.to_str().unwrap()
    );
    let settings = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
    let files = [("pyproject.toml", settings), ("backend.py", &backend)];
    let data = archive("sample-1", &files);
    let page = b"<!DOCTYPE html><html><body><a href=\"/sample-1.tar.gz\">sample-1.tar.gz</a></body></html>".to_vec();
    let served = [
        ("simple/sample/".to_owned(), page),
        ("sample-1.tar.gz".to_owned(), data.clone()),
    ];
    let server = serve_files(Arc::new(Mutex::new(served.into())));
    for (digest, is_pinned) in [("0".repeat(64), false), (sha256(&data), true)] {
        fixture.edit_source("zlib", |zlib| {
            zlib.insert("sha256".into(), digest.into());
            zlib["origin"][0] = toml::toml! { pypi = "sample" version = "1" sdist = true }.into();
        });
        let mut build = fixture.build_zlib();
        build
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_INDEX_URL", format!("{server}/simple"))
            .env("PIP_NO_CACHE_DIR", "1")
            .env("NO_PROXY", "127.0.0.1");
        let ended = run(build);
        assert_eq!(
            ended.stderr.contains("no origin gave zlib"),
            !is_pinned,
            "{}",
            ended.stderr
        );
        assert_eq!(is_run.exists(), is_pinned, "{}", ended.stderr);
    }
}

#[test]
fn an_origin_with_another_tree_is_left_out_and_the_next_one_is_asked() {
    let fixture = Fixture::new();
    let tree = fixture.pin_zlib_tree();
    let good = fs::read(fixture.mirror().join("any name")).unwrap();
    let other = support::zlib_like("zlib-1", "/* changed */\n");
    let server = serve(vec![response(&other, other.len()), response(&good, good.len())]);
    fixture.edit_source("zlib", |zlib| {
        let origins = [("other", &other), ("good", &good)].map(|(name, archive)| {
            let url = format!("{server}/{name}");
            let digest = sha256(archive);
            toml::Value::from(toml::toml! { url = url sha256 = digest })
        });
        zlib.remove("sha256");
        zlib.insert("origin".into(), origins.to_vec().into());
    });
    fs::remove_dir_all(fixture.cache()).unwrap();
    fs::remove_dir_all(fixture.mirror()).unwrap();
    fs::create_dir(fixture.mirror()).unwrap();
    let got = format!("wanted tree_sha256 {tree}");
    run(fixture.build_zlib()).expect(0, &["/other is left out", &got, "zlib: done"]);
}

#[test]
fn dead_origins_cost_seconds_and_offline_asks_none() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.mirror()).unwrap();
    fs::create_dir(fixture.mirror()).unwrap();
    let silent = serve(vec![Vec::new(), Vec::new()]);
    let refused = "http://127.0.0.1:9".to_owned();
    fixture.pin_zlib(
        &"0".repeat(64),
        &[format!("{silent}/1"), format!("{silent}/2"), refused],
    );
    let started = Instant::now();
    let ended = run(fixture.build_zlib());
    ended.expect(3, &["no origin gave zlib", &silent, "127.0.0.1:9", "--mirror"]);
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "it took {:?}",
        started.elapsed()
    );
    let mut offline = fixture.build_zlib();
    offline.arg("--offline");
    run(offline).expect(3, &["zlib", "--offline"]);
}

#[test]
fn a_patch_that_no_longer_applies_is_named() {
    let fixture = Fixture::new();
    let folder = fixture.root().join("patches/zlib");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("series"), "0001-change.patch\n").unwrap();
    let patch = |line: &str| {
        format!("diff --git a/crc32.c b/crc32.c\n--- a/crc32.c\n+++ b/crc32.c\n@@ -1 +1 @@\n-{line}\n+/* other */\n")
    };
    fs::write(folder.join("0001-change.patch"), patch("/* something older */")).unwrap();
    run(fixture.build_zlib()).expect(
        1,
        &[
            "profile o2-lgpl, step zlib",
            "patches/zlib/0001-change.patch",
            "crc32.c",
        ],
    );
    fs::write(folder.join("0001-change.patch"), patch("/* crc32.c */")).unwrap();
    run(fixture.build_zlib()).expect(0, &[]);
}

#[test]
fn what_is_edited_while_a_step_runs_is_not_kept() {
    let fixture = Fixture::new();
    let folder = fixture.root().join("patches/zlib");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("series"), "0001-add.patch\n").unwrap();
    let patch = |line: &str| {
        let head = "diff --git a/added.c b/added.c\nnew file mode 100644\n--- /dev/null\n+++ b/added.c\n";
        format!("{head}@@ -0,0 +1 @@\n+/* {line} */\n")
    };
    fs::write(folder.join("0001-add.patch"), patch("before")).unwrap();
    let child = start_held(&fixture);
    fs::write(folder.join("0001-add.patch"), patch("after")).unwrap();
    fs::write(fixture.folder.path().join("gate"), "").unwrap();
    wait(child).expect(1, &["step zlib", "patches/zlib was changed while the step ran"]);
    assert_eq!(fixture.results(), Vec::<std::path::PathBuf>::new());
    run(fixture.build_zlib()).expect(0, &[]);
}

#[test]
fn a_compiler_error_shows_the_command_the_log_and_its_end() {
    let fixture = Fixture::new();
    fixture.write_sdk("echo 'zutil.c:1: error: this is what failed' >&2; exit 1");
    let ended = run(fixture.build_zlib());
    ended.expect(
        1,
        &[
            "profile o2-lgpl, step zlib",
            "wasm-cc -O2",
            "this is what failed",
            "log: ",
        ],
    );
    let log = ended
        .stderr
        .lines()
        .find_map(|line| line.trim().strip_prefix("log: "))
        .unwrap()
        .to_owned();
    assert!(fs::read_to_string(log).unwrap().contains("this is what failed"));
    assert_eq!(fixture.results(), Vec::<std::path::PathBuf>::new());
    let command = ended
        .stderr
        .lines()
        .find_map(|line| line.split_once("command: "))
        .unwrap()
        .1;
    assert!(command.starts_with("cd ") && command.contains(" && "), "{command}");
}

/// The command, run by another one that is given it as its last arguments.
fn through(outer: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(outer[0]);
    command
        .args(&outer[1..])
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null());
    command
}

/// A build whose compiler waits until a file appears.
fn start_held(fixture: &Fixture) -> Child {
    let gate = fixture.folder.path().join("gate");
    let started = fixture.folder.path().join("started");
    fixture.write_sdk(&format!(
        ": > '{}'; n=0; while [ ! -e '{}' ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done",
        started.display(),
        gate.display()
    ));
    // A shell's background jobs ignore SIGINT, and hand that down to these tests and what they start.
    let child = through(&["env", "--default-signal=INT,TERM"], &fixture.build_zlib())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !started.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the compiler was not started"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill")
            .args([name, &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_killed_build_leaves_nothing_half_done_and_the_next_one_finishes() {
    for name in ["-KILL", "-INT", "-TERM"] {
        let fixture = Fixture::new();
        let child = start_held(&fixture);
        signal(&child, name);
        let ended = wait_without_output(child);
        assert_ne!(ended, Some(0));
        assert_eq!(fixture.results(), Vec::<std::path::PathBuf>::new());
        fs::write(fixture.folder.path().join("gate"), "").unwrap();
        scratch_was_made(&fixture, 120);
        run(fixture.build_zlib()).expect(0, &[]);
        assert_eq!(fixture.results().len(), 1);
        assert_eq!(
            files_in(&fixture.cache().join("tmp")),
            Vec::<std::path::PathBuf>::new(),
            "remains of the killed run"
        );
    }
}

/// Makes the scratch folders of a cache so many seconds old.
fn scratch_was_made(fixture: &Fixture, seconds_ago: u64) {
    let made = SystemTime::now() - Duration::from_secs(seconds_ago);
    for folder in files_in(&fixture.cache().join("tmp")) {
        for path in files_in(&folder).into_iter().chain([folder]) {
            fs::File::open(path).unwrap().set_modified(made).unwrap();
        }
    }
}

/// Containers share a cache and do not see each other's processes.
#[test]
fn the_folder_of_a_build_that_runs_stays_whoever_looks_and_remains_do_not() {
    let fixture = Fixture::new();
    let held = start_held(&fixture);
    let cache = Cache::at(fixture.cache()).unwrap();
    let scratch = fixture.cache().join("tmp");
    let needed = files_in(&scratch);
    assert!(!needed.is_empty());
    for (name, has_lock) in [("scratch-remains", true), ("scratch-about-to-be-locked", false)] {
        fs::create_dir(scratch.join(name)).unwrap();
        if has_lock {
            fs::write(scratch.join(name).join("lock"), "").unwrap();
        }
    }
    drop(cache.scratch().unwrap());
    assert!(scratch.join("scratch-remains").is_dir(), "it is young");
    scratch_was_made(&fixture, 120);
    drop(cache.scratch().unwrap());
    let left: BTreeSet<_> = files_in(&scratch).into_iter().collect();
    let wanted = needed.into_iter().chain([scratch.join("scratch-about-to-be-locked")]);
    assert_eq!(left, wanted.collect());
    scratch_was_made(&fixture, 2 * 24 * 60 * 60);
    drop(cache.scratch().unwrap());
    assert!(!scratch.join("scratch-about-to-be-locked").exists());
    fs::write(fixture.folder.path().join("gate"), "").unwrap();
    wait(held).expect(0, &["zlib: done"]);
}

/// The killed build's own children hold its pipes, so its output can't be waited for.
fn wait_without_output(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn the_second_of_two_builds_says_that_it_waits() {
    let fixture = Fixture::new();
    let first = start_held(&fixture);
    let mut second = fixture
        .build_zlib()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It is held until the second one has said so.
    let mut said = BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("waiting for another run") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "the second build did not wait");
    }
    fs::write(fixture.folder.path().join("gate"), "").unwrap();
    wait(first).expect(0, &[]);
    assert_eq!(second.wait().unwrap().code(), Some(0));
    assert_eq!(fixture.results().len(), 1);
}

#[test]
fn a_write_that_finds_no_room_is_an_error_of_the_environment() {
    let fixture = Fixture::new();
    // A limit on file sizes fails a write in its middle as a full disk does, and needs no root to set up.
    let limit = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"];
    run(through(&limit, &fixture.build_zlib())).expect(3, &["hint: free some space", "AFMPEG_CACHE_DIR"]);
    assert_eq!(fixture.results(), Vec::<std::path::PathBuf>::new());
    run(fixture.build_zlib()).expect(0, &[]);
}

#[test]
fn what_is_missing_in_the_environment_is_named() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.sdk().join("bin/llvm-ar")).unwrap();
    run(fixture.build_zlib()).expect(3, &["bin/llvm-ar", "WASI_SDK_PATH"]);
    fixture.write_sdk("");
    fs::remove_dir_all(fixture.mirror()).unwrap();
    fs::create_dir(fixture.mirror()).unwrap();
    fixture.edit_source("zlib", |zlib| {
        let origin = &mut zlib["origin"][0];
        *origin = toml::toml! { npm = "zlib" version = "1.0.0" }.into();
    });
    let mut build = fixture.build_zlib();
    build.env("PATH", "/nonexistent");
    run(build).expect(3, &["npm is missing", "apt-get install npm"]);
}

#[test]
fn the_plan_can_be_printed_and_a_fresh_step_is_not_made_again() {
    let fixture = Fixture::new();
    run(fixture.build_zlib()).expect(0, &["zlib: done"]);
    run(fixture.build_zlib()).expect(0, &["zlib: fresh"]);
    let before = fixture.results();
    let ended = run(fixture.command(&["build", "--profile", "o2-lgpl", "--dry-run"]));
    ended.expect(0, &[]);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(plan["steps"][0]["name"], "zlib");
    assert_eq!(fixture.results(), before);
    run(fixture.command(&["build", "--profile", "o2-lgpl", "--until", "linking"]))
        .expect(2, &["zlib, openh264, bzip2"]);
}
