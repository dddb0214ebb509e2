//! Inputs by digest, from ordered origins. The digest decides what is taken, never the origin.

mod debian;
mod packages;
pub(crate) mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::{Cache, publish_file};
use crate::digest::{self, Key};
use crate::error::{self, environment};
use crate::inputs;
use crate::inputs::source::{self, DebianPackage, Origin, OriginKind, Source};
use crate::inputs::unpack;

pub use debian::{Apt, File};

/// What fetching needs to know, and what it has learnt in this run.
#[derive(Debug)]
pub struct Fetcher<'a> {
    cache: &'a Cache,
    /// Folders with source archives, asked before any other origin: they cost nothing.
    mirrors: Vec<PathBuf>,
    offline: bool,
    host: String,
    /// URL hosts and registries that didn't answer; they aren't asked again, so that a dead origin costs seconds in
    /// all.
    dead: Mutex<BTreeSet<String>>,
    /// Digest -> file of a mirror.
    mirrored: OnceLock<BTreeMap<String, PathBuf>>,
    /// Of what makes a tree out of a container.
    unpacking: OnceLock<String>,
    apt: Apt,
}

/// The variable that names mirror folders, separated as in PATH.
pub const MIRROR_VARIABLE: &str = "AFMPEG_MIRROR";

impl<'a> Fetcher<'a> {
    pub fn new(cache: &'a Cache, mirrors: &[PathBuf], offline: bool, host: String) -> Fetcher<'a> {
        let variable = std::env::var_os(MIRROR_VARIABLE).unwrap_or_default();
        let mirrors = mirrors
            .iter()
            .cloned()
            .chain(std::env::split_paths(&variable).filter(|path| !path.as_os_str().is_empty()));
        let apt = Apt::new(cache);
        Fetcher {
            cache,
            mirrors: mirrors.collect(),
            offline,
            host,
            dead: Mutex::default(),
            mirrored: OnceLock::new(),
            unpacking: OnceLock::new(),
            apt,
        }
    }

    /// The container of a source, and the origin that its digest says it is from.
    pub fn container<'s>(&self, name: &str, source: &'s Source) -> Result<(PathBuf, &'s Origin)> {
        let origins: Vec<&Origin> = source.origins_for(&self.host).collect();
        if origins.is_empty() {
            return Err(environment(format!("no origin has {name} for {}", self.host)).into());
        }
        for origin in &origins {
            let digest = source
                .container_sha256(origin)
                .context("checked when the pins were read")?;
            if let Some(path) = self.stored(digest)? {
                return Ok((path, origin));
            }
        }
        for origin in &origins {
            let digest = source
                .container_sha256(origin)
                .context("checked when the pins were read")?;
            if let Some(path) = self.copy_from_mirrors(digest)? {
                return Ok((path, origin));
            }
        }
        self.refuse_offline(name)?;
        let mut reports = Vec::new();
        for origin in origins {
            let digest = source
                .container_sha256(origin)
                .context("checked when the pins were read")?;
            match self.ask_origin(name, source, origin, digest) {
                Ok(path) => return Ok((path, origin)),
                Err(error) => reports.push(report(&origin.describe(), &error)),
            }
        }
        Err(all_origins_failed(name, &source.version, &reports))
    }

    /// A Debian package by itself.
    pub fn debian_package(&self, package: &DebianPackage) -> Result<PathBuf> {
        if let Some(path) = self.stored(&package.sha256)? {
            return Ok(path);
        }
        if let Some(path) = self.copy_from_mirrors(&package.sha256)? {
            return Ok(path);
        }
        self.refuse_offline(&package.name)?;
        let describe = format!(
            "Debian package {} {} ({})",
            package.name, package.version, package.suite
        );
        self.store(&package.name, &describe, &package.sha256, |scratch| {
            tell(&package.name, &describe);
            self.apt.package(
                &package.name,
                &package.version,
                &package.suite,
                File::Pinned(&package.sha256),
                scratch,
            )
        })
        .map_err(|error| all_origins_failed(&package.name, &package.version, &[report(&describe, &error)]))
    }

    /// The unpacked and filtered tree of a source, under a name made of what is pinned.
    pub fn tree(&self, name: &str, source: &Source) -> Result<PathBuf> {
        if let Some(path) = self.tree_from_mirrors(name, source)? {
            return Ok(path);
        }
        let (container, origin) = self.container(name, source)?;
        let error = match self.unpacked(name, source, &container, origin) {
            Ok(path) => return Ok(path),
            Err(error) => error,
        };
        // An archive is what is pinned, but holds another tree than that of the other origins: those are asked.
        let mut others = source.clone();
        let used = origin.describe();
        others.origin.retain(|other| other.describe() != used);
        if source.tree_sha256.is_none() || others.origins_for(&self.host).next().is_none() {
            return Err(error);
        }
        match self.tree(name, &others) {
            Ok(path) => {
                eprintln!("warning: {used} is left out: {error:#}");
                Ok(path)
            }
            Err(other) => Err(error.context(format!("{other:#}"))),
        }
    }

    /// The tree of a source from one of its origins' containers.
    fn unpacked(&self, name: &str, source: &Source, container: &Path, origin: &Origin) -> Result<PathBuf> {
        let digest = source
            .container_sha256(origin)
            .context("checked when the pins were read")?;
        let mut key = Key::new("tree of a source")
            .field(self.unpacking()?)
            .field(digest)
            .field(origin.folder.as_deref().unwrap_or_default());
        for pattern in &source.keep {
            key = key.field(pattern);
        }
        let (path, _) = self.cache.folder("trees", &key.finish(), |made| {
            unpack::tree(container, origin.folder.as_deref(), &source.keep, made)?;
            check_tree(name, source, &origin.describe(), made)
        })?;
        Ok(path)
    }

    /// The tree of a source from an archive of just that tree, as the source archive of a release has it.
    fn tree_from_mirrors(&self, name: &str, source: &Source) -> Result<Option<PathBuf>> {
        let Some(digest) = &source.tree_sha256 else {
            return Ok(None);
        };
        let file = source::tree_archive(name, source);
        let Some(archive) = self
            .mirrors
            .iter()
            .map(|mirror| mirror.join(&file))
            .find(|path| path.is_file())
        else {
            return Ok(None);
        };
        let key = Key::new("archive of a tree").field(self.unpacking()?).field(digest);
        let key = key.finish();
        let (path, _) = self.cache.folder("trees", &key, |made| {
            unpack::container(&archive, made)?;
            check_tree(name, source, &archive.display().to_string(), made)
        })?;
        Ok(Some(path))
    }

    fn unpacking(&self) -> Result<&str> {
        if let Some(digest) = self.unpacking.get() {
            return Ok(digest);
        }
        let digest = inputs::unpacking()?;
        Ok(self.unpacking.get_or_init(|| digest))
    }

    pub fn is_offline(&self) -> bool {
        self.offline
    }

    fn refuse_offline(&self, name: &str) -> Result<()> {
        if self.offline {
            return Err(
                environment(format!("{name} is not in the cache, and --offline forbids fetching it"))
                    .hint("run `cargo xtask fetch --all` once with a network, or give `--mirror DIR`")
                    .into(),
            );
        }
        Ok(())
    }

    fn stored(&self, digest: &str) -> Result<Option<PathBuf>> {
        let path = self.cache.path("downloads", digest);
        if !path.is_file() {
            return Ok(None);
        }
        if digest::file(&path)? == digest {
            return Ok(Some(path));
        }
        eprintln!("warning: {} is damaged and is fetched again", path.display());
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        Ok(None)
    }

    /// A mirror is a folder with archives under any name: the digest finds them.
    fn copy_from_mirrors(&self, digest: &str) -> Result<Option<PathBuf>> {
        let mut named = self.mirrors.iter().map(|mirror| mirror.join(digest));
        let path = match named.find(|path| path.is_file() && digest::file(path).is_ok_and(|got| got == digest)) {
            Some(path) => path,
            None => match self.mirrored()?.get(digest) {
                Some(path) => path.clone(),
                None => return Ok(None),
            },
        };
        let stored = self.store("mirrored file", &path.display().to_string(), digest, |scratch| {
            let copy = scratch.join("copy");
            fs::copy(&path, &copy)?;
            Ok(copy)
        })?;
        Ok(Some(stored))
    }

    /// The files of all mirrors by their digests, which are made once in a run: a mirror may be large.
    fn mirrored(&self) -> Result<&BTreeMap<String, PathBuf>> {
        if let Some(files) = self.mirrored.get() {
            return Ok(files);
        }
        let mut files = BTreeMap::new();
        for folder in &self.mirrors {
            let entries = fs::read_dir(folder)
                .map_err(|error| environment(format!("cannot read the mirror {}: {error}", folder.display())))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_file() {
                    files.entry(digest::file(&path)?).or_insert(path);
                }
            }
        }
        Ok(self.mirrored.get_or_init(|| files))
    }

    fn ask_origin(&self, name: &str, source: &Source, origin: &Origin, digest: &str) -> Result<PathBuf> {
        self.store(name, &origin.describe(), digest, |scratch| {
            self.download(name, origin, &source.version, Some(digest), scratch)
        })
    }

    /// The container of an origin whose digest nobody has said yet, and that digest. Whether it is what upstream made
    /// is for the caller to find out.
    pub fn unpinned(&self, name: &str, version: &str, origin: &Origin) -> Result<(PathBuf, String)> {
        let scratch = self.cache.scratch()?;
        let mirrored = origin.url.as_deref().and_then(|address| self.named_in_mirrors(address));
        let path = match mirrored {
            Some(path) => path,
            None => {
                self.refuse_offline(name)?;
                self.download(name, origin, version, None, scratch.path())?
            }
        };
        let digest = digest::file(&path)?;
        let stored = self.store(name, &origin.describe(), &digest, |_| Ok(path))?;
        Ok((stored, digest))
    }

    /// A small file of upstream's that has no digest, such as a signature.
    pub fn small_file(&self, address: &str) -> Result<Vec<u8>> {
        let scratch = self.cache.scratch()?;
        let path = match self.named_in_mirrors(address) {
            Some(path) => path,
            None => {
                self.refuse_offline(address)?;
                let path = scratch.path().join("download");
                self.ask_server(&url::host(address)?, || url::download(address, &path))?;
                path
            }
        };
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Upstream's signature, or with `File::Packaging` upstream's key, as a Debian source package has them.
    pub fn debian_file(&self, package: &str, version: &str, suite: &str, wanted: File) -> Result<Vec<u8>> {
        self.refuse_offline(package)?;
        let scratch = self.cache.scratch()?;
        let get = || self.apt.source(package, version, suite, wanted, scratch.path());
        let mut path = self.ask_server("apt", get)?;
        if matches!(wanted, File::Packaging) {
            let made = scratch.path().join("unpacked");
            unpack::container(&path, &made)?;
            path = made.join("debian/upstream/signing-key.asc");
        }
        fs::read(&path).with_context(|| format!("the Debian source {package} {version} has no signing-key.asc"))
    }

    /// The versions that Debian has of the package of such an origin.
    pub fn debian_versions(&self, kind: OriginKind) -> Result<Vec<String>> {
        let (verb, package, suite) = match kind {
            OriginKind::DebianSource { package, suite } => ("showsrc", package, suite),
            OriginKind::Debian { package, suite } => ("show", package, suite),
            _ => bail!("not a package of Debian"),
        };
        self.refuse_offline(package)?;
        self.apt.versions(verb, package, suite)
    }

    /// A file of a mirror with the name that it has upstream.
    fn named_in_mirrors(&self, address: &str) -> Option<PathBuf> {
        let name = url::file_name(address)?;
        let mut paths = self.mirrors.iter().map(|mirror| mirror.join(&name));
        paths.find(|path| path.is_file())
    }

    fn download(
        &self,
        name: &str,
        origin: &Origin,
        version: &str,
        digest: Option<&str>,
        scratch: &Path,
    ) -> Result<PathBuf> {
        let kind = origin.kind().map_err(anyhow::Error::msg)?;
        let version = origin.version.as_deref().unwrap_or(version);
        let server = match kind {
            OriginKind::Url(address) => url::host(address)?,
            OriginKind::DebianSource { .. } | OriginKind::Debian { .. } => "apt".to_owned(),
            OriginKind::Npm(_) => "npm".to_owned(),
            OriginKind::Pypi(_) => "pip".to_owned(),
            OriginKind::Crate(_) => "cargo".to_owned(),
        };
        let ask = || match kind {
            OriginKind::Url(address) => self.download_url(address, digest, scratch),
            OriginKind::DebianSource { package, suite } => {
                let wanted = digest.map_or(File::Upstream, File::Pinned);
                self.apt.source(package, version, suite, wanted, scratch)
            }
            OriginKind::Debian { package, suite } => {
                let wanted = digest.map_or(File::Package, File::Pinned);
                self.apt.package(package, version, suite, wanted, scratch)
            }
            OriginKind::Npm(package) => packages::npm(package, version, scratch),
            OriginKind::Pypi(package) => packages::pypi(package, version, origin.sdist, digest, scratch),
            OriginKind::Crate(crate_name) => packages::cargo(crate_name, version, scratch),
        };
        self.ask_server(&server, || {
            tell(name, &origin.describe());
            ask()
        })
    }

    /// What is pinned and breaks off goes on where it was, whichever origin is asked next.
    fn download_url(&self, address: &str, digest: Option<&str>, scratch: &Path) -> Result<PathBuf> {
        let path = scratch.join("download");
        let Some(digest) = digest else {
            url::download(address, &path)?;
            return Ok(path);
        };
        let partial = self.cache.path("downloads", &format!("{digest}.partial"));
        let had_some = partial.is_file();
        url::download(address, &partial)?;
        if had_some && digest::file(&partial)? != digest {
            // What was there before may be the faulty part.
            fs::remove_file(&partial)?;
            url::download(address, &partial)?;
        }
        fs::rename(&partial, &path)?;
        Ok(path)
    }

    fn dead(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a server, unless it was silent before.
    fn ask_server<T>(&self, server: &str, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.dead().contains(server) {
            bail!("{server} did not answer before in this run");
        }
        let result = ask();
        if result.as_ref().is_err_and(url::is_unreachable) {
            self.dead().insert(server.to_owned());
        }
        result
    }

    /// Lets `get` put a file into a scratch folder, checks its digest, and only then puts it into the cache.
    fn store(
        &self,
        name: &str,
        origin: &str,
        digest: &str,
        get: impl FnOnce(&Path) -> Result<PathBuf>,
    ) -> Result<PathBuf> {
        let _lock = self.cache.lock(&format!("download-{digest}"))?;
        if let Some(path) = self.stored(digest)? {
            return Ok(path);
        }
        let scratch = self.cache.scratch()?;
        let got_path = get(scratch.path())?;
        let got = digest::file(&got_path)?;
        if got != digest {
            bail!(
                "the digest of {name} from {origin} is wrong, and nothing of it is kept\n  wanted sha256 {digest}\n  \
                 got           {got}"
            );
        }
        let path = self.cache.path("downloads", digest);
        let folder = path.parent().context("the cache has folders")?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::copy(&mut fs::File::open(&got_path)?, &mut file).with_context(|| format!("cannot store {name}"))?;
        publish_file(file, &path)?;
        Ok(path)
    }
}

/// Says what takes its time, from wherever it is asked for.
fn tell(name: &str, origin: &str) {
    eprintln!("fetching {name} from {origin}");
}

fn check_tree(name: &str, source: &Source, origin: &str, made: &Path) -> Result<()> {
    let Some(wanted) = &source.tree_sha256 else {
        return Ok(());
    };
    let got = digest::tree(made)?;
    if got != *wanted {
        bail!(
            "{name} {} from {origin} is not what is pinned\n  wanted tree_sha256 {wanted}\n  got                {got}",
            source.version
        );
    }
    Ok(())
}

fn report(origin: &str, error: &anyhow::Error) -> String {
    let causes: Vec<_> = error.chain().map(|cause| cause.to_string()).collect();
    let hint = error::hint(error).map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("  {origin}\n    {}{hint}", causes.join(": ").replace('\n', "\n    "))
}

fn all_origins_failed(name: &str, version: &str, reports: &[String]) -> anyhow::Error {
    let failure = environment(format!("no origin gave {name} {version}")).hint(
        "check the network, or put the archive into a folder and give `--mirror DIR` (any file name; the digest \
             finds it)",
    );
    anyhow!("every origin was tried:\n{}", reports.join("\n")).context(failure)
}
