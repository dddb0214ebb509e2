//! Another version of an input: its origins follow from the pinned ones, what they give must be verified, our patches must
//! apply, and only then the pin file changes.

pub mod compare;
mod pin_file;
mod rename;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::cache::write_file;
use crate::digest;
use crate::error::{environment, usage};
use crate::flags::Bump;
use crate::inputs::fetch::Fetcher;
use crate::inputs::source::{Origin, OriginKind, Source};
use crate::inputs::{patch, unpack};
use crate::progress::Progress;
use crate::project::Project;
use crate::recipe::library::{self, FFMPEG};

use rename::Rename;
use trust::{Archive, TrustSource};

/// What became of an origin.
#[derive(Debug, Clone, Serialize)]
pub struct OriginReport {
    origin: String,
    sha256: Option<String>,
    trusted_by: Option<TrustSource>,
    /// Why this origin is not in the pin file any more, or was not asked.
    note: Option<String>,
}

impl fmt::Display for OriginReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "  {}", self.origin)?;
        if let Some(sha256) = &self.sha256 {
            write!(f, "\n    sha256 {sha256}")?;
            if let Some(source) = &self.trusted_by {
                write!(f, ", {source}")?;
            }
        }
        if let Some(note) = &self.note {
            write!(f, "\n    {}", note.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

/// The pinned source, if it can become this version.
pub fn pinned<'a>(project: &'a Project, flags: &Bump) -> Result<&'a Source> {
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
    // A file that tells the version is made of its parts.
    if project.libraries.find(name).is_some() {
        let document = project.libraries.document(name)?;
        if let Some(file) = &document.data.build.version
            && library::version_parts(file, &flags.version).is_none()
        {
            let place = document.at(&file.pattern);
            return Err(usage(format!(
                "{place}: the pattern does not match the version {}",
                flags.version
            ))
            .hint(format!("write the version as the pinned one is: {}", source.version))
            .into());
        }
    }
    if flags.key.is_some() && source.signed_by.is_none() {
        return Err(usage(format!("upstream of {name} signs with no key that is known here"))
            .hint("write the key's fingerprint into its file in ffmpeg-src/ as signed_by, and the signature's address")
            .into());
    }
    Ok(source)
}

/// Fetches, verifies and patches the new version, and changes the pin file.
pub fn pin(project: &Project, flags: &Bump, old: &Source) -> Result<Vec<OriginReport>> {
    let fetcher = project.fetcher(&flags.origins);
    let search = Search {
        project,
        fetcher: &fetcher,
        flags,
        old,
    };
    let update = search.update()?;
    for report in &update.reports {
        println!("{report}");
    }
    search.check_patches(&update.source)?;
    let (path, table) = project.pins.place(&flags.source);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let edited = pin_file::edit(&text, &table, &update.source, &update.origins)?;
    let place = path.strip_prefix(&project.root)?.display();
    if flags.dry_run {
        println!("a dry run: {place} is left as it was");
        return Ok(update.reports);
    }
    write_file(&path, edited.as_bytes())?;
    println!("{place} is changed");
    if flags.source != FFMPEG && !project.pins.tests.contains(&flags.source) {
        println!("a release with it needs a higher `revision`, where the present one is out already");
    }
    Ok(update.reports)
}

/// What the search for a new version needs to know.
struct Search<'a> {
    project: &'a Project,
    fetcher: &'a Fetcher<'a>,
    flags: &'a Bump,
    old: &'a Source,
}

/// The new pin of a source.
struct Update {
    source: Source,
    /// In the place of the old ones; none is left out.
    origins: Vec<Option<Origin>>,
    reports: Vec<OriginReport>,
}

/// An origin of the new version, and what it gave.
struct NewOrigin {
    /// As the new version's, or the old one where there is no new one.
    name: String,
    origin: Option<Origin>,
    archive: Option<Archive>,
    trusted_by: Option<TrustSource>,
    note: Option<String>,
}

impl NewOrigin {
    fn report(&self) -> OriginReport {
        OriginReport {
            origin: self.name.clone(),
            sha256: self.archive.as_ref().map(|archive| archive.sha256.clone()),
            trusted_by: self.trusted_by.clone(),
            note: self.note.clone(),
        }
    }

    fn is_trusted(&self) -> bool {
        self.trusted_by.is_some()
    }
}

/// The lines of all origins, below a message.
fn lines(origins: &[NewOrigin]) -> String {
    origins.iter().map(|origin| format!("\n{}", origin.report())).collect()
}

impl Search<'_> {
    fn update(&self) -> Result<Update> {
        let mut origins = self.origins();
        if origins.iter().all(|origin| origin.archive.is_none()) {
            let hint = "check the version and the network, or put the archive, named as upstream names it, into a folder and \
                        give --mirror DIR";
            return Err(
                environment(format!("no origin gave {}:{}", self.name(), lines(&origins)))
                    .hint(hint)
                    .into(),
            );
        }
        let unverified = self.verify(&mut origins)?;
        if self.old.tree_sha256.is_some() {
            for origin in &mut origins {
                self.take_tree(origin);
            }
        }
        self.choose(&mut origins);
        if !origins.iter().any(NewOrigin::is_trusted) {
            return Err(self.nothing_trusted(unverified, &origins));
        }
        if let Some(error) = unverified {
            eprintln!("warning: not verified by upstream's signature: {error}");
        }
        self.combine(&origins)
    }

    /// The source with its version, for messages.
    fn name(&self) -> String {
        format!("{} {}", self.flags.source, self.flags.version)
    }

    /// Asks every origin for the new version.
    fn origins(&self) -> Vec<NewOrigin> {
        let rename = Rename::new(&self.old.version, &self.flags.version);
        let given: BTreeMap<String, String> = self.flags.registry_version.iter().cloned().collect();
        let progress = Progress::new();
        let ask = |old: &Origin| {
            let offered = |kind: OriginKind| self.fetcher.debian_versions(kind).map_err(|error| format!("{error:#}"));
            let new = rename::origin(old, &rename, &given, offered);
            let work = progress.start(&new.as_ref().unwrap_or(old).describe());
            let asked = self.ask(old, new);
            let result = if asked.archive.is_some() {
                "fetched"
            } else {
                "not fetched"
            };
            work.finish(result, None);
            asked
        };
        self.old.origin.iter().map(ask).collect()
    }

    fn ask(&self, old: &Origin, new: Result<Origin, String>) -> NewOrigin {
        let mut asked = NewOrigin {
            name: new.as_ref().unwrap_or(old).describe(),
            origin: None,
            archive: None,
            trusted_by: None,
            note: None,
        };
        let mut origin = match new {
            Ok(origin) => origin,
            Err(reason) => {
                asked.note = Some(format!("left out: {reason}"));
                return asked;
            }
        };
        match self.fetch(&origin) {
            Ok(archive) => {
                if old.sha256.is_some() {
                    origin.sha256 = Some(archive.sha256.clone());
                }
                asked.archive = Some(archive);
                asked.origin = Some(origin);
            }
            // What is at this address will be taken only if it has the digest that all origins share.
            Err(error) if old.sha256.is_none() && origin.url.is_some() => {
                asked.note = Some(format!("not asked: {error:#}"));
                asked.origin = Some(origin);
            }
            Err(error) => asked.note = Some(format!("left out: {error:#}")),
        }
        asked
    }

    fn fetch(&self, origin: &Origin) -> Result<Archive> {
        let is_chosen_by_client = matches!(origin.kind(), Ok(OriginKind::Pypi(_) | OriginKind::Debian { .. }));
        if let Some(host) = &origin.host
            && is_chosen_by_client
            && *host != self.project.host
        {
            bail!("its client gives each machine its own file, and only one of {host} gets this one");
        }
        let (source, version) = (&self.flags.source, &self.flags.version);
        let (path, sha256) = self.fetcher.unpinned(source, version, origin)?;
        Ok(Archive {
            path,
            sha256,
            tree_sha256: None,
            is_signed: false,
        })
    }

    /// Finds out what is taken of the archive, where this machine takes it. What can't be unpacked is left out.
    fn take_tree(&self, new: &mut NewOrigin) {
        let (Some(origin), Some(archive)) = (&new.origin, &mut new.archive) else {
            return;
        };
        let alone = Source {
            version: self.flags.version.clone(),
            sha256: Some(archive.sha256.clone()),
            tree_sha256: None,
            origin: vec![origin.clone()],
            ..self.old.clone()
        };
        if alone.origins_for(&self.project.host).next().is_none() {
            return;
        }
        let tree = self.fetcher.tree(&self.flags.source, &alone);
        match tree.and_then(|tree| digest::tree(&tree)) {
            Ok(tree) => archive.tree_sha256 = Some(tree),
            Err(error) => {
                new.note = Some(format!("left out: {error:#}"));
                new.origin = None;
                new.archive = None;
            }
        }
    }

    /// Leaves out what can't be trusted.
    fn choose(&self, origins: &mut [NewOrigin]) {
        let is_each_alone = self.old.sha256.is_none() && self.old.tree_sha256.is_none();
        let archives: Vec<&Archive> = origins.iter().filter_map(|origin| origin.archive.as_ref()).collect();
        let flags = self.flags;
        let trusted = trust::trust(&archives, &flags.sha256, flags.trust_first_use, is_each_alone);
        let asked = origins.iter_mut().filter(|origin| origin.archive.is_some());
        for (origin, trusted_by) in asked.zip(trusted) {
            if trusted_by.is_none() {
                origin.origin = None;
                let note = || "left out: its file is not verified".to_owned();
                origin.note.get_or_insert_with(note);
            }
            origin.trusted_by = trusted_by;
        }
    }

    fn nothing_trusted(&self, unverified: Option<String>, origins: &[NewOrigin]) -> anyhow::Error {
        let reason = match (unverified, &self.old.signed_by) {
            (Some(error), _) => format!("; upstream's signature could not be checked: {error}"),
            (None, None) => "; upstream signs it with no key that is known here".to_owned(),
            (None, Some(_)) => String::new(),
        };
        let hint = "give --key FILE, or compare a digest with the one that upstream publishes and give --sha256 DIGEST; \
                    --trust-first-use does without";
        let message = format!("nothing verifies {}{reason}{}", self.name(), lines(origins));
        usage(message).hint(hint).into()
    }

    /// The new pin, of origins that agree and serve all hosts that the old ones serve.
    fn combine(&self, origins: &[NewOrigin]) -> Result<Update> {
        let old = self.old;
        let trusted = origins.iter().filter(|origin| origin.is_trusted());
        let archives: Vec<&Archive> = trusted.filter_map(|origin| origin.archive.as_ref()).collect();
        let files: BTreeSet<&String> = archives.iter().map(|archive| &archive.sha256).collect();
        let trees: BTreeSet<&String> = archives
            .iter()
            .filter_map(|archive| archive.tree_sha256.as_ref())
            .collect();
        if old.sha256.is_some() && files.len() > 1 || trees.len() > 1 {
            bail!("several archives are verified, and they differ:{}", lines(origins));
        }
        let kept: Vec<Origin> = origins.iter().filter_map(|origin| origin.origin.clone()).collect();
        let lost: Vec<&str> = lost_hosts(&old.origin, &kept).into_iter().collect();
        if !lost.is_empty() {
            bail!("no origin is left for {}:{}", lost.join(", "), lines(origins));
        }
        Ok(Update {
            source: Source {
                version: self.flags.version.clone(),
                sha256: old.sha256.as_ref().and(files.first().copied().cloned()),
                tree_sha256: trees.first().copied().cloned(),
                origin: kept,
                ..old.clone()
            },
            origins: origins.iter().map(|origin| origin.origin.clone()).collect(),
            reports: origins.iter().map(NewOrigin::report).collect(),
        })
    }

    fn check_patches(&self, source: &Source) -> Result<()> {
        let folder = self.project.root.join("patches").join(&self.flags.source);
        let count = patch::series(&folder)?.len();
        if count == 0 {
            return Ok(());
        }
        let tree = self.fetcher.tree(&self.flags.source, source)?;
        let scratch = self.project.cache.scratch()?;
        let copy = scratch.path().join("copy");
        unpack::copy_tree(&tree, &copy)?;
        patch::apply_series(&folder, &copy).with_context(|| {
            format!(
                "the pin is left as it was; the source of {} is in {}: adapt the patch and run this again",
                self.name(),
                tree.display()
            )
        })?;
        println!("  {count} patches apply");
        Ok(())
    }
}

/// The hosts that the old origins serve and the new ones don't. An origin without a host serves all.
pub fn lost_hosts<'a>(old: &'a [Origin], new: &[Origin]) -> BTreeSet<&'a str> {
    let serves = |host: &str| {
        new.iter()
            .any(|origin| origin.host.as_deref().is_none_or(|served| served == host))
    };
    old.iter()
        .map(|origin| origin.host.as_deref().unwrap_or("any host"))
        .filter(|host| !serves(host))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_an_origin_is_noticed() {
        let origin = |host: Option<&str>| Origin {
            host: host.map(str::to_owned),
            ..toml::from_str("url = \"u\"").unwrap()
        };
        let old = [origin(Some("a")), origin(Some("b"))];
        assert_eq!(lost_hosts(&old, &old[..1]), ["b"].into());
        assert!(lost_hosts(&old, &[origin(None)]).is_empty());
        assert_eq!(lost_hosts(&[origin(None)], &old), ["any host"].into());
    }
}
