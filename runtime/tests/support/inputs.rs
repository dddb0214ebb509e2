//! What tests with a module take: the module, and the links that `cargo xtask fetch --all` puts into artifacts/test-inputs. What is
//! missing ends the test program at once, with the command that makes it, and not each of its tests.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::Write;
use std::path::{Path, PathBuf};

/// The module under test: another one than o3-gpl where the variable names it.
pub fn module() -> PathBuf {
    let path = match std::env::var_os("AFMPEG_TEST_MODULE") {
        Some(path) => path.into(),
        None => artifacts().join("o3-gpl.wasm"),
    };
    existing(path, "cargo xtask build --profile o3-gpl")
}

/// H.264 and AAC, as a camera's software makes them.
pub fn video() -> PathBuf {
    input("video.mp4")
}

/// Folders of the real media that other projects test with.
pub fn media() -> Vec<PathBuf> {
    // They come with the video.
    video();
    let entries = std::fs::read_dir(artifacts().join("test-inputs")).expect("the video lies in it");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let is_media = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("test-media-")
    };
    let mut folders: Vec<PathBuf> = paths.filter(is_media).collect();
    assert!(!folders.is_empty(), "artifacts/test-inputs has no test-media-*");
    folders.sort();
    folders
}

/// Something of artifacts/test-inputs.
pub fn input(name: &str) -> PathBuf {
    existing(artifacts().join("test-inputs").join(name), "cargo xtask fetch --all")
}

fn artifacts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../artifacts")
}

fn existing(path: PathBuf, command: &str) -> PathBuf {
    if path.exists() {
        return path;
    }
    // The handle itself, since what tests print is kept back until they end.
    let message = format!(
        "\nThese tests need {}, which is not there: run `{command}`.\n",
        path.display()
    );
    let _ = std::io::stderr().write_all(message.as_bytes());
    std::process::exit(1);
}
