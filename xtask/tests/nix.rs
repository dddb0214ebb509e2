//! flake.nix, evaluated for every system without a network, against a stand-in for nixpkgs. docs/nix.md says what that shows.

#[path = "../../runtime/tests/support/inputs.rs"]
mod inputs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SYSTEMS: [&str; 4] = ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"];

/// What the flake reads of the repository, in a folder of its own: not in a git tree, where Nix sees only what is committed.
struct Flake {
    folder: TempDir,
}

impl Flake {
    fn new() -> Flake {
        let folder = TempDir::new().unwrap();
        let root = repository();
        for name in ["flake.nix", "flake.lock", "Cargo.lock", "conformance/nix/flake.nix"] {
            let target = folder.path().join("repository").join(name);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(root.join(name), target).unwrap();
        }
        let sources = folder.path().join("repository/ffmpeg-src");
        fs::create_dir(&sources).unwrap();
        for file in source_files() {
            fs::copy(&file, sources.join(file.file_name().unwrap())).unwrap();
        }
        let profiles = folder.path().join("repository/profiles");
        fs::create_dir(&profiles).unwrap();
        fs::write(profiles.join("shipped.toml"), "[o3-gpl]\n[oz-lgpl]\n").unwrap();
        Flake { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("repository").join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    fn nix(&self, arguments: &[&str]) -> Output {
        let usr = inputs::input("nix").join("usr");
        let state = |name: &str| self.folder.path().join("nix").join(name);
        let libraries = [usr.join("lib/nix"), usr.join("lib/x86_64-linux-gnu")];
        Command::new(usr.join("bin/nix"))
            .args(arguments)
            .args(["--offline", "--no-write-lock-file"])
            .env_clear()
            .env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap())
            .env("HOME", state("home"))
            .env(
                "NIX_CONFIG",
                "experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\n",
            )
            .env("NIX_CONF_DIR", state("etc"))
            .env("NIX_LOG_DIR", state("log"))
            .env("NIX_STATE_DIR", state("state"))
            .env("NIX_STORE_DIR", state("store"))
            .output()
            .unwrap()
    }

    fn evaluate(&self, arguments: &[&str]) -> Output {
        let stand_in = format!("path:{}", self.path("conformance/nix").display());
        self.nix(&[arguments, &["--override-input", "nixpkgs", &stand_in]].concat())
    }

    fn address(&self, attribute: &str) -> String {
        format!("path:{}#{attribute}", self.path("").display())
    }
}

/// The files of ffmpeg-src/ that are read.
fn source_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("ffmpeg-src")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    ignore = "the pinned Nix is for Linux on x86-64"
)]
fn every_output_evaluates_for_every_system_and_takes_its_inputs_from_the_pins() {
    let flake = Flake::new();
    said(&flake.evaluate(&["flake", "check", "--no-build", &flake.address("")]));
    let evaluate = |attribute: &str, apply: &str| -> serde_json::Value {
        let output = flake.evaluate(&["eval", "--json", &flake.address(attribute), "--apply", apply]);
        serde_json::from_str(&said(&output)).unwrap()
    };
    // A derivation's path depends on all that it is made of, so that asking for it evaluates everything.
    let paths = "builtins.mapAttrs (_: builtins.mapAttrs (_: output: output.drvPath))";
    for (attribute, names) in [
        ("packages", &["o3-gpl", "oz-lgpl", "xtask"][..]),
        ("devShells", &["default"]),
        ("checks", &["smallest"]),
    ] {
        let value = evaluate(attribute, paths);
        let systems = value.as_object().unwrap();
        assert_eq!(systems.keys().collect::<Vec<_>>(), SYSTEMS);
        for (system, outputs) in systems {
            assert_eq!(
                outputs.as_object().unwrap().keys().collect::<Vec<_>>(),
                names,
                "{system}"
            );
        }
    }
    let pins = |name: &str| -> toml::Table {
        let path = repository().join(format!("ffmpeg-src/{name}.toml"));
        fs::read_to_string(path).unwrap().parse().unwrap()
    };
    for origin in pins("tools")["source"]["wasi-sdk"]["origin"].as_array().unwrap() {
        let system = origin["host"].as_str().unwrap().replace("macos", "darwin");
        let found = evaluate(
            &format!("devShells.{system}.default"),
            "shell: shell.WASI_SDK_PATH.src.sha256",
        );
        assert_eq!(found, origin["sha256"].as_str().unwrap(), "{system}");
    }
    let sums = evaluate(
        "packages.x86_64-linux.o3-gpl",
        "module: map (entry: entry.sha256) module.AFMPEG_MIRROR.entries",
    );
    // All but the files of tools and of tests.
    assert_eq!(sums.as_array().unwrap().len(), source_files().len() - 2);
    let of_ffmpeg = pins("ffmpeg")["source"]["sha256"].as_str().unwrap().to_owned();
    assert!(sums.as_array().unwrap().iter().any(|sum| *sum == of_ffmpeg));
}

#[test]
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    ignore = "the pinned Nix is for Linux on x86-64"
)]
fn a_wrong_name_and_a_lock_that_disagrees_are_found() {
    let flake = Flake::new();
    said(&flake.nix(&["flake", "metadata", &flake.address("")]));
    flake.edit("flake.nix", "nixos-26.05", "nixos-25.11");
    let output = flake.nix(&["flake", "metadata", &flake.address("")]);
    assert!(!output.status.success(), "the lock is of another branch than the flake");

    let flake = Flake::new();
    flake.edit("flake.nix", "pkgs.gnumake", "pkgs.gnumke");
    let output = flake.evaluate(&["flake", "check", "--no-build", &flake.address("")]);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("gnumke"),
        "a wrong name goes unnoticed"
    );
}
