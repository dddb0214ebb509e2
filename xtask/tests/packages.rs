//! The packages for npm and Python, installed by the registries' own clients, transcode real video. What they depend on
//! is installed from pinned files, so that no network is needed.

#[path = "../../runtime/tests/support/inputs.rs"]
mod inputs;
mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{run, sha256};
use tempfile::TempDir;
use xtask::project::Project;

/// A release folder of the module under test, signed by nobody: packages are made where releases are.
fn release(folder: &Path) -> String {
    let module = inputs::module();
    let variant = module.file_stem().unwrap().to_str().unwrap().to_owned();
    let artifacts = module.parent().unwrap();
    let mut sums = String::new();
    for name in ["wasm", "wasm.gz", "json"].map(|kind| format!("{variant}.{kind}")) {
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

fn package(kind: &str, release: &Path, out: &Path) -> PathBuf {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["package", kind, "--release"])
        .arg(release)
        .arg("--out")
        .arg(out);
    run(command).expect(0, &[]);
    support::files_in(out).pop().unwrap()
}

/// Makes a package twice, and gives the place of one of two equal files.
fn repeated(kind: &str, release: &Path, folder: &Path) -> PathBuf {
    let [one, two] = ["one", "two"].map(|name| package(kind, release, &folder.join(name)));
    assert_eq!(
        fs::read(&one).unwrap(),
        fs::read(two).unwrap(),
        "the second package differs"
    );
    one
}

fn expect_success(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// What both packages are asked to do, and what ffprobe says of it: an mp4 of some frames, a Matroska file in a folder,
/// and a file that is not there.
const WANTED: &str = "h264,aac 0\nmatroska,webm\nmissing 254 No such file\n";

#[test]
fn the_npm_package_transcodes_in_memory() {
    let folder = TempDir::new().unwrap();
    let release_folder = folder.path().join("release");
    fs::create_dir(&release_folder).unwrap();
    let name = format!("afmpeg-{}", release(&release_folder));
    let archive = repeated("npm", &release_folder, folder.path());
    let project = folder.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("package.json"), r#"{ "private": true, "type": "module" }"#).unwrap();
    let script = "\
import { readFile } from 'node:fs/promises';
import { ffmpeg, ffprobe } from 'NAME';
const files = { 'in/video.mp4': await readFile(process.argv[2]) };
const check = (result) => { if (result.exitCode !== 0) throw new Error(result.stderr); return result; };
const args = '-v error -i in/video.mp4 -frames:v 20 -t 1 -vf scale=160:-2 -c:v libopenh264 -c:a aac';
const made = check(await ffmpeg([...args.split(' '), '-movflags', '+faststart', 'out.mp4', '-c', 'copy', '-t', '1', 'out.mkv'], files));
const probe = async (name, entries) => {
  const args = `-v error -show_entries ${entries} -of csv=p=0:s=x ${name}`.split(' ');
  return new TextDecoder().decode(check(await ffprobe(args, made.files)).stdout).trim();
};
console.log((await probe('out.mp4', 'stream=codec_name')).split('\\n').join(','), Object.keys(made.files).includes('in/video.mp4') ? 1 : 0);
console.log(await probe('out.mkv', 'format=format_name'));
const missing = await ffmpeg(['-v', 'error', '-i', 'missing', 'out.mp4']);
console.log('missing', missing.exitCode, missing.stderr.includes('No such file') ? 'No such file' : missing.stderr);
";
    fs::write(project.join("run.js"), script.replace("NAME", &name)).unwrap();
    expect_success(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--offline"])
            .args([&inputs::input("browser-wasi-shim.tgz"), &archive])
            .env("npm_config_cache", folder.path().join("npm cache"))
            .current_dir(&project),
    );
    let said = expect_success(
        Command::new("node")
            .arg("run.js")
            .arg(inputs::input("video.mp4"))
            .current_dir(&project),
    );
    assert_eq!(said, WANTED);
}

#[test]
fn the_wheel_transcodes() {
    let folder = TempDir::new().unwrap();
    let release_folder = folder.path().join("release");
    fs::create_dir(&release_folder).unwrap();
    let name = format!("afmpeg_{}", release(&release_folder).replace('-', "_"));
    let wheel = repeated("wheel", &release_folder, folder.path());
    // pip wants a wheel's name to tell its version.
    let version = &Project::open(xtask::project::root().unwrap()).unwrap().pins.source["wasmtime"].version;
    let wheels = folder.path().join("wheels");
    fs::create_dir(&wheels).unwrap();
    let runtime = wheels.join(format!("wasmtime-{version}-py3-none-any.whl"));
    fs::copy(inputs::input("wasmtime.whl"), runtime).unwrap();
    // A folder of its own is all that it takes, and works where Python has no `venv`.
    let packages = folder.path().join("packages");
    expect_success(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-cache-dir",
                "--no-index",
                "--find-links",
            ])
            .arg(&wheels)
            .arg("--target")
            .args([&packages, &wheel]),
    );
    let script = "\
import sys
from NAME import ffmpeg, ffprobe

def check(result):
    assert result.exit_code == 0, result.stderr
    return result

with open(sys.argv[1], 'rb') as file:
    files = {'in/video.mp4': file.read()}
args = '-v error -i in/video.mp4 -frames:v 20 -t 1 -vf scale=160:-2 -c:v libopenh264 -c:a aac'
made = check(ffmpeg([*args.split(), '-movflags', '+faststart', 'out.mp4', '-c', 'copy', '-t', '1', 'out.mkv'], files))

def probe(name, entries):
    args = f'-v error -show_entries {entries} -of csv=p=0:s=x {name}'
    return check(ffprobe(args.split(), made.files)).stdout.decode().strip()

print(','.join(probe('out.mp4', 'stream=codec_name').split()), int('in/video.mp4' in made.files))
print(probe('out.mkv', 'format=format_name'))
missing = ffmpeg(['-v', 'error', '-i', 'missing', 'out.mp4'])
print('missing', missing.exit_code, 'No such file' if 'No such file' in missing.stderr else missing.stderr)
";
    let said = expect_success(
        Command::new("python3")
            .args(["-s", "-c", &script.replace("NAME", &name)])
            .arg(inputs::input("video.mp4"))
            .env("PYTHONPATH", &packages)
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .current_dir(folder.path()),
    );
    assert_eq!(said, WANTED);
}
