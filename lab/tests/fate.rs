//! What goes wrong before the first test of FATE runs is said, with its documented exit code.

#[path = "../../xtask/tests/support/mod.rs"]
mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lab");

use std::fs;

use support::{Fixture, run};

/// A module that says that it is another FFmpeg.
const OLD_FFMPEG: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\10\00\00\00\1a\00\00\00ffmpeg version 5.1.9 Copyr")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 64)))))"#;

#[test]
fn a_missing_module_is_named_with_the_command_that_makes_it() {
    let fixture = Fixture::new();
    let ended = run(fixture.command(&["fate", "--profile", "o2-lgpl"]));
    ended.expect(3, &["artifacts/o2-lgpl.wasm", "cargo xtask build --profile o2-lgpl"]);
}

#[test]
fn a_module_of_another_ffmpeg_is_refused() {
    let fixture = Fixture::new();
    let module = fixture.folder.path().join("old.wasm");
    fs::write(&module, wat::parse_str(OLD_FFMPEG).unwrap()).unwrap();
    let path = module.to_str().unwrap();
    let ended = run(fixture.command(&["fate", "--profile", "o2-lgpl", "--module", path]));
    ended.expect(1, &["o2-lgpl", "FFmpeg 5.1.9", "cargo xtask build --profile o2-lgpl"]);

    fs::write(&module, "no module").unwrap();
    let ended = run(fixture.command(&["fate", "--profile", "o2-lgpl", "--module", path]));
    ended.expect(1, &["old.wasm", "is no module of FFmpeg"]);
}

#[test]
fn wrong_words_and_a_wrong_list_are_usage_errors() {
    let fixture = Fixture::new();
    run(fixture.command(&["fate", "--profile", "o4-gpl"])).expect(2, &["o4-gpl", "o3-gpl-scalar"]);
    run(fixture.command(&["fate", "--test-seconds", "soon"])).expect(2, &["--test-seconds"]);
    run(fixture.command(&["fate", "--jobs", "0"])).expect(2, &["--jobs"]);
    let list = fixture.root().join("conformance/fate.toml");
    let good = fs::read_to_string(&list).unwrap();
    fs::write(
        &list,
        format!("{good}\n[[known_failure]]\ntest = \"fate-x\"\ncause = \"\"\n"),
    )
    .unwrap();
    run(fixture.command(&["fate"])).expect(2, &["conformance/fate.toml", "fate-x", "cause"]);
    fs::write(&list, format!("{good}\nslice = 3\n")).unwrap();
    run(fixture.command(&["fate"])).expect(2, &["conformance/fate.toml", "slice"]);
}
