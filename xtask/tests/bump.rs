//! Another version of an input is pinned only if it is verified and our patches apply; otherwise the pin file is left
//! as it was. A server of our own has the versions, and keys are made here.

mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{KeyDetails, Password};
use rand::thread_rng;
use support::{Ended, Fixture, run, serve_files, sha256, zlib_like};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// An upstream with version 1.0 of zlib pinned, and version 1.1 at the address that follows from it.
struct Upstream {
    fixture: Fixture,
    files: Files,
    address: String,
    archive: Vec<u8>,
}

const NEW: &str = "1.1/zlib-1.1.tar.gz";
const NEW_SIGNATURE: &str = "1.1/zlib-1.1.tar.gz.asc";

impl Upstream {
    fn new(signed_by: Option<&SignedSecretKey>) -> Upstream {
        let fixture = Fixture::new();
        let files = Files::default();
        let address = serve_files(files.clone());
        let old = zlib_like("zlib-1.0", "");
        let archive = zlib_like("zlib-1.1", "/* new */\n");
        files.lock().unwrap().insert(NEW.to_owned(), archive.clone());
        let signature = match signed_by {
            Some(key) => format!(
                "signed_by = \"{:X}\"\nsigning_key = \"{address}/key.asc\"\n",
                key.primary_key.fingerprint()
            ),
            None => String::new(),
        };
        let asc = match signed_by {
            Some(_) => format!("signature = \"{address}/1.0/zlib-1.0.tar.gz.asc\"\n"),
            None => String::new(),
        };
        // Written as a person would, so that it shows what becomes of comments and order.
        let source = format!(
            "# Compression.\n[source]\nlicense = \"Zlib\"\nversion = \"1.0\" # the newest\nsha256 = \"{}\"\n{signature}\
             [[source.origin]]\nurl = \"{address}/1.0/zlib-1.0.tar.gz\" # upstream\n{asc}\
             [[source.origin]]\nurl = \"http://127.0.0.1:9/zlib-1.0.tar.gz\"\n\n",
            sha256(&old)
        );
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ffmpeg-src/zlib.toml");
        let text = fs::read_to_string(real).unwrap();
        let (head, rest) = text.split_once("[source]").unwrap();
        let (_, tail) = rest.split_once("[build]").unwrap();
        fs::write(fixture.pin_file("zlib"), format!("{head}{source}[build]{tail}")).unwrap();
        Upstream {
            fixture,
            files,
            address,
            archive,
        }
    }

    fn put(&self, name: &str, data: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(name.to_owned(), data.into());
    }

    fn pins(&self) -> String {
        fs::read_to_string(self.fixture.pin_file("zlib")).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.fixture.command(&["bump", "zlib", "1.1", "--until", "pin"]);
        command.args(arguments);
        command
    }

    fn bump(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments))
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], code: i32, texts: &[&str]) {
        let before = self.pins();
        self.bump(arguments).expect(code, texts);
        assert_eq!(self.pins(), before, "the pin file was changed");
    }

    /// The pin file with the new version in the old one's place.
    fn wanted_pins(&self) -> String {
        let old = self.pins();
        let (start, sum) = old.split_once("# the newest\nsha256 = \"").unwrap();
        format!(
            "{start}# the newest\nsha256 = \"{}{}",
            sha256(&self.archive),
            &sum[64..]
        )
        .replace("version = \"1.0\" # the newest", "version = \"1.1\" # the newest")
        .replace("1.0/zlib-1.0", "1.1/zlib-1.1")
        .replace("zlib-1.0", "zlib-1.1")
    }
}

fn key() -> SignedSecretKey {
    SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .primary_user_id("upstream".into())
        .build()
        .unwrap()
        .generate(thread_rng())
        .unwrap()
}

fn public(key: &SignedSecretKey) -> Vec<u8> {
    let public = SignedPublicKey::from(key.clone());
    public.to_armored_bytes(ArmorOptions::default()).unwrap()
}

fn sign(key: &SignedSecretKey, data: &[u8]) -> Vec<u8> {
    let password = Password::empty();
    DetachedSignature::sign_binary_data(thread_rng(), &key.primary_key, &password, HashAlgorithm::Sha512, data)
        .unwrap()
        .to_armored_bytes(ArmorOptions::default())
        .unwrap()
}

#[test]
fn a_signed_version_is_pinned_and_all_else_is_left() {
    let key = key();
    let upstream = Upstream::new(Some(&key));
    upstream.put("key.asc", public(&key));
    upstream.put(NEW_SIGNATURE, sign(&key, &upstream.archive));
    let wanted = upstream.wanted_pins();
    let before = upstream.pins();
    let ended = upstream.bump(&["--dry-run"]);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("a dry run"), "{}", ended.stdout);
    assert_eq!(upstream.pins(), before);

    let json = upstream.fixture.folder.path().join("report.json");
    let ended = upstream.bump(&["--json", json.to_str().unwrap()]);
    ended.expect(0, &[]);
    for text in [
        "zlib 1.0 -> 1.1",
        &sha256(&upstream.archive),
        "signed by upstream",
        "not asked",
        "127.0.0.1:9",
    ] {
        assert!(ended.stdout.contains(text), "`{text}` is not in:\n{}", ended.stdout);
    }
    assert_eq!(upstream.pins(), wanted);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(report["origins"][0]["trusted_by"], "signature");
    // Once more is no work, and what was fetched is what a build takes.
    let ended = upstream.bump(&["--offline"]);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("zlib 1.1 is pinned already"), "{}", ended.stdout);
    let mut build = upstream.fixture.build_zlib();
    build.arg("--offline");
    run(build).expect(0, &[]);
}

#[test]
fn what_upstream_has_not_signed_is_refused() {
    let (key, stranger) = (key(), key());
    let upstream = Upstream::new(Some(&key));
    let fingerprint = format!("{:X}", key.primary_key.fingerprint());
    // No signature, then no key: nothing verifies it.
    upstream.refuses(
        &[],
        2,
        &[
            "nothing verifies zlib 1.1",
            "there is no",
            "--sha256",
            &sha256(&upstream.archive),
        ],
    );
    upstream.put(NEW_SIGNATURE, sign(&key, &upstream.archive));
    upstream.refuses(&[], 2, &["nothing verifies zlib 1.1", "the key"]);
    // Another's key, under whatever name.
    upstream.put("key.asc", public(&stranger));
    upstream.refuses(&[], 1, &["no key with the fingerprint", &fingerprint]);
    // The right key, and a signature by another, or of something else. A given digest does not outweigh that.
    upstream.put("key.asc", public(&key));
    upstream.put(NEW_SIGNATURE, sign(&stranger, &upstream.archive));
    let given = sha256(&upstream.archive);
    upstream.refuses(
        &["--sha256", &given],
        1,
        &["is not what upstream has signed", &fingerprint],
    );
    upstream.put(NEW_SIGNATURE, sign(&key, b"something else"));
    upstream.refuses(&["--trust-first-use"], 1, &["is not what upstream has signed"]);
    upstream.put(NEW_SIGNATURE, *b"no signature");
    upstream.refuses(&[], 1, &["no OpenPGP signature"]);
    // The key from a file serves where the server has none.
    upstream.put(NEW_SIGNATURE, sign(&key, &upstream.archive));
    upstream.files.lock().unwrap().remove("key.asc");
    let path = upstream.fixture.folder.path().join("key");
    upstream.refuses(&["--key", path.to_str().unwrap()], 3, &["cannot read the key"]);
    fs::write(&path, public(&key)).unwrap();
    upstream.bump(&["--key", path.to_str().unwrap()]).expect(0, &[]);
    assert!(upstream.pins().contains(&given));
}

#[test]
fn without_a_signature_a_digest_or_a_flag_is_needed() {
    let upstream = Upstream::new(None);
    upstream.refuses(
        &[],
        2,
        &[
            "nothing verifies zlib 1.1",
            "no key that is known here",
            "--trust-first-use",
        ],
    );
    upstream.refuses(
        &["--sha256", &"0".repeat(64)],
        2,
        &["nothing verifies", &sha256(&upstream.archive)],
    );
    upstream.refuses(&["--sha256", "0"], 2, &["not a sha256"]);
    upstream.refuses(&["--key", "any"], 2, &["signs with no key", "signed_by"]);
    let wanted = upstream.wanted_pins();
    let mut first = upstream.command(&["--trust-first-use", "--dry-run"]);
    first.env("AFMPEG_CACHE_DIR", upstream.fixture.folder.path().join("another cache"));
    let ended = run(first);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("NOT VERIFIED"), "{}", ended.stdout);
    let ended = upstream.bump(&["--sha256", &sha256(&upstream.archive)]);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("the digest that was given"), "{}", ended.stdout);
    assert_eq!(upstream.pins(), wanted);
}

#[test]
fn other_archives_of_the_same_tree_are_taken_and_of_another_are_left_out() {
    let upstream = Upstream::new(None);
    upstream.fixture.edit_source("zlib", |zlib| {
        let sum = zlib.remove("sha256").unwrap();
        zlib.insert("tree_sha256".into(), "0".repeat(64).into());
        let origins = zlib["origin"].as_array_mut().unwrap();
        origins.truncate(1);
        for name in ["repacked", "other"] {
            let origin = [(
                "url".to_owned(),
                format!("{}/1.0/{name}-1.0.tar.gz", upstream.address).into(),
            )];
            origins.push(toml::Value::Table(origin.into_iter().collect()));
        }
        for origin in origins {
            origin.as_table_mut().unwrap().insert("sha256".into(), sum.clone());
        }
    });
    upstream.put(NEW, *b"no archive at all");
    // Nothing is unpacked unless something is trusted.
    upstream.refuses(&[], 2, &["nothing verifies zlib 1.1"]);
    let trees = upstream.fixture.cache().join("trees");
    assert_eq!(support::files_in(&trees), Vec::<std::path::PathBuf>::new());
    let damaged = sha256(b"no archive at all");
    upstream.refuses(
        &["--sha256", &damaged],
        2,
        &["nothing verifies zlib 1.1", "left out: cannot unpack"],
    );
    upstream.put(NEW, upstream.archive.clone());
    let repacked = zlib_like("another folder", "/* new */\n");
    upstream.put("1.1/repacked-1.1.tar.gz", repacked.clone());
    upstream.put("1.1/other-1.1.tar.gz", zlib_like("zlib-1.1", "/* planted */\n"));
    let ended = upstream.bump(&["--sha256", &sha256(&upstream.archive)]);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("the same tree"), "{}", ended.stdout);
    assert!(ended.stdout.contains("its file is not verified"), "{}", ended.stdout);
    let pins: toml::Table = upstream.pins().parse().unwrap();
    let zlib = &pins["source"];
    let origins = zlib["origin"].as_array().unwrap();
    assert_eq!(origins.len(), 2, "{origins:?}");
    assert_eq!(origins[1]["sha256"].as_str(), Some(sha256(&repacked).as_str()));
    assert_ne!(zlib["tree_sha256"].as_str(), Some("0".repeat(64).as_str()));
    run(upstream.fixture.build_zlib()).expect(0, &[]);
}

#[test]
fn a_patch_that_no_longer_applies_leaves_the_pin() {
    let upstream = Upstream::new(None);
    let folder = upstream.fixture.root().join("patches/zlib");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("series"), "0001-fits.patch\n0002-does-not.patch\n").unwrap();
    let patch = |name: &str, line: &str| {
        let head = format!("diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n");
        format!("{head}@@ -2 +2 @@\n-{line}\n+/* ours */\n")
    };
    fs::write(folder.join("0001-fits.patch"), patch("crc32.c", "/* new */")).unwrap();
    fs::write(folder.join("0002-does-not.patch"), patch("trees.c", "/* old */")).unwrap();
    let given = sha256(&upstream.archive);
    let arguments = ["--sha256", given.as_str()];
    let texts = [
        "patches/zlib/0002-does-not.patch",
        "trees.c",
        "hunk #1",
        "is left as it was",
        "run this again",
    ];
    upstream.refuses(&arguments, 1, &texts);
    fs::write(folder.join("0002-does-not.patch"), patch("trees.c", "/* new */")).unwrap();
    let ended = upstream.bump(&arguments);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("2 patches apply"), "{}", ended.stdout);
}

#[test]
fn what_cannot_be_bumped_is_said() {
    let upstream = Upstream::new(None);
    let before = upstream.pins();
    let bump = |arguments: &[&str]| run(upstream.fixture.command(&[&["bump"], arguments].concat()));
    bump(&["zlip", "1.1"]).expect(2, &["no source `zlip`", "x264, x265, x86-intrinsics, "]);
    bump(&["lld-22", "23"]).expect(2, &["no source `lld-22`", "by hand"]);
    bump(&["zlib", "1.1/../2"]).expect(2, &["is not a version"]);
    // Its version.sh is made of the parts of the version.
    bump(&["x264", "0.165"]).expect(2, &["ffmpeg-src/x264.toml:", "0.165", "as the pinned one is: 0.164"]);
    bump(&["zlib", "1.1", "--profile", "o4"]).expect(2, &["no profile `o4`"]);
    bump(&["zlib", "1.7", "--trust-first-use"])
        .expect(3, &["no origin gave zlib 1.7", "1.7/zlib-1.7.tar.gz", "--mirror"]);
    // Archives by hand, under upstream's name, do without the server.
    let mirror = upstream.fixture.mirror();
    fs::write(mirror.join("zlib-1.7.tar.gz"), zlib_like("zlib-1.7", "")).unwrap();
    let mirrored = [
        "zlib",
        "1.7",
        "--trust-first-use",
        "--dry-run",
        "--offline",
        "--mirror",
        mirror.to_str().unwrap(),
    ];
    bump(&mirrored).expect(0, &[]);
    // Each machine's archive is its own: one that is missing is not left out for the others' sake.
    upstream.fixture.edit_source("zlib", |zlib| {
        let origins = zlib["origin"].as_array_mut().unwrap();
        for (origin, host) in origins.iter_mut().zip(["x86_64-linux", "aarch64-macos"]) {
            let origin = origin.as_table_mut().unwrap();
            origin.insert("host".into(), host.into());
            origin.insert("sha256".into(), "0".repeat(64).into());
        }
    });
    bump(&["zlib", "1.1", "--trust-first-use", "--until", "pin"]).expect(1, &["no origin is left for aarch64-macos"]);
    assert_eq!(before.matches("version = \"1.0\" # the newest").count(), 1);
}
