//! Modules of releases, by name.

use crate::error::Error;
use crate::pack::Pack;
use afmpeg_release::{Pull, Reference, parse_key};
use std::path::PathBuf;

/// A module of a signed release: taken from a cache, which is filled from a folder, a web server or an OCI registry.
///
/// ```no_run
/// use afmpeg::{ModuleSource, Runtime};
///
/// let key = std::fs::read_to_string("afmpeg.pub")?;
/// let module = ModuleSource::release("o3-gpl@9.0.2-1", &key, "/var/cache/my-service/modules")?
///     .from("https://media.example/afmpeg/9.0.2-1")?
///     .from("/mnt/mirror/afmpeg-9.0.2-1")?;
/// let runtime = Runtime::builder().cache_folder("/var/cache/my-service/code").from_source(&module)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A module is verified in this order: the signature of the release's sums by the given key, the requested version in
/// the signature, the sums of the downloaded files, and the module's record against its bytes. Nothing that fails is
/// kept.
#[derive(Clone, Debug)]
pub struct ModuleSource {
    pull: Pull,
}

impl ModuleSource {
    /// A module by name and version, signed with this minisign key (its line, or the text of its file), and the folder
    /// in which modules are kept.
    pub fn release(name: &str, public_key: &str, cache_folder: impl Into<PathBuf>) -> Result<ModuleSource, Error> {
        let reference: Reference = name.parse().map_err(Error::release)?;
        let key = parse_key(public_key).map_err(Error::release)?;
        Ok(ModuleSource {
            pull: Pull::new(reference, key, cache_folder),
        })
    }

    /// Adds a place to fetch from when the cache does not have the module: a folder, `http(s)://HOST/PATH` or
    /// `oci://HOST/PATH`. Places are tried in order; without any, only the cache is used.
    pub fn from(mut self, location: &str) -> Result<ModuleSource, Error> {
        self.pull = self.pull.from(location.parse().map_err(Error::release)?);
        Ok(self)
    }

    /// Allows redirects of downloads to this host; otherwise a server may only redirect to itself.
    pub fn redirect_host(mut self, host: impl Into<String>) -> ModuleSource {
        self.pull = self.pull.redirect_host(host);
        self
    }

    /// Returns the verified bytes, which nobody can change any more.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(self.pull.module().map_err(Error::release)?.bytes)
    }

    /// Returns the best pack of the module that the release has and this processor runs, downloaded if needed; its record is
    /// verified. [`Pack`] says how it is loaded.
    /// `None` if there is none.
    pub fn pack(&self) -> Result<Option<Pack>, Error> {
        let pack = self.pull.pack(&Pack::machines()).map_err(Error::release)?;
        pack.map(|pack| Pack::of_release(pack.path, &pack.record)).transpose()
    }

    /// Returns the path of the module's file in the cache, verified in this call, and downloaded if needed. Opening it
    /// by this path later relies on the protection of its folder;
    /// [`RuntimeBuilder::from_source`](crate::RuntimeBuilder::from_source) does not.
    pub fn path(&self) -> Result<PathBuf, Error> {
        self.pull.run().map_err(Error::release)
    }
}
