//! Packages that Python imports, installed by pip itself.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::digest::Key;
use crate::error::environment;
use crate::process::Invocation;

/// A folder for PYTHONPATH with these packages and nothing that they ask for: each is named with its version. That works where
/// Python has no `venv`.
pub fn install(cache: &Cache, host: &str, packages: &[String], offline: bool) -> Result<PathBuf> {
    let version = Invocation::new("python3", cache.root())
        .arguments(["-c", "import sys; print(sys.version)"])
        .inherit_environment()
        .output()?;
    let mut key = Key::new("Python packages").field(version).field(host);
    for package in packages {
        key = key.field(package);
    }
    let (folder, _) = cache.folder("trees", &key.finish(), |made| {
        if offline {
            let names = packages.join(" ");
            return Err(environment(format!("--offline forbids pip to fetch {names}")).into());
        }
        Invocation::new("python3", made)
            .arguments([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ])
            .arguments(["--target", "."])
            .arguments(packages)
            .inherit_environment()
            .output()
            .map(drop)
    })?;
    Ok(folder)
}

/// A folder with the packages that a file of requirements names, each with the digests of its files.
pub fn install_pinned(cache: &Cache, requirements: &Path, offline: bool) -> Result<PathBuf> {
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

/// The packages that a file of requirements names.
pub fn named(requirements: &str) -> Vec<String> {
    let lines = requirements.lines().map(str::trim);
    let packages = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    packages.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn requirements_are_lines() {
        let text = "# All\n\na==1\nb==2; python_version >= \"3.13\"\n";
        assert_eq!(super::named(text), ["a==1", "b==2; python_version >= \"3.13\""]);
    }
}
