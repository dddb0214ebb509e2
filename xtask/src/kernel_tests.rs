//! Runs checkasm, x264's own and ours for openh264, under the runtime: each SIMD kernel against the C that it stands for, on random
//! and extreme input.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::execute::Executor;
use crate::flags::Origins;
use crate::progress::Progress;
use crate::workshop::Workshop;

/// A library that has kernels.
struct Library {
    /// The step that makes it, and whose result has the program that checks them.
    step: &'static str,
    program: &'static str,
    /// A report begins with these, or has them in it, for each family of functions that has kernels.
    families: &'static [&'static str],
}

const LIBRARIES: [Library; 2] = [
    Library {
        step: "x264",
        program: "tests/checkasm8",
        families: &[
            "pixel sad :",
            "pixel satd :",
            "sub_dct4 :",
            "mc chroma :",
            "deblock :",
            "quant :",
            "coeff_last :",
        ],
    },
    // Ours counts the kernels, so that none is lost.
    Library {
        step: "openh264",
        program: "tests/checkasm",
        families: &[
            "sad: 10 kernels",
            "satd: 5 kernels",
            "intra modes: 3 kernels",
            "half samples: 42 kernels",
            "luma mc: 7 kernels",
            "chroma mc: 9 kernels",
            "average: 7 kernels",
            "copy: 5 kernels",
            "dct: 1 kernels",
            "idct: 3 kernels",
            "quant: 6 kernels",
            "dequant: 2 kernels",
            "scan: 2 kernels",
            "count: 3 kernels",
            "intra prediction: 2 kernels",
            "deblock: 8 kernels",
            "analysis: 5 kernels",
        ],
    },
];

/// What the random input begins with, so that a failure comes again. Each is another input.
const SEEDS: [&str; 4] = ["1", "2", "3", "4"];

const TIMEOUT: Duration = Duration::from_secs(120);

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
        let simd = workshop.recipe(name)?.0.simd;
        for library in &LIBRARIES {
            let mut plan = workshop.plan(name, &facts)?;
            if !plan.steps.iter().any(|step| step.name == library.step) {
                println!("kernel tests of {name}: it has no {}", library.step);
                continue;
            }
            plan.stop_after(library.step)?;
            let results = executor.run(&plan, &Progress::new())?;
            let program = results.folder(library.step)?.join(library.program);
            let runtime = afmpeg::Runtime::from_file(program)?;
            for seed in SEEDS {
                let checked = check(&runtime, seed, library, simd)
                    .with_context(|| format!("profile {name}, {}'s checkasm {seed}", library.step))?;
                println!(
                    "kernel test {name} {} checkasm {seed} ... ok, {checked} families",
                    library.step
                );
            }
        }
    }
    Ok(())
}

/// How many families of kernels were compared with C. A profile without SIMD must have none.
fn check(runtime: &afmpeg::Runtime, seed: &str, library: &Library, simd: bool) -> Result<usize> {
    let output = runtime.run(afmpeg::Job::new(["checkasm", seed]).timeout(TIMEOUT))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if output.exit_code != 0 {
        bail!("ended with {}:\n{report}", output.exit_code);
    }
    let checked = report.lines().filter(|line| line.ends_with("[OK]")).count();
    if !simd && checked > 0 {
        bail!("{checked} families have kernels, without SIMD:\n{report}");
    }
    if let Some(family) = library.families.iter().find(|family| simd && !report.contains(*family)) {
        bail!("`{family}` has no kernel:\n{report}");
    }
    Ok(checked)
}
