//! The packages for npm and Python, installed by the registries' own clients, work on real video. They depend on nothing; what
//! they are compiled and tested with comes from the registries once.

#[path = "../../runtime/tests/support/inputs.rs"]
mod inputs;
mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{run, sha256};
use tempfile::TempDir;
use xtask::inputs::{node_modules, python_packages};
use xtask::process;
use xtask::project::Project;

/// A release folder of the module under test, signed by nobody: packages are made where releases are.
fn release(folder: &Path) -> String {
    let module = inputs::module();
    let variant = module.file_stem().unwrap().to_str().unwrap().to_owned();
    let artifacts = module.parent().unwrap();
    let mut sums = String::new();
    for name in ["wasm", "wasm.br", "wasm.gz", "json"].map(|kind| format!("{variant}.{kind}")) {
        fs::copy(artifacts.join(&name), folder.join(&name)).unwrap();
        sums += &format!("{}  {name}\n", sha256(&fs::read(folder.join(&name)).unwrap()));
    }
    for name in ["NOTICE.md", "LICENSE-ffmpeg-COPYING"] {
        fs::write(folder.join(name), name).unwrap();
        sums += &format!("{}  {name}\n", sha256(name.as_bytes()));
    }
    fs::write(folder.join("SHA256SUMS"), sums).unwrap();
    fs::write(
        folder.join("SHA256SUMS.minisig"),
        "\n\ntrusted comment: afmpeg 9.0.2-1\n",
    )
    .unwrap();
    variant
}

fn package(kind: &str, release: &Path, out: &Path) -> Vec<PathBuf> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["package", kind, "--release"])
        .arg(release)
        .arg("--to")
        .arg(out);
    if is_offline() {
        command.arg("--offline");
    }
    run(command).expect(0, &[]);
    let mut made = support::files_in(out);
    made.sort();
    made
}

/// Makes packages twice, and gives the places of one of two equal sets.
fn repeated(kind: &str, release: &Path, folder: &Path) -> Vec<PathBuf> {
    let [one, two] = ["one", "two"].map(|name| package(kind, release, &folder.join(name)));
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(two) {
        assert!(
            fs::read(one).unwrap() == fs::read(&two).unwrap(),
            "{} differs",
            two.display()
        );
    }
    one
}

fn expect_success(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Both packages for npm, installed into an empty folder, with the tests that lie beside their sources.
struct Installed {
    folder: TempDir,
    node_modules: PathBuf,
    variant: String,
}

impl Installed {
    fn new() -> Installed {
        let folder = TempDir::new().unwrap();
        let release_folder = folder.path().join("release");
        fs::create_dir(&release_folder).unwrap();
        let variant = release(&release_folder);
        let archives = repeated("npm", &release_folder, folder.path());
        assert_eq!(archives.len(), 2, "{archives:?}");
        let project = Project::open(xtask::project::root().unwrap()).unwrap();
        let source = project.root.join("packages/npm");
        let node_modules = node_modules::install(&project.cache, &project.host, &source, is_offline()).unwrap();
        let place = folder.path().join("project");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("package.json"), r#"{ "private": true, "type": "module" }"#).unwrap();
        expect_success(
            Command::new("npm")
                .args(["install", "--silent", "--no-audit", "--no-fund", "--offline"])
                .args(&archives)
                .env("npm_config_cache", folder.path().join("npm cache"))
                .current_dir(&place),
        );
        node_modules::copy(&source.join("tests"), &place.join("tests")).unwrap();
        let named = format!("{{ \"variant\": \"{variant}\" }}\n");
        fs::write(place.join("tests/variant.json"), named).unwrap();
        fs::copy(inputs::input("video.mp4"), place.join("video.mp4")).unwrap();
        let font = project.root.join("runtime/tests/support/square.ttf");
        fs::copy(font, place.join("square.ttf")).unwrap();
        Installed {
            folder,
            node_modules,
            variant,
        }
    }

    fn node(&self) -> Command {
        let mut command = Command::new("node");
        command
            .current_dir(self.folder.path().join("project"))
            .env("AFMPEG_NODE_MODULES", &self.node_modules);
        command
    }

    /// The types are those that a strict program sees, without the library's own settings.
    fn types_are_sound(&self) {
        let project = self.folder.path().join("project");
        let text = fs::read_to_string(project.join("tests/types.ts")).unwrap();
        let named = text.replace("@afmpeg/VARIANT", &format!("@afmpeg/{}", self.variant));
        fs::write(project.join("types.ts"), named).unwrap();
        let tsc = self.node_modules.join("typescript/bin/tsc");
        let options = "--strict --noEmit --module nodenext --moduleResolution nodenext --target es2022";
        let mut command = self.node();
        command
            .arg(tsc)
            .args(options.split(' '))
            .args(["--lib", "es2023,dom,dom.asynciterable", "types.ts"]);
        expect_success(&mut command);
    }

    /// The page for browsers, with the same module.
    fn use_page(&self, browser: &Path) {
        let made = self.folder.path().join("page");
        package("web", &self.folder.path().join("release"), &made);
        let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/web/test.js");
        expect_success(
            self.node()
                .arg(test)
                .arg(made.join("web"))
                .arg(browser)
                .arg("video.mp4"),
        );
    }

    fn test_in_node(&self) {
        let mut command = self.node();
        // One after the other, since each starts workers.
        command.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]);
        for name in ["ffmpeg-wasm", "hostile", "node", "parallel"] {
            command.arg(format!("tests/{name}.test.js"));
        }
        match self::command() {
            Some(afmpeg) => {
                command.env("AFMPEG_COMMAND", afmpeg);
            }
            None => say(&format!(
                "comparisons with the command afmpeg are left out: it is not built, and {COMMAND_VARIABLE} names none"
            )),
        }
        expect_success(&mut command);
    }

    /// What the sources make of what the crate has written down.
    fn plans_are_those_of_the_crate(&self) {
        let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/npm/tests/plan.test.js");
        expect_success(self.node().arg("--test").arg(test));
    }

    /// Bundlers, engines and another browser, which npm installs beside the tests.
    fn try_elsewhere(&self, chromium: &Path, firefox: &Path) {
        let place = self.folder.path().join("project");
        let elsewhere = place.join("tests/elsewhere");
        expect_success(
            Command::new("npm")
                .args(["ci", "--silent", "--no-audit", "--no-fund"])
                .current_dir(&elsewhere),
        );
        let mut command = self.node();
        command.arg(elsewhere.join("run.js")).arg(&place).arg(&self.variant);
        println!("{}", expect_success(command.arg(chromium).arg(firefox)));
    }
}

fn is_offline() -> bool {
    std::env::var_os("AFMPEG_TEST_OFFLINE").is_some()
}

/// The browser to test in: Chromium on PATH, or the one that this variable names. Without one these tests are left out, which is
/// said.
const BROWSER_VARIABLE: &str = "AFMPEG_TEST_BROWSER";

/// The command whose outputs are compared with those of JavaScript: the one that lies beside this one, or that this variable names.
const COMMAND_VARIABLE: &str = "AFMPEG_TEST_COMMAND";

fn command() -> Option<PathBuf> {
    let beside = Path::new(PROGRAM).with_file_name(format!("afmpeg{}", std::env::consts::EXE_SUFFIX));
    let named = std::env::var_os(COMMAND_VARIABLE).map(PathBuf::from);
    named.or_else(|| Some(beside).filter(|beside| beside.is_file()))
}

/// By the handle itself: what tests print is kept back.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn browser() -> Option<PathBuf> {
    program(BROWSER_VARIABLE, &["chromium"])
}

/// The program that a variable names, or the first of these on PATH.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.or_else(|| names.iter().find_map(|name| process::find(name)))
}

/// One test, since packing the module takes longest.
#[test]
fn the_packages_for_npm_pass_their_tests() {
    let installed = Installed::new();
    installed.types_are_sound();
    installed.plans_are_those_of_the_crate();
    installed.test_in_node();
    match browser() {
        Some(browser) => {
            expect_success(installed.node().args(["tests/browser.js", "."]).arg(&browser));
            installed.use_page(&browser);
        }
        None => {
            say(&format!(
                "tests in a browser are left out: no chromium is on PATH, and {BROWSER_VARIABLE} names none"
            ));
        }
    }
}

#[test]
#[ignore = "npm installs bundlers, engines and what drives Firefox, which takes minutes"]
fn the_packages_for_npm_work_elsewhere() {
    let chromium = browser().expect("chromium on PATH");
    let firefox = program("AFMPEG_TEST_FIREFOX", &["firefox", "firefox-esr"]).expect("firefox on PATH");
    Installed::new().try_elsewhere(&chromium, &firefox);
}

/// The wheels, installed by pip into a folder of their own, with what the tests beside their sources take.
struct Wheels {
    folder: TempDir,
    packages: PathBuf,
    source: PathBuf,
}

impl Wheels {
    fn new() -> Wheels {
        let folder = TempDir::new().unwrap();
        let release_folder = folder.path().join("release");
        fs::create_dir(&release_folder).unwrap();
        release(&release_folder);
        let wheels = repeated("wheel", &release_folder, folder.path());
        assert_eq!(wheels.len(), 2, "{wheels:?}");
        for wheel in &wheels {
            says_no_place(wheel);
        }
        let project = Project::open(xtask::project::root().unwrap()).unwrap();
        let source = project.root.join("packages/python");
        let requirements = source.join("tests/requirements.txt");
        let others =
            python_packages::install_pinned(&project.cache, &project.host, &requirements, is_offline()).unwrap();
        // A folder of its own is all that it takes, and works where Python has no `venv`.
        let packages = folder.path().join("packages");
        node_modules::copy(&others, &packages).unwrap();
        expect_success(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-cache-dir", "--no-index", "--no-deps", "--upgrade", "--target"])
                .arg(&packages)
                .args(&wheels),
        );
        Wheels {
            folder,
            packages,
            source,
        }
    }

    /// Compiled code is kept from one test to the next, as it is for a user.
    fn python(&self) -> Command {
        let mut command = Command::new("python3");
        command
            .arg("-s")
            .env("PYTHONPATH", &self.packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .current_dir(self.folder.path());
        command
    }

    fn passes(&self, test: &str) {
        let test = self.source.join("tests").join(test);
        expect_success(self.python().arg(test));
    }

    /// The package itself and those who use it, by the strict rules of pyproject.toml.
    fn types_are_sound(&self) {
        let work = self.folder.path().join("typed");
        for name in ["afmpeg", "tests", "pyproject.toml"] {
            node_modules::copy(&self.source.join(name), &work.join(name)).unwrap();
        }
        expect_success(
            self.python()
                .args(["-m", "mypy", "--cache-dir", "cache"])
                .current_dir(work),
        );
    }
}

/// What is compiled has no paths of this machine.
fn says_no_place(wheel: &Path) {
    let mut archive = zip::ZipArchive::new(fs::File::open(wheel).unwrap()).unwrap();
    let root = xtask::project::root().unwrap().display().to_string();
    let places = [std::env::var("HOME").unwrap(), root];
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut data = Vec::new();
        file.read_to_end(&mut data).unwrap();
        for place in &places {
            let found = memchr::memmem::find(&data, place.as_bytes());
            assert_eq!(found, None, "{:?} of {} names {place}", file.name(), wheel.display());
        }
    }
}

/// One test, since compiling takes longest.
#[test]
fn the_wheels_pass_their_tests() {
    let wheels = Wheels::new();
    wheels.types_are_sound();
    wheels.passes("test_jobs.py");
    wheels.passes("test_clients.py");
}
