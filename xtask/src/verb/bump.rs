//! `cargo xtask bump`: another version of an input. The pin changes only when everything was fetched, somebody vouches for it,
//! and our patches apply; then modules are built and tested, and what became of them is said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::build::record::Record;
use crate::cache::write_file;
use crate::digest;
use crate::error::{environment, usage};
use crate::flags::{Build, Bump, BumpStage, Profiles};
use crate::inputs::fetch::{Fetcher, File};
use crate::inputs::openpgp;
use crate::inputs::patch;
use crate::inputs::source::{Origin, OriginKind, Source};
use crate::inputs::unpack;
use crate::inputs::update::{self, Change, Got, Rename, Voucher};
use crate::pass_on;
use crate::process::Invocation;
use crate::progress::Progress;
use crate::project::{self, Project};

/// What is said at the end, as text and as JSON.
#[derive(Serialize)]
struct Report {
    source: String,
    from: String,
    to: String,
    origins: Vec<OriginReport>,
    modules: BTreeMap<String, Change>,
}

#[derive(Serialize)]
struct OriginReport {
    origin: String,
    sha256: Option<String>,
    vouched_for_by: Option<Voucher>,
    /// Why this origin is not in the pin file any more, or was not asked.
    note: Option<String>,
}

pub fn run(project: &Project, flags: &Bump) -> Result<()> {
    let profiles = project.profiles(&Profiles {
        profile: flags.profile.clone(),
        all: flags.profile.is_empty(),
    })?;
    let old = pinned(project, flags)?;
    let mut report = Report {
        source: flags.source.clone(),
        from: old.version.clone(),
        to: flags.version.clone(),
        origins: Vec::new(),
        modules: BTreeMap::new(),
    };
    if old.version == flags.version {
        println!("{} {} is pinned already", flags.source, old.version);
    } else {
        println!("{} {} -> {}", flags.source, old.version, flags.version);
        let (path, table) = project.pins.place(&flags.source);
        let fetcher = project.fetcher(&flags.origins);
        let renewal = Renewal::fetch(project, &fetcher, flags, old)?;
        renewal.check_patches(project, &fetcher, flags)?;
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let edited = update::edit(&text, &table, &renewal.source, &renewal.origins)?;
        report.origins = renewal.reports;
        let place = path.strip_prefix(&project.root)?.display();
        if flags.dry_run {
            println!("a dry run: {place} is left as it was");
        } else {
            write_file(&path, edited.as_bytes())?;
            println!("{place} is changed");
            if flags.source != "ffmpeg" {
                println!("a release with it needs a higher `revision`, where the present one is out already");
            }
        }
    }
    if !flags.dry_run && flags.until != BumpStage::Pin {
        // What follows is planned from the pin file as it is now.
        let project = Project::open(project.root.clone())?;
        build(&project, flags, &profiles, &mut report)?;
    }
    if let Some(path) = &flags.json {
        write_file(path, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    }
    if !flags.dry_run && flags.until == BumpStage::Test {
        test(project, flags, &profiles)?;
    }
    Ok(())
}

/// All checks, on the modules of these profiles.
fn test(project: &Project, flags: &Bump, profiles: &[String]) -> Result<()> {
    let mut arguments = vec!["--root".to_owned(), project.root.display().to_string(), "test".into()];
    for name in profiles {
        arguments.extend(["--profile".to_owned(), name.clone()]);
    }
    arguments.extend(flags.origins.arguments());
    if !pass_on::lab(&project::root()?, arguments)?.interactive()? {
        bail!("the modules are built, but tests failed");
    }
    Ok(())
}

fn pinned<'a>(project: &'a Project, flags: &Bump) -> Result<&'a Source> {
    let name = &flags.source;
    let pins = &project.pins;
    let Some(source) = pins.source.get(name) else {
        let names: Vec<&str> = pins.source.keys().map(String::as_str).collect();
        let mut failure = usage(format!(
            "there is no source `{name}`; the sources are: {}",
            names.join(", ")
        ));
        let mut packages = pins.sdk_package.iter().chain(&pins.nix_package);
        if packages.any(|package| package.name == *name) {
            failure = failure.hint("packages of Debian by themselves are pinned by hand: several make up one thing");
        }
        return Err(failure.into());
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+~_-".contains(&byte);
    if flags.version.is_empty() || !flags.version.bytes().all(plain) {
        return Err(usage(format!("`{}` is not a version", flags.version)).into());
    }
    if flags.key.is_some() && source.signed_by.is_none() {
        return Err(usage(format!("upstream of {name} signs with no key that is known here"))
            .hint("write the key's fingerprint into its file in ffmpeg-src/ as signed_by, and the signature's address")
            .into());
    }
    Ok(source)
}

/// The new pin of a source, and how it came about.
struct Renewal {
    source: Source,
    /// In the place of the old ones; none is left out.
    origins: Vec<Option<Origin>>,
    reports: Vec<OriginReport>,
}

/// An origin of the new version, while it is not known who vouches for it.
struct Candidate {
    /// As the new version's, or the old one where there is no new one.
    name: String,
    origin: Option<Origin>,
    got: Option<(PathBuf, Got)>,
    note: Option<String>,
}

impl Renewal {
    fn fetch(project: &Project, fetcher: &Fetcher, flags: &Bump, old: &Source) -> Result<Renewal> {
        let is_shared = old.sha256.is_some();
        let mut candidates = candidates(project, fetcher, flags, old);
        if candidates.iter().all(|candidate| candidate.got.is_none()) {
            return Err(environment(format!(
                "no origin gave {} {}:{}",
                flags.source,
                flags.version,
                notes(&candidates)
            ))
            .hint("check the version and the network, or put the archive, named as upstream names it, into a folder and give --mirror DIR")
            .into());
        }
        let unverified = verify(fetcher, flags, old, &mut candidates)?;
        if old.tree_sha256.is_some() {
            for candidate in &mut candidates {
                candidate.take_tree(project, fetcher, flags, old);
            }
        }
        let is_alone = !is_shared && old.tree_sha256.is_none();
        let got: Vec<&Got> = candidates
            .iter()
            .filter_map(|candidate| Some(&candidate.got.as_ref()?.1))
            .collect();
        let vouchers = update::vouchers(&got, &flags.sha256, flags.trust_first_use, is_alone);
        let mut vouchers = vouchers.into_iter();
        let mut digests: [BTreeSet<String>; 2] = Default::default();
        let mut origins = Vec::new();
        let mut reports = Vec::new();
        for candidate in &mut candidates {
            let voucher = candidate.got.as_ref().and_then(|_| vouchers.next().flatten());
            let mut origin = candidate.origin.take();
            if candidate.got.is_some() && voucher.is_none() {
                origin = None;
                candidate
                    .note
                    .get_or_insert_with(|| "left out: nobody vouches for its file".to_owned());
            } else if let Some((_, got)) = &candidate.got {
                digests[0].insert(got.sha256.clone());
                digests[1].extend(got.tree_sha256.clone());
            }
            reports.push(OriginReport {
                origin: candidate.name.clone(),
                sha256: candidate.got.as_ref().map(|(_, got)| got.sha256.clone()),
                vouched_for_by: voucher,
                note: candidate.note.clone(),
            });
            origins.push(origin);
        }
        if digests[0].is_empty() {
            let mut message = format!("nobody vouches for {} {}", flags.source, flags.version);
            message += &match (unverified, &old.signed_by) {
                (Some(error), _) => format!("; upstream's signature could not be had: {error}"),
                (None, None) => "; upstream signs it with no key that is known here".to_owned(),
                (None, Some(_)) => String::new(),
            };
            return Err(usage(message + &notes(&candidates))
                .hint("give --key FILE, or compare a digest with upstream's own word and give --sha256 DIGEST; --trust-first-use does without")
                .into());
        }
        if let Some(error) = unverified {
            eprintln!("warning: not verified by upstream's signature: {error}");
        }
        let [files, trees] = &digests;
        if is_shared && files.len() > 1 || trees.len() > 1 {
            bail!(
                "several archives are vouched for, and they differ:{}",
                notes(&candidates)
            );
        }
        let kept: Vec<Origin> = origins.iter().flatten().cloned().collect();
        let lost = update::lost_hosts(&old.origin, &kept);
        if !lost.is_empty() {
            let lost: Vec<&str> = lost.into_iter().collect();
            bail!("no origin is left for {}:{}", lost.join(", "), notes(&candidates));
        }
        let source = Source {
            version: flags.version.clone(),
            sha256: old.sha256.as_ref().and_then(|_| files.first().cloned()),
            tree_sha256: trees.first().cloned(),
            origin: kept,
            ..old.clone()
        };
        for report in &reports {
            report.print();
        }
        Ok(Renewal {
            source,
            origins,
            reports,
        })
    }

    fn check_patches(&self, project: &Project, fetcher: &Fetcher, flags: &Bump) -> Result<()> {
        let folder = project.root.join("patches").join(&flags.source);
        let count = patch::series(&folder)?.len();
        if count == 0 {
            return Ok(());
        }
        let tree = fetcher.tree(&flags.source, &self.source)?;
        let scratch = project.cache.scratch()?;
        let copy = scratch.path().join("copy");
        unpack::copy_tree(&tree, &copy)?;
        patch::apply_series(&folder, &copy).with_context(|| {
            format!(
                "the pin is left as it was; the source of {} {} is in {}: mend the patch and run this again",
                flags.source,
                flags.version,
                tree.display()
            )
        })?;
        println!("  {count} patches apply");
        Ok(())
    }
}

impl OriginReport {
    fn print(&self) {
        println!("  {}", self.origin);
        if let Some(sha256) = &self.sha256 {
            let voucher = self.vouched_for_by.as_ref();
            let voucher = voucher.map(|voucher| format!(", {voucher}")).unwrap_or_default();
            println!("    sha256 {sha256}{voucher}");
        }
        if let Some(note) = &self.note {
            println!("    {note}");
        }
    }
}

/// A line for each origin, below a message.
fn notes(candidates: &[Candidate]) -> String {
    let line = |candidate: &Candidate| {
        let digest = candidate.got.as_ref().map(|(_, got)| format!("sha256 {}", got.sha256));
        let words: Vec<String> = digest.into_iter().chain(candidate.note.clone()).collect();
        format!(
            "\n  {}\n    {}",
            candidate.name,
            words.join("\n").replace('\n', "\n    ")
        )
    };
    candidates.iter().map(line).collect()
}

fn candidates(project: &Project, fetcher: &Fetcher, flags: &Bump, old: &Source) -> Vec<Candidate> {
    let rename = Rename::new(&old.version, &flags.version);
    let given: BTreeMap<String, String> = flags.registry_version.iter().cloned().collect();
    let progress = Progress::new();
    let mut candidates = Vec::new();
    for old_origin in &old.origin {
        let offered = |kind: OriginKind| fetcher.debian_versions(kind).map_err(|error| format!("{error:#}"));
        let new = update::origin(old_origin, &rename, &given, offered);
        let name = new.as_ref().unwrap_or(old_origin).describe();
        let work = progress.start(&name);
        let mut candidate = Candidate {
            name,
            origin: None,
            got: None,
            note: None,
        };
        let fetched = new.map(|origin| (fetch(project, fetcher, flags, &origin), origin));
        match fetched {
            Ok((Ok((path, sha256)), mut origin)) => {
                if old_origin.sha256.is_some() {
                    origin.sha256 = Some(sha256.clone());
                }
                candidate.origin = Some(origin);
                let got = Got {
                    sha256,
                    tree_sha256: None,
                    is_signed: false,
                };
                candidate.got = Some((path, got));
            }
            // What is at this address will be taken only if it has the digest that all origins share.
            Ok((Err(error), origin)) if old_origin.sha256.is_none() && origin.url.is_some() => {
                candidate.note = Some(format!("not asked: {error:#}"));
                candidate.origin = Some(origin);
            }
            Ok((Err(error), _)) => candidate.note = Some(format!("left out: {error:#}")),
            Err(reason) => candidate.note = Some(format!("left out: {reason}")),
        }
        work.finish(
            if candidate.got.is_some() {
                "fetched"
            } else {
                "not fetched"
            },
            None,
        );
        candidates.push(candidate);
    }
    candidates
}

fn fetch(project: &Project, fetcher: &Fetcher, flags: &Bump, origin: &Origin) -> Result<(PathBuf, String)> {
    let chosen_by_client = matches!(origin.kind(), Ok(OriginKind::Pypi(_) | OriginKind::Debian { .. }));
    if let Some(host) = &origin.host
        && chosen_by_client
        && *host != project.host
    {
        bail!("its client gives each machine its own file, and only one of {host} gets this one");
    }
    fetcher.unpinned(&flags.source, &flags.version, origin)
}

impl Candidate {
    /// Finds out what is taken of the container, where this machine takes it. What can't be unpacked is no candidate.
    fn take_tree(&mut self, project: &Project, fetcher: &Fetcher, flags: &Bump, old: &Source) {
        let (Some(origin), Some((_, got))) = (&self.origin, &mut self.got) else {
            return;
        };
        let alone = Source {
            version: flags.version.clone(),
            sha256: Some(got.sha256.clone()),
            tree_sha256: None,
            origin: vec![origin.clone()],
            ..old.clone()
        };
        if alone.origins_for(&project.host).next().is_none() {
            return;
        }
        match fetcher.tree(&flags.source, &alone).and_then(|tree| digest::tree(&tree)) {
            Ok(tree) => got.tree_sha256 = Some(tree),
            Err(error) => {
                self.note = Some(format!("left out: {error:#}"));
                self.origin = None;
                self.got = None;
            }
        }
    }
}

/// Marks the containers that upstream's signature is of. A signature that is of none of them is an error; that none could
/// be had is said.
fn verify(fetcher: &Fetcher, flags: &Bump, old: &Source, candidates: &mut [Candidate]) -> Result<Option<String>> {
    let Some(fingerprint) = &old.signed_by else {
        return Ok(None);
    };
    let origins: Vec<&Origin> = candidates
        .iter()
        .filter_map(|candidate| candidate.origin.as_ref())
        .collect();
    let had = signature(fetcher, &origins).and_then(|signature| Ok((signature, key(fetcher, flags, old, &origins)?)));
    let (signature, key) = match had {
        Ok(had) => had,
        Err(error) if flags.key.is_some() => return Err(error),
        Err(error) => return Ok(Some(format!("{error:#}"))),
    };
    let mut refusal = None;
    let mut is_signed = false;
    for (path, got) in candidates.iter_mut().filter_map(|candidate| candidate.got.as_mut()) {
        let data = fs::read(&*path).with_context(|| format!("cannot read {}", path.display()))?;
        match openpgp::verify(&key, fingerprint, &signature, &data) {
            Ok(()) => got.is_signed = true,
            Err(error) => refusal = Some(error),
        }
        is_signed |= got.is_signed;
    }
    match refusal {
        Some(error) if !is_signed => Err(error.context(format!(
            "{} {} is not what upstream has signed",
            flags.source, flags.version
        ))),
        _ => Ok(None),
    }
}

/// The first that an origin has, and otherwise why none has one.
fn first(origins: &[&Origin], get: impl Fn(&Origin) -> Option<Result<Vec<u8>>>) -> Result<Vec<u8>> {
    let mut reasons = Vec::new();
    for origin in origins {
        match get(origin) {
            Some(Ok(data)) => return Ok(data),
            Some(Err(error)) => reasons.push(format!("{error:#}")),
            None => {}
        }
    }
    bail!("no origin has it; {}", reasons.join("; "))
}

fn from_debian(fetcher: &Fetcher, origin: &Origin, wanted: File) -> Option<Result<Vec<u8>>> {
    match (origin.kind(), &origin.version) {
        (Ok(OriginKind::DebianSource { package, suite }), Some(version)) => {
            Some(fetcher.debian_file(package, version, suite, wanted))
        }
        _ => None,
    }
}

fn signature(fetcher: &Fetcher, origins: &[&Origin]) -> Result<Vec<u8>> {
    first(origins, |origin| match &origin.signature {
        Some(address) => Some(fetcher.small_file(address)),
        None => from_debian(fetcher, origin, File::Signature),
    })
    .context("the signature")
}

fn key(fetcher: &Fetcher, flags: &Bump, old: &Source, origins: &[&Origin]) -> Result<Vec<u8>> {
    if let Some(path) = &flags.key {
        return fs::read(path).with_context(|| environment(format!("cannot read the key {}", path.display())));
    }
    if let Some(Ok(key)) = old.signing_key.as_deref().map(|address| fetcher.small_file(address)) {
        return Ok(key);
    }
    // Any version's packaging will do: the fingerprint decides. The newest one's may not have reached every server.
    let of_all_versions = |origin: &&Origin| {
        let offered = origin.kind().ok().and_then(|kind| fetcher.debian_versions(kind).ok());
        let origin = (*origin).clone();
        let versions = offered.unwrap_or_default().into_iter().rev();
        versions.map(move |version| Origin {
            version: Some(version),
            ..origin.clone()
        })
    };
    let packagings: Vec<Origin> = origins.iter().flat_map(of_all_versions).collect();
    let packagings: Vec<&Origin> = packagings.iter().collect();
    first(&packagings, |origin| from_debian(fetcher, origin, File::Packaging)).context("the key")
}

/// Builds the profiles and compares their records with those that are committed.
fn build(project: &Project, flags: &Bump, profiles: &[String], report: &mut Report) -> Result<()> {
    let build = Build {
        profiles: Profiles {
            profile: profiles.to_vec(),
            all: false,
        },
        origins: flags.origins.clone(),
        jobs: flags.jobs,
        dry_run: false,
        until: None,
    };
    super::build::run(project, &build)?;
    for name in profiles {
        let new = Record::read(&project.root.join("artifacts"), name)?;
        match committed_record(project, name) {
            Ok(old) => {
                let change = update::change(&old, &new);
                println!("{name}, beside what is committed\n{change}");
                report.modules.insert(name.clone(), change);
            }
            Err(error) => eprintln!("warning: {name} has no committed record to compare with: {error:#}"),
        }
    }
    Ok(())
}

/// The record as git has it: what is in the folder may be that of a bump which was broken off.
fn committed_record(project: &Project, name: &str) -> Result<Record> {
    let text = Invocation::new("git", &project.root)
        .arguments(["show", &format!("HEAD:./artifacts/{name}.json")])
        .inherit_environment()
        .output()?;
    serde_json::from_str(&text).context("the record is damaged")
}
