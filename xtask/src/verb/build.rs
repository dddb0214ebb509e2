//! `cargo xtask build`: from pinned sources to modules with their records in artifacts/.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::build::facts::Tools;
use crate::build::pack::Forms;
use crate::build::record::{self, Record};
use crate::build::{self, execute::Executor};
use crate::error::environment;
use crate::flags::{self, Build};
use crate::progress::Progress;
use crate::project::Project;
use crate::verb::pack;

pub fn run(project: &Project, flags: &Build) -> Result<()> {
    let names = project.profiles(&flags.profiles)?;
    let machines = pack::machines(&flags.pack)?;
    let fetcher = project.fetcher(&flags.origins);
    let tools = Tools::find(project, &fetcher)?;
    if flags.dry_run {
        for name in &names {
            println!("{}", serde_json::to_string_pretty(&project.plan(name, &tools.facts)?)?);
            let module = project.root.join("artifacts").join(format!("{name}.wasm"));
            if !machines.is_empty() && !module.is_file() {
                let message =
                    format!("the plan of a pack follows from its module, and artifacts/{name}.wasm is not there");
                return Err(environment(message)
                    .hint(format!("cargo xtask build --profile {name}"))
                    .into());
            }
            for machine in &machines {
                let plan = build::pack::plan(project, &tools, *machine, name, &module)?;
                println!("{}", serde_json::to_string_pretty(&plan)?);
            }
        }
        return Ok(());
    }
    let executor = Executor {
        project,
        fetcher: &fetcher,
        tools: &tools,
        jobs: flags::jobs(flags.jobs)?,
    };
    let progress = Progress::new();
    for name in &names {
        let started = Instant::now();
        let mut plan = project.plan(name, &tools.facts)?;
        if let Some(last) = &flags.until {
            plan.stop_after(last)?;
            executor.run(&plan, &progress)?;
            continue;
        }
        let results = executor.run(&plan, &progress)?;
        let record = Record::new(project, &project.recipe(name)?, &plan, &tools, &results)?;
        record::publish(&project.root, &record, &results).with_context(|| format!("profile {name}"))?;
        println!(
            "artifacts/{name}.wasm  {} bytes, gzip {}, brotli {}, {:.1} s",
            record.size_bytes("wasm"),
            record.size_bytes("wasm.gz"),
            record.size_bytes("wasm.br"),
            started.elapsed().as_secs_f64()
        );
        let artifacts = project.root.join("artifacts");
        let module = artifacts.join(format!("{name}.wasm"));
        for machine in &machines {
            let started = Instant::now();
            let pack_name = format!("{name}.{}", machine.name);
            let pack = build::pack::make(&executor, *machine, &pack_name, &module, &progress)?;
            build::pack::publish(&pack, &artifacts, &pack_name, Forms::All)?;
            println!(
                "artifacts/{pack_name}.so  {} bytes, gzip {}, brotli {}, {:.1} s",
                pack.record.size_bytes("so"),
                pack.record.size_bytes("so.gz"),
                pack.record.size_bytes("so.br"),
                started.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}
