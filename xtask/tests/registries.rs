//! Without a direct connection the registries' own clients serve. Each of them fetches a real input here, with every URL
//! dead; so these tests need the registries, as a first build does.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use toml::Table;

/// Fetches one profile's inputs with the real pins, every URL of which leads to a closed port of this machine.
#[test]
fn every_registry_client_gives_what_is_pinned() {
    let folder = TempDir::new().unwrap();
    let real = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = folder.path().join("repository");
    for name in ["profiles", "profiles/components", "ffmpeg-src"] {
        fs::create_dir_all(root.join(name)).unwrap();
        for entry in fs::read_dir(real.join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, root.join(name).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let path = root.join("ffmpeg-src/sources.toml");
    let mut pins: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    for (_, source) in pins["source"].as_table_mut().unwrap() {
        for origin in source["origin"].as_array_mut().unwrap() {
            if let Some(url) = origin.get_mut("url") {
                *url = "http://127.0.0.1:9/closed".into();
            }
        }
    }
    fs::write(&path, pins.to_string()).unwrap();
    let cache = folder.path().join("cache");
    let fetch = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("--root")
            .arg(&root)
            .args(["fetch", "--profile", "o3-gpl"])
            .args(arguments)
            .env("AFMPEG_CACHE_DIR", &cache)
            .env_remove("AFMPEG_MIRROR")
            .env_remove("WASI_SDK_PATH")
            .output()
            .unwrap()
    };
    // npm has the sysroot and wasm-opt, Debian the compiler, FFmpeg, x264, openh264 and Rust's library, crates.io zlib, PyPI the
    // video.
    let output = fetch(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for text in [
        "sdk: Debian clang",
        "binaryen: ",
        "ffmpeg: ",
        "openh264: ",
        "rust-src: ",
        "test-video: ",
        "x264: ",
        "zlib: ",
    ] {
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(text),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // What was fetched once is enough for good.
    let output = fetch(&["--offline"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let clang = fs::read_dir(cache.join("sdk"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("bin/clang");
    let version = Command::new(clang).arg("--version").output().unwrap();
    assert!(
        String::from_utf8_lossy(&version.stdout).contains("clang version 22"),
        "the SDK's compiler does not run"
    );
}
