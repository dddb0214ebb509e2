//! The folders that a job can reach, and their names in the guest.

use super::failure::Failure;
use crate::cli::{Folder, Sandbox};
use afmpeg::{Access, Fonts, HostDir, Job};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

/// The folders that the program is given, with the names they have in it.
pub struct Folders {
    given: Vec<(PathBuf, Vec<String>, Access)>,
    fonts: Option<Fonts>,
}

impl Folders {
    pub fn new(sandbox: &Sandbox) -> Result<Folders, Failure> {
        let mut given = Vec::new();
        if !sandbox.no_current_dir {
            let current = env::current_dir()
                .map_err(|error| Failure::setup(format!("the current directory cannot be found: {error}")))?;
            let names = [Some(".".to_owned()), current.to_str().map(str::to_owned)];
            given.push((current, names.into_iter().flatten().collect(), Access::ReadWrite));
        }
        let listed = sandbox.dir.iter().map(|folder| (folder, Access::ReadWrite));
        for (folder, access) in listed.chain(sandbox.dir_read_only.iter().map(|folder| (folder, Access::ReadOnly))) {
            given.push((folder.host.clone(), names(folder), access));
        }
        let fonts = sandbox.fonts.as_ref().map(Fonts::open).transpose()?;
        Ok(Folders { given, fonts })
    }

    pub fn give_to(&self, mut job: Job) -> Result<Job, Failure> {
        for (path, names, access) in &self.given {
            let dir = HostDir::open(path, *access)
                .map_err(|error| Failure::setup(format!("cannot open the folder {}: {error}", path.display())))?;
            let dir = Arc::new(dir);
            for name in names {
                job = job.file_system(name, dir.clone());
            }
        }
        if let Some(fonts) = &self.fonts {
            job = job.fonts(fonts);
        }
        Ok(job)
    }

    /// Returns possible causes of a failure: paths among the arguments that lead out of the program's folders.
    pub fn hints(&self, args: &[OsString]) -> Vec<String> {
        let roots: Vec<PathBuf> = self
            .given
            .iter()
            .filter_map(|(path, ..)| path.canonicalize().ok())
            .collect();
        let mut hints = Vec::new();
        for arg in args.iter().filter_map(|arg| arg.to_str()) {
            let path = Path::new(arg.strip_prefix("file:").unwrap_or(arg));
            let renamed = |(_, names, _): &(PathBuf, Vec<String>, Access)| {
                names.iter().any(|name| name != "." && path.starts_with(name))
            };
            if self.given.iter().any(renamed) {
                continue;
            }
            // A file that is to be written need not exist, but its folder must.
            let Some(found) = path.canonicalize().ok().or_else(|| path.parent()?.canonicalize().ok()) else {
                continue;
            };
            let names_a_place = path.components().count() > 1 || path.exists();
            if !names_a_place || roots.iter().any(|root| found.starts_with(root)) {
                continue;
            }
            let folder = if found.is_dir() {
                found.as_path()
            } else {
                found.parent().unwrap_or(&found)
            };
            hints.push(match path.canonicalize() {
                Ok(real) if path.is_symlink() && !path.is_absolute() => format!(
                    "{arg} is a link to {}, outside the program's folders; name that path and give its folder with \
                     --dir {}",
                    real.display(),
                    folder.display()
                ),
                _ => format!(
                    "{arg} lies outside the program's folders; give it the folder with --dir {}",
                    folder.display()
                ),
            });
        }
        hints
    }
}

/// A folder without a name of its own is known by the one that was typed and by the absolute one.
fn names(folder: &Folder) -> Vec<String> {
    if let Some(name) = &folder.guest {
        return vec![name.clone()];
    }
    let typed = folder.host.to_str().map(str::to_owned);
    let full = absolute(&folder.host)
        .ok()
        .and_then(|path| path.to_str().map(str::to_owned));
    let mut names: Vec<String> = [typed, full].into_iter().flatten().collect();
    names.dedup();
    names
}
