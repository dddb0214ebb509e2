//! The files that a job can reach, and their names in the guest.

use super::failure::Failure;
use super::single_file::SingleFile;
use crate::arguments::Role;
use crate::cli::{Folder, Sandbox};
use crate::grants::Grant;
use crate::remote::{Allowed, Remote};
use afmpeg::fs::Refused;
use afmpeg::{Access, Fonts, HostDir, Job, MemoryFs, Tree};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

/// The folders that the program is given, by the names that they have on the host unless others are wanted.
pub struct Folders {
    tree: Tree,
    fonts: Option<Fonts>,
    remote: Option<Arc<Remote>>,
    allowed_by: AllowedBy,
    /// The folders that may be written to, but those of a shim.
    writable: Vec<PathBuf>,
}

/// How a user allows what was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AllowedBy {
    Options,
    Variables,
}

impl Folders {
    /// The folders of the command line.
    pub fn new(sandbox: &Sandbox) -> Result<Folders, Failure> {
        let current = current()?;
        let mut tree = with_real_names(without_system(&current), sandbox);
        if !sandbox.no_current_dir {
            tree = give(tree, &current, &name(&current), Access::ReadWrite)?;
        }
        let mut folders = Folders::with(sandbox, tree, AllowedBy::Options)?;
        if !sandbox.no_current_dir {
            folders.writable.push(current);
        }
        Ok(folders)
    }

    /// Waits until all that was written to the folders is on the disk, by whomever and under whatever name.
    pub fn sync(&self) -> Result<(), Failure> {
        for folder in &self.writable {
            sync_file_system(folder)
                .map_err(|error| Failure::setup(format!("{} cannot be synced: {error}", folder.display())))?;
        }
        Ok(())
    }

    /// What a shim's arguments name, and the folders of its policy.
    pub fn of_shim(sandbox: &Sandbox, grants: &[Grant]) -> Result<Folders, Failure> {
        let mut tree = with_real_names(without_system(&current()?), sandbox);
        let mut folders: BTreeMap<(&str, bool), Arc<HostDir>> = BTreeMap::new();
        for grant in grants {
            let access = match grant.may_write {
                true => Access::ReadWrite,
                false => Access::ReadOnly,
            };
            // What is not there is for the program to miss.
            if grant.is_folder {
                if let Ok(dir) = HostDir::open(&grant.path, access) {
                    tree = tree.host_dir(&grant.path, dir);
                }
                continue;
            }
            let Some((parent, file)) = grant.path.rsplit_once('/') else {
                continue;
            };
            let folder = match folders.entry((parent, grant.may_write)) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => match HostDir::open(if parent.is_empty() { "/" } else { parent }, access) {
                    Ok(folder) => entry.insert(Arc::new(folder)),
                    Err(_) => continue,
                },
            };
            let file = SingleFile {
                folder: folder.clone(),
                name: file.to_owned(),
            };
            tree = tree.place(&grant.path, Arc::new(file));
        }
        Folders::with(sandbox, tree, AllowedBy::Variables)
    }

    fn with(sandbox: &Sandbox, mut tree: Tree, allowed_by: AllowedBy) -> Result<Folders, Failure> {
        let listed = sandbox.dir.iter().map(|folder| (folder, Access::ReadWrite));
        let read_only = sandbox.dir_read_only.iter().map(|folder| (folder, Access::ReadOnly));
        for (Folder { host, guest }, access) in listed.chain(read_only) {
            let full = absolute(host).unwrap_or_else(|_| host.clone());
            let name = guest.clone().unwrap_or_else(|| name(&full));
            tree = give(tree, host, &name, access)?;
        }
        let fonts = sandbox.fonts.as_ref().map(Fonts::open).transpose()?;
        let allowed = Allowed::new(&sandbox.allow_url);
        let remote = (!allowed.is_empty()).then(|| Remote::new(allowed, sandbox.host_memory_max));
        if let Some(remote) = &remote {
            tree = tree.web(remote.clone());
        }
        Ok(Folders {
            tree,
            fonts,
            remote,
            allowed_by,
            writable: sandbox.dir.iter().map(|folder| folder.host.clone()).collect(),
        })
    }

    /// Gives the machine's fonts, if there are any and none were chosen.
    pub fn with_fonts_of(mut self, folder: &str) -> Folders {
        self.fonts = self.fonts.or_else(|| Fonts::open(folder).ok());
        self
    }

    /// Files that arguments name in graphs and lists are told as well.
    pub fn give_to(&self, job: Job, args: &[OsString], files: &BTreeSet<(String, Role)>) -> Job {
        let mentioned = args.iter().filter_map(|arg| arg.to_str());
        let mentioned = mentioned.map(|arg| arg.strip_prefix("file:").unwrap_or(arg));
        let mentioned = mentioned.chain(files.iter().map(|(path, _)| path.as_str()));
        let job = job.tree(self.tree.clone().mentions(mentioned));
        self.fonts.iter().fold(job, Job::fonts)
    }

    /// Returns possible causes of a failure: what the program asked for outside of its folders.
    pub fn hints(&self) -> Vec<String> {
        let refused = self.tree.refused();
        let mut hints: Vec<String> = refused
            .iter()
            .filter_map(|refused| hint(refused, self.allowed_by))
            .collect();
        let addresses = self.remote.iter().flat_map(|remote| remote.refused());
        hints.extend(addresses.map(|address| self.remote_hint(&address)));
        hints
    }

    /// What to do about an address of the network.
    pub fn remote_hint(&self, address: &str) -> String {
        let option = match self.allowed_by {
            AllowedBy::Options => "--allow-url",
            AllowedBy::Variables => "AFMPEG_ALLOW_URL",
        };
        match address.starts_with("http") {
            true => format!("{address} is not allowed; {option} takes what addresses may begin with"),
            false => format!("{address}: the sandbox has no network but for inputs that {option} allows"),
        }
    }

    /// Whether an address may be read.
    pub fn allows(&self, sandbox: &Sandbox, address: &str) -> bool {
        self.remote.is_some() && Allowed::new(&sandbox.allow_url).parse(address).is_some()
    }
}

/// Has all data of the file system that a folder lies in written to the disk.
#[cfg(target_os = "linux")]
fn sync_file_system(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(folder)?)?)
}

/// Elsewhere that takes privileges, or cannot be waited for.
#[cfg(not(target_os = "linux"))]
fn sync_file_system(_folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    rustix::fs::sync();
    Ok(())
}

fn current() -> Result<PathBuf, Failure> {
    env::current_dir().map_err(|error| Failure::setup(format!("the current directory cannot be found: {error}")))
}

/// The tree of a program in this directory. Whoever is given the root does not mean what is there of the kernel's, by
/// which a program could change this process.
fn without_system(current: &Path) -> Tree {
    let nothing = || Arc::new(MemoryFs::new(0));
    Tree::new(name(current))
        .place("/proc", nothing())
        .place("/sys", nothing())
}

/// Gives folders whose names lead over links by the names that these lead to as well: such a folder may lie in another one
/// that gives more. What is given by that name itself comes after it, and counts.
fn with_real_names(tree: Tree, sandbox: &Sandbox) -> Tree {
    let listed = sandbox.dir.iter().map(|folder| (folder, Access::ReadWrite));
    let read_only = sandbox.dir_read_only.iter().map(|folder| (folder, Access::ReadOnly));
    let named = listed.chain(read_only).filter(|(folder, _)| folder.guest.is_none());
    named.fold(tree, |tree, (Folder { host, .. }, access)| {
        let real = host
            .canonicalize()
            .ok()
            .filter(|real| absolute(host).is_ok_and(|full| full != *real));
        match real.and_then(|real| Some((HostDir::open(&real, access).ok()?, name(&real)))) {
            Some((dir, name)) => tree.host_dir(name, dir),
            None => tree,
        }
    })
}

fn give(tree: Tree, host: &Path, name: &str, access: Access) -> Result<Tree, Failure> {
    let dir = HostDir::open(host, access)
        .map_err(|error| Failure::setup(format!("cannot open the folder {}: {error}", host.display())))?;
    Ok(tree.host_dir(name, dir))
}

/// The option that gives what was refused, if it exists at all; programs also look for files of their own.
fn hint(refused: &Refused, allowed_by: AllowedBy) -> Option<String> {
    let path = Path::new(&refused.path);
    // A file that is to be written need not exist, but its folder must.
    let found = match (path.canonicalize(), refused.for_writing) {
        (Ok(found), _) => found,
        (Err(_), true) => path.parent()?.canonicalize().ok()?,
        (Err(_), false) => return None,
    };
    let folder = if found.is_dir() { &*found } else { found.parent()? };
    let folder = folder.display();
    let option = match (allowed_by, refused.for_writing) {
        (AllowedBy::Options, true) => format!("give the program the folder with --dir {folder}"),
        (AllowedBy::Options, false) => format!("give the program the folder with --dir-read-only {folder}"),
        (AllowedBy::Variables, true) => format!("allow it with AFMPEG_DIRS={folder}"),
        (AllowedBy::Variables, false) => format!("allow it with AFMPEG_DIRS_READ_ONLY={folder}"),
    };
    let path = path.display();
    Some(match (Path::new(&refused.path).is_symlink(), refused.for_writing) {
        (true, _) => format!(
            "{path} is a link to {}, outside the program's folders; {option}",
            found.display()
        ),
        (false, true) => format!("{path} lies where the program may not write; {option}"),
        (false, false) => format!("{path} lies outside the program's folders; {option}"),
    })
}

/// A folder's name in the guest. One that is no text can be reached only by relative paths.
fn name(path: &Path) -> String {
    let name = path.to_string_lossy();
    if cfg!(windows) {
        name.replace('\\', "/")
    } else {
        name.into_owned()
    }
}
