//! The files of one attempt at a job: inputs that are read in place, outputs that are sent as they are written or from a folder.

use super::fault::{Fault, Faults};
use super::lease::Lease;
use super::message::{JobMessage, Program};
use super::policy::{Access, Address, Policy, shown};
use super::store::{self, Buckets, Target};
use crate::fs::{FileSystem, HostDir, MemoryFs, OverlayFs, WriteAt};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Handle;

/// An input or output: its name in the sandbox, its address, and that as it may be told.
pub struct Named {
    pub name: String,
    pub address: Address,
    pub shown: String,
}

/// Where all files of a job lie, once the policy has allowed each.
pub struct Places {
    pub inputs: Vec<Named>,
    pub outputs: Vec<Named>,
    /// A folder that is an output, and the address below which its files get their names.
    pub folders: Vec<(String, String)>,
    pub stdout: Option<Named>,
}

impl Places {
    pub fn of(job: &JobMessage, policy: &Policy) -> Result<Places, Fault> {
        let named = |name: &str, text: &str, access| {
            let address = policy.resolve(text, access).map_err(Fault::lasting)?;
            Ok::<_, Fault>(Named {
                name: name.to_owned(),
                address,
                shown: shown(text).to_owned(),
            })
        };
        let mut places = Places {
            inputs: Vec::new(),
            outputs: Vec::new(),
            folders: Vec::new(),
            stdout: None,
        };
        for (name, text) in &job.inputs {
            if name.ends_with('/') {
                return Err(Fault::lasting(format!("`{name}`: an input is a file, and no folder")));
            }
            places.inputs.push(named(name, text, Access::Read)?);
        }
        for (name, text) in &job.outputs {
            match name.strip_suffix('/') {
                None => places.outputs.push(named(name, text, Access::Write)?),
                Some(folder) => {
                    let found = policy.resolve(text, Access::Write).map_err(Fault::lasting)?;
                    if matches!(found, Address::Web(_)) {
                        return Err(Fault::lasting(format!("{}: a folder lies in a store", shown(text))));
                    }
                    places
                        .folders
                        .push((folder.to_owned(), text.trim_end_matches('/').to_owned()));
                }
            }
        }
        places.stdout = job
            .stdout
            .as_ref()
            .map(|text| named("standard output", text, Access::Write))
            .transpose()?;
        Ok(places)
    }

    /// Whether all must be in a folder before it is sent.
    pub fn needs_spool(&self, job: &JobMessage) -> bool {
        let is_web = |output: &Named| matches!(output.address, Address::Web(_));
        let moves = || job.program == Program::Ffmpeg && job.args.iter().any(|arg| arg.contains("faststart"));
        !self.folders.is_empty() || self.outputs.iter().chain(&self.stdout).any(is_web) || moves()
    }
}

/// What an attempt has open.
pub struct Files {
    pub faults: Faults,
    file_system: Arc<dyn FileSystem>,
    outputs: Vec<(String, Target)>,
    folders: Vec<(String, String)>,
    stdout: Option<Target>,
    spool: Option<TempDir>,
}

/// What a program may write besides its outputs where these are sent at once.
const SCRATCH_BYTES: u64 = 256 << 20;

/// What opening files needs of the worker.
pub struct Opening<'a> {
    pub policy: &'a Policy,
    pub buckets: &'a Buckets,
    pub lease: &'a Arc<Lease>,
}

impl Files {
    pub async fn open(places: &Places, opening: &Opening<'_>, with_spool: bool) -> Result<Files, Fault> {
        let mut files = Files {
            faults: Faults::default(),
            file_system: Arc::new(MemoryFs::new(0)),
            outputs: Vec::new(),
            folders: places.folders.clone(),
            stdout: None,
            spool: None,
        };
        match files.open_all(places, opening, with_spool).await {
            Ok(()) => Ok(files),
            Err(fault) => {
                files.abandon(opening.lease).await;
                Err(fault)
            }
        }
    }

    async fn open_all(&mut self, places: &Places, opening: &Opening<'_>, with_spool: bool) -> Result<(), Fault> {
        let unusable = |name: &str, error: &io::Error| Fault::lasting(format!("`{name}`: {error}"));
        let memory = MemoryFs::new(SCRATCH_BYTES);
        for input in &places.inputs {
            let reader = store::open(opening.buckets, &input.address, &input.shown, &self.faults).await?;
            let added = memory.add_reader(&input.name, reader);
            added.map_err(|error| unusable(&input.name, &error))?;
        }
        for output in &places.outputs {
            let target = begin(opening, &output.address, &output.shown, &self.faults).await?;
            self.outputs.push((output.name.clone(), target));
        }
        if let Some(stdout) = &places.stdout {
            self.stdout = Some(begin(opening, &stdout.address, &stdout.shown, &self.faults).await?);
        }
        self.spool = with_spool.then(|| spool(opening.policy, places)).transpose()?;
        self.file_system = match &self.spool {
            Some(folder) => {
                let upper = HostDir::read_write(folder.path()).map_err(|error| unspooled(&error))?;
                Arc::new(OverlayFs::new(Arc::new(memory), Arc::new(upper)))
            }
            None => {
                for (name, target) in &self.outputs {
                    let writer = target
                        .writer()
                        .ok_or_else(|| Fault::lasting(format!("`{name}` cannot be sent so")))?;
                    let added = memory.add_writer(name, writer);
                    added.map_err(|error| unusable(name, &error))?;
                }
                Arc::new(memory)
            }
        };
        Ok(())
    }

    pub fn file_system(&self) -> Arc<dyn FileSystem> {
        self.file_system.clone()
    }

    /// What takes standard output, if it is an output.
    pub fn stdout(&self) -> Result<Option<Sender>, Fault> {
        let Some(target) = &self.stdout else {
            return Ok(None);
        };
        if let Some(writer) = target.writer() {
            return Ok(Some(Sender::At { writer, offset: 0 }));
        }
        // For the web it is kept in a file first.
        let file = tempfile::tempfile().map_err(|error| unspooled(&error))?;
        target.fill(file.try_clone().map_err(|error| unspooled(&error))?)?;
        Ok(Some(Sender::File(file)))
    }

    pub fn goes_back(&self) -> bool {
        self.outputs.iter().any(|(_, target)| target.goes_back())
    }

    /// Sends all that the program has written, and returns what is to get its name. It blocks.
    pub fn finish(&mut self, opening: &Opening<'_>, handle: &Handle) -> Result<Vec<Target>, Fault> {
        if let Some(spool) = &self.spool {
            let dir = HostDir::read_only(spool.path()).map_err(|error| unspooled(&error))?;
            for (name, target) in &self.outputs {
                let file = dir.open_file(name).map_err(|error| missing(name, &error))?;
                target.fill(file)?;
            }
            for (folder, address) in &self.folders {
                for name in names_in(&spool.path().join(folder), folder)? {
                    let text = format!("{address}/{}", in_address(&name));
                    let place = opening.policy.resolve(&text, Access::Write).map_err(Fault::lasting)?;
                    let target = handle.block_on(begin(opening, &place, &text, &self.faults))?;
                    self.outputs.push((name.clone(), target.clone()));
                    let file = dir.open_file(format!("{folder}/{name}"));
                    target.fill(file.map_err(|error| missing(&name, &error))?)?;
                }
            }
        }
        let targets = self.outputs.iter().map(|(_, target)| target).chain(&self.stdout);
        let targets: Vec<Target> = targets.cloned().collect();
        targets.iter().try_for_each(Target::finish)?;
        Ok(targets)
    }

    /// Removes what has no name. What is left then is listed in the job's state, and ended by its next holder.
    pub async fn abandon(&self, lease: &Lease) {
        let mut is_gone = true;
        for target in self.outputs.iter().map(|(_, target)| target).chain(&self.stdout) {
            is_gone &= target.abandon().await;
        }
        if is_gone {
            // One that was lost is not this worker's to change.
            let _ = lease.forget_uploads().await;
        }
    }
}

async fn begin(opening: &Opening<'_>, address: &Address, shown: &str, faults: &Faults) -> Result<Target, Fault> {
    Target::begin(opening.buckets, address, shown, opening.lease, faults).await
}

/// A folder for outputs, with the folders that their names have.
fn spool(policy: &Policy, places: &Places) -> Result<TempDir, Fault> {
    let made = match &policy.spool {
        Some(folder) => TempDir::with_prefix_in("afmpeg-", folder),
        None => TempDir::with_prefix("afmpeg-"),
    };
    let made = made.map_err(|error| unspooled(&error))?;
    let parents = places
        .outputs
        .iter()
        .filter_map(|output| Path::new(&output.name).parent());
    for folder in parents.chain(places.folders.iter().map(|(folder, _)| Path::new(folder))) {
        std::fs::create_dir_all(made.path().join(folder)).map_err(|error| unspooled(&error))?;
    }
    Ok(made)
}

fn unspooled(error: &io::Error) -> Fault {
    Fault::passing(format!("the spool folder cannot be used: {error}"))
}

fn missing(name: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => Fault::lasting(format!("the program has not written `{name}`")),
        _ => Fault::lasting(format!("`{name}`: {error}")),
    }
}

/// A program's name of a file, so that it means the same in an address.
fn in_address(name: &str) -> String {
    name.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}

/// The names of all files below a folder; playlists come last, as they name others.
fn names_in(root: &Path, folder: &str) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&below)).map_err(|error| unspooled(&error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unspooled(&error))?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|name| Fault::lasting(format!("{name:?} is no name of an output")))?;
            let kind = entry.file_type().map_err(|error| unspooled(&error))?;
            let name = format!("{below}{name}");
            match () {
                () if kind.is_dir() => folders.push(name + "/"),
                () if kind.is_file() => names.push(name),
                () => {}
            }
        }
    }
    let is_playlist = |name: &str| [".m3u8", ".mpd"].iter().any(|ending| name.ends_with(ending));
    names.sort_by_key(|name| (is_playlist(name), name.clone()));
    match names.is_empty() {
        true => Err(Fault::lasting(format!(
            "the program has written nothing into `{folder}/`"
        ))),
        false => Ok(names),
    }
}

/// Sends standard output to its address.
pub enum Sender {
    At { writer: Arc<dyn WriteAt>, offset: u64 },
    File(File),
}

impl Write for Sender {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Sender::At { writer, offset } => {
                let count = writer.write_at(buffer, *offset)?;
                *offset += count as u64;
                Ok(count)
            }
            Sender::File(file) => file.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
