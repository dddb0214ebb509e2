//! Modules and programs under test: found, loaded, and compiled once.

use std::path::{Path, PathBuf};

use afmpeg::{CacheStatus, Pack, Runtime};
use anyhow::{Context, Result, bail};

use xtask::error::environment;
use xtask::project::Project;

/// The module to test, which must be of the FFmpeg that the tests are of.
pub fn find(project: &Project, given: Option<&Path>, profile: &str) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => project.root.join("artifacts").join(format!("{profile}.wasm")),
    };
    let path = path.canonicalize().map_err(|error| {
        environment(format!("profile {profile}: no module {}: {error}", path.display()))
            .hint(format!("cargo xtask build --profile {profile}"))
    })?;
    let version = &project.pins.source("ffmpeg")?.version;
    let found = ffmpeg_version(&path, &compiled_folder(project, profile))
        .with_context(|| format!("profile {profile}: {} is no module of FFmpeg", path.display()))?;
    if found != *version {
        bail!(
            "profile {profile}: {} is FFmpeg {found}, and the tests are those of {version}: build it again with \
             `cargo xtask build --profile {profile}`",
            path.display()
        );
    }
    Ok(path)
}

fn ffmpeg_version(module: &Path, compiled: &Path) -> Result<String> {
    let output = load_as("ffmpeg", module, compiled)?.run(["ffmpeg", "-version"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .strip_prefix("ffmpeg version ")
        .and_then(|rest| rest.split_whitespace().next());
    Ok(version.context("`ffmpeg -version` does not say which")?.to_owned())
}

/// Where compiled code of one profile's programs is kept.
pub fn compiled_folder(project: &Project, profile: &str) -> PathBuf {
    project.cache.path("fate", profile).join("compiled")
}

/// A program, compiled the first time.
pub fn load(path: &Path, compiled: &Path) -> Result<Runtime> {
    load_as(&name(path)?, path, compiled)
}

/// Whether a program is FFmpeg's module.
pub fn is_module(path: &Path) -> bool {
    name(path).is_ok_and(|name| name == MODULE)
}

const MODULE: &str = "ffmpeg";

/// A program's name; one module is both of FFmpeg's programs.
fn name(path: &Path) -> Result<String> {
    let name = path.file_stem().context("a program has a name")?.to_string_lossy();
    Ok(if name == "ffprobe" { MODULE } else { &name }.to_owned())
}

/// The pack beside a module.
pub fn pack(module: &Path) -> Result<Pack> {
    Pack::beside(module).map_err(|error| {
        environment(error.chain())
            .hint("cargo xtask build --profile PROFILE --pack x86_64-v3-linux")
            .into()
    })
}

/// The record of a pack.
pub fn pack_record(pack: &Pack) -> PathBuf {
    pack.path().with_extension("json")
}

/// A module by its pack.
pub fn load_pack(path: &Path, pack: &Pack, compiled: &Path) -> Result<Runtime> {
    let builder = Runtime::builder().cache_folder(compiled.join("pack")).pack(pack);
    let runtime = builder.from_file(path)?;
    need_cache(&runtime)?;
    Ok(runtime)
}

/// Each program has a folder of its own for its code, since a folder keeps only as many as a developer needs.
pub fn load_as(name: &str, path: &Path, compiled: &Path) -> Result<Runtime> {
    let runtime = Runtime::builder().cache_folder(compiled.join(name)).from_file(path)?;
    need_cache(&runtime)?;
    Ok(runtime)
}

/// Fails where a runtime works without its cache: thousands of programs would then be compiled each time.
pub fn need_cache(runtime: &Runtime) -> Result<()> {
    match runtime.cache_status() {
        status @ CacheStatus::Unusable { .. } => bail!("{status}"),
        _ => Ok(()),
    }
}
