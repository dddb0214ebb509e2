//! The packs of a release: native code of its modules, as far as it lies in artifacts/.

use anyhow::{Context, Result};

use crate::build::facts::Tools;
use crate::build::pack::Record;
use crate::build::record::Record as ModuleRecord;
use crate::dist::{self, Files, check_files};
use crate::error::environment;
use crate::plan::pack::{MACHINES, Machine};
use crate::project::Project;

/// A pack in artifacts/, and what its files are called there without their endings.
#[derive(Debug)]
pub struct Pack {
    pub name: String,
    pub variant: String,
    pub record: Record,
}

/// The packs of these modules, if they are made of what is in the repository now.
pub fn records(project: &Project, tools: &Tools, modules: &[ModuleRecord]) -> Result<Vec<Pack>> {
    let mut packs = Vec::new();
    for module in modules {
        for machine in MACHINES {
            let name = format!("{}.{}", module.variant, machine.name);
            if project.root.join(format!("artifacts/{name}.json")).is_file() {
                packs.push(read(project, tools, module, machine, name)?);
            }
        }
    }
    Ok(packs)
}

fn read(project: &Project, tools: &Tools, module: &ModuleRecord, machine: Machine, name: String) -> Result<Pack> {
    let artifacts = project.root.join("artifacts");
    let again = format!(
        "run `cargo xtask build --profile {} --pack {}`, or remove artifacts/{name}.json to release none",
        module.variant, machine.name
    );
    let text = dist::read(&artifacts.join(format!("{name}.json")))?;
    let unusable = |error: serde_json::Error| {
        environment(format!("artifacts/{name}.json is no record of a pack: {error}")).hint(again.clone())
    };
    let record: Record = serde_json::from_slice(&text).map_err(unusable)?;
    let wasm = format!("{}.wasm", module.variant);
    let of = &module.files.get(&wasm).context("a record names its module")?.sha256;
    let mut stale = record.stale_inputs(project, tools, machine, &name)?;
    if record.module_sha256 != *of {
        stale.push(format!("artifacts/{wasm}"));
    }
    if !stale.is_empty() {
        let message = format!(
            "artifacts/{name}.json is of other inputs than the repository has: {}",
            stale.join(", ")
        );
        return Err(environment(message).hint(again).into());
    }
    check_files(&artifacts, &record.files).map_err(|failure| failure.hint(again))?;
    Ok(Pack {
        name,
        variant: module.variant.clone(),
        record,
    })
}

/// The files of packs by their names in a release.
pub fn files(project: &Project, packs: &[Pack]) -> Result<Files> {
    let artifacts = project.root.join("artifacts");
    let mut files = Files::new();
    for pack in packs {
        let record = format!("{}.json", pack.name);
        for name in pack.record.files.keys().chain([&record]) {
            files.insert(name.clone(), dist::read(&artifacts.join(name))?);
        }
    }
    Ok(files)
}
