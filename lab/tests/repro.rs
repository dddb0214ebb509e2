//! Building twice: what repeats passes, and what differs is found where it began.

#[path = "../../xtask/tests/support/mod.rs"]
mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lab");

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use support::{Fixture, files_in, run, serve_files, sha256, zlib_like};

fn repro(fixture: &Fixture) -> std::process::Command {
    let mirror = fixture.mirror();
    let mirror = mirror.to_str().unwrap();
    fixture.command(&["repro", "--profile", "oz-lgpl", "--until", "zlib", "--mirror", mirror])
}

#[test]
fn a_place_and_a_umask_that_reach_the_output_are_found() {
    let fixture = Fixture::new();
    run(repro(&fixture)).expect(0, &[]);
    let archiver = fixture.sdk().join("bin/llvm-ar");
    let good = fs::read_to_string(&archiver).unwrap();
    for planted in ["pwd", "umask"] {
        fs::write(&archiver, format!("#!/bin/sh\n{planted} > \"$2\"\n")).unwrap();
        let ended = run(repro(&fixture));
        ended.expect(
            1,
            &[
                "oz-lgpl does not repeat",
                "step zlib is the first to differ",
                "libz.a",
                "the first other one",
            ],
        );
    }
    fs::write(&archiver, good).unwrap();
    run(repro(&fixture)).expect(0, &[]);
}

#[test]
fn earlier_steps_come_from_the_cache_or_not_at_all() {
    let fixture = Fixture::new();
    let from = |step: &str| {
        let mirror = fixture.mirror();
        let arguments = [
            "repro",
            "--profile",
            "oz-lgpl",
            "--from",
            step,
            "--until",
            "zlib",
            "--mirror",
        ];
        run(fixture.command(&[&arguments[..], &[mirror.to_str().unwrap()]].concat()))
    };
    let ended = from("zlib");
    ended.expect(0, &[]);
    assert!(
        ended.stdout.contains("with 1 process, ") && ended.stdout.ends_with(": zlib\n"),
        "{}",
        ended.stdout
    );
    from("openh264").expect(2, &["no step `openh264` among zlib"]);
    let later = ["repro", "--profile", "oz-lgpl", "--from", "optimise", "--until", "zlib"];
    run(fixture.command(&later)).expect(2, &["no step `optimise`"]);
}

/// What lies below a folder, by name.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in files_in(folder) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inner = contents(&path);
            found.extend(inner.into_iter().map(|(inner, data)| (format!("{name}/{inner}"), data)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn the_same_tree_from_another_origin_gives_the_same_bytes() {
    let fixture = Fixture::new();
    // What it makes hangs on every source and on their order.
    fs::write(fixture.sdk().join("bin/llvm-ar"), "#!/bin/sh\ncat ./*.c > \"$2\"\n").unwrap();
    let archives = ["upstream-1", "a registry's folder"].map(|top| zlib_like(top, "/* the same */\n"));
    let digests = archives.each_ref().map(|archive| sha256(archive));
    assert_ne!(digests[0], digests[1]);
    let files = Arc::new(Mutex::new(BTreeMap::new()));
    let server = serve_files(files.clone());
    let names = ["0.tar.gz", "1.tar.gz"];
    fixture.pin_zlib(&digests[0], &names.map(|name| format!("{server}/{name}")));
    fixture.edit_source("zlib", |zlib| {
        zlib.remove("sha256");
        for (origin, digest) in zlib["origin"].as_array_mut().unwrap().iter_mut().zip(&digests) {
            origin
                .as_table_mut()
                .unwrap()
                .insert("sha256".into(), digest.as_str().into());
        }
    });
    files.lock().unwrap().insert(names[0].to_owned(), archives[0].clone());
    fixture.pin_zlib_tree();
    let built = names.iter().zip(&archives).map(|(name, archive)| {
        *files.lock().unwrap() = [((*name).to_owned(), archive.clone())].into();
        let cache = fixture.folder.path().join(format!("cache of {name}"));
        let mut build = fixture.build_zlib();
        build.env("AFMPEG_CACHE_DIR", &cache);
        run(build).expect(0, &[]);
        assert_eq!(files_in(&cache.join("downloads")).len(), 1);
        contents(&cache.join("steps"))
    });
    let built: Vec<_> = built.collect();
    assert!(
        built[0]
            .values()
            .any(|data| String::from_utf8_lossy(data).contains("the same"))
    );
    assert_eq!(built[0], built[1]);
}
