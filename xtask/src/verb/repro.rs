//! `cargo xtask repro`: builds a module in two places that have nothing in common but the inputs, and compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cache::CACHE_VARIABLE;
use crate::difference;
use crate::digest;
use crate::flags::Repro;
use crate::plan::{Action, Plan};
use crate::process::{self, Invocation};
use crate::sdk::SDK_VARIABLE;
use crate::unpack;
use crate::workshop::Workshop;

/// What a build takes from the repository.
const FOLDERS: [&str; 4] = ["ffmpeg-src", "guest", "patches", "profiles"];

/// The two surroundings of a build. All that a machine or a user may have otherwise differs; the clock does by itself.
struct Surroundings {
    place: &'static str,
    umask: &'static str,
    jobs: Option<usize>,
    variables: [(&'static str, &'static str); 6],
}

const SURROUNDINGS: [Surroundings; 2] = [
    Surroundings {
        place: "one",
        umask: "022",
        jobs: Some(1),
        variables: [
            ("HOME", "/nonexistent/one"),
            ("LANG", "C"),
            ("LC_ALL", "C"),
            ("SOURCE_DATE_EPOCH", "1"),
            ("TZ", "Pacific/Kiritimati"),
            ("USER", "one"),
        ],
    },
    Surroundings {
        place: "two/in a folder/that is deeper",
        umask: "077",
        jobs: None,
        variables: [
            ("HOME", "/nonexistent/two"),
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("SOURCE_DATE_EPOCH", "1999999999"),
            ("TZ", "America/St_Johns"),
            ("USER", "two"),
        ],
    },
];

pub fn run(workshop: &Workshop, flags: &Repro) -> Result<()> {
    let names = workshop.profiles(&flags.profiles)?;
    let fetcher = workshop.fetcher(&flags.origins);
    // Both builds get the same inputs, which are fetched here once.
    let sdk = workshop.sdk(&fetcher)?;
    let facts = workshop.facts(&sdk.identity)?;
    for name in &names {
        let mut plan = workshop.plan(name, &facts)?;
        if let Some(last) = &flags.until {
            plan.stop_after(last)?;
        }
        for action in plan.steps.iter().flat_map(|step| &step.actions) {
            match action {
                Action::Source { name } => drop(fetcher.tree(name, workshop.pins.source(name)?)?),
                Action::Optimise { .. } => drop(workshop.wasm_opt(&fetcher)?),
                _ => {}
            }
        }
        let scratch = workshop.cache.scratch()?;
        let places = SURROUNDINGS
            .each_ref()
            .map(|surroundings| scratch.path().join(surroundings.place));
        // Both are copied before anything is built, since an edit in between would be a difference.
        for (place, folder) in places.iter().flat_map(|place| FOLDERS.map(|folder| (place, folder))) {
            unpack::copy_tree(&workshop.root.join(folder), &place.join("repository").join(folder))?;
        }
        let mut seconds = Vec::new();
        for (surroundings, place) in SURROUNDINGS.iter().zip(&places) {
            seconds.push(build(workshop, flags, surroundings, place, name)?.as_secs_f64());
        }
        let differences = compare(&plan, &places, name)?;
        if !differences.is_empty() {
            // They are there to be looked at; the next run removes them.
            let [one, two] = &places;
            let _ = scratch.keep();
            bail!(
                "profile {name} does not repeat:\n  {}\nbuilt in {}\n    and {}",
                differences.join("\n  "),
                one.display(),
                two.display()
            );
        }
        println!("{name}  repeats, {:.0} s and {:.0} s", seconds[0], seconds[1]);
    }
    Ok(())
}

fn build(workshop: &Workshop, flags: &Repro, around: &Surroundings, place: &Path, name: &str) -> Result<Duration> {
    let started = Instant::now();
    let repository = place.join("repository");
    let jobs = around.jobs.map_or_else(std::thread::available_parallelism, |jobs| {
        std::num::NonZero::new(jobs).ok_or_else(|| std::io::Error::other("no job"))
    })?;
    // umask belongs to the process, so a shell sets it for the one that it becomes.
    let mut arguments: Vec<String> = ["-c", "umask \"$0\" && exec \"$@\"", around.umask]
        .map(str::to_owned)
        .into();
    arguments.push(process::own_program()?.display().to_string());
    arguments.extend(["--root".to_owned(), repository.display().to_string()]);
    arguments.extend(["build", "--profile", name, "--offline"].map(str::to_owned));
    arguments.extend(["--jobs".to_owned(), jobs.to_string()]);
    let downloads = workshop.cache.root().join("downloads");
    for mirror in flags.origins.mirror.iter().chain([&downloads]) {
        arguments.extend([
            "--mirror".to_owned(),
            std::path::absolute(mirror)?.display().to_string(),
        ]);
    }
    if let Some(step) = &flags.until {
        arguments.extend(["--until".to_owned(), step.clone()]);
    }
    let mut invocation = Invocation::new("sh", place).arguments(arguments);
    invocation.environment.remove("LC_ALL");
    let variables = around
        .variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    invocation.environment.extend(variables);
    let cache = place.join("cache").display().to_string();
    invocation.environment.insert(CACHE_VARIABLE.to_owned(), cache);
    if let Ok(sdk) = std::env::var(SDK_VARIABLE) {
        invocation.environment.insert(SDK_VARIABLE.to_owned(), sdk);
    }
    if !invocation.interactive()? {
        bail!("the build in {} failed", place.display());
    }
    Ok(started.elapsed())
}

/// Where the results of two builds differ: the files of the first step that made others, and the artifacts.
fn compare(plan: &Plan, places: &[PathBuf; 2], name: &str) -> Result<Vec<String>> {
    for step in &plan.steps {
        let folder = format!("cache/steps/{}-{}", step.name, &step.key[..32]);
        let [one, two] = places.each_ref().map(|place| place.join(&folder));
        if !one.is_dir() && !two.is_dir() {
            // Neither was asked to go that far.
            continue;
        }
        let differing = differing_files(&one, &two)?;
        if differing.is_empty() {
            continue;
        }
        let mut lines = vec![format!("step {} is the first to differ", step.name)];
        for file in differing {
            lines.push(describe(&file, &one.join(&file), &two.join(&file))?);
        }
        return Ok(lines);
    }
    let [one, two] = places.each_ref().map(|place| place.join("repository/artifacts"));
    if !one.is_dir() && !two.is_dir() {
        return Ok(Vec::new());
    }
    let files = differing_files(&one, &two)?;
    Ok(files
        .iter()
        .map(|file| format!("artifacts/{file} differs for {name}"))
        .collect())
}

fn files_in(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder)?.display().to_string();
            files.insert(name, digest::file(entry.path())?);
        }
    }
    Ok(files)
}

fn differing_files(one: &Path, two: &Path) -> Result<Vec<String>> {
    let [one, two] = [files_in(one)?, files_in(two)?];
    let names = one.keys().chain(two.keys().filter(|name| !one.contains_key(*name)));
    Ok(names.filter(|name| one.get(*name) != two.get(*name)).cloned().collect())
}

/// In which part two files differ, as far as can be said.
fn describe(name: &str, one: &Path, two: &Path) -> Result<String> {
    let (Ok(first), Ok(second)) = (fs::read(one), fs::read(two)) else {
        return Ok(format!("{name} is there once"));
    };
    if first.starts_with(b"\0asm") && second.starts_with(b"\0asm") {
        return Ok(format!("{name}: {}", difference::describe(&first, &second)?));
    }
    let position = first.iter().zip(&second).take_while(|(one, two)| one == two).count();
    let mut text = format!(
        "{name}: {} and {} bytes, the first other one at {position}",
        first.len(),
        second.len()
    );
    if process::is_installed("diffoscope") {
        let arguments = ["--text-color", "never", "--max-report-size", "4000"].map(str::to_owned);
        let paths = [one, two].map(|path| path.display().to_string());
        let report = Invocation::new("diffoscope", Path::new("/"))
            .arguments(arguments.into_iter().chain(paths))
            .inherit_environment()
            .output_of_any_end()?;
        text += &format!("\n{report}");
    }
    Ok(text)
}
