//! Programs that call ffmpeg, on the shims, each by a few real uses. `cargo xtask fetch --all` leaves the packages.

use crate::fixture::{SOURCE, Studio, shims};
use crate::inputs;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Shims of the module, and a folder with the video.
struct Desk {
    studio: Studio,
    shims: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let shims = shims();
        let studio = Studio::new();
        assert!(studio.path(SOURCE).is_file());
        Desk { studio, shims }
    }

    /// Runs a script of this folder, which ends with an error where something is not as it should be.
    fn run(&self, program: &str, script: &str, arguments: &[&str], variable: &str, packages: PathBuf) {
        let folders = env::var_os("PATH").unwrap_or_default();
        let folders = [self.shims.path().to_owned()]
            .into_iter()
            .chain(env::split_paths(&folders));
        let ffmpeg = self.shims.path().join("ffmpeg");
        let output = Command::new(program)
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/media/clients")
                    .join(script),
            )
            .args(arguments)
            .current_dir(self.studio.path(""))
            .env("PATH", env::join_paths(folders).unwrap())
            .env(variable, packages)
            // With it, Python leaves out the assertions.
            .env_remove("PYTHONOPTIMIZE")
            .env("PYTHONNOUSERSITE", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("IMAGEIO_FFMPEG_EXE", &ffmpeg)
            .env("FFMPEG_BINARY", &ffmpeg)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn python(&self, client: &str) {
        let packages = inputs::input("clients-python");
        self.run("python3", "uses.py", &[client], "PYTHONPATH", packages);
    }
}

#[test]
fn pydub_cuts_and_tags_sound() {
    Desk::new().python("pydub");
}

#[test]
fn ffmpeg_python_filters_frames_through_pipes() {
    Desk::new().python("ffmpeg_python");
}

#[test]
fn imageio_ffmpeg_reads_and_writes_frames() {
    Desk::new().python("imageio_ffmpeg");
}

#[test]
fn moviepy_joins_clips() {
    Desk::new().python("moviepy");
}

#[test]
fn audioread_has_all_samples() {
    Desk::new().python("audioread");
}

#[test]
fn yt_dlp_processes_what_it_has() {
    Desk::new().python("yt_dlp");
}

#[test]
fn fluent_ffmpeg_converts_with_progress() {
    let packages = inputs::input("clients-node");
    Desk::new().run("node", "uses.cjs", &[], "NODE_PATH", packages);
}
