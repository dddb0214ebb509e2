//! `cargo xtask pack`: native code of any module.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::build::execute::Executor;
use crate::build::facts::Tools;
use crate::build::pack::{Forms, make, publish};
use crate::error::usage;
use crate::flags::{self, Pack};
use crate::plan::pack::{self, Machine};
use crate::progress::Progress;
use crate::project::Project;

pub fn run(project: &Project, flags: &Pack) -> Result<()> {
    let machines = match flags.machine.is_empty() {
        true => vec![own_machine()?],
        false => machines(&flags.machine)?,
    };
    if flags.to.is_some() && machines.len() > 1 {
        return Err(usage("--to is the place of one pack, and several machines were named").into());
    }
    let module = std::path::absolute(&flags.module)?;
    let name = module
        .file_stem()
        .and_then(|name| name.to_str())
        .context("the module needs a name in UTF-8")?;
    let fetcher = project.fetcher(&flags.origins);
    let tools = Tools::find(project, &fetcher)?;
    let executor = Executor {
        project,
        fetcher: &fetcher,
        tools: &tools,
        jobs: flags::jobs(flags.jobs)?,
    };
    let progress = Progress::new();
    for machine in machines {
        let started = Instant::now();
        let to = match &flags.to {
            Some(to) => std::path::absolute(to)?,
            None => module.with_file_name(format!("{name}.{}.so", machine.name)),
        };
        let pack_name = to
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".so"))
            .ok_or_else(|| usage(format!("{}: a pack's name ends in .so", to.display())))?;
        let folder = to.parent().context("a file has a folder")?;
        let pack = make(&executor, machine, pack_name, &module, &progress)?;
        publish(&pack, folder, pack_name, Forms::Uncompressed)?;
        println!(
            "{}  {} bytes, {:.1} s",
            to.display(),
            pack.record.size_bytes("so"),
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// The machines that names stand for, each once, in the order in which they were named.
pub fn machines(names: &[String]) -> Result<Vec<Machine>> {
    let mut machines = Vec::new();
    for name in names {
        for machine in pack::machines(name)? {
            if !machines.contains(&machine) {
                machines.push(machine);
            }
        }
    }
    Ok(machines)
}

/// The best that this machine can run.
fn own_machine() -> Result<Machine> {
    let name = if cfg!(not(target_os = "linux")) {
        None
    } else if cfg!(target_arch = "aarch64") {
        Some("aarch64-linux")
    } else if cfg!(target_arch = "x86_64") {
        Some(if has_v3() { "x86_64-v3-linux" } else { "x86_64-v2-linux" })
    } else {
        None
    };
    let name = name.ok_or_else(|| usage("there are no packs for this machine; name others with --machine"))?;
    pack::machines(name)?.pop().context("a machine has a name")
}

#[cfg(target_arch = "x86_64")]
fn has_v3() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("movbe")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_v3() -> bool {
    false
}
