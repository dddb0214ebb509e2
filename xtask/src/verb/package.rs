//! `cargo xtask package`: packages of a release's modules for npm and PyPI, each one file.

use anyhow::Result;

use crate::cache::write_file;
use crate::dist::folder::Folder;
use crate::dist::package;
use crate::error::usage;
use crate::flags::{Package, PackageKind};
use crate::project::Project;

pub fn run(project: &Project, flags: &Package) -> Result<()> {
    let folder = Folder::open(&flags.release)?;
    let records = folder.records()?;
    let has = |name: &String| records.iter().any(|record| record.variant == *name);
    if let Some(unknown) = flags.profile.iter().find(|name| !has(name)) {
        let names: Vec<&str> = records.iter().map(|record| record.variant.as_str()).collect();
        return Err(usage(format!("the release has no {unknown}; it has: {}", names.join(", "))).into());
    }
    let is_wanted = |name: &String| flags.profile.is_empty() || flags.profile.contains(name);
    for record in records.iter().filter(|record| is_wanted(&record.variant)) {
        let (name, data) = match flags.kind {
            PackageKind::Npm => package::npm(project, &folder, record)?,
            PackageKind::Wheel => package::wheel(project, &folder, record)?,
        };
        let path = flags.out.join(name);
        write_file(&path, &data)?;
        println!("{}  {} bytes", path.display(), data.len());
    }
    Ok(())
}
