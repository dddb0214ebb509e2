//! `cargo xtask clients`: the suites of programs that call FFmpeg, with native FFmpeg and with the shims.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::blocks;
use crate::cache;
use crate::clients::list::{Client, List, Side};
use crate::clients::outcomes::Outcomes;
use crate::clients::prepare::{self, Preparation};
use crate::clients::report::{self, Again, Compared};
use crate::clients::suite::Suite;
use crate::digest::{self, Key};
use crate::error::{environment, usage};
use crate::flags::{self, CLIENTS_PROFILE, Clients};
use crate::progress::Progress;
use crate::project::Project;

/// Where the tables are.
const DOCUMENT: &str = "docs/clients.md";
const SUITES: &str = "suites";
const EXCEPTIONS: &str = "exceptions";

/// History of the format: 1, the first.
const FORMAT_VERSION: u32 = 1;

/// How often a test that fails sometimes is run by itself, until it passes.
const ALONE_MAX: usize = 3;

#[derive(Serialize)]
struct Document<'a> {
    format_version: u32,
    clients: &'a [Compared],
}

pub fn run(project: &Project, flags: &Clients) -> Result<()> {
    let list = List::load(&project.root)?;
    let chosen = list.chosen(&flags.client)?;
    if flags.list {
        for client in chosen {
            println!("{} {}", client.name, client.version);
        }
        return Ok(());
    }
    project.recipe(&flags.profile)?;
    // The page has what all clients gave with its module.
    let fills_page = flags.client.is_empty() && flags.profile == CLIENTS_PROFILE && flags.module.is_none();
    let page = project.root.join(DOCUMENT);
    if fills_page {
        blocks::check(&page, [SUITES, EXCEPTIONS])?;
    }
    let module = module(project, flags)?;
    let progress = Progress::new();
    let folder = project.cache.path("clients", "work");
    let _lock = project.cache.lock("clients")?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let run = Running::prepare(project, flags, &list, &module, &folder, &progress)?;
    let mut compared = Vec::new();
    for client in chosen {
        compared.push(run.client(client, &progress)?);
    }
    println!("{}\n{}", report::counts(&compared), report::exceptions(&compared));
    for one in &compared {
        for again in &one.again {
            println!("{}: {}", one.client, again.told());
        }
    }
    if fills_page {
        let blocks = [
            (SUITES, report::counts(&compared)),
            (EXCEPTIONS, report::exceptions(&compared)),
        ];
        let blocks: BTreeMap<String, String> = blocks.map(|(name, text)| (name.to_owned(), text)).into();
        blocks::fill(&page, &blocks)?;
    }
    if let Some(path) = &flags.json {
        let document = Document {
            format_version: FORMAT_VERSION,
            clients: &compared,
        };
        cache::write_file(path, (serde_json::to_string_pretty(&document)? + "\n").as_bytes())?;
    }
    let faults = compared.iter().flat_map(|one| {
        let of_client = |fault| format!("{}: {fault}", one.client);
        one.faults.iter().map(of_client)
    });
    let faults: Vec<String> = faults.collect();
    if !faults.is_empty() {
        bail!(
            "suites are not as expected; what they printed is in {}\n  {}",
            run.logs.display(),
            faults.join("\n  ")
        );
    }
    Ok(())
}

fn module(project: &Project, flags: &Clients) -> Result<PathBuf> {
    let path = match &flags.module {
        Some(path) => path.clone(),
        None => project.root.join("artifacts").join(format!("{}.wasm", flags.profile)),
    };
    let found = path.canonicalize();
    Ok(found.map_err(|error| {
        environment(format!("no module {}: {error}", path.display()))
            .hint(format!("cargo xtask build --profile {}", flags.profile))
    })?)
}

/// What all suites share.
struct Running<'a> {
    project: &'a Project,
    flags: &'a Clients,
    /// What module and programs are, in a digest.
    identity: String,
    programs: BTreeMap<Side, PathBuf>,
    tools: PathBuf,
    plugins: PathBuf,
    logs: PathBuf,
}

impl Running<'_> {
    fn prepare<'a>(
        project: &'a Project,
        flags: &'a Clients,
        list: &List,
        module: &Path,
        folder: &Path,
        progress: &Progress,
    ) -> Result<Running<'a>> {
        let fetcher = project.fetcher(&flags.origins);
        let programs: BTreeMap<Side, PathBuf> = Side::BOTH.map(|side| (side, folder.join(side.name()))).into();
        let jobs = flags::jobs(flags.jobs)?;
        prepare::native_programs(project, &fetcher, list, jobs, progress, &programs[&Side::Native])?;
        let command = match &flags.afmpeg {
            Some(path) => path
                .canonicalize()
                .map_err(|error| usage(format!("--afmpeg {}: {error}", path.display())))?,
            None => prepare::build_command(project, flags.origins.offline)?,
        };
        prepare::shims(&command, module, &programs[&Side::Afmpeg])?;
        let mut key = Key::new("programs of suites")
            .field(digest::file(module)?)
            .field(digest::file(&command)?);
        for name in prepare::PROGRAMS {
            key = key.field(digest::file(&programs[&Side::Native].join(name))?);
        }
        let (tools, logs) = (folder.join("tools"), folder.join("logs"));
        fs::create_dir_all(&tools)?;
        fs::create_dir_all(&logs)?;
        prepare::tools(&tools)?;
        Ok(Running {
            project,
            flags,
            identity: key.finish(),
            programs,
            tools,
            plugins: project.root.join("conformance/clients"),
            logs,
        })
    }

    fn client(&self, client: &Client, progress: &Progress) -> Result<Compared> {
        let identity = Key::new("suite")
            .field(&self.identity)
            .field(format!("{client:?}"))
            .finish();
        let result = self.project.cache.path("clients", &format!("{}.json", client.name));
        let before = report::kept(&result, &identity).filter(|_| !self.flags.anew);
        if let Some(compared) = before {
            eprintln!("{}: as expected before", client.name);
            return Ok(compared);
        }
        let started = Instant::now();
        let work = progress.start(&client.name);
        let fetcher = self.project.fetcher(&self.flags.origins);
        let preparation = Preparation {
            project: self.project,
            fetcher: &fetcher,
            clones: &self.flags.clones,
            ffmpeg: &self.programs[&Side::Native].join("ffmpeg"),
        };
        let tree = preparation.tree(client)?;
        let packages = preparation.python(client)?;
        let run = |side: Side| -> Result<(Outcomes, Vec<Again>)> {
            let suite = Suite {
                client,
                only: &[],
                tree: &tree,
                packages: packages.as_deref(),
                programs: &self.programs[&side],
                tools: &self.tools,
                plugins: &self.plugins,
                side,
                logs: &self.logs,
            };
            work.doing(side.name());
            let first = suite.run(&self.project.cache)?;
            let mut outcomes = first.clone();
            if report::has_unexplained(client, side, &outcomes) {
                work.doing(&format!("{} again", side.name()));
                outcomes = report::better(outcomes, suite.run(&self.project.cache)?);
            }
            for _ in 0..ALONE_MAX {
                let alone = report::to_run_alone(client, side, &outcomes);
                if !alone.is_empty() {
                    work.doing(&format!("{}, some tests alone", side.name()));
                    let suite = Suite { only: &alone, ..suite };
                    outcomes = report::better(outcomes, suite.run(&self.project.cache)?);
                }
            }
            let again = report::again(client, side, &first, &outcomes);
            Ok((outcomes, again))
        };
        let [native, afmpeg] = [run(Side::Native)?, run(Side::Afmpeg)?];
        let mut compared = report::compare(client, &native.0, &afmpeg.0);
        compared.again = [native.1, afmpeg.1].concat();
        let told = match compared.faults.len() {
            0 => "as expected".to_owned(),
            faults => format!("{faults} faults\n  {}", compared.faults.join("\n  ")),
        };
        work.finish(&told, Some(started.elapsed()));
        match compared.faults.len() {
            0 => report::keep(&result, identity, compared),
            _ => Ok(compared),
        }
    }
}
