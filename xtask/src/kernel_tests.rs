//! Runs x264's own checkasm under the runtime: each SIMD kernel against the C that it stands for, on random and extreme input.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::execute::Executor;
use crate::flags::Origins;
use crate::progress::Progress;
use crate::workshop::Workshop;

/// The step whose library has kernels, and whose result has the program that checks them.
const STEP: &str = "x264";
const PROGRAM: &str = "tests/checkasm8";

/// What the random input begins with, so that a failure comes again. Each is another input.
const SEEDS: [&str; 4] = ["1", "2", "3", "4"];

const TIMEOUT: Duration = Duration::from_secs(120);

/// A report of checkasm begins with this, and is written for each family of functions that has kernels.
const FAMILIES: [&str; 7] = [
    "pixel sad :",
    "pixel satd :",
    "sub_dct4 :",
    "mc chroma :",
    "deblock :",
    "quant :",
    "coeff_last :",
];

pub fn run(workshop: &Workshop, origins: &Origins, profiles: &[String]) -> Result<()> {
    let fetcher = workshop.fetcher(origins);
    let sdk = workshop.sdk(&fetcher)?;
    let facts = workshop.facts(&sdk.identity)?;
    let executor = Executor {
        workshop,
        fetcher: &fetcher,
        sdk: &sdk,
        jobs: std::thread::available_parallelism()?.get(),
    };
    for name in profiles {
        let mut plan = workshop.plan(name, &facts)?;
        if !plan.steps.iter().any(|step| step.name == STEP) {
            println!("kernel tests of {name}: it has no x264");
            continue;
        }
        plan.stop_after(STEP)?;
        let results = executor.run(&plan, &Progress::new())?;
        let runtime = afmpeg::Runtime::from_file(results.folder(STEP)?.join(PROGRAM))?;
        let simd = workshop.recipe(name)?.0.simd;
        for seed in SEEDS {
            let checked = check(&runtime, seed, simd).with_context(|| format!("profile {name}, checkasm {seed}"))?;
            println!("kernel test {name} checkasm {seed} ... ok, {checked} families");
        }
    }
    Ok(())
}

/// How many families of kernels were compared with C. A profile without SIMD must have none.
fn check(runtime: &afmpeg::Runtime, seed: &str, simd: bool) -> Result<usize> {
    let output = runtime.run(afmpeg::Job::new(["checkasm", seed]).timeout(TIMEOUT))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if output.exit_code != 0 {
        bail!("ended with {}:\n{report}", output.exit_code);
    }
    let checked = report.lines().filter(|line| line.ends_with("[OK]")).count();
    if !simd && checked > 0 {
        bail!("{checked} families have kernels, without SIMD:\n{report}");
    }
    if let Some(family) = FAMILIES.iter().find(|family| simd && !report.contains(*family)) {
        bail!("`{family}` has no kernel:\n{report}");
    }
    Ok(checked)
}
