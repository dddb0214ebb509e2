//! `cargo xtask repro`: builds a module in two places that have nothing in common but the inputs, and compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use xtask::build::facts::{BINARYEN_VARIABLE, Tools};
use xtask::build::sdk::SDK_VARIABLE;
use xtask::cache::CACHE_VARIABLE;
use xtask::digest;
use xtask::error::environment;
use xtask::flags::Repro;
use xtask::inputs::unpack;
use xtask::plan::step::{Action, Plan};
use xtask::process::{self, Invocation};
use xtask::project::Project;
use xtask::wasm::difference;

/// What a build takes from the repository.
const FOLDERS: [&str; 5] = ["ffmpeg-src", "guest", "pack", "patches", "profiles"];

/// The two surroundings of a build. All that a machine or a user may have otherwise differs; the clock does by itself.
struct Surroundings {
    place: &'static str,
    umask: &'static str,
    jobs: Option<usize>,
    /// When the files of the repository were written: seconds since 1970, or as they come.
    modified_seconds: Option<u64>,
    variables: [(&'static str, &'static str); 7],
}

const SURROUNDINGS: [Surroundings; 2] = [
    Surroundings {
        place: "one",
        umask: "022",
        jobs: Some(1),
        modified_seconds: Some(1),
        variables: [
            ("HOME", "/nonexistent/one"),
            ("LANG", "C"),
            ("LC_ALL", "C"),
            ("LOGNAME", "one"),
            ("SOURCE_DATE_EPOCH", "1"),
            ("TZ", "Pacific/Kiritimati"),
            ("USER", "one"),
        ],
    },
    Surroundings {
        place: "two/in a folder/that is deeper",
        umask: "077",
        jobs: None,
        modified_seconds: None,
        variables: [
            ("HOME", "/nonexistent/two"),
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("LOGNAME", "two"),
            ("SOURCE_DATE_EPOCH", "1999999999"),
            ("TZ", "America/St_Johns"),
            ("USER", "two"),
        ],
    },
];

pub fn run(project: &Project, flags: &Repro) -> Result<()> {
    let names = project.profiles(&flags.profiles)?;
    let fetcher = project.fetcher(&flags.origins);
    // Both builds get the same inputs, which are fetched here once.
    let tools = Tools::find(project, &fetcher)?;
    for name in &names {
        let mut plan = project.plan(name, &tools.facts)?;
        if let Some(last) = &flags.until {
            plan.stop_after(last)?;
        }
        for action in plan.steps.iter().flat_map(|step| &step.actions) {
            match action {
                Action::Source { name } | Action::Tool { name } => {
                    fetcher.tree(name, project.pins.source(name)?)?;
                }
                _ => {}
            }
        }
        let mut scratch = project.cache.scratch()?;
        let places = SURROUNDINGS
            .each_ref()
            .map(|surroundings| scratch.path().join(surroundings.place));
        // Both are copied before anything is built, since an edit in between would be a difference.
        for (surroundings, place) in SURROUNDINGS.iter().zip(&places) {
            let repository = place.join("repository");
            for folder in FOLDERS {
                unpack::copy_tree(&project.root.join(folder), &repository.join(folder))?;
            }
            if let Some(seconds) = surroundings.modified_seconds {
                set_modified(&repository, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))?;
            }
        }
        if let Some(first) = &flags.from {
            take_earlier(project, &mut plan, first, &places)?;
        }
        let mut ends = Vec::new();
        for (surroundings, place) in SURROUNDINGS.iter().zip(&places) {
            let jobs = processes(surroundings)?;
            let took = build(project, flags, surroundings, place, name, jobs)?;
            let plural = if jobs == 1 { "" } else { "es" };
            ends.push(format!("{:.0} s with {jobs} process{plural}", took.as_secs_f64()));
        }
        let differences = compare(&plan, &places, name, flags.until.is_some())?;
        if !differences.is_empty() {
            // They are there to be looked at; a later run removes them.
            let [one, two] = &places;
            scratch.leave();
            bail!(
                "profile {name} does not repeat:\n  {}\nbuilt in {}\n    and {}",
                differences.join("\n  "),
                one.display(),
                two.display()
            );
        }
        let steps: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        println!("{name}  repeats, {}: {}", ends.join(", "), steps.join(", "));
    }
    Ok(())
}

/// Compilers, make and wasm-opt get so many cores. It is never one in both places, or their number would not be varied.
fn processes(around: &Surroundings) -> Result<usize> {
    Ok(match around.jobs {
        Some(jobs) => jobs,
        None => std::thread::available_parallelism()?.get().max(2),
    })
}

fn set_modified(folder: &Path, time: SystemTime) -> Result<()> {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.file_type().is_file() {
            fs::File::open(entry.path())?.set_modified(time)?;
        }
    }
    Ok(())
}

/// Takes the steps before this one out of the plan, and gives both places the results that the cache has of them.
fn take_earlier(project: &Project, plan: &mut Plan, first: &str, places: &[PathBuf; 2]) -> Result<()> {
    for step in plan.start_with(first)? {
        let result = project.cache.root().join(step.result_folder());
        if !result.is_dir() {
            let message = format!(
                "profile {}: the cache has no result of step {}",
                plan.profile, step.name
            );
            return Err(environment(message)
                .hint("build the profile first, or leave out --from")
                .into());
        }
        for place in places {
            unpack::copy_tree(&result, &place.join("cache").join(step.result_folder()))?;
        }
    }
    Ok(())
}

fn build(
    project: &Project,
    flags: &Repro,
    around: &Surroundings,
    place: &Path,
    name: &str,
    jobs: usize,
) -> Result<Duration> {
    let started = Instant::now();
    let repository = place.join("repository");
    // umask belongs to the process, so a shell sets it for the one that it becomes.
    let mut arguments: Vec<String> = ["-c", "umask \"$0\" && exec \"$@\"", around.umask]
        .map(str::to_owned)
        .into();
    arguments.push(process::own_program()?.display().to_string());
    arguments.extend(["--root".to_owned(), repository.display().to_string()]);
    arguments.extend(["build", "--profile", name, "--offline"].map(str::to_owned));
    arguments.extend(["--jobs".to_owned(), jobs.to_string()]);
    let downloads = project.cache.root().join("downloads");
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
    for variable in [SDK_VARIABLE, BINARYEN_VARIABLE] {
        if let Ok(folder) = std::env::var(variable) {
            invocation.environment.insert(variable.to_owned(), folder);
        }
    }
    if !invocation.interactive()? {
        bail!("the build in {} failed", place.display());
    }
    Ok(started.elapsed())
}

/// Where the results of two builds differ: the files of the first step that made others, and the artifacts.
fn compare(plan: &Plan, places: &[PathBuf; 2], name: &str, is_partial: bool) -> Result<Vec<String>> {
    for step in &plan.steps {
        let folder = Path::new("cache").join(step.result_folder());
        let [one, two] = places.each_ref().map(|place| place.join(&folder));
        need_folder(&one)?;
        need_folder(&two)?;
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
    if is_partial && !one.exists() && !two.exists() {
        // Only a whole build publishes.
        return Ok(Vec::new());
    }
    need_folder(&one)?;
    need_folder(&two)?;
    let files = differing_files(&one, &two)?;
    Ok(files
        .iter()
        .map(|file| format!("artifacts/{file} differs for {name}"))
        .collect())
}

/// What neither build made is no proof that it repeats.
fn need_folder(path: &Path) -> Result<()> {
    if !path.is_dir() {
        bail!("a build left no {}, so there is nothing to compare", path.display());
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::plan::step::{Places, Step};

    #[test]
    fn nothing_to_compare_is_no_proof() {
        let folder = tempfile::TempDir::new().unwrap();
        let places = ["one", "two"].map(|name| folder.path().join(name));
        let step = Step {
            name: "zlib".into(),
            key: "0".repeat(64),
            inputs: BTreeMap::new(),
            actions: Vec::new(),
            places: Places::default(),
            keeps_one_core_busy: false,
        };
        let plan = Plan {
            profile: "any".into(),
            steps: vec![step],
        };
        let result = |place: &Path| place.join("cache").join(plan.steps[0].result_folder());
        let refused = |is_partial: bool, wanted: &str| {
            let message = compare(&plan, &places, "any", is_partial).unwrap_err().to_string();
            assert!(
                message.contains("nothing to compare") && message.contains(wanted),
                "{message}"
            );
        };
        refused(true, "zlib");
        fs::create_dir_all(result(&places[0])).unwrap();
        refused(true, "zlib");
        fs::create_dir_all(result(&places[1])).unwrap();
        assert!(compare(&plan, &places, "any", true).unwrap().is_empty());
        // Without --until modules must have been published.
        refused(false, "artifacts");
        fs::create_dir_all(places[0].join("repository/artifacts")).unwrap();
        refused(true, "artifacts");
    }
}
