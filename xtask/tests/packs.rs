//! Packs of small modules, made by the real tools and run by pack/tests/host.c: every way in which a run can end, stops at random
//! instants, what a pack may hold, and that the same inputs make the same bytes.

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn ended(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeeded(command: &mut Command) -> String {
    let output = ended(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Where packs are made, with the host that is compiled for a machine.
struct Bench {
    folder: TempDir,
    machine: &'static str,
    /// What runs the host's program.
    runs: Vec<PathBuf>,
}

impl Bench {
    fn new(machine: &'static str, compiler: &str, runner: &[&str]) -> Bench {
        let folder = TempDir::new().unwrap();
        let host = folder.path().join("host");
        succeeded(
            Command::new(compiler)
                .args("-std=gnu17 -O1 -Wall -Wextra -Werror -pthread -o".split(' '))
                .arg(&host)
                .arg(root().join("pack/tests/host.c"))
                .arg("-ldl"),
        );
        let runs = runner.iter().map(PathBuf::from).chain([host]).collect();
        Bench { folder, machine, runs }
    }

    fn pack(&self, name: &str, module: &[u8]) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.wasm"));
        fs::write(&path, module).unwrap();
        succeeded(pack_command().arg(&path).args(["--machine", self.machine]));
        path.with_file_name(format!("{name}.{}.so", self.machine))
    }

    fn pack_of(&self, name: &str) -> PathBuf {
        self.pack(name, &module(name))
    }

    fn run(&self, pack: &Path, arguments: &[&str]) -> String {
        succeeded(
            Command::new(&self.runs[0])
                .args(&self.runs[1..])
                .arg(pack)
                .args(arguments),
        )
    }
}

fn pack_command() -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("--root").arg(root()).arg("pack");
    command
}

fn module(name: &str) -> Vec<u8> {
    if name == WIDE {
        return wide();
    }
    wat::parse_file(root().join(format!("pack/tests/modules/{name}.wat"))).unwrap()
}

/// The one that is no file.
const WIDE: &str = "recursion_wide";

/// Recursion in a function whose frame is larger than the guard below many stacks.
fn wide() -> Vec<u8> {
    const VALUES: u32 = 300;
    let lines = |line: &dyn Fn(u32) -> String| (0..VALUES).map(line).collect::<String>();
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1)
            (func $down (param i32) (result v128) (local{})
                {}
                (v128.store (i32.const 0) (call $down (i32.and (i32.load (i32.const 4)) (i32.const 255))))
                {}
                (local.get 1))
            (func (export "_start") (v128.store (i32.const 0) (call $down (i32.const 0)))))"#,
        lines(&|_| " v128".to_owned()),
        lines(&|at| format!("(local.set {} (v128.load offset={} (local.get 0)))", at + 1, 16 * at)),
        lines(&|at| {
            let value = at * 7 % VALUES + 1;
            format!("(v128.store offset={} (local.get 0) (local.get {value}))", 16 * at)
        }),
    ))
    .unwrap()
}

#[cfg(target_arch = "x86_64")]
const MACHINE: &str = "x86_64-v2-linux";
#[cfg(target_arch = "aarch64")]
const MACHINE: &str = "aarch64-linux";

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::new(MACHINE, "cc", &[]));

/// The modules of pack/tests/modules, and what the host says of them. The numbers are those of `afmpeg_ending` in pack.h. Of
/// those that never end it says so when it has stopped them.
const MODULES: [(&str, &str); 23] = [
    ("check", "ending 0, exit -1, pages 1\n"),
    ("conversion", "ending 8, exit -1, pages 1\n"),
    ("copy", "ending 2, exit -1, pages 1\n"),
    ("division", "ending 6, exit -1, pages 1\n"),
    ("endless", "ending 1, exit -1, pages 1\n"),
    ("fill", "ending 1, exit -1, pages 65536\n"),
    ("grow", "ending 0, exit -1, pages 4\n"),
    ("hello", "hello\nending 1, exit 7, pages 1\n"),
    ("indirect_far", "ending 3, exit -1, pages 1\n"),
    ("indirect_null", "ending 4, exit -1, pages 1\n"),
    ("indirect_type", "ending 4, exit -1, pages 1\n"),
    ("load_unused", "ending 2, exit -1, pages 1\n"),
    ("moves", "ending 0, exit -1, pages 8\n"),
    ("overflow", "ending 7, exit -1, pages 1\n"),
    ("recursion", "ending 9, exit -1, pages 1\n"),
    ("recursion_host", "ending 9, exit -1, pages 1\n"),
    ("recursion_wide", "ending 9, exit -1, pages 1\n"),
    ("returns", "ending 0, exit -1, pages 0\n"),
    ("store", "ending 2, exit -1, pages 2\n"),
    ("store_far", "ending 2, exit -1, pages 1\n"),
    ("tables", "ending 3, exit -1, pages 1\n"),
    ("tables_large", "ending 11, exit -1, pages 0\n"),
    ("unreachable", "ending 5, exit -1, pages 1\n"),
];

fn check_endings(bench: &Bench) {
    for (name, expected) in MODULES {
        let stop_after: &[&str] = if ["endless", "fill"].contains(&name) {
            &["100000"]
        } else {
            &[]
        };
        assert_eq!(bench.run(&bench.pack_of(name), stop_after), expected, "{name}");
    }
}

#[test]
fn every_run_ends_as_it_should_and_the_process_goes_on() {
    let folder = fs::read_dir(root().join("pack/tests/modules")).unwrap();
    let mut found: Vec<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .chain([format!("{WIDE}.wat")])
        .collect();
    found.sort();
    assert_eq!(found, MODULES.map(|(name, _)| format!("{name}.wat")));
    check_endings(&BENCH);
}

/// With a cross compiler and qemu-user.
#[test]
#[ignore = "needs qemu-aarch64 and aarch64-linux-gnu-gcc with its C library"]
fn every_run_ends_as_it_should_on_aarch64() {
    let bench = Bench::new(
        "aarch64-linux",
        "aarch64-linux-gnu-gcc",
        &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    );
    check_endings(&bench);
}

/// A stop comes at any instruction, a hundred times in one process.
#[test]
fn a_stop_at_any_instant_ends_the_program_alone() {
    for (name, most_microseconds, pages) in [
        ("endless", "3000", 1),
        ("fill", "20000", 65536),
        ("recursion_host", "300", 1),
    ] {
        let said = BENCH.run(&BENCH.pack_of(name), &[most_microseconds, "100"]);
        let of_stop = format!("ending 1, exit -1, pages {pages}");
        // Deep recursion is exhausted before a stop that comes late.
        let of_stack = "ending 9, exit -1, pages 1".to_owned();
        let allowed = |line: &str| line == of_stop || (name == "recursion_host" && line == of_stack);
        assert!(said.lines().all(allowed), "{name}: {said}");
        assert_eq!(said.lines().count(), 100, "{name}");
    }
}

/// What is in a pack: one name, no library, nothing open, no page that is both written and run.
#[test]
fn a_pack_needs_nothing_and_shows_one_name() {
    let pack = BENCH.pack_of("tables");
    let readelf = |arguments: &[&str]| succeeded(Command::new("readelf").arg("--wide").args(arguments).arg(&pack));
    let names = readelf(&["--dyn-syms"]);
    let names: Vec<&str> = names
        .lines()
        .filter(|line| line.contains(" GLOBAL ") || line.contains(" WEAK "))
        .map(|line| line.split_whitespace().last().unwrap())
        .collect();
    assert_eq!(names, ["afmpeg_pack"]);
    let dynamic = readelf(&["--dynamic"]);
    for unwanted in ["NEEDED", "TEXTREL", "RUNPATH", "(INIT"] {
        assert!(!dynamic.contains(unwanted), "{unwanted}: {dynamic}");
    }
    assert!(dynamic.contains("NOW"), "{dynamic}");
    let segments = readelf(&["--segments"]);
    assert!(segments.contains("GNU_RELRO"), "{segments}");
    assert!(!segments.contains("RWE") && !segments.contains("TLS"), "{segments}");
    // All that is written is what the loader has relocated: instances are the host's.
    for line in segments
        .lines()
        .filter(|line| line.trim_start().starts_with("LOAD") && line.contains(" RW "))
    {
        let of_relro = segments.lines().find(|line| line.contains("GNU_RELRO")).unwrap();
        let column = |line: &str, at: usize| line.split_whitespace().nth(at).unwrap().to_owned();
        assert_eq!(column(line, 2), column(of_relro, 2), "{segments}");
        assert_eq!(column(line, 5), column(of_relro, 5), "{segments}");
    }
}

/// A module with several parts, most of which is data.
fn large() -> Vec<u8> {
    let functions: String = (0..60)
        .map(|number| {
            let next = (number + 1) % 60;
            format!(
                "(func $f{number} (param i32) (result i32)
                    (if (i32.eqz (local.get 0)) (then (return (i32.const {number}))))
                    (table.set (i32.const {number}) (ref.func $f{next}))
                    (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const {number})))"
            )
        })
        .collect();
    let declared: String = (0..60).map(|number| format!("$f{number} ")).collect();
    let data = "abcdefgh".repeat(1_200_000 / 8);
    wat::parse_str(format!(
        r#"(module (type $t (func (param i32) (result i32))) (memory (export "memory") 32) (table 60 funcref)
            (elem declare func {declared})
            (data (i32.const 16) "{data}") {functions}
            (func (export "_start")
                (if (i32.ne (call $f7 (i32.const 100)) (i32.const 47)) (then unreachable))
                (if (i64.ne (i64.load (i32.const 1200008)) (i64.const 0x6867666564636261)) (then unreachable))))"#
    ))
    .unwrap()
}

/// Made twice in folders, caches and with numbers of processes of their own.
#[test]
fn same_inputs_make_the_same_bytes() {
    let real = std::env::var_os("AFMPEG_CACHE_DIR").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/afmpeg"),
        PathBuf::from,
    );
    // What was fetched is taken from the real cache.
    BENCH.pack_of("returns");
    let folder = TempDir::new().unwrap();
    let make = |name: &str, jobs: &str| {
        let cache = folder.path().join(name);
        fs::create_dir_all(&cache).unwrap();
        for part in ["downloads", "sdk", "trees"] {
            symlink(real.join(part), cache.join(part)).unwrap();
        }
        let place = cache.join("place");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("large.wasm"), large()).unwrap();
        let said = ended(
            pack_command()
                .arg(place.join("large.wasm"))
                .args(["--machine", MACHINE, "--jobs", jobs])
                .env("AFMPEG_CACHE_DIR", &cache)
                .env("TZ", name),
        );
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{errors}");
        // Nothing was there.
        assert!(!errors.contains("fresh") && errors.contains("4 of 4 in"), "{errors}");
        let pack = place.join(format!("large.{MACHINE}.so"));
        assert_eq!(BENCH.run(&pack, &[]), "ending 0, exit -1, pages 32\n");
        [fs::read(&pack).unwrap(), fs::read(pack.with_extension("json")).unwrap()]
    };
    let one = make("a", "1");
    let other = make("another-place-with-a-longer-name", "3");
    assert!(one[0] == other[0], "the packs differ");
    assert_eq!(String::from_utf8_lossy(&one[1]), String::from_utf8_lossy(&other[1]));
    let record: serde_json::Value = serde_json::from_slice(&one[1]).unwrap();
    let sha256 = |data: &[u8]| {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(data);
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(record["module_sha256"], sha256(&large()));
    assert_eq!(record["pack_sha256"], sha256(&one[0]));
    assert_eq!(record["size_bytes"], one[0].len());
    assert_eq!(record["machine"], MACHINE);
    // The pack names its module itself.
    let digest = sha2_bytes(record["module_sha256"].as_str().unwrap());
    assert!(
        one[0].windows(32).any(|window| window == digest),
        "the pack does not name its module"
    );
    let text = String::from_utf8_lossy(&one[1]);
    assert!(
        !text.contains(real.to_str().unwrap()) && !text.contains("/tmp"),
        "{text}"
    );
}

fn sha2_bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn what_no_pack_can_be_made_of_is_refused() {
    let folder = TempDir::new().unwrap();
    let module = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        path
    };
    let good = module(
        "good.wasm",
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let imports = module(
        "imports.wasm",
        r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#,
    );
    let text = folder.path().join("text.wasm");
    fs::write(&text, "no module").unwrap();
    let good = good.to_str().unwrap();
    for (arguments, parts) in [
        (
            vec![good, "--machine", "sparc-linux"],
            vec![
                "sparc-linux",
                "x86_64-v2-linux, x86_64-v3-linux, aarch64-linux",
                "x86_64-linux",
            ],
        ),
        (vec![good, "--to", "pack.dll"], vec!["ends in .so"]),
        (vec![good, "--machine", "x86_64-linux", "--to", "pack.so"], vec!["--to"]),
        (
            vec![imports.to_str().unwrap()],
            vec![
                "imports.wasm",
                "the memory env.memory",
                "no memory of the name memory",
                "WASI programs",
            ],
        ),
        (vec![text.to_str().unwrap()], vec!["text.wasm", "no WebAssembly module"]),
    ] {
        let output = ended(pack_command().args(&arguments));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        for part in parts {
            assert!(errors.contains(part), "{arguments:?} does not say {part}: {errors}");
        }
    }
    assert!(!Path::new("pack.so").exists());
    let mut build = Command::new(PROGRAM);
    build
        .arg("--root")
        .arg(root())
        .args("build --profile oz-lgpl --pack x86_64".split(' '));
    let output = ended(&mut build);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("x86_64-v2-linux"));
}
