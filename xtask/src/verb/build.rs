//! `cargo xtask build`: from pinned sources to modules with their records in artifacts/.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::execute::Executor;
use crate::flags::Build;
use crate::progress::Progress;
use crate::record::{self, Record};
use crate::workshop::Workshop;

pub fn run(workshop: &Workshop, flags: &Build) -> Result<()> {
    let names = workshop.profiles(&flags.profiles)?;
    let fetcher = workshop.fetcher(&flags.origins);
    let sdk = workshop.sdk(&fetcher)?;
    let facts = workshop.facts(&sdk.identity)?;
    if flags.dry_run {
        for name in &names {
            println!("{}", serde_json::to_string_pretty(&workshop.plan(name, &facts)?)?);
        }
        return Ok(());
    }
    let jobs = flags.jobs.map_or_else(std::thread::available_parallelism, |jobs| {
        std::num::NonZero::new(jobs).ok_or_else(|| std::io::Error::other("--jobs must be at least 1"))
    })?;
    let executor = Executor {
        workshop,
        fetcher: &fetcher,
        sdk: &sdk,
        jobs: jobs.get(),
    };
    let progress = Progress::new();
    for name in &names {
        let started = Instant::now();
        let mut plan = workshop.plan(name, &facts)?;
        if let Some(last) = &flags.until {
            plan.stop_after(last)?;
            executor.run(&plan, &progress)?;
            continue;
        }
        let results = executor.run(&plan, &progress)?;
        let record = Record::new(workshop, &plan, &sdk.identity, &facts, &results)?;
        record::publish(&workshop.root, &record, &results).with_context(|| format!("profile {name}"))?;
        println!(
            "artifacts/{name}.wasm  {} bytes, gzip {}, brotli {}, {:.1} s",
            record.size_bytes("wasm"),
            record.size_bytes("wasm.gz"),
            record.size_bytes("wasm.br"),
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
