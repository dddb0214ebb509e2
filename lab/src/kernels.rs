//! Runs checkasm under the runtime, of x264, dav1d and FFmpeg, and ours for openh264: each SIMD kernel against the C code
//! that it stands for, on random and extreme input.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use xtask::build::execute::Executor;
use xtask::build::facts::Tools;
use xtask::flags::Origins;
use xtask::plan::ffmpeg::FATE_STEP;
use xtask::progress::Progress;
use xtask::project::Project;
use xtask::recipe::library::{Check, FFMPEG};

/// What the random input begins with, so that a failure comes again. Each is another input.
const SEEDS: [&str; 4] = ["1", "2", "3", "4"];

const TIMEOUT: Duration = Duration::from_secs(120);

pub fn run(project: &Project, origins: &Origins, profiles: &[String]) -> Result<()> {
    let fetcher = project.fetcher(origins);
    let tools = Tools::find(project, &fetcher)?;
    let executor = Executor {
        project,
        fetcher: &fetcher,
        tools: &tools,
        jobs: xtask::flags::jobs(None)?,
    };
    for profile in profiles {
        let recipe = project.recipe(profile)?;
        let plan = project.fate_plan(profile, &tools.facts)?;
        let results = executor.run(&plan, &Progress::new())?;
        let simd = recipe.level.simd;
        for name in &recipe.components.libraries {
            if let Some(check) = &project.libraries.get(name)?.check {
                compare(profile, name, check, &results.folder(name)?.join("tests"), simd)?;
            }
        }
        let ffmpeg = &project.libraries.ffmpeg.data.check;
        compare(profile, FFMPEG, ffmpeg, results.folder(FATE_STEP)?, simd)?;
    }
    Ok(())
}

/// Runs the program of one project on all seeds.
fn compare(profile: &str, name: &str, check: &Check, folder: &Path, simd: bool) -> Result<()> {
    let runtime = afmpeg::Runtime::from_file(folder.join(&check.program))?;
    for seed in SEEDS {
        let families = families(&runtime, check, seed, simd)
            .with_context(|| format!("profile {profile}, {name}'s checkasm {seed}"))?;
        println!("kernel test {profile} {name} checkasm {seed} ... ok, {families} families");
    }
    if let Some(listing) = &check.listing
        && simd
    {
        let report = report(&runtime, &listing.arguments, "")?;
        let found = count(&report, &listing.suffix, &listing.kernels);
        if found != listing.kernels {
            bail!(
                "profile {profile}, {name}: its file says {:?}, and checkasm finds {found:?}",
                listing.kernels
            );
        }
        let kernels: usize = found.values().sum();
        println!("kernel test {profile} {name} checkasm lists ... ok, {kernels} kernels");
    }
    Ok(())
}

fn report(runtime: &afmpeg::Runtime, arguments: &[String], seed: &str) -> Result<String> {
    let words = arguments.iter().map(|argument| argument.replace("{seed}", seed));
    let argv = ["checkasm".to_owned()].into_iter().chain(words);
    let output = runtime.run(afmpeg::Job::new(argv).timeout(TIMEOUT))?;
    let report = [output.stdout, output.stderr].concat();
    let report = String::from_utf8_lossy(&report).into_owned();
    if output.exit_code != 0 {
        bail!("ended with {}:\n{report}", output.exit_code);
    }
    Ok(report)
}

/// How many families of kernels were compared with C. A profile without SIMD must have none.
fn families(runtime: &afmpeg::Runtime, check: &Check, seed: &str, simd: bool) -> Result<usize> {
    let report = report(runtime, &check.arguments, seed)?;
    let families = report.lines().filter(|line| is_family(line)).count();
    if !simd && families > 0 {
        bail!("{families} families have kernels, without SIMD:\n{report}");
    }
    if let Some(text) = check.reports.iter().find(|text| simd && !report.contains(*text)) {
        bail!("the report has no `{text}`:\n{report}");
    }
    Ok(families)
}

/// Upstream's programs say of a family that it is well, ours how many kernels it has.
fn is_family(line: &str) -> bool {
    let count = line.strip_suffix(" kernels").and_then(|line| line.rsplit_once(": "));
    line.ends_with("[OK]") || count.is_some_and(|(_, count)| count.parse().is_ok_and(|count: usize| count > 0))
}

/// How many kernels are listed, by what their names begin with.
fn count(report: &str, suffix: &str, wanted: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = wanted.keys().map(|family| (family.clone(), 0)).collect();
    for line in report.lines() {
        let Some((name, _)) = line.split_once(suffix) else {
            continue;
        };
        let families = wanted.keys().filter(|family| name.trim().starts_with(*family));
        let family = families.max_by_key(|family| family.len()).cloned();
        *found.entry(family.unwrap_or_else(|| name.to_owned())).or_default() += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_counted_by_the_longest_beginning() {
        let wanted = BTreeMap::from([("sad".to_owned(), 1), ("sad_x3".to_owned(), 2), ("ssd".to_owned(), 1)]);
        let report =
            "sad_4x4_c: 1\nsad_4x4_simd128: 1\nsad_x3_4x4_simd128: 1\nsad_x3_8x8_simd128: 2\nvsad_simd128: 3\n";
        let found = count(report, "_simd128:", &wanted);
        let names = [("sad", 1), ("sad_x3", 2), ("ssd", 0), ("vsad", 1)];
        assert_eq!(found, names.map(|(name, count)| (name.to_owned(), count)).into());
    }
}
