//! A release folder: what is in it, that it repeats, and that everything can be built again from its source archive.

#[path = "../../runtime/tests/support/inputs.rs"]
mod inputs;
mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::collections::{BTreeMap, BTreeSet};
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
use xtask::build::facts::{self, Tools as BuildTools};
use xtask::build::pack;
use xtask::build::record::{FileRecord, Record, SourceRecord, Tools};
use xtask::build::sdk::{Identity, Kind, Sdk};
use xtask::digest;
use xtask::plan::pack::machines;
use xtask::plan::step::{Facts, source_digest};
use xtask::project::Project;
use xtask::wasm;
use xtask::wasm::describe::Description;
use xtask::wasm::inspect::Inspection;

/// A repository, committed, with a module of a few bytes and its record for each of these profiles.
struct Release {
    fixture: Fixture,
    keys: TempDir,
}

const PROFILES: [&str; 2] = ["o3-gpl", "oz-lgpl"];

impl Release {
    fn new() -> Release {
        let fixture = Fixture::new();
        let root = fixture.root();
        for (name, licences) in [
            ("ffmpeg", &["COPYING.GPLv2", "COPYING.LGPLv2.1", "LICENSE.md"][..]),
            ("x264", &["COPYING"]),
            ("openh264", &["LICENSE"]),
        ] {
            // A text beside those that the library's file names is none of its licences.
            let files = licences.iter().chain(&["main.c", "COPYING-of-tests"]);
            let files: Vec<(&str, &str)> = files.map(|&file| (file, name)).collect();
            let data = archive(&format!("{name}-1"), &files);
            fs::write(fixture.mirror().join(format!("{name}.tar.gz")), &data).unwrap();
            fixture.pin(name, &sha256(&data));
        }
        // Its version.sh is made of the parts of the version.
        let version = format!("0.164.1-{}", "a".repeat(40));
        fixture.edit_source("x264", |source| drop(source.insert("version".into(), version.into())));
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
        fs::write(root.join(".gitignore"), "*.wasm*\n*.so*\n/dist\n").unwrap();
        // Ours are of upstream's files, which the archives do not have.
        fs::remove_dir_all(root.join("patches")).unwrap();
        for profile in PROFILES {
            write_artifact(&fixture, profile);
        }
        write_pack(&fixture, "o3-gpl");
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

/// The tools with which the fixture's commands build.
fn tools(fixture: &Fixture, project: &Project) -> BuildTools {
    let (sdk, binaryen) = (fixture.sdk(), fixture.folder.path().join("binaryen"));
    let identity = Identity {
        kind: Kind::Given,
        clang: "a test compiler".into(),
        inputs: [("sdk".to_owned(), digest::tree(&sdk).unwrap())].into(),
    };
    let root = fixture.root();
    BuildTools {
        facts: Facts {
            sdk: identity.digest(),
            wasm_opt: digest::tree(&binaryen).unwrap(),
            environment: "in no record".into(),
            unpacking: xtask::inputs::unpacking().unwrap(),
            guest: facts::guest_files(&root).unwrap(),
            pack: facts::pack_files(&root).unwrap(),
            patches: facts::patches(project).unwrap(),
            passes: facts::passes().unwrap(),
            host: project.host.clone(),
        },
        sdk: Sdk { path: sdk, identity },
        wasm_opt: binaryen.join("bin/wasm-opt"),
    }
}

/// A module of a few bytes with the record of what the repository has.
fn write_artifact(fixture: &Fixture, profile: &str) {
    let root = &fixture.root();
    let project = Project::open(root.to_owned()).unwrap();
    let tools = tools(fixture, &project);
    let recipe = project.recipe(profile).unwrap();
    let mut files = BTreeMap::new();
    for (form, data) in [("wasm", "module"), ("wasm.br", "brotli"), ("wasm.gz", "gzip")] {
        let name = format!("{profile}.{form}");
        fs::write(root.join("artifacts").join(&name), data).unwrap();
        let file = FileRecord {
            sha256: sha256(data.as_bytes()),
            size_bytes: data.len() as u64,
        };
        files.insert(name, file);
    }
    let source = |name: &str| {
        let pinned = project.pins.source(name).unwrap();
        let record = SourceRecord {
            digest: source_digest(pinned).unwrap().to_owned(),
            license: pinned.license.clone(),
            version: pinned.version.clone(),
        };
        (name.to_owned(), record)
    };
    let libraries = recipe.components.libraries.iter().map(String::as_str);
    let record = Record {
        commands: project.plan(profile, &tools.facts).unwrap().commands(),
        description: recipe.description,
        ffmpeg: Description {
            components: BTreeMap::new(),
            ffmpeg_license: String::new(),
        },
        ffmpeg_version: project.pins.source("ffmpeg").unwrap().version.clone(),
        files,
        format_version: 2,
        guest: tools.facts.guest.clone(),
        license: recipe.components.license.clone(),
        module: Inspection {
            engine_features: BTreeSet::new(),
            exports: BTreeSet::new(),
            function_count: 0,
            imports: BTreeSet::new(),
            memory_initial_bytes: 0,
            memory_maximum_bytes: 0,
        },
        patches: BTreeMap::new(),
        sources: libraries.chain(["ffmpeg"]).map(source).collect(),
        tools: Tools::new(&project, &tools).unwrap(),
        variant: profile.to_owned(),
    };
    let path = root.join("artifacts").join(format!("{profile}.json"));
    fs::write(path, serde_json::to_string_pretty(&record).unwrap()).unwrap();
}

/// The machine of the pack that the release has.
const MACHINE: &str = "x86_64-v3-linux";
const PACK_NAME: &str = "o3-gpl.x86_64-v3-linux";

/// A pack of a few bytes, of that module.
fn write_pack(fixture: &Fixture, profile: &str) {
    let root = &fixture.root();
    let project = Project::open(root.to_owned()).unwrap();
    let name = format!("{profile}.{MACHINE}");
    let mut files = BTreeMap::new();
    let packed = xtask::wasm::compress::brotli(b"pack", 1).unwrap();
    for (form, data) in [("so", &b"pack"[..]), ("so.br", &packed), ("so.gz", b"gzip")] {
        fs::write(root.join(format!("artifacts/{name}.{form}")), data).unwrap();
        let file = FileRecord {
            sha256: sha256(data),
            size_bytes: data.len() as u64,
        };
        files.insert(format!("{name}.{form}"), file);
    }
    let (tools, module, machine) = (
        tools(fixture, &project),
        sha256(b"module"),
        machines(MACHINE).unwrap()[0],
    );
    let record = pack::Record::new(&project, &tools, machine, &name, module, files).unwrap();
    let path = root.join(format!("artifacts/{name}.json"));
    fs::write(path, serde_json::to_string_pretty(&record).unwrap()).unwrap();
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
    // minisign's signatures are randomised; what they sign is not.
    assert_eq!(differing, ["SHA256SUMS.minisig"]);
    for name in [
        "o3-gpl.wasm",
        "o3-gpl.wasm.br",
        "o3-gpl.wasm.gz",
        "o3-gpl.json",
        "o3-gpl.provenance.json",
        "o3-gpl.x86_64-v3-linux.so",
        "o3-gpl.x86_64-v3-linux.so.br",
        "o3-gpl.x86_64-v3-linux.so.gz",
        "o3-gpl.x86_64-v3-linux.json",
        "LICENSE-MIT-simde.txt",
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
    let bill = String::from_utf8(files["sbom.cdx.json"].clone()).unwrap();
    assert!(bill.contains("o3-gpl.x86_64-v3-linux.so") && bill.contains(&sha256(b"pack")));
    let machines = ["aarch64-linux", MACHINE];
    let cache = release.fixture.folder.path().join("pulled");
    let pull = afmpeg_release::Pull::new("o3-gpl@1-1".parse().unwrap(), key.clone(), &cache);
    let pulled = pull.from(places[0].to_str().unwrap().parse().unwrap()).pack(&machines);
    assert_eq!(fs::read(pulled.unwrap().unwrap().path).unwrap(), b"pack");
    let notice = String::from_utf8(files["NOTICE.md"].clone()).unwrap();
    for row in [
        "| x264: H.264 encoder | o3-gpl | GPL-2.0-or-later | `LICENSE-x264-COPYING` |\n",
        "| all modules | Zlib | `LICENSE-zlib-LICENSE` |\n",
    ] {
        assert!(notice.contains(row), "{row}is not in\n{notice}");
    }
    assert!(!notice.contains('@'), "a placeholder is left in\n{notice}");
    assert!(!files.contains_key("LICENSE-x264-COPYING-of-tests"));
    let place = release.fixture.folder.path().to_str().unwrap().as_bytes().to_owned();
    for (name, data) in &files {
        assert!(
            !data.windows(place.len()).any(|window| window == place),
            "{name} names a place"
        );
    }
}

#[test]
fn a_package_has_the_licences_of_its_own_module() {
    let release = Release::new();
    let root = release.fixture.root();
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = release.fixture.folder.path().join("release");
    run(release.dist(&out)).expect(0, &[]);
    for (kind, listing) in [
        ("npm", &["tar", "tzf"][..]),
        ("wheel", &["python3", "-m", "zipfile", "-l"]),
    ] {
        let packages = release.fixture.folder.path().join(kind);
        let mut command = Command::new(PROGRAM);
        command
            .arg("--root")
            .arg(&real)
            .args(["package", kind, "--modules-only", "--release"]);
        command.arg(&out).arg("--to").arg(&packages).current_dir(&root);
        run(command).expect(0, &[]);
        let made = support::files_in(&packages);
        assert_eq!(made.len(), PROFILES.len(), "{made:?}");
        for package in made {
            let listed = Command::new(listing[0])
                .args(&listing[1..])
                .arg(&package)
                .output()
                .unwrap();
            let listed = String::from_utf8(listed.stdout).unwrap();
            let is_gpl = package.to_string_lossy().contains("o3");
            for (name, wanted) in [
                ("NOTICE.md", true),
                ("LICENSE-ffmpeg-COPYING.GPLv2", true),
                ("LICENSE-zlib-LICENSE", true),
                ("LICENSE-MIT-musl.txt", true),
                ("LICENSE-x264-COPYING", is_gpl),
            ] {
                assert_eq!(
                    listed.contains(name),
                    wanted,
                    "{name} in {}:\n{listed}",
                    package.display()
                );
            }
        }
    }
}

#[test]
fn the_source_archive_builds_on_its_own() {
    let release = Release::new();
    // One library is known by its tree, as those are whose origins have different archives.
    release.fixture.pin_zlib_tree();
    write_artifact(&release.fixture, "o3-gpl");
    write_artifact(&release.fixture, "oz-lgpl");
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
            .env("BINARYEN_PATH", release.fixture.folder.path().join("binaryen"))
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

fn registry_program() -> PathBuf {
    inputs::input("docker-registry")
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
        let program = registry_program();
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
        let pull = afmpeg_release::Pull::new("o3-gpl@1-1".parse().unwrap(), key.clone(), cache.path());
        let pack = pull.from(place.parse().unwrap()).pack(&[MACHINE]).unwrap().unwrap();
        assert_eq!(fs::read(pack.path).unwrap(), b"pack");

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
        let kept = walkdir::WalkDir::new(cache.path().join("modules"))
            .into_iter()
            .flatten();
        let kept: Vec<_> = kept.filter(|entry| entry.file_type().is_file()).collect();
        assert!(kept.is_empty(), "{kept:?}");
    }
}

/// Edits a file, and puts it back after this.
fn with_edit(path: &Path, edit: impl FnOnce(&str) -> String, meanwhile: impl FnOnce()) {
    let text = fs::read_to_string(path).unwrap();
    let edited = edit(&text);
    assert_ne!(edited, text, "{}", path.display());
    fs::write(path, edited).unwrap();
    meanwhile();
    fs::write(path, text).unwrap();
}

#[test]
fn modules_and_packs_of_other_inputs_are_not_released() {
    let release = Release::new();
    let root = release.fixture.root();
    let out = release.fixture.folder.path().join("release");
    let refuses = |wanted: &[&str]| {
        let mut dist = release.dist(&out);
        dist.arg("--allow-dirty");
        run(dist).expect(3, &[&["other inputs"], wanted].concat());
    };
    // What a module is made by stands in levels and sets, and in the recipes of libraries.
    for (file, from, to, step) in [
        ("profiles/levels/o3.toml", "simd = true", "simd = false", "step zlib"),
        ("profiles/components/standard.toml", ", \"twinvq\"", "", "step ffmpeg"),
        ("ffmpeg-src/zlib.toml", "\"uncompr.c\",", "", "step zlib"),
    ] {
        let edit = |text: &str| text.replacen(from, to, 1);
        with_edit(&root.join(file), edit, || refuses(&["artifacts/o3-gpl.json", step]));
    }
    with_edit(
        &release.fixture.sdk().join("bin/clang"),
        |text| format!("{text}# \n"),
        || {
            refuses(&["the SDK"]);
        },
    );
    for (name, kind, wanted) in [
        ("o3-gpl", "unpacking", "what unpacks"),
        ("o3-gpl", "wasm_opt_digest", "wasm-opt"),
        ("o3-gpl", "environment", "the environment"),
        (PACK_NAME, "compiler_flags", "the compiler's flags"),
        (PACK_NAME, "linker_flags", "the linker's flags"),
        (PACK_NAME, "translator", "wabt"),
        (PACK_NAME, "clang", "the SDK"),
    ] {
        let edit = |text: &str| {
            let mut record: Value = serde_json::from_str(text).unwrap();
            let place = match record["tools"][kind].is_null() {
                true => &mut record[kind],
                false => &mut record["tools"][kind],
            };
            match place {
                Value::String(text) => text.push('0'),
                Value::Array(list) => list.push("-fother".into()),
                Value::Object(fields) if kind == "translator" => drop(fields.insert("version".into(), "0".into())),
                Value::Object(fields) => drop(fields.insert("OTHER".into(), "0".into())),
                other => panic!("{kind} is {other}"),
            }
            record.to_string()
        };
        let record = root.join(format!("artifacts/{name}.json"));
        with_edit(&record, edit, || refuses(&[&format!("artifacts/{name}.json"), wanted]));
    }
    assert!(!out.exists(), "something was released");
}

#[test]
fn only_what_the_sums_name_is_packed_and_pushed() {
    let release = Release::new();
    let out = release.fixture.folder.path().join("release");
    run(release.dist(&out)).expect(0, &[]);
    // A module that nobody has signed.
    for kind in ["wasm", "wasm.br", "wasm.gz"] {
        fs::copy(out.join(format!("o3-gpl.{kind}")), out.join(format!("o2-gpl.{kind}"))).unwrap();
    }
    let record = fs::read_to_string(out.join("o3-gpl.json")).unwrap();
    fs::write(out.join("o2-gpl.json"), record.replace("\"o3-gpl", "\"o2-gpl")).unwrap();
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let packages = release.fixture.folder.path().join("packages");
    let package = || {
        let mut command = Command::new(PROGRAM);
        command.arg("--root").arg(&real);
        command
            .args(["package", "npm", "--modules-only", "--release"])
            .arg(&out);
        command.arg("--to").arg(&packages);
        run(command)
    };
    package().expect(0, &[]);
    let made = support::files_in(&packages);
    assert_eq!(made.len(), PROFILES.len(), "{made:?}");
    let push = || {
        let mut command = release.fixture.command(&["push", "oci://127.0.0.1:9/a", "--release"]);
        command.arg(&out);
        run(command)
    };
    // Sums that were cut off leave files that nobody vouches for.
    let sums = fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    let without = |name: &str| {
        let lines = sums.lines().filter(|line| !line.ends_with(name));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    for (cut, wanted) in [
        (String::new(), "its sums name no module"),
        (without("  o3-gpl.json"), "do not name o3-gpl.json"),
    ] {
        fs::write(out.join("SHA256SUMS"), cut).unwrap();
        package().expect(2, &[wanted]);
        push().expect(2, &[wanted]);
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
    let dirty = || {
        let mut dist = release.dist(&out);
        dist.arg("--allow-dirty");
        run(dist)
    };
    // What git does not know of goes into modules all the same.
    fs::write(root.join("guest/new.c"), "int a;").unwrap();
    run(release.dist(&out)).expect(2, &["not committed", "?? guest/new.c", "--allow-dirty"]);
    dirty().expect(3, &["other inputs", "guest/"]);
    fs::remove_file(root.join("guest/new.c")).unwrap();
    let pack = root.join(format!("artifacts/o3-gpl.{MACHINE}.json"));
    let text = fs::read_to_string(&pack).unwrap();
    fs::write(&pack, text.replace(&sha256(b"module"), &sha256(b"another"))).unwrap();
    let again = format!("--pack {MACHINE}");
    dirty().expect(3, &["other inputs", "artifacts/o3-gpl.wasm", &again]);
    fs::write(&pack, text).unwrap();
    let record = root.join("artifacts/o3-gpl.json");
    let text = fs::read_to_string(&record).unwrap();
    let pass = &wasm::digests().unwrap()["suspend"];
    fs::write(&record, text.replace(pass, &"0".repeat(64))).unwrap();
    dirty().expect(3, &["other inputs", "the pass suspend"]);
    fs::write(&record, text).unwrap();
    fs::write(root.join("lib.rs"), "// changed").unwrap();
    run(release.dist(&out)).expect(2, &["not committed", "lib.rs", "--allow-dirty"]);
    git(&root, &["checkout", "--quiet", "lib.rs"]);
    assert!(!out.exists(), "something was released");
    run(release.dist(&out)).expect(0, &[]);
    run(release.dist(&out)).expect(2, &["there already", "revision"]);
}
