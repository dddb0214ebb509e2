//! Finding the module and making it ready.

use super::failure::{Failure, printable};
use crate::cli::Sandbox;
use afmpeg::{CacheStatus, EngineStatus, ModuleSource, Runtime, RuntimeBuilder};
use std::env;
use std::path::{Component, Path, PathBuf};

/// Makes the module ready that the command line, the environment or the last build names.
pub fn runtime(sandbox: &Sandbox) -> Result<Runtime, Failure> {
    make(sandbox, Runtime::builder())
}

/// The file of that module.
pub fn find(sandbox: &Sandbox) -> Result<PathBuf, Failure> {
    let named = || {
        env::var_os("AFMPEG_MODULE")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    match sandbox.module.clone().or_else(named) {
        Some(path) => Ok(path),
        None => built_last().ok_or_else(|| {
            Failure::no_module(
                "no module: name one with --module PATH or the variable AFMPEG_MODULE, or build one below this \
                 directory with `cargo xtask build --profile o3-gpl`"
                    .to_owned(),
            )
        }),
    }
}

pub fn make(sandbox: &Sandbox, builder: RuntimeBuilder) -> Result<Runtime, Failure> {
    let path = find(sandbox)?;
    let cache_folder = match &sandbox.cache_dir {
        _ if sandbox.no_cache => None,
        Some(folder) => Some(folder.clone()),
        None => default_folder("aot"),
    };
    let builder = cache_folder.into_iter().fold(builder, RuntimeBuilder::cache_folder);
    let runtime = builder.engine(sandbox.engine.into()).from_file(path)?;
    // Without its pack the module is slower but works.
    if let EngineStatus::PackRefused { reason } = runtime.engine_status() {
        eprintln!("afmpeg: warning: {reason}");
    }
    // Without a cache the command is slow to start but works.
    if let status @ CacheStatus::Unusable { .. } = runtime.cache_status() {
        eprintln!("afmpeg: warning: {status}");
    }
    Ok(runtime)
}

/// The file of a module that a worker's policy names; one of a release is pulled, and verified each time.
#[cfg(feature = "cluster")]
pub fn of_policy(wanted: &afmpeg::cluster::NamedModule) -> Result<PathBuf, Failure> {
    let wrong = |reason: &str| Failure::no_module(format!("the module {} of the policy {reason}", wanted.name));
    match (&wanted.path, &wanted.release, &wanted.public_key) {
        (Some(path), None, None) => Ok(path.clone()),
        (None, Some(release), Some(key)) => {
            let folder = default_folder("releases").ok_or_else(|| wrong("has no folder to be kept in"))?;
            let mut source = ModuleSource::release(release, key, folder)?;
            for place in &wanted.from {
                source = source.from(place)?;
            }
            let path = source.path()?;
            fetch_pack(&source);
            Ok(path)
        }
        _ => Err(wrong("has either a path, or a release and a public_key")),
    }
}

/// Has the pack of a release's module beside it, where it is looked for. Without it the module is slower but works.
pub fn fetch_pack(source: &ModuleSource) {
    if let Err(error) = source.pack() {
        eprintln!("afmpeg: warning: no pack: {}", printable(&error.chain()));
    }
}

/// The module that `artifacts/latest` names, in the current directory or the nearest one above it.
fn built_last() -> Option<PathBuf> {
    let current = env::current_dir().ok()?;
    current
        .ancestors()
        .map(|directory| directory.join("artifacts"))
        .find_map(|artifacts| {
            let latest = std::fs::read_to_string(artifacts.join("latest")).ok()?;
            let name = Path::new(latest.lines().next()?.trim());
            let is_file_name = matches!(name.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
            is_file_name.then(|| artifacts.join(name))
        })
}

/// A folder of this command's in the user's cache.
pub fn default_folder(name: &str) -> Option<PathBuf> {
    let absolute = |variable| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = match absolute("XDG_CACHE_HOME") {
        Some(base) => base,
        None => absolute("HOME")
            .map(|home| home.join(".cache"))
            .or_else(|| absolute("LOCALAPPDATA"))?,
    };
    Some(base.join("afmpeg").join(name))
}
