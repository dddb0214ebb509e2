//! What our Python package is tested with, installed by pip.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::digest::Key;
use crate::process::Invocation;

/// A folder with the packages that a file of requirements names, each with the digests of its files.
pub fn install(cache: &Cache, requirements: &Path, offline: bool) -> Result<PathBuf> {
    let text = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let python = Invocation::new("python3", cache.scratch()?.path())
        .arguments(["-c", "import sysconfig; print(sysconfig.get_config_var('SOABI'))"])
        .inherit_environment()
        .output()?;
    let key = Key::new("python packages").field(&text).field(&python);
    let (folder, _) = cache.folder("trees", &key.finish(), |made| {
        let options =
            "-m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all:";
        let mut pip = Invocation::new("python3", made)
            .arguments(options.split(' '))
            .arguments(["--target", ".", "--requirement"])
            .arguments([requirements.display().to_string()])
            .inherit_environment();
        if offline {
            pip.arguments.push("--no-index".to_owned());
        }
        pip.output().map(drop)
    })?;
    Ok(folder)
}
