//! A small repository with a compiler that does nothing, so that what surrounds a compilation can be tested in seconds.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use toml::{Table, Value};

pub struct Fixture {
    pub folder: TempDir,
}

/// The files that the recipe of zlib compiles and keeps.
const ZLIB_FILES: &str = "adler32.c compress.c crc32.c deflate.c gzclose.c gzlib.c gzread.c gzwrite.c infback.c inffast.c \
                          inflate.c inftrees.c trees.c uncompr.c zutil.c zlib.h zconf.h LICENSE";

impl Fixture {
    /// The real profiles, pins, patches and guest, with zlib's source replaced by an archive of our own in a mirror folder.
    pub fn new() -> Fixture {
        let folder = TempDir::new().unwrap();
        let fixture = Fixture { folder };
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for name in [
            "bench",
            "conformance",
            "profiles",
            "ffmpeg-src",
            "patches",
            "guest",
            "licences",
            "pack",
        ] {
            copy_tree(&real.join(name), &fixture.root().join(name));
        }
        fs::create_dir_all(fixture.root().join("artifacts")).unwrap();
        let archive = zlib_archive();
        fs::create_dir(fixture.mirror()).unwrap();
        fs::write(fixture.mirror().join("any name"), &archive).unwrap();
        fixture.pin_zlib(&sha256(&archive), &["http://127.0.0.1:9/zlib.tar.gz".to_owned()]);
        fixture.write_sdk("");
        fixture.write_binaryen();
        fixture
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }

    pub fn sdk(&self) -> PathBuf {
        self.folder.path().join("sdk")
    }

    /// Edits a file of ffmpeg-src/.
    pub fn edit(&self, file: &str, edit: impl FnOnce(&mut Table)) {
        let path = self.pin_file(file);
        let mut pins: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        edit(&mut pins);
        fs::write(&path, pins.to_string()).unwrap();
    }

    pub fn pin_file(&self, name: &str) -> PathBuf {
        self.root().join(format!("ffmpeg-src/{name}.toml"))
    }

    /// Edits the pin of a library.
    pub fn edit_source(&self, library: &str, edit: impl FnOnce(&mut Table)) {
        self.edit(library, |file| edit(file["source"].as_table_mut().unwrap()));
    }

    /// Pins an archive that only the mirror has, as version 1.
    pub fn pin(&self, name: &str, sha256: &str) {
        self.edit_source(name, |source| {
            let origin = [("url".to_owned(), Value::from("http://127.0.0.1:9/closed"))];
            source.remove("tree_sha256");
            source.remove("keep");
            source.insert("version".into(), "1".into());
            source.insert("sha256".into(), sha256.into());
            source.insert(
                "origin".into(),
                Value::Array(vec![Value::Table(origin.into_iter().collect())]),
            );
        });
    }

    /// Pins zlib by its tree as well, as a build says that it is when told a wrong one.
    pub fn pin_zlib_tree(&self) -> String {
        let pin = |digest: &str| {
            self.edit_source("zlib", |zlib| drop(zlib.insert("tree_sha256".into(), digest.into())));
        };
        pin(&"0".repeat(64));
        let ended = run(self.build_zlib());
        ended.expect(1, &["wanted tree_sha256"]);
        let (_, got) = ended.stderr.split_once("got                ").unwrap();
        pin(&got[..64]);
        got[..64].to_owned()
    }

    pub fn pin_zlib(&self, sha256: &str, urls: &[String]) {
        self.edit("zlib", |file| {
            let origins = urls
                .iter()
                .map(|url| Value::Table([("url".to_owned(), Value::from(url.as_str()))].into_iter().collect()));
            let zlib: Table = [
                ("version".to_owned(), Value::from("1")),
                ("license".to_owned(), Value::from("Zlib")),
                ("sha256".to_owned(), Value::from(sha256)),
                ("origin".to_owned(), Value::Array(origins.collect())),
            ]
            .into_iter()
            .collect();
            file.insert("source".into(), Value::Table(zlib));
        });
    }

    /// An SDK whose compiler runs `extra` (shell) and then makes an empty object for each source.
    pub fn write_sdk(&self, extra: &str) {
        let bin = self.sdk().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let sysroot = self.sdk().join("share/wasi-sysroot/lib/wasm32-wasip1");
        fs::create_dir_all(&sysroot).unwrap();
        fs::write(sysroot.join("libc.a"), "").unwrap();
        let clang = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'a test compiler' && exit\n{extra}\n\
             for word; do case $word in *.c) : > \"${{word%.c}}.o\" ;; esac; done\n"
        );
        let archiver = "#!/bin/sh\n: > \"$2\"\n";
        for program in ["clang", "clang++", "llvm-ar", "llvm-nm", "llvm-ranlib", "wasm-ld"] {
            let text = if program == "llvm-ar" { archiver } else { &clang };
            fs::write(bin.join(program), text).unwrap();
            fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// A wasm-opt that only tells its version.
    fn write_binaryen(&self) {
        let bin = self.folder.path().join("binaryen/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("wasm-opt"), "#!/bin/sh\necho wasm-opt version 132\n").unwrap();
        fs::set_permissions(bin.join("wasm-opt"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::PROGRAM);
        command
            .arg("--root")
            .arg(self.root())
            .args(arguments)
            .env("AFMPEG_CACHE_DIR", self.cache())
            .env("WASI_SDK_PATH", self.sdk())
            .env("BINARYEN_PATH", self.folder.path().join("binaryen"))
            .env_remove("AFMPEG_MIRROR")
            .stdin(Stdio::null());
        command
    }

    /// Builds the one step that the test compiler can do.
    pub fn build_zlib(&self) -> Command {
        let mirror = self.mirror();
        self.command(&[
            "build",
            "--profile",
            "o2-lgpl",
            "--until",
            "zlib",
            "--mirror",
            mirror.to_str().unwrap(),
        ])
    }

    /// The finished results of steps in the cache.
    pub fn results(&self) -> Vec<PathBuf> {
        files_in(&self.cache().join("steps"))
    }
}

pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn zlib_archive() -> Vec<u8> {
    zlib_like("zlib-1", "")
}

/// An archive with the files that the recipe of zlib takes, each with a line of its own and this one.
pub fn zlib_like(top: &str, line: &str) -> Vec<u8> {
    let files: Vec<_> = ZLIB_FILES
        .split_whitespace()
        .map(|name| (name, format!("/* {name} */\n{line}")))
        .collect();
    let files: Vec<_> = files.iter().map(|(name, data)| (*name, data.as_str())).collect();
    archive(top, &files)
}

pub fn archive(top: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, data) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, format!("{top}/{name}"), data.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs git in a folder as somebody who is nobody.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=test", "-c", "user.email=test@example.invalid"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(mut command: Command) -> Ended {
    ended(command.output().unwrap())
}

pub fn wait(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        }
    }
}

/// A server on loopback that gives each connection the next response, as raw bytes; an empty one is never answered. It ends
/// with the test's process, or when it has no response left.
pub fn serve(responses: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut unanswered = Vec::new();
        for response in responses {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            if response.is_empty() {
                unanswered.push(stream);
            } else {
                let _ = stream.write_all(&response);
            }
        }
        if !unanswered.is_empty() {
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    });
    address
}

/// A server on loopback with files by their path; whatever else is asked for is not found. It ends with the test's process.
pub fn serve_files(files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]);
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let answer = match files.lock().unwrap().get(path) {
                // pip takes pages of this kind alone.
                Some(body) if path.ends_with('/') => {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
                    [head.as_bytes(), body].concat()
                }
                Some(body) => response(body, body.len()),
                None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
            };
            let _ = stream.write_all(&answer);
        }
    });
    address
}

pub fn response(body: &[u8], length_bytes: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length_bytes}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}
