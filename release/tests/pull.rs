//! A release is taken from folders and servers, and refused when anything about it is not right.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use afmpeg_release::{Error, Pull, SIGNATURE, SUMS, parse_key, sha256, trusted_comment};
use minisign::KeyPair;
use serde_json::json;
use tempfile::TempDir;

const MODULE: &[u8] = b"\0asm and then what a module holds, which is longer when it is unpacked unpacked unpacked";
const NAME: &str = "o3-gpl@9.0.2-1";

const PACK: &[u8] = b"native code";
const PACK_FILES: [&str; 2] = ["o3-gpl.x86_64-v2-linux.json", "o3-gpl.x86_64-v2-linux.so"];
const PACKED_FILE: &str = "o3-gpl.x86_64-v2-linux.so.br";
const MACHINES: [&str; 2] = ["x86_64-v3-linux", "x86_64-v2-linux"];

struct Release {
    folder: TempDir,
    cache: TempDir,
    keys: KeyPair,
    public_key: String,
}

impl Release {
    fn new() -> Release {
        let keys = KeyPair::generate_unencrypted_keypair().unwrap();
        let public_key = keys.pk.to_base64();
        let release = Release {
            folder: TempDir::new().unwrap(),
            cache: TempDir::new().unwrap(),
            keys,
            public_key,
        };
        release.write("o3-gpl.wasm", MODULE);
        release.write("o3-gpl.wasm.br", &brotli(MODULE));
        release.write_record(|_| {});
        release.sign("9.0.2-1");
        release
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, data: &[u8]) {
        fs::write(self.path(name), data).unwrap();
    }

    fn write_record(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let file = |name: &str| {
            let data = fs::read(self.path(name)).unwrap();
            json!({ "sha256": sha256(&data), "size_bytes": data.len() })
        };
        let mut record = json!({
            "files": { "o3-gpl.wasm": file("o3-gpl.wasm"), "o3-gpl.wasm.br": file("o3-gpl.wasm.br") },
            "variant": "o3-gpl",
        });
        change(&mut record);
        self.write("o3-gpl.json", record.to_string().as_bytes());
    }

    fn sign(&self, version: &str) {
        let mut names = vec!["o3-gpl.json", "o3-gpl.wasm", "o3-gpl.wasm.br"];
        names.extend(
            PACK_FILES
                .into_iter()
                .chain([PACKED_FILE])
                .filter(|name| self.path(name).exists()),
        );
        let line = |name| format!("{}  {name}\n", sha256(&fs::read(self.path(name)).unwrap()));
        let sums: String = names.into_iter().map(line).collect();
        let comment = trusted_comment(version);
        let signature = minisign::sign(None, &self.keys.sk, sums.as_bytes(), Some(&comment), None).unwrap();
        self.write(SUMS, sums.as_bytes());
        self.write(SIGNATURE, signature.into_string().as_bytes());
    }

    fn pull(&self) -> Pull {
        Pull::new(
            NAME.parse().unwrap(),
            parse_key(&self.public_key).unwrap(),
            self.cache.path(),
        )
    }

    fn pull_from(&self, place: &str) -> Result<PathBuf, Error> {
        self.pull().from(place.parse().unwrap()).run()
    }

    fn pull_folder(&self) -> Result<PathBuf, Error> {
        self.pull_from(self.folder.path().to_str().unwrap())
    }

    fn cached_modules(&self) -> Vec<PathBuf> {
        files_below(&self.cache.path().join("modules"))
    }

    /// Adds a pack, and signs again.
    fn add_pack(&self, pack: &[u8]) {
        let record = json!({
            "module_sha256": sha256(MODULE),
            "pack_sha256": sha256(pack),
            "size_bytes": pack.len(),
        });
        self.write(PACK_FILES[0], record.to_string().as_bytes());
        self.write(PACK_FILES[1], pack);
        self.sign("9.0.2-1");
    }

    /// Pulls a release that must be refused, and checks that nothing of it is kept.
    #[track_caller]
    fn refused(&self, place: &str) -> Error {
        let error = self.pull_from(place).expect_err("a bad release was taken");
        assert_eq!(self.cached_modules(), Vec::<PathBuf>::new(), "{error}");
        self.pull().run().expect_err("a bad release was kept");
        error
    }

    #[track_caller]
    fn refused_folder(&self) -> Error {
        self.refused(self.folder.path().to_str().unwrap())
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

fn brotli(data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*data, &mut packed, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    packed
}

#[test]
fn a_pack_comes_with_its_record_and_only_as_it_is_listed() {
    let release = Release::new();
    let folder = release.folder.path().to_str().unwrap();
    let pack = || release.pull().from(folder.parse().unwrap()).pack(&MACHINES);
    let add_of = |module: &[u8], pack: &[u8], recorded: &[u8]| {
        let record = json!({
            "module_sha256": sha256(module),
            "pack_sha256": sha256(recorded),
            "size_bytes": recorded.len(),
        });
        release.write(PACK_FILES[0], record.to_string().as_bytes());
        release.write(PACK_FILES[1], pack);
    };
    let add = |pack: &[u8], recorded: &[u8]| add_of(MODULE, pack, recorded);
    assert!(pack().unwrap().is_none());
    // There, and not listed.
    add(PACK, PACK);
    assert!(pack().unwrap().is_none());
    // The record says something else than the list.
    add(PACK, b"another pack");
    release.sign("9.0.2-1");
    assert!(matches!(pack(), Err(Error::Record { .. })));
    add_of(b"another module", PACK, PACK);
    release.sign("9.0.2-1");
    assert!(matches!(pack(), Err(Error::Record { .. })));
    add(PACK, PACK);
    release.sign("9.0.2-1");
    release.write(PACK_FILES[1], b"naughty mode");
    assert!(pack().is_err());
    release.write(PACK_FILES[1], b"native c0de");
    assert!(matches!(pack(), Err(Error::Digest { .. })));
    assert!(
        matches!(release.pull().pack(&MACHINES), Ok(None)),
        "nothing of it is kept"
    );
    release.write(PACK_FILES[1], PACK);
    let pulled = pack().unwrap().unwrap();
    assert_eq!(fs::read(&pulled.path).unwrap(), PACK);
    let module = release.pull_folder().unwrap();
    assert_eq!(
        pulled.path,
        module.with_extension("x86_64-v2-linux.so"),
        "beside its module"
    );
    assert_eq!(fs::read(pulled.path.with_extension("json")).unwrap(), pulled.record);
    assert_eq!(pulled.record, fs::read(release.path(PACK_FILES[0])).unwrap());
    // From the cache alone.
    let kept = release.pull().pack(&MACHINES).unwrap().unwrap();
    assert_eq!((kept.path, kept.record), (pulled.path, pulled.record));
    assert!(release.pull().pack(&MACHINES[..1]).unwrap().is_none());
    // Compressed, where the record and the list say so: what is not needed may be missing.
    let packed = brotli(PACK);
    let record = json!({
        "files": { PACKED_FILE: { "sha256": sha256(&packed), "size_bytes": packed.len() } },
        "module_sha256": sha256(MODULE),
        "pack_sha256": sha256(PACK),
        "size_bytes": PACK.len(),
    });
    release.write(PACK_FILES[0], record.to_string().as_bytes());
    release.write(PACKED_FILE, &packed);
    release.sign("9.0.2-1");
    fs::remove_file(release.path(PACK_FILES[1])).unwrap();
    fs::remove_dir_all(release.cache.path()).unwrap();
    let pulled = pack().unwrap().unwrap();
    assert_eq!(fs::read(&pulled.path).unwrap(), PACK);
    // Which unpacks to something else.
    release.write(PACKED_FILE, &brotli(b"native c0de"));
    fs::remove_dir_all(release.cache.path()).unwrap();
    assert!(pack().is_err());
}

#[test]
fn native_code_is_that_of_its_own_release_and_heals() {
    let (one, other) = (Release::new(), Release::new());
    one.add_pack(PACK);
    other.add_pack(b"native code of another publisher");
    let other_pull = Pull::new(
        NAME.parse().unwrap(),
        parse_key(&other.public_key).unwrap(),
        one.cache.path(),
    );
    let from = |pull: Pull, release: &Release| pull.from(release.folder.path().to_str().unwrap().parse().unwrap());
    // The module is the same, and its native code is not.
    for (pull, release) in [(one.pull(), &one), (other_pull.clone(), &other)] {
        from(pull.clone(), release).run().unwrap();
        from(pull, release).pack(&MACHINES).unwrap().unwrap();
    }
    for (pull, wanted) in [(one.pull(), PACK), (other_pull, b"native code of another publisher")] {
        let pack = pull.pack(&MACHINES).unwrap().unwrap();
        assert_eq!(fs::read(&pack.path).unwrap(), wanted);
        assert_eq!(fs::read(pack.path.with_extension("json")).unwrap(), pack.record);
        // Where a command that is given the module's path looks.
        let module = pull.run().unwrap();
        assert_eq!(module.with_extension("x86_64-v2-linux.so"), pack.path);
    }
    // What was cut off, or lost its record, is not used, and is made good where there is a place for it.
    let pack = one.pull().pack(&MACHINES).unwrap().unwrap();
    for damaged in [pack.path.clone(), pack.path.with_extension("json")] {
        let whole = fs::read(&damaged).unwrap();
        fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
        assert!(one.pull().pack(&MACHINES).unwrap().is_none(), "{}", damaged.display());
        from(one.pull(), &one).pack(&MACHINES).unwrap().unwrap();
        assert_eq!(fs::read(&damaged).unwrap(), whole);
    }
}

#[test]
fn a_release_without_packs_needs_no_place_to_say_so() {
    let release = Release::new();
    release.pull_folder().unwrap();
    let dead = release.pull().from("http://127.0.0.1:9/r".parse().unwrap());
    assert!(dead.pack(&MACHINES).unwrap().is_none());
    // One that has some is asked for them.
    release.add_pack(PACK);
    fs::remove_dir_all(release.cache.path()).unwrap();
    release.pull_folder().unwrap();
    assert!(matches!(dead.pack(&MACHINES), Err(Error::Unreachable { .. })));
    assert!(dead.run().is_ok());
}

#[test]
fn what_was_pulled_once_is_there_without_its_place() {
    let release = Release::new();
    assert!(matches!(release.pull().run(), Err(Error::NotCached { .. })));
    let path = release.pull_folder().unwrap();
    assert_eq!(fs::read(&path).unwrap(), MODULE);
    assert_eq!(path.file_stem().unwrap().to_str().unwrap(), sha256(MODULE));
    fs::rename(release.folder.path(), release.cache.path().join("gone")).unwrap();
    assert_eq!(release.pull().run().unwrap(), path);
    fs::rename(release.cache.path().join("gone"), release.folder.path()).unwrap();
    // A changed cached file is not used, and is replaced if there is a place to fetch it from.
    fs::write(&path, "something else").unwrap();
    assert!(matches!(release.pull().run(), Err(Error::Digest { .. })));
    assert_eq!(fs::read(release.pull_folder().unwrap()).unwrap(), MODULE);
}

#[test]
fn two_publishers_lie_apart_in_one_cache() {
    let (one, other) = (Release::new(), Release::new());
    let other_pull = Pull::new(
        NAME.parse().unwrap(),
        parse_key(&other.public_key).unwrap(),
        one.cache.path(),
    );
    other.write("o3-gpl.wasm", b"\0asm of another publisher");
    other.write("o3-gpl.wasm.br", &brotli(b"\0asm of another publisher"));
    other.write_record(|_| {});
    other.sign("9.0.2-1");
    one.pull_folder().unwrap();
    let place = other.folder.path().to_str().unwrap().parse().unwrap();
    other_pull.clone().from(place).run().unwrap();
    // Both are there now, without their places.
    assert_eq!(one.pull().module().unwrap().bytes, MODULE);
    assert_eq!(other_pull.module().unwrap().bytes, b"\0asm of another publisher");
    #[cfg(unix)]
    for folder in ["modules", "releases", "partial"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(one.cache.path().join(folder))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn every_file_that_is_changed_is_refused() {
    for name in ["o3-gpl.wasm.br", "o3-gpl.json", SUMS] {
        let release = Release::new();
        let mut data = fs::read(release.path(name)).unwrap();
        let middle = data.len() / 2;
        data[middle] ^= 1;
        release.write(name, &data);
        let error = release.refused_folder();
        match name {
            SUMS => assert!(matches!(error, Error::Signature { .. }), "{error}"),
            _ => assert!(matches!(error, Error::Digest { .. }), "{name}: {error}"),
        }
        assert!(error.to_string().contains(name), "{error}");
    }
    // Each line of the signature counts but the untrusted comment, the first.
    let good = fs::read_to_string(Release::new().path(SIGNATURE)).unwrap();
    for line in 1..4 {
        let release = Release::new();
        let good = fs::read_to_string(release.path(SIGNATURE)).unwrap();
        let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
        let middle = lines[line].len() / 2;
        let other = if &lines[line][middle..=middle] == "A" { "B" } else { "A" };
        lines[line].replace_range(middle..=middle, other);
        release.write(SIGNATURE, (lines.join("\n") + "\n").as_bytes());
        assert!(matches!(release.refused_folder(), Error::Signature { .. }));
    }
    assert_eq!(good.lines().count(), 4);
}

#[test]
fn every_file_that_is_missing_is_named() {
    for name in ["o3-gpl.wasm.br", "o3-gpl.json", SUMS, SIGNATURE] {
        let release = Release::new();
        fs::remove_file(release.path(name)).unwrap();
        let error = release.refused_folder();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn another_key_another_version_and_a_false_record_are_refused() {
    let release = Release::new();
    let other = KeyPair::generate_unencrypted_keypair().unwrap().pk.to_base64();
    let place = release.folder.path().to_str().unwrap().parse().unwrap();
    let pull = Pull::new(NAME.parse().unwrap(), parse_key(&other).unwrap(), release.cache.path()).from(place);
    assert!(matches!(pull.run(), Err(Error::Signature { .. })));
    assert_eq!(release.cached_modules(), Vec::<PathBuf>::new());

    // An older release, well signed, in the place of the one that was asked for.
    release.sign("9.0.1-4");
    let error = release.refused_folder();
    assert!(matches!(error, Error::Version { .. }), "{error}");
    assert!(
        error.to_string().contains("9.0.1-4") && error.to_string().contains("9.0.2-1"),
        "{error}"
    );

    let release = Release::new();
    release.write_record(|record| record["files"]["o3-gpl.wasm"]["sha256"] = "0".repeat(64).into());
    release.sign("9.0.2-1");
    assert!(matches!(release.refused_folder(), Error::Record { .. }));
    release.write_record(|record| record["variant"] = "o2-gpl".into());
    release.sign("9.0.2-1");
    assert!(matches!(release.refused_folder(), Error::Record { .. }));
    // The compressed form is of another module.
    release.write("o3-gpl.wasm.br", &brotli(b"\0asm of another"));
    release.write_record(|_| {});
    release.sign("9.0.2-1");
    let error = release.refused_folder();
    assert!(matches!(error, Error::Record { .. }), "{error}");
}

#[test]
fn names_and_places_that_are_none_are_refused() {
    for name in [
        "o3-gpl", "@1", "o3-gpl@", "../o3@1", "o3@../1", "o3/gpl@1", "o3@1/2", "-o@1",
    ] {
        assert!(name.parse::<afmpeg_release::Reference>().is_err(), "{name}");
    }
    for place in ["", "ftp://host/x", "oci://host", "oci:///x"] {
        assert!(place.parse::<afmpeg_release::Location>().is_err(), "{place}");
    }
    assert!(parse_key("RWQ").is_err());
}

type Answer = dyn Fn(&str, &str) -> Vec<u8> + Send + Sync;

/// A server on loopback that answers each request, a path and its head, with these bytes.
fn serve(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer: Arc<Answer> = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or_default();
                let head = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let _ = stream.write_all(&answer(&path, &head));
            });
        }
    });
    address
}

fn response(status: &str, headers: &str, body: &[u8], length_bytes: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length_bytes}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn files_of(release: &Release) -> BTreeMap<String, Vec<u8>> {
    let names = ["o3-gpl.json", "o3-gpl.wasm.br", SUMS, SIGNATURE];
    names
        .map(|name| (format!("/r/{name}"), fs::read(release.path(name)).unwrap()))
        .into()
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let release = Release::new();
    let files = files_of(&release);
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&ranges);
    let server = serve(move |path, head| {
        let Some(data) = files.get(path) else {
            return response("404 Not Found", "", b"", 0);
        };
        if !path.ends_with(".br") {
            return response("200 OK", "", data, data.len());
        }
        let range = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        asked.lock().unwrap().push(range.clone());
        match range.and_then(|range| range.trim_end_matches('-').parse::<usize>().ok()) {
            None => response("200 OK", "", &data[..20], data.len()),
            Some(start) => {
                let range = format!("Content-Range: bytes {start}-{}/{}\r\n", data.len() - 1, data.len());
                response("206 Partial Content", &range, &data[start..], data.len() - start)
            }
        }
    });
    let error = release.refused(&format!("{server}/r"));
    assert!(matches!(error, Error::BrokeOff { got_bytes: 20, .. }), "{error}");
    assert_eq!(
        fs::read(release.pull_from(&format!("{server}/r")).unwrap()).unwrap(),
        MODULE
    );
    assert_eq!(*ranges.lock().unwrap(), [None, Some("20-".to_owned())]);
    let partial = fs::read_dir(release.cache.path().join("partial")).unwrap();
    assert_eq!(partial.count(), 0, "a finished download is kept twice");
}

#[test]
fn a_server_that_stops_in_the_middle_is_not_waited_for() {
    let release = Release::new();
    let files = files_of(&release);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}/r", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let data = &files[head.split(' ').nth(1).unwrap_or_default()];
            let is_module = head.contains(".br ");
            let sent = if is_module { &data[..20] } else { data };
            let _ = stream.write_all(&response("200 OK", "", sent, data.len()));
            held.extend(is_module.then_some(stream));
        }
    });
    let begun = Instant::now();
    let error = release.refused(&place);
    assert!(matches!(error, Error::BrokeOff { got_bytes: 20, .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
}

#[test]
fn a_wrong_beginning_is_thrown_away_and_an_endless_file_is_not_kept() {
    let release = Release::new();
    let partial = release.cache.path().join("partial");
    fs::create_dir_all(&partial).unwrap();
    let digest = sha256(&fs::read(release.path("o3-gpl.wasm.br")).unwrap());
    fs::write(partial.join(&digest), "not its beginning").unwrap();
    assert_eq!(fs::read(release.pull_folder().unwrap()).unwrap(), MODULE);

    let release = Release::new();
    let files = files_of(&release);
    let server = serve(move |path, _| match path.ends_with(".br") {
        true => response("200 OK", "", &vec![b'x'; 1 << 20], 1 << 20),
        false => response("200 OK", "", &files[path], files[path].len()),
    });
    let error = release.refused(&format!("{server}/r"));
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn a_redirect_is_followed_on_the_same_host_alone_unless_the_other_is_named() {
    let release = Release::new();
    let files = files_of(&release);
    let elsewhere = serve(move |path, _| response("200 OK", "", &files[path], files[path].len()));
    let to = elsewhere.clone();
    let server = serve(move |path, _| {
        let target = match path.strip_prefix("/here") {
            Some(rest) => format!("/there{rest}"),
            None => format!("{to}{}", path.trim_start_matches("/there")),
        };
        response("302 Found", &format!("Location: {target}\r\n"), b"", 0)
    });
    let place = format!("{server}/here/r");
    let error = release.refused(&place);
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert!(error.to_string().contains(&elsewhere), "{error}");
    let pull = release.pull().from(place.parse().unwrap()).redirect_host("127.0.0.1");
    assert_eq!(fs::read(pull.run().unwrap()).unwrap(), MODULE);
}

struct PythonServer(Child);

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Python's own web server, which knows no ranges.
fn python_server(folder: &Path) -> (PythonServer, String) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new("python3")
        .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
        .arg(folder)
        .arg(address.port().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = PythonServer(child);
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    (server, format!("http://{address}"))
}

#[test]
fn a_real_server_a_dead_one_and_a_mirror() {
    let release = Release::new();
    let (_server, address) = python_server(release.folder.path());
    // A part is there, and the server sends the whole.
    let partial = release.cache.path().join("partial");
    fs::create_dir_all(&partial).unwrap();
    let packed = fs::read(release.path("o3-gpl.wasm.br")).unwrap();
    fs::write(partial.join(sha256(&packed)), &packed[..10]).unwrap();
    assert_eq!(fs::read(release.pull_from(&address).unwrap()).unwrap(), MODULE);

    let dead = "http://127.0.0.1:9/r";
    let other = Release::new();
    let error = other.refused(dead);
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let folder = other.folder.path().to_str().unwrap();
    let both = other.pull().from(dead.parse().unwrap()).from(folder.parse().unwrap());
    assert_eq!(fs::read(both.run().unwrap()).unwrap(), MODULE);
    let none = Release::new();
    let empty = TempDir::new().unwrap();
    let empty = empty.path().to_str().unwrap().to_owned();
    let error = none
        .pull()
        .from(dead.parse().unwrap())
        .from(empty.parse().unwrap())
        .run()
        .unwrap_err();
    assert!(
        error.to_string().contains("127.0.0.1:9") && error.to_string().contains(&empty),
        "{error}"
    );
}
