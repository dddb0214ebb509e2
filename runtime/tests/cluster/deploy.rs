//! What deploy/ and the docs tell to run, as it stands there.

use crate::house::{self, words};
use crate::inputs;
use crate::languages::block;
use crate::servers::free_port;
use afmpeg::cluster::Policy;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// The lists of words that follow a key in a file of YAML, in its short form, which is JSON.
fn lists(name: &str, key: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(deploy(name)).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
    lines
        .map(|list| serde_json::from_str(list).unwrap_or_else(|error| panic!("{name}: {list}: {error}")))
        .collect()
}

#[test]
fn workers_are_started_with_options_that_there_are() {
    let mut count = 0;
    for (name, key) in [("compose.yaml", "command"), ("kubernetes.yaml", "args")] {
        for words in lists(name, key).iter().filter(|words| words[0] == "worker") {
            // What comes before is read first.
            let output = Command::new(env!("CARGO_BIN_EXE_afmpeg"))
                .args(words)
                .arg("--help")
                .output()
                .unwrap();
            assert!(output.status.success(), "{name}: {}", house::words(&output));
            count += 1;
        }
    }
    assert_eq!(count, 2);
    let unknown = Command::new(env!("CARGO_BIN_EXE_afmpeg"))
        .args(["worker", "--nonsense", "--help"])
        .output();
    assert!(
        !unknown.unwrap().status.success(),
        "one that is not there is an error so"
    );
}

#[test]
fn servers_are_started_with_options_that_there_are() {
    let words = &lists("compose.yaml", "command")[0];
    for program in ["nats-server", "nats-server-2-9"] {
        let folder = tempfile::tempdir().unwrap();
        let words = words.iter().map(|word| match word.as_str() {
            "/data" => folder.path().display().to_string(),
            word => word.to_owned(),
        });
        // With a configuration that says nothing new, it says whether the options are right, and ends.
        let configuration = folder.path().join("nats.conf");
        fs::write(&configuration, "debug: false").unwrap();
        let output = Command::new(inputs::input(program))
            .args(words)
            .arg("-c")
            .arg(configuration)
            .arg("-t")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", house::words(&output));
    }
}

#[test]
fn policies_are_read_as_they_stand_there() {
    let policy = Policy::from_toml(&fs::read_to_string(deploy("policy.toml")).unwrap()).unwrap();
    assert_eq!(policy.modules.len(), 1);
    let manifest = fs::read_to_string(deploy("kubernetes.yaml")).unwrap();
    let (_, rest) = manifest.split_once("  policy.toml: |\n").unwrap();
    let (inner, _) = rest.split_once("\n---").unwrap();
    let inner: String = inner.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let inner = Policy::from_toml(&inner).unwrap();
    assert_eq!(inner.allow_read, policy.allow_read);
    assert_eq!(inner.allow_write, policy.allow_write);
    assert_eq!(inner.allow, policy.allow);
    // The one of docs/cluster.md names what there is, with its own values.
    let docs = Policy::from_toml(&block("## Trust", "toml")).unwrap();
    assert_eq!(docs.modules.len(), 2);
}

/// All files below a folder, by name.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let bytes = fs::read(&path).unwrap();
                    found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
                }
            }
        }
    }
    found
}

#[test]
fn an_image_made_twice_has_the_same_bytes_and_runs_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, umask: &str| {
        let below = folder.path().join(name);
        fs::create_dir(&below).unwrap();
        // What is copied has another time, and other rights.
        let module = below.join("some.wasm");
        fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
        fs::write(below.join("some.x86_64-v3-linux.so"), b"a pack").unwrap();
        fs::write(below.join("some.x86_64-v3-linux.json"), b"{}").unwrap();
        fs::write(below.join("someother.x86_64-v3-linux.so"), b"of another module").unwrap();
        let output = Command::new("sh")
            .args(["-c", "umask $0 && exec \"$@\"", umask, "sh"])
            .arg(deploy("image/build.sh"))
            .arg("/bin/cat")
            .arg(&module)
            .arg(below.join("image"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", words(&output));
        below.join("image")
    };
    let (one, two) = (make("one", "022"), make("two", "077"));
    assert!(files(&one) == files(&two), "the same files make the same bytes");
    // What it has is what its index says.
    let blobs = one.join("blobs/sha256");
    let read = |digest: &serde_json::Value| {
        let digest = digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        blobs.join(digest)
    };
    let json = |path: PathBuf| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
    let index = json(one.join("index.json"));
    let manifest = json(read(&index["manifests"][0]["digest"]));
    let config = json(read(&manifest["config"]["digest"]));
    let layer = read(&manifest["layers"][0]["digest"]);
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(layer)
        .arg("-C")
        .arg(&root)
        .status()
        .unwrap();
    assert!(unpacked.success());
    let entry = config["config"]["Entrypoint"][0].as_str().unwrap();
    assert!(root.join(&entry[1..]).exists());
    let module = config["config"]["Env"][0]
        .as_str()
        .unwrap()
        .strip_prefix("AFMPEG_MODULE=/")
        .unwrap();
    assert!(root.join(module).exists());
    assert!(root.join("opt/afmpeg/some.x86_64-v3-linux.so").exists());
    assert!(!root.join("opt/afmpeg/someother.x86_64-v3-linux.so").exists());
    // All libraries are there that the command needs.
    let needed = Command::new("ldd").arg("/bin/cat").output().unwrap();
    let needed = String::from_utf8(needed.stdout).unwrap();
    let libraries = needed.split_whitespace().filter_map(|word| word.strip_prefix('/'));
    let missing: Vec<&str> = libraries.filter(|library| !root.join(library).exists()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn from_nothing_to_a_result_as_the_docs_say() {
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| folder.path().join(name).display().to_string();
    let (install, rest) = block("## From nothing to a result", "")
        .split_once('\n')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(install, "sudo apt install nats-server");
    assert_eq!(rest.lines().count(), 4, "five commands: {rest}");
    // Debian's server, where apt would have put it.
    let script = rest
        .replace(
            "/usr/sbin/nats-server",
            &inputs::input("nats-server-2-9").display().to_string(),
        )
        .replace("4333", &free_port().to_string())
        .replace("/tmp/queue", &below("queue"))
        .replace("/tmp/media", &below("media"));
    fs::copy(inputs::video(), folder.path().join("in.mp4")).unwrap();
    fs::create_dir_all(folder.path().join("cache/afmpeg")).unwrap();
    std::os::unix::fs::symlink(&*house::CACHE, folder.path().join("cache/afmpeg/aot")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_afmpeg")).parent().unwrap();
    let mut shell = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("AFMPEG_MODULE", inputs::module())
        .env("XDG_CACHE_HOME", below("cache"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(fs::File::create(below("results.jsonl")).unwrap())
        .stderr(fs::File::create(below("log")).unwrap())
        .spawn()
        .unwrap();
    let status = shell.wait().unwrap();
    // What it has left in the background.
    // SAFETY: the group is that of the shell, which was a child until now, and nothing else joins it.
    unsafe { libc::kill(-shell.id().cast_signed(), libc::SIGKILL) };
    let log = fs::read_to_string(below("log")).unwrap();
    assert!(status.success(), "{log}");
    let result: serde_json::Value = serde_json::from_str(&fs::read_to_string(below("results.jsonl")).unwrap()).unwrap();
    assert_eq!(result["status"], "done", "{result}");
    assert_eq!(&fs::read(below("media/out.mp4")).unwrap()[4..8], b"ftyp");
}
