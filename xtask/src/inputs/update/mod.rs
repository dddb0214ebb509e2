//! Another version of an input: its origins follow from the pinned ones, what they give must be verified, our patches
//! must apply, and only then the pin file changes.

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
use trust::{Archive, TrustSource, Upstream};

/// An origin of the new version, what it gave, and why that is trusted.
#[derive(Debug, Serialize)]
pub struct NewOrigin {
    /// As the new version's, or the old one where there is no new one.
    #[serde(rename = "origin")]
    name: String,
    #[serde(skip)]
    origin: Option<Origin>,
    #[serde(flatten)]
    archive: Option<Archive>,
    trusted_by: Option<TrustSource>,
    /// Why this origin is not in the pin file any more, or was not asked.
    note: Option<String>,
}

impl fmt::Display for NewOrigin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "  {}", self.name)?;
        if let Some(archive) = &self.archive {
            write!(f, "\n    sha256 {}", archive.sha256)?;
        }
        if let Some(source) = &self.trusted_by {
            write!(f, ", {source}")?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n    {}", note.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

/// The lines of all origins, below a message.
fn lines(origins: &[NewOrigin]) -> String {
    origins.iter().map(|origin| format!("\n{origin}")).collect()
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
pub fn pin(project: &Project, flags: &Bump, old: &Source) -> Result<Vec<NewOrigin>> {
    let fetcher = project.fetcher(&flags.origins);
    let search = Search {
        project,
        fetcher: &fetcher,
        flags,
        old,
    };
    let (source, origins) = search.update()?;
    println!("{}", lines(&origins).trim_start_matches('\n'));
    search.check_patches(&source)?;
    let (path, table) = project.pins.place(&flags.source);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let new: Vec<Option<Origin>> = origins.iter().map(|origin| origin.origin.clone()).collect();
    let edited = pin_file::edit(&text, &table, &source, &new)?;
    let place = path.strip_prefix(&project.root)?.display();
    if flags.dry_run {
        println!("a dry run: {place} is left as it was");
        return Ok(origins);
    }
    write_file(&path, edited.as_bytes())?;
    println!("{place} is changed");
    if flags.source != FFMPEG && !project.pins.tests.contains(&flags.source) {
        println!("a release with it needs a higher `revision`, where the present one is out already");
    }
    Ok(origins)
}

/// What the search for a new version needs to know.
struct Search<'a> {
    project: &'a Project,
    fetcher: &'a Fetcher<'a>,
    flags: &'a Bump,
    old: &'a Source,
}

impl Search<'_> {
    /// The new pin, and what became of each origin, in the place of the old ones.
    fn update(&self) -> Result<(Source, Vec<NewOrigin>)> {
        let mut origins = self.origins();
        if origins.iter().all(|origin| origin.archive.is_none()) {
            let hint = "check the version and the network, or put the archive, named as upstream names it, into a \
                        folder and give --mirror DIR";
            return Err(
                environment(format!("no origin gave {}:{}", self.name(), lines(&origins)))
                    .hint(hint)
                    .into(),
            );
        }
        let new: Vec<Origin> = origins.iter().filter_map(|origin| origin.origin.clone()).collect();
        let archives = origins.iter_mut().filter_map(|origin| origin.archive.as_mut());
        let upstream = Upstream {
            fetcher: self.fetcher,
            pinned: self.old,
            key: self.flags.key.as_deref(),
        };
        let unverified = upstream.verify(&new, &mut archives.collect::<Vec<_>>())?;
        self.choose(&mut origins);
        // Nothing is unpacked unless something is trusted, which others may have the same tree as.
        let is_trusted = |origin: &NewOrigin| origin.trusted_by.is_some();
        if self.old.tree_sha256.is_some() && origins.iter().any(is_trusted) {
            for origin in &mut origins {
                self.take_tree(origin);
            }
            self.choose(&mut origins);
        }
        if !origins.iter().any(is_trusted) {
            return Err(self.nothing_trusted(unverified, &origins));
        }
        if let Some(error) = unverified {
            eprintln!("warning: not verified by upstream's signature: {error}");
        }
        Ok((self.combine(&mut origins)?, origins))
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
        let name = new.as_ref().unwrap_or(old).describe();
        let (origin, archive, note) = match new.map(|origin| (self.fetch(&origin), origin)) {
            Ok((Ok(archive), mut origin)) => {
                origin.sha256 = old.sha256.as_ref().map(|_| archive.sha256.clone());
                (Some(origin), Some(archive), None)
            }
            // What is at this address will be taken only if it has the digest that all origins share.
            Ok((Err(error), origin)) if old.sha256.is_none() && origin.url.is_some() => {
                (Some(origin), None, Some(format!("not asked: {error:#}")))
            }
            Ok((Err(error), _)) => (None, None, Some(format!("left out: {error:#}"))),
            Err(reason) => (None, None, Some(format!("left out: {reason}"))),
        };
        NewOrigin {
            name,
            origin,
            archive,
            trusted_by: None,
            note,
        }
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

    /// Finds out what is trusted.
    fn choose(&self, origins: &mut [NewOrigin]) {
        let (flags, old) = (self.flags, self.old);
        let is_each_alone = old.sha256.is_none() && old.tree_sha256.is_none();
        let archives: Vec<&Archive> = origins.iter().filter_map(|origin| origin.archive.as_ref()).collect();
        let trusted = trust::trust(&archives, &flags.sha256, flags.trust_first_use, is_each_alone);
        let mut trusted = trusted.into_iter();
        for origin in origins {
            origin.trusted_by = origin.archive.as_ref().and_then(|_| trusted.next().flatten());
        }
    }

    fn nothing_trusted(&self, unverified: Option<String>, origins: &[NewOrigin]) -> anyhow::Error {
        let reason = match (unverified, &self.old.signed_by) {
            (Some(error), _) => format!("; upstream's signature could not be checked: {error}"),
            (None, None) => "; upstream signs it with no key that is known here".to_owned(),
            (None, Some(_)) => String::new(),
        };
        let hint = "give --key FILE, or compare a digest with the one that upstream publishes and give \
                    --sha256 DIGEST; --trust-first-use does without";
        let message = format!("nothing verifies {}{reason}{}", self.name(), lines(origins));
        usage(message).hint(hint).into()
    }

    /// The new pin, of origins that agree and serve all hosts that the old ones serve. What is not trusted is left out.
    fn combine(&self, origins: &mut [NewOrigin]) -> Result<Source> {
        let old = self.old;
        let (mut files, mut trees, mut kept) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for origin in origins.iter_mut() {
            match (&origin.archive, &origin.trusted_by) {
                (Some(archive), Some(_)) => {
                    files.insert(archive.sha256.clone());
                    trees.extend(archive.tree_sha256.clone());
                }
                (Some(_), None) => {
                    origin.origin = None;
                    origin.note = Some("left out: its file is not verified".to_owned());
                }
                (None, _) => {}
            }
            kept.extend(origin.origin.clone());
        }
        if old.sha256.is_some() && files.len() > 1 || trees.len() > 1 {
            bail!("several archives are verified, and they differ:{}", lines(origins));
        }
        let lost: Vec<&str> = lost_hosts(&old.origin, &kept).into_iter().collect();
        if !lost.is_empty() {
            bail!("no origin is left for {}:{}", lost.join(", "), lines(origins));
        }
        Ok(Source {
            version: self.flags.version.clone(),
            sha256: old.sha256.as_ref().and(files.pop_first()),
            tree_sha256: trees.pop_first(),
            origin: kept,
            ..old.clone()
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
fn lost_hosts<'a>(old: &'a [Origin], new: &[Origin]) -> BTreeSet<&'a str> {
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
