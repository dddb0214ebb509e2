//! `cargo xtask sizes`: what each library and each component of FFmpeg adds to a module.
//!
//! The linker's map says which object each function and each piece of data came from; the optimised module still has the
//! functions' names. What a part adds raw is what came from its objects; what it adds compressed is those bytes compressed by
//! themselves, so that the parts add up to somewhat more than the module.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use libdeflater::CompressionLvl;
use serde::Serialize;
use walkdir::WalkDir;

use crate::blocks;
use crate::build::execute::Executor;
use crate::build::facts::Tools;
use crate::flags::{self, Sizes};
use crate::progress::Progress;
use crate::project::Project;
use crate::recipe::library::FFMPEG;
use crate::wasm::compress;
use crate::wasm::share::{self, Share};

/// Where the tables are.
const DOCUMENT: &str = "docs/size.md";
const LIBRARIES: &str = "libraries";
const COMPONENTS: &str = "components";

/// Who an object is for that several components share: it counts for its folder.
const SHARED: &str = "";

/// What comes from no library.
const REST: &str = "the programs, the guest and the C library";

const WHOLE: &str = "the whole module";

/// Smaller components have a row in the JSON alone, and are not compressed.
const LEAST_BYTES: usize = 20_000;

#[derive(Debug, Serialize)]
struct Report {
    profile: String,
    module: Sized,
    libraries: BTreeMap<String, Sized>,
    components: BTreeMap<String, Sized>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Sized {
    raw_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    gzip_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brotli_bytes: Option<usize>,
}

pub fn run(project: &Project, flags: &Sizes) -> Result<()> {
    let document = project.root.join(DOCUMENT);
    blocks::check(&document, [LIBRARIES, COMPONENTS])?;
    let fetcher = project.fetcher(&flags.origins);
    let tools = Tools::find(project, &fetcher)?;
    let mut plan = project.plan(&flags.profile, &tools.facts)?;
    plan.stop_after("optimise")?;
    let executor = Executor {
        project,
        fetcher: &fetcher,
        tools: &tools,
        jobs: flags::jobs(None)?,
    };
    let progress = Progress::new();
    let results = executor.run(&plan, &progress)?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let module = read(&results.folder("optimise")?.join("optimised.wasm"))?;
    let map = String::from_utf8(read(&results.folder("link")?.join("linked.map"))?)?;
    let tree = fetcher.tree(FFMPEG, project.pins.source(FFMPEG)?)?;
    let configuration = results.folder(FFMPEG)?.join("configuration/config_components.h");
    let owners = Owners {
        archives: archives(project)?,
        objects: objects(&tree, &String::from_utf8(read(&configuration)?)?)?,
    };
    let linked = read(&results.folder("link")?.join("prepared.wasm"))?;
    let share = share::of(&module, &linked, &map)?;
    let report = measure(&flags.profile, &share, &owners, executor.jobs, &progress)?;
    if let Some(path) = &flags.json {
        crate::cache::write_file(path, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    }
    let whole = &report.module;
    let tables = [
        (LIBRARIES.to_owned(), table("library", whole, &report.libraries)),
        (COMPONENTS.to_owned(), table("component", whole, &report.components)),
    ];
    // The page is of one profile.
    if flags.profile != flags::SIZES_PROFILE {
        tables.iter().for_each(|(_, table)| print!("{table}"));
        return Ok(());
    }
    blocks::fill(&document, &tables.into())?;
    println!("{DOCUMENT} has the sizes of {}", flags.profile);
    Ok(())
}

/// Whose an object is.
struct Owners {
    /// Archive -> library.
    archives: HashMap<String, String>,
    /// Library of FFmpeg and object -> the components that it is compiled for.
    objects: HashMap<(String, String), BTreeSet<String>>,
}

impl Owners {
    /// The library, and within FFmpeg the component.
    fn of<'a>(&'a self, file: &'a str) -> (&'a str, Option<&'a str>) {
        let Some((archive, object)) = file.strip_suffix(')').and_then(|file| file.split_once('(')) else {
            return (REST, None);
        };
        let archive = archive.rsplit('/').next().unwrap_or(archive);
        if let Some(library) = self.archives.get(archive) {
            return (library, None);
        }
        let Some(folder) = archive.strip_suffix(".a").filter(|name| FOLDERS.contains(name)) else {
            return (REST, None);
        };
        let users = self.objects.get(&(folder.to_owned(), object.to_owned()));
        let mut users = users.into_iter().flatten();
        match (users.next(), users.next()) {
            (Some(only), None) if only != SHARED => (FFMPEG, Some(only)),
            _ => (FFMPEG, Some(folder)),
        }
    }
}

fn archives(project: &Project) -> Result<HashMap<String, String>> {
    let mut archives = HashMap::new();
    for name in project.libraries.names() {
        for path in &project.libraries.get(name)?.build.archives {
            let file = path.rsplit('/').next().unwrap_or(path);
            archives.insert(file.to_owned(), name.to_owned());
        }
    }
    Ok(archives)
}

const FOLDERS: [&str; 7] = [
    "libavcodec",
    "libavdevice",
    "libavfilter",
    "libavformat",
    "libavutil",
    "libswresample",
    "libswscale",
];

/// Which components each object is compiled for, as FFmpeg's makefiles say. `configuration` tells which are taken.
fn objects(tree: &Path, configuration: &str) -> Result<HashMap<(String, String), BTreeSet<String>>> {
    let kinds = ["BSF", "DECODER", "DEMUXER", "ENCODER", "FILTER", "MUXER", "PARSER"];
    let mut taken = BTreeSet::new();
    for line in configuration.lines() {
        let define = line
            .strip_prefix("#define CONFIG_")
            .and_then(|rest| rest.strip_suffix(" 1"));
        taken.extend(define.map(str::to_owned));
    }
    let mut objects: HashMap<(String, String), BTreeSet<String>> = HashMap::new();
    for path in makefiles(tree)? {
        let folder = path
            .strip_prefix(tree)?
            .iter()
            .next()
            .unwrap_or_default()
            .to_string_lossy();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for line in text.replace("\\\n", " ").lines() {
            let Some((condition, names)) = line.strip_prefix("OBJS").and_then(|rest| rest.split_once("+=")) else {
                continue;
            };
            let user = match condition
                .trim()
                .strip_prefix("-$(CONFIG_")
                .and_then(|rest| rest.strip_suffix(')'))
            {
                // Parts that configure selects for several components count as a user that has no name.
                Some(name) if taken.contains(name) || !kinds.iter().any(|kind| name.ends_with(kind)) => name,
                Some(_) => continue,
                None => "",
            };
            let (name, kind) = user.rsplit_once('_').unwrap_or((user, ""));
            let user = match kinds.contains(&kind) {
                true => format!("{} {}", kind.to_lowercase(), name.to_lowercase()),
                false => SHARED.to_owned(),
            };
            for object in names.split_whitespace() {
                let object = object.rsplit('/').next().unwrap_or(object);
                let users = objects.entry((folder.to_string(), object.to_owned())).or_default();
                users.insert(user.clone());
            }
        }
    }
    Ok(objects)
}

/// FFmpeg's own, and those of their folders that they include.
fn makefiles(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for entry in WalkDir::new(tree.join(folder)).sort_by_file_name() {
            let entry = entry.context("cannot list FFmpeg's source")?;
            if entry.file_name() == "Makefile" {
                found.push(entry.into_path());
            }
        }
    }
    Ok(found)
}

/// A library or a component.
struct Part {
    is_library: bool,
    name: String,
    bytes: Vec<u8>,
    size: Sized,
}

impl Part {
    /// As artifacts are compressed.
    fn compress(&mut self) -> Result<()> {
        self.size.gzip_bytes = Some(compress::gzip(&self.bytes, CompressionLvl::best())?.len());
        self.size.brotli_bytes = Some(compress::brotli(&self.bytes, compress::BEST_BROTLI)?.len());
        Ok(())
    }
}

fn measure(profile: &str, share: &Share, owners: &Owners, jobs: usize, progress: &Progress) -> Result<Report> {
    let mut pieces: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    for (index, piece) in share.pieces.iter().enumerate() {
        let (library, component) = owners.of(&piece.file);
        pieces.entry((true, library)).or_default().push(index);
        if let Some(component) = component {
            pieces.entry((false, component)).or_default().push(index);
        }
    }
    if pieces.len() < 2 {
        bail!("the linker's map names no library");
    }
    let mut whole = Part {
        is_library: true,
        name: WHOLE.to_owned(),
        bytes: share.module.to_owned(),
        size: Sized::default(),
    };
    whole.size.raw_bytes = whole.bytes.len();
    let mut parts = vec![whole];
    for ((is_library, name), pieces) in pieces {
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|&index| share.pieces[index].bytes)
            .copied()
            .collect();
        let raw_bytes = bytes.len();
        parts.push(Part {
            is_library,
            name: name.to_owned(),
            bytes,
            size: Sized {
                raw_bytes,
                ..Sized::default()
            },
        });
    }
    compress_all(&mut parts, jobs, progress)?;
    let module = parts.remove(0).size;
    let of = |is_library: bool| {
        let parts = parts.iter().filter(|part| part.is_library == is_library);
        parts.map(|part| (part.name.clone(), part.size)).collect()
    };
    Ok(Report {
        profile: profile.to_owned(),
        module,
        libraries: of(true),
        components: of(false),
    })
}

fn compress_all(parts: &mut [Part], jobs: usize, progress: &Progress) -> Result<()> {
    let is_compressed = |part: &&mut Part| part.size.raw_bytes >= LEAST_BYTES || part.is_library;
    let mut queue: Vec<&mut Part> = parts.iter_mut().filter(is_compressed).collect();
    // The largest is taken first.
    queue.sort_by_key(|part| part.size.raw_bytes);
    let counter = progress.count("sizes", queue.len(), 0);
    let queue = Mutex::new(queue);
    let work = || -> Result<()> {
        loop {
            let part = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(part) = part else {
                return Ok(());
            };
            part.compress()?;
            counter.one(None);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    counter.finish();
    Ok(())
}

/// The largest first.
fn table(of: &str, whole: &Sized, parts: &BTreeMap<String, Sized>) -> String {
    let mut rows: Vec<(&str, &Sized)> = parts
        .iter()
        .filter(|(_, size)| size.gzip_bytes.is_some())
        .map(|(name, size)| (name.as_str(), size))
        .collect();
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(size.raw_bytes));
    rows.insert(0, (WHOLE, whole));
    let thousands = |bytes: Option<usize>| bytes.map_or_else(String::new, |bytes| bytes.div_ceil(1000).to_string());
    let mut text = format!("\n| {of} | raw, kB | gzip, kB | brotli, kB |\n|---|--:|--:|--:|\n");
    for (name, size) in rows {
        text += &format!(
            "| {name} | {} | {} | {} |\n",
            thousands(Some(size.raw_bytes)),
            thousands(size.gzip_bytes),
            thousands(size.brotli_bytes)
        );
    }
    text + "\n"
}
