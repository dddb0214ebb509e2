//! A release folder: what is in it, that it repeats, and that everything can be built again from its source archive.

mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use afmpeg_release::{Http, Redirects};
use minisign::KeyPair;
use serde_json::Value;
use support::{Fixture, archive, git, run, sha256};
use tempfile::TempDir;

/// A repository, committed, with a module of a few bytes for each of these profiles, whose record is that of the real one but
/// for the digests.
struct Release {
    fixture: Fixture,
    keys: TempDir,
}

const PROFILES: [&str; 2] = ["o3-gpl", "oz-lgpl"];

impl Release {
    fn new() -> Release {
        let fixture = Fixture::new();
        let root = fixture.root();
        for name in ["ffmpeg", "x264", "openh264"] {
            let data = archive(&format!("{name}-1"), &[("COPYING", "the licence"), ("main.c", name)]);
            fs::write(fixture.mirror().join(format!("{name}.tar.gz")), &data).unwrap();
            fixture.pin(name, &sha256(&data));
        }
        // A workspace as small as cargo allows.
        fs::write(root.join("lib.rs"), "").unwrap();
        let manifest = "[package]\nname = \"afmpeg\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\
                        [lib]\npath = \"lib.rs\"\n[workspace]\n";
        fs::write(root.join("Cargo.toml"), manifest).unwrap();
        fs::write(
            root.join("Cargo.lock"),
            "version = 4\n\n[[package]]\nname = \"afmpeg\"\nversion = \"0.1.0\"\n",
        )
        .unwrap();
        fs::write(root.join(".gitignore"), "*.wasm*\n/dist\n").unwrap();
        for profile in PROFILES {
            write_artifact(&root, profile);
        }
        git(&root, &["init", "--quiet"]);
        git(&root, &["add", "."]);
        git(&root, &["commit", "--quiet", "--message", "all"]);
        let keys = TempDir::new().unwrap();
        let pair = KeyPair::generate_encrypted_keypair(Some("secret".into())).unwrap();
        fs::write(keys.path().join("key"), pair.sk.to_box(None).unwrap().into_string()).unwrap();
        fs::write(keys.path().join("key.pub"), pair.pk.to_box().unwrap().into_string()).unwrap();
        Release { fixture, keys }
    }

    fn dist(&self, out: &Path) -> Command {
        let mut command = self.fixture.command(&["dist", "--mirror"]);
        command.arg(self.fixture.mirror());
        for profile in PROFILES {
            command.args(["--profile", profile]);
        }
        command
            .arg("--out")
            .arg(out)
            .arg("--secret-key")
            .arg(self.keys.path().join("key"));
        command.env("MINISIGN_PASSWORD", "secret");
        command
    }
}

fn write_artifact(root: &Path, profile: &str) {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../artifacts");
    let text = fs::read_to_string(real.join(format!("{profile}.json"))).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    for (form, data) in [("wasm", "module"), ("wasm.br", "brotli"), ("wasm.gz", "gzip")] {
        let name = format!("{profile}.{form}");
        fs::write(root.join("artifacts").join(&name), data).unwrap();
        record["files"][&name] = serde_json::json!({ "sha256": sha256(data.as_bytes()), "size_bytes": data.len() });
    }
    // What the real record was made of may differ from what is pinned now, and the fixture's archives do.
    let pins: toml::Table = fs::read_to_string(root.join("ffmpeg-src/sources.toml"))
        .unwrap()
        .parse()
        .unwrap();
    for (name, source) in record["sources"].as_object_mut().unwrap() {
        let pinned = &pins["source"][name];
        let digest = pinned.get("tree_sha256").unwrap_or_else(|| &pinned["sha256"]);
        source["digest"] = digest.as_str().unwrap().into();
    }
    let patches = root.join("patches");
    if patches.exists() {
        fs::remove_dir_all(&patches).unwrap();
    }
    record["patches"] = serde_json::json!({});
    record["guest"] = guest_digests(&root.join("guest"));
    let path = root.join("artifacts").join(format!("{profile}.json"));
    fs::write(path, serde_json::to_string_pretty(&record).unwrap()).unwrap();
}

fn guest_digests(guest: &Path) -> Value {
    let files = walkdir::WalkDir::new(guest).into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            (
                entry.path().strip_prefix(guest).unwrap().to_str().unwrap().to_owned(),
                entry,
            )
        })
        .filter(|(name, _)| !name.starts_with("tests/") && !name.ends_with(".md"))
        .map(|(name, entry)| (name, Value::from(sha256(&fs::read(entry.path()).unwrap()))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    support::files_in(folder)
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn a_release_is_signed_repeats_and_holds_what_it_must() {
    let release = Release::new();
    let places = [
        release.fixture.folder.path().join("one"),
        release.fixture.folder.path().join("two"),
    ];
    for out in &places {
        run(release.dist(out)).expect(0, &[]);
    }
    let files = contents(&places[0]);
    let others = contents(&places[1]);
    assert_eq!(files.len(), others.len());
    let differing = files.iter().filter(|(name, data)| others.get(*name) != Some(data));
    let differing: Vec<_> = differing.map(|(name, _)| name.as_str()).collect();
    // A signature has randomness in it; what it signs has none.
    assert_eq!(differing, ["SHA256SUMS.minisig"]);
    for name in [
        "o3-gpl.wasm",
        "o3-gpl.wasm.br",
        "o3-gpl.wasm.gz",
        "o3-gpl.json",
        "o3-gpl.provenance.json",
        "oz-lgpl.wasm",
        "sbom.cdx.json",
        "NOTICE.md",
        "LICENSE-x264-COPYING",
        "LICENSE-zlib-LICENSE",
        "LICENSE-MIT-musl.txt",
        "afmpeg-1-1-source.tar.gz",
    ] {
        assert!(files.contains_key(name), "{name} is missing of {:?}", files.keys());
    }
    // Another program than ours reads the sums.
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&places[0])
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
    assert_eq!(
        String::from_utf8(check.stdout).unwrap().lines().count(),
        files.len() - 2
    );
    let key = afmpeg_release::parse_key(&fs::read_to_string(release.keys.path().join("key.pub")).unwrap()).unwrap();
    let signature = &files["SHA256SUMS.minisig"];
    afmpeg_release::verify("here", &files["SHA256SUMS"], signature, &key, "1-1").unwrap();
    afmpeg_release::verify("here", &files["SHA256SUMS"], signature, &key, "1-2").unwrap_err();

    let provenance: Value = serde_json::from_slice(&files["o3-gpl.provenance.json"]).unwrap();
    assert_eq!(provenance["_type"], "https://in-toto.io/Statement/v1");
    let subjects = provenance["subject"].as_array().unwrap();
    assert!(subjects.contains(&serde_json::json!({
        "digest": { "sha256": sha256(b"module") },
        "name": "o3-gpl.wasm",
    })));
    let commit = git(&release.fixture.root(), &["rev-parse", "HEAD"]);
    assert_eq!(
        provenance["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"],
        commit.trim()
    );
    let place = release.fixture.folder.path().to_str().unwrap().as_bytes().to_owned();
    for (name, data) in &files {
        assert!(
            !data.windows(place.len()).any(|window| window == place),
            "{name} names a place"
        );
    }
}

#[test]
fn the_source_archive_builds_on_its_own() {
    let release = Release::new();
    // One library is known by its tree, as those are whose origins have different archives.
    release.fixture.pin_zlib_tree();
    write_artifact(&release.fixture.root(), "o3-gpl");
    write_artifact(&release.fixture.root(), "oz-lgpl");
    git(
        &release.fixture.root(),
        &["commit", "--quiet", "--all", "--message", "tree"],
    );
    let out = release.fixture.folder.path().join("release");
    run(release.dist(&out)).expect(0, &[]);
    let elsewhere = TempDir::new().unwrap();
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(out.join("afmpeg-1-1-source.tar.gz"))
        .current_dir(elsewhere.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let root: PathBuf = elsewhere.path().join("afmpeg-1-1");
    assert!(
        !root.join("artifacts/o3-gpl.wasm").exists(),
        "a module among the sources"
    );
    let build = |cache: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--root")
            .arg(&root)
            .args([
                "build",
                "--profile",
                "oz-lgpl",
                "--until",
                "zlib",
                "--offline",
                "--mirror",
            ])
            .arg(root.join("sources"))
            .env("AFMPEG_CACHE_DIR", elsewhere.path().join(cache))
            .env("WASI_SDK_PATH", release.fixture.sdk())
            .env_remove("AFMPEG_MIRROR");
        run(command)
    };
    build("cache").expect(0, &["zlib: done"]);
    // A tree that is not the pinned one is refused.
    let archive = root.join("sources/zlib-1.tree.tar");
    let mut data = fs::read(&archive).unwrap();
    let position = data.windows(10).position(|window| window == b"/* crc32.c").unwrap();
    data[position + 3] = b'C';
    fs::write(&archive, data).unwrap();
    build("other cache").expect(1, &["zlib-1.tree.tar", "wanted tree_sha256"]);
}

/// A real registry on a port of its own, which ends with the test.
struct Registry {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    fn start(authentication: &str) -> Registry {
        let program = std::env::var_os("AFMPEG_TEST_REGISTRY")
            .expect("AFMPEG_TEST_REGISTRY is not set: run these tests with `cargo xtask test`, which sets it");
        let folder = TempDir::new().unwrap();
        // The port is free when it is given back, and nobody else is likely to take it at once.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{address}\"}}\n{authentication}",
            folder.path().join("store").display()
        );
        fs::write(folder.path().join("config.yml"), settings).unwrap();
        // The user is `user`, and the password `secret`.
        let passwords = "user:$2b$05$zwFn5WFinEWmbyp9YL79ZeWSAPDSKH5pUUGKYim.q6Oc9.pKJfDz6\n";
        fs::write(folder.path().join("passwords"), passwords).unwrap();
        let process = Command::new(program)
            .args(["serve", "config.yml"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Registry {
            process,
            address,
            folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    ignore = "no registry is pinned for this system"
)]
#[test]
fn a_registry_gives_what_was_pushed_to_it_and_nothing_else_is_taken() {
    let release = Release::new();
    let out = release.fixture.folder.path().join("release");
    run(release.dist(&out)).expect(0, &[]);
    let key = afmpeg_release::parse_key(&fs::read_to_string(release.keys.path().join("key.pub")).unwrap()).unwrap();
    let login = "auth: {htpasswd: {realm: test, path: passwords}}\n";
    for authentication in ["", login] {
        let registry = Registry::start(authentication);
        let place = format!("oci://{}/a/b", registry.address);
        let push = |user: &str| {
            let mut command = release.fixture.command(&["push", &place, "--release"]);
            command
                .arg(&out)
                .env("AFMPEG_REGISTRY_USER", user)
                .env("AFMPEG_REGISTRY_PASSWORD", "secret");
            run(command)
        };
        if !authentication.is_empty() {
            push("nobody").expect(1, &["401"]);
        }
        let first = push("user");
        first.expect(0, &[]);
        assert!(
            first.stdout.contains(&format!("{place}/o3-gpl:1-1\n")),
            "{}",
            first.stdout
        );
        // What is there is not sent again, and changes nothing.
        push("user").expect(0, &[]);
        if !authentication.is_empty() {
            continue;
        }

        let cache = TempDir::new().unwrap();
        let pull = |name: &str| {
            afmpeg_release::Pull::new(name.parse().unwrap(), key.clone(), cache.path())
                .from(place.parse().unwrap())
                .run()
        };
        assert_eq!(fs::read(pull("o3-gpl@1-1").unwrap()).unwrap(), b"module");
        assert!(matches!(pull("o3-gpl@1-2"), Err(afmpeg_release::Error::Missing { .. })));

        // What other tools ask for.
        let manifest = Http::new(Redirects::Anywhere)
            .get(
                &format!("http://{}/v2/a/b/o3-gpl/manifests/1-1", registry.address),
                &[("Accept", "application/vnd.oci.image.manifest.v1+json".to_owned())],
            )
            .unwrap()
            .into_body()
            .read_to_string()
            .unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
        let layer = serde_json::json!({
            "digest": format!("sha256:{}", sha256(b"module")),
            "mediaType": "application/wasm",
            "size": 6,
        });
        assert_eq!(manifest["layers"], serde_json::json!([layer]));

        // A registry that gives other bytes under the module's digest: it lies in files, and so it can be made to.
        let digest = sha256(b"module");
        let blob = registry.folder.path().join(format!(
            "store/docker/registry/v2/blobs/sha256/{}/{digest}/data",
            &digest[..2]
        ));
        fs::write(blob, "moduld").unwrap();
        let cache = TempDir::new().unwrap();
        let pull = afmpeg_release::Pull::new("o3-gpl@1-1".parse().unwrap(), key.clone(), cache.path());
        let refused = pull.from(place.parse().unwrap()).run().unwrap_err();
        assert!(matches!(refused, afmpeg_release::Error::Digest { .. }), "{refused}");
        assert_eq!(support::files_in(&cache.path().join("modules")), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_cannot_be_released_is_refused() {
    let release = Release::new();
    let root = release.fixture.root();
    let out = release.fixture.folder.path().join("release");
    let artifact = root.join("artifacts/o3-gpl.wasm");
    fs::write(&artifact, "modulf").unwrap();
    run(release.dist(&out)).expect(
        3,
        &[
            "artifacts/o3-gpl.wasm",
            "wanted sha256",
            "cargo xtask build --profile o3-gpl",
        ],
    );
    fs::remove_file(&artifact).unwrap();
    run(release.dist(&out)).expect(3, &["no artifacts/o3-gpl.wasm"]);
    fs::write(&artifact, "module").unwrap();
    let mut wrong_password = release.dist(&out);
    wrong_password.env("MINISIGN_PASSWORD", "wrong");
    run(wrong_password).expect(3, &["secret key", "MINISIGN_PASSWORD"]);
    fs::write(root.join("guest/new.c"), "int a;").unwrap();
    run(release.dist(&out)).expect(3, &["other inputs", "guest/"]);
    fs::remove_file(root.join("guest/new.c")).unwrap();
    fs::write(root.join("lib.rs"), "// changed").unwrap();
    run(release.dist(&out)).expect(2, &["not committed", "lib.rs", "--allow-dirty"]);
    git(&root, &["checkout", "--quiet", "lib.rs"]);
    assert!(!out.exists(), "something was released");
    run(release.dist(&out)).expect(0, &[]);
    run(release.dist(&out)).expect(2, &["there already", "revision"]);
}
