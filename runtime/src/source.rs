//! Modules of releases, by name.

use crate::Error;
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
/// What comes is verified in this order: the signature of the release's sums by the given key, that it speaks of the version
/// that was asked for, the sums of what is downloaded, and the module's record against its bytes. Nothing that fails is kept.
#[derive(Clone, Debug)]
pub struct ModuleSource {
    pull: Pull,
}

impl ModuleSource {
    /// A module by name and version, signed with this key of minisign (its line, or the text of its file), and the folder that
    /// modules are kept in.
    pub fn release(name: &str, public_key: &str, cache_folder: impl Into<PathBuf>) -> Result<ModuleSource, Error> {
        let reference: Reference = name.parse().map_err(Error::release)?;
        let key = parse_key(public_key).map_err(Error::release)?;
        Ok(ModuleSource {
            pull: Pull::new(reference, key, cache_folder),
        })
    }

    /// Where to ask for what the cache lacks: a folder, `http(s)://HOST/PATH` or `oci://HOST/PATH`. Several are asked in
    /// this order; without any, only the cache is.
    pub fn from(mut self, location: &str) -> Result<ModuleSource, Error> {
        self.pull = self.pull.from(location.parse().map_err(Error::release)?);
        Ok(self)
    }

    /// Lets servers send downloads on to this host; otherwise a server may only name itself.
    pub fn redirect_host(mut self, host: impl Into<String>) -> ModuleSource {
        self.pull = self.pull.redirect_host(host);
        self
    }

    /// The bytes that were verified, which nobody can change any more.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(self.pull.module().map_err(Error::release)?.bytes)
    }

    /// The module's file in the cache, which is verified in this call, and downloaded if it has to be. Who opens it by this
    /// path later relies on the folder that it lies in; [`RuntimeBuilder::from_source`](crate::RuntimeBuilder::from_source)
    /// does not.
    pub fn path(&self) -> Result<PathBuf, Error> {
        self.pull.run().map_err(Error::release)
    }
}
