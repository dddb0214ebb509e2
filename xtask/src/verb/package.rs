//! `cargo xtask package`: packages of modules for npm and PyPI, each one file, and the page for browsers, a folder.

use anyhow::Result;

use crate::cache::write_file;
use crate::dist::folder::Folder;
use crate::dist::{npm, package, web, wheel};
use crate::error::usage;
use crate::flags::{Package, PackageKind};
use crate::project::Project;

pub fn run(project: &Project, flags: &Package) -> Result<()> {
    let folder = match &flags.release {
        Some(release) => Folder::open(release)?,
        None if flags.profile.is_empty() => {
            return Err(usage("without --release, --profile names the modules of artifacts/ to take").into());
        }
        None => Folder::of_artifacts(project, &project.fetcher(&flags.origins), &flags.profile)?,
    };
    let records = folder.records()?;
    let has = |name: &String| records.iter().any(|record| record.variant == *name);
    if let Some(unknown) = flags.profile.iter().find(|name| !has(name)) {
        let names: Vec<&str> = records.iter().map(|record| record.variant.as_str()).collect();
        return Err(usage(format!("the release has no {unknown}; it has: {}", names.join(", "))).into());
    }
    let write = |(name, data): package::Package| {
        let path = flags.to.join(name);
        write_file(&path, &data)?;
        println!("{}  {} bytes", path.display(), data.len());
        anyhow::Ok(())
    };
    match flags.kind {
        PackageKind::Npm if !flags.modules_only => {
            write(npm::library(project, &folder.version, flags.origins.offline)?)?;
        }
        PackageKind::Wheel if !flags.modules_only => {
            write(wheel::library(
                project,
                &project.fetcher(&flags.origins),
                &folder.version,
            )?)?;
        }
        _ => {}
    }
    let is_wanted = |name: &String| flags.profile.is_empty() || flags.profile.contains(name);
    let wanted: Vec<_> = records.iter().filter(|record| is_wanted(&record.variant)).collect();
    if flags.kind == PackageKind::Web && wanted.len() != 1 {
        return Err(usage("a page has one module: give one --profile").into());
    }
    for record in wanted {
        match flags.kind {
            PackageKind::Npm => write(npm::module(project, &folder, record)?)?,
            PackageKind::Wheel => write(wheel::module(project, &folder, record)?)?,
            PackageKind::Web => {
                let place = flags.to.join("web");
                for (name, data) in web::page(project, &folder, record, flags.origins.offline)? {
                    write_file(&place.join(name), &data)?;
                }
                println!("{}", place.display());
            }
        }
    }
    Ok(())
}
