//! The command `afmpeg`, run as a user runs it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Prints its arguments, separated by newlines, copies input to output if its second argument is `copy`, and exits
/// with the first byte of its last argument.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func (export "_start") (local $at i32) (local $last i32)
        (drop (call $sizes (i32.const 16) (i32.const 20)))
        (drop (call $args (i32.const 1024) (i32.const 8192)))
        (local.set $last (i32.load (i32.add (i32.const 1020) (i32.mul (i32.const 4) (i32.load (i32.const 16))))))
        (local.set $last (i32.load8_u (local.get $last)))
        (local.set $at (i32.const 8192))
        (loop $more
            (if (i32.eqz (i32.load8_u (local.get $at))) (then (i32.store8 (local.get $at) (i32.const 10))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $at) (i32.add (i32.const 8192) (i32.load (i32.const 20))))))
        (i32.store (i32.const 0) (i32.const 8192))
        (i32.store (i32.const 4) (i32.load (i32.const 20)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $exit (local.get $last))))"#;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("echo.wasm"), wat::parse_str(ECHO).unwrap()).unwrap();
        Place { folder }
    }

    fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afmpeg"));
        command
            .current_dir(directory)
            .env_clear()
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(self.folder.path()).args(args).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn everything_after_the_word_goes_to_the_program() {
    let place = Place::new();
    for args in [
        &["-i", "in.mp4", "--", "-y", "!"][..],
        &["--help", "--module", "x", "!"],
        &["--", "-", "--", "!"],
        &["-version", "--dir=/", "", "!"],
    ] {
        for program in ["ffmpeg", "ffprobe"] {
            let output = place.run(&[&["--module", "echo.wasm", program], args].concat());
            assert_eq!(text(&output.stderr), "");
            assert_eq!(text(&output.stdout), format!("{program}\n{}\n", args.join("\n")));
            assert_eq!(output.status.code(), Some('!' as i32));
        }
    }
}

#[test]
fn the_module_is_named_by_option_then_variable_then_last_build() {
    let place = Place::new();
    let missing = place.run(&["ffmpeg"]);
    assert_eq!(missing.status.code(), Some(3));
    for way in ["--module", "AFMPEG_MODULE", "cargo xtask build --profile o3-gpl"] {
        assert!(text(&missing.stderr).contains(way), "{}", text(&missing.stderr));
    }

    let below = place.folder.path().join("project/deep/deeper");
    fs::create_dir_all(&below).unwrap();
    let artifacts = place.folder.path().join("project/artifacts");
    fs::create_dir(&artifacts).unwrap();
    fs::copy(place.folder.path().join("echo.wasm"), artifacts.join("o3-gpl.wasm")).unwrap();
    fs::write(artifacts.join("latest"), "o3-gpl.wasm\n").unwrap();
    let built = place.command(&below).args(["ffmpeg", "A"]).output().unwrap();
    assert_eq!(built.status.code(), Some(65), "{built:?}");
    // The file names a module beside it and nothing else.
    fs::write(artifacts.join("latest"), "../../echo.wasm\n").unwrap();
    assert_eq!(
        place
            .command(&below)
            .args(["ffmpeg", "A"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(3)
    );

    let variable = place
        .command(&below)
        .env("AFMPEG_MODULE", "../../../echo.wasm")
        .args(["ffmpeg", "A"])
        .output();
    assert_eq!(variable.unwrap().status.code(), Some(65));
    let option = place
        .command(&below)
        .env("AFMPEG_MODULE", "/nonexistent")
        .args(["--module", "../../../echo.wasm", "ffmpeg", "A"])
        .output();
    assert_eq!(option.unwrap().status.code(), Some(65));
}

#[test]
fn failures_of_its_own_have_codes_and_say_who_speaks() {
    let place = Place::new();
    fs::write(place.folder.path().join("text.wasm"), "text").unwrap();
    let crash =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#).unwrap();
    fs::write(place.folder.path().join("crash.wasm"), crash).unwrap();
    let endless = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#;
    fs::write(
        place.folder.path().join("endless.wasm"),
        wat::parse_str(endless).unwrap(),
    )
    .unwrap();
    for (args, code, says) in [
        (&["--module", "/nonexistent", "ffmpeg"][..], 3, "/nonexistent"),
        (&["--module", "text.wasm", "ffmpeg"], 4, "neither WebAssembly"),
        (
            &["--module", "echo.wasm", "--dir", "/nonexistent", "ffmpeg"],
            5,
            "/nonexistent",
        ),
        (&["--module", "echo.wasm", "--engine", "pack", "ffmpeg"], 4, "--pack"),
        (&["--module", "crash.wasm", "ffmpeg"], 70, "unreachable"),
        (
            &["--module", "endless.wasm", "--timeout", "0.05", "ffmpeg"],
            124,
            "deadline",
        ),
    ] {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(text(&output.stderr).starts_with("afmpeg: "), "{output:?}");
        assert!(text(&output.stderr).contains(says), "{output:?}");
    }
    for args in [
        &["nonsense"][..],
        &["--memory-max", "7X", "ffmpeg"],
        &["--dir", "::", "ffmpeg"],
        &[],
    ] {
        assert_eq!(place.run(args).status.code(), Some(2), "{args:?}");
    }
    // An option of other verbs does nothing here, which its user would not know.
    for (args, says) in [
        (
            ["--parallel=require", "probe", "in.mp4"],
            "--parallel is for ffmpeg, and not for probe",
        ),
        (
            ["--no-current-dir", "probe", "in.mp4"],
            "--no-current-dir is for ffmpeg, ffprobe, batch",
        ),
        (["--progress", "ffprobe", "in.mp4"], "--progress is for ffmpeg"),
    ] {
        let output = place.run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(says), "{output:?}");
    }
}

#[test]
fn a_folder_of_fonts_is_given_if_it_has_any() {
    // Succeeds if there is a folder of fonts, which it looks for as the C library does.
    let names = r#"(module
        (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "usr/share/fonts")
        (func (export "_start")
            (call $exit (call $stat (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 15) (i32.const 128)))))"#;
    let place = Place::new();
    fs::write(place.folder.path().join("names.wasm"), wat::parse_str(names).unwrap()).unwrap();
    let fonts = place.folder.path().join("fonts");
    fs::create_dir_all(fonts.join("sans/bold")).unwrap();
    let run = || place.run(&["--module", "names.wasm", "--fonts", "fonts", "ffmpeg"]);
    for file in ["LICENSE", "sans/bold/.hidden.ttf"] {
        let output = run();
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(
            text(&output.stderr).contains("the folder fonts has no fonts"),
            "{output:?}"
        );
        // Neither a text nor a file that programs do not look at is a font.
        fs::write(fonts.join(file), if file == "LICENSE" { "OTT" } else { "OTTO" }).unwrap();
    }
    assert_eq!(run().status.code(), Some(5));
    for beginning in [
        b"OTTO".as_slice(),
        b"\0\x01\0\0",
        b"ttcf",
        b"wOFF",
        b"%!PS-AdobeFont-1.0",
    ] {
        fs::write(fonts.join("sans/bold/font"), beginning).unwrap();
        let output = run();
        assert!(output.status.success(), "{output:?}");
    }
    assert!(!place.run(&["--module", "names.wasm", "ffmpeg"]).status.success());
    let output = place.run(&["--module", "names.wasm", "--fonts", "missing", "ffmpeg"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(
        text(&output.stderr).contains("cannot open the folder missing"),
        "{output:?}"
    );
}

#[test]
fn a_failed_program_gets_a_hint_at_paths_outside_its_folders() {
    // Opens its last argument, without the slash that it begins with, as the C library does; fails as that does.
    let opener = r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (local $path i32) (local $length i32)
            (drop (call $sizes (i32.const 16) (i32.const 20)))
            (drop (call $args (i32.const 1024) (i32.const 8192)))
            (local.set $path (i32.load (i32.add (i32.const 1020) (i32.mul (i32.const 4) (i32.load (i32.const 16))))))
            (if (i32.eq (i32.load8_u (local.get $path)) (i32.const 0x2f))
                (then (local.set $path (i32.add (local.get $path) (i32.const 1)))))
            (loop $more
                (local.set $length (i32.add (local.get $length) (i32.const 1)))
                (br_if $more (i32.load8_u (i32.add (local.get $path) (local.get $length)))))
            (call $exit (call $open (i32.const 3) (i32.const 1) (local.get $path) (local.get $length)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24)))))"#;
    let place = Place::new();
    fs::write(place.folder.path().join("opener.wasm"), wat::parse_str(opener).unwrap()).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().canonicalize().unwrap();
    let file = folder.join("in.mp4");
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, place.folder.path().join("link.mp4")).unwrap();
    let inside = place.folder.path().join("echo.wasm");
    for (path, hints) in [
        (file.to_str().unwrap(), 1),
        ("link.mp4", 1),
        ("echo.wasm", 0),
        (inside.to_str().unwrap(), 0),
        ("/nonexistent/in.mp4", 0),
    ] {
        let output = place.run(&["--module", "opener.wasm", "ffmpeg", path]);
        let stderr = text(&output.stderr);
        assert_eq!(stderr.lines().count(), hints, "{path}: {stderr}");
        assert_eq!(
            stderr.contains(&format!("--dir-read-only {}", folder.display())),
            hints == 1,
            "{path}: {stderr}"
        );
        let given = ["--dir-read-only", folder.to_str().unwrap()];
        let output = place.run(&[&["--module", "opener.wasm"], &given[..], &["ffmpeg", path]].concat());
        assert_eq!(output.status.success(), !path.starts_with("/non"), "{path}: {output:?}");
    }
}

/// It is a warning for a requested cache as well as for the default one, since the program runs all the same; only
/// `compile`, which has no other purpose, fails.
#[test]
fn an_unsafe_cache_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let cache = place.folder.path().join("cache/afmpeg/aot");
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    for cache_dir in [&[][..], &["--cache-dir", cache.to_str().unwrap()]] {
        let run = |words: &[&str]| place.run(&[&["--module", "echo.wasm"], cache_dir, words].concat());
        let output = run(&["ffmpeg", "A"]);
        assert_eq!(output.status.code(), Some(65));
        let stderr = text(&output.stderr);
        assert_eq!(stderr.matches("afmpeg: warning: ").count(), 1, "{stderr}");
        assert!(stderr.contains("777"), "{stderr}");
        assert_eq!(run(&["compile"]).status.code(), Some(5));
    }
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    let output = place.run(&["--module", "echo.wasm", "--no-cache", "ffmpeg", "A"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(!text(&output.stderr).contains("warning"));
}

#[test]
fn standard_streams_are_the_real_ones() {
    let place = Place::new();
    let reader = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 100))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    fs::write(place.folder.path().join("reader.wasm"), wat::parse_str(reader).unwrap()).unwrap();
    let mut child = place
        .command(place.folder.path())
        .args(["--module", "reader.wasm", "ffmpeg"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\0binary\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stderr, b"\xff\0binary\r\n");
}

#[test]
fn a_release_that_is_not_to_be_trusted_is_no_module() {
    let place = Place::new();
    // A key that is one, and a release that it did not sign: release/tests/pull.rs has all that can be wrong.
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let folder = place.folder.path().join("release");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("SHA256SUMS"), "").unwrap();
    let pull = |release: &str, key: &str, more: &[&str]| {
        let output = place.run(&[&["pull", release, "--public-key", key], more].concat());
        assert_eq!(text(&output.stdout), "");
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let from = ["--from", folder.to_str().unwrap()];
    let (code, message) = pull("o3-gpl@9.0.2-1", key, &from);
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("SHA256SUMS.minisig"), "{message}");
    fs::write(folder.join("SHA256SUMS.minisig"), "not a signature").unwrap();
    let (code, message) = pull("o3-gpl@9.0.2-1", key, &from);
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("not by this key"), "{message}");
    // Keys are given as files, too.
    let file = place.folder.path().join("key.pub");
    fs::write(&file, format!("untrusted comment: minisign public key\n{key}\n")).unwrap();
    let (_, message) = pull("o3-gpl@9.0.2-1", file.to_str().unwrap(), &from);
    assert!(message.contains("not by this key"), "{message}");
    let (code, message) = pull("o3-gpl@9.0.2-1", key, &[]);
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("nowhere else"), "{message}");
    for (release, key, wanted) in [
        ("o3-gpl", key, "o3-gpl@9.0.2-1"),
        (
            "o3-gpl@1",
            "typo.pub",
            "typo.pub: there is no such file, and it is no public key",
        ),
    ] {
        let (code, message) = pull(release, key, &from);
        assert_eq!(code, Some(3), "{message}");
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn one_batch_at_a_time_works_on_a_list() {
    let place = Place::new();
    let folder = place.folder.path();
    let endless = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#;
    fs::write(folder.join("endless.wasm"), wat::parse_str(endless).unwrap()).unwrap();
    fs::write(
        folder.join("jobs.jsonl"),
        r#"{"id": "a", "args": ["A"], "timeout": 60}"#,
    )
    .unwrap();
    let mut first = place
        .command(folder)
        .args(["--module", "endless.wasm", "batch", "jobs.jsonl"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !folder.join("jobs.results.jsonl").exists() {
        assert!(began.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(5));
    }
    // It is locked as soon as it is there.
    thread::sleep(Duration::from_millis(200));
    let second = place.run(&["--module", "endless.wasm", "batch", "jobs.jsonl"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(5), "{second:?}");
    assert!(text(&second.stderr).contains("another batch is at work"), "{second:?}");
    // A batch that was killed is at work no more.
    let third = place.run(&["--module", "echo.wasm", "batch", "jobs.jsonl"]);
    assert!(text(&third.stderr).contains("1 jobs, 0 done before"), "{third:?}");
}
