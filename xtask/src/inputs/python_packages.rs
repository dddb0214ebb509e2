//! Packages that Python imports, installed by pip itself.

use std::path::PathBuf;

use anyhow::Result;

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
