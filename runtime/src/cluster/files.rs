//! The files of one attempt at a job: inputs that are read in place, outputs that are sent as they are written or from a folder.

use super::fault::{Fault, Faults};
use super::full::{self, Noting};
use super::lease::Lease;
use super::message::{JobMessage, Program};
use super::parts::Cache;
use super::policy::{Access, Address, Policy};
use super::redact::shown;
use super::spool::Spool;
use super::store::{self, Buckets, Target, on_disk};
use crate::fs::{FileSystem, HostDir, MemoryFs, OverlayFs, WriteAt};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// An input or output: its name in the sandbox, its address, and that as it may be told.
#[derive(Clone)]
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
                shown: shown(text),
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
    /// Those that are sent as they are written.
    outputs: Vec<(String, Target)>,
    stdout: Option<Target>,
    spool: Option<Spooled>,
}

/// Where outputs lie that are sent when they are whole.
struct Spooled {
    folder: TempDir,
    dir: Arc<HostDir>,
    outputs: Vec<Named>,
    folders: Vec<(String, String)>,
}

/// An output that is whole.
pub enum Whole {
    /// It is sent.
    Sent(Target),
    /// It is sent when it gets its name: of many, one is open at a time.
    Spooled(Sending),
}

pub struct Sending {
    dir: Arc<HostDir>,
    output: Named,
    faults: Faults,
}

/// The most files that the folders of a job may have. Each is sent by itself.
const FILES_MAX: usize = 1 << 16;

/// What a program may write besides its outputs where these are sent at once.
const SCRATCH_BYTES: u64 = 256 << 20;

/// What opening files needs of the worker.
pub struct Opening<'a> {
    pub buckets: &'a Buckets,
    pub lease: &'a Arc<Lease>,
    pub spool: &'a Spool,
}

impl Files {
    pub async fn open(places: &Places, opening: &Opening<'_>, with_spool: bool) -> Result<Files, Fault> {
        let mut files = Files {
            faults: Faults::default(),
            file_system: Arc::new(MemoryFs::new(0)),
            outputs: Vec::new(),
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
        // Of all inputs together, however many there are.
        let cache = Cache::new(u64::MAX);
        for input in &places.inputs {
            let reader = store::open(opening.buckets, &input.address, &input.shown, &self.faults, &cache).await?;
            let added = memory.add_reader(&input.name, reader);
            added.map_err(|error| unusable(&input.name, &error))?;
        }
        if with_spool {
            let spooled = Spooled::make(opening.spool, places).map_err(|error| unspooled(&error))?;
            let upper = HostDir::read_write(spooled.folder.path()).map_err(|error| unspooled(&error))?;
            let upper = Noting {
                inner: upper,
                faults: self.faults.clone(),
            };
            self.file_system = Arc::new(OverlayFs::new(Arc::new(memory), Arc::new(upper)));
            self.spool = Some(spooled);
        } else {
            for output in &places.outputs {
                let target = begin(opening, output, &self.faults).await?;
                let writer = target.writer();
                self.outputs.push((output.name.clone(), target));
                let writer = writer.ok_or_else(|| Fault::lasting(format!("`{}` cannot be sent so", output.name)))?;
                let added = memory.add_writer(&output.name, writer);
                added.map_err(|error| unusable(&output.name, &error))?;
            }
            self.file_system = Arc::new(memory);
        }
        if let Some(stdout) = &places.stdout {
            self.stdout = Some(begin(opening, stdout, &self.faults).await?);
        }
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
        let spooled = self.spool.as_ref();
        let made = spooled.map_or_else(tempfile::tempfile, |spooled| {
            tempfile::tempfile_in(spooled.folder.path())
        });
        let file = made.map_err(|error| unspooled(&error))?;
        target.fill(file.try_clone().map_err(|error| unspooled(&error))?)?;
        Ok(Some(Sender::File(file, self.faults.clone())))
    }

    pub fn goes_back(&self) -> bool {
        self.outputs.iter().any(|(_, target)| target.goes_back())
    }

    /// Sends what is sent before it gets its name, and returns all that is to get one. It blocks.
    pub fn finish(&self, policy: &Policy) -> Result<Vec<Whole>, Fault> {
        let sent = self.outputs.iter().map(|(_, target)| target).chain(&self.stdout);
        let sent: Vec<Target> = sent.cloned().collect();
        sent.iter().try_for_each(Target::finish)?;
        let mut whole = match &self.spool {
            Some(spooled) => spooled.finish(policy, &self.faults)?,
            None => Vec::new(),
        };
        whole.extend(sent.into_iter().map(Whole::Sent));
        Ok(whole)
    }

    /// Removes what has no name. What is left then is listed in the job's state, and ended by its next holder.
    pub async fn abandon(&self, lease: &Lease) {
        for target in self.outputs.iter().map(|(_, target)| target).chain(&self.stdout) {
            if target.abandon().await {
                // One that was lost is not this worker's to change.
                let _ = lease.forget(|begun| begun.address == target.shown()).await;
            }
        }
    }
}

async fn begin(opening: &Opening<'_>, output: &Named, faults: &Faults) -> Result<Target, Fault> {
    Target::begin(opening.buckets, &output.address, &output.shown, opening.lease, faults).await
}

impl Spooled {
    /// A folder for outputs, with the folders that their names have.
    fn make(spool: &Spool, places: &Places) -> io::Result<Spooled> {
        let folder = spool.folder()?;
        let outputs = places.outputs.iter();
        let parents = outputs.filter_map(|output| Path::new(&output.name).parent());
        for below in parents.chain(places.folders.iter().map(|(folder, _)| Path::new(folder))) {
            std::fs::create_dir_all(folder.path().join(below))?;
        }
        Ok(Spooled {
            dir: Arc::new(HostDir::read_only(folder.path())?),
            folder,
            outputs: places.outputs.clone(),
            folders: places.folders.clone(),
        })
    }

    fn finish(&self, policy: &Policy, faults: &Faults) -> Result<Vec<Whole>, Fault> {
        let mut outputs = self.outputs.clone();
        for (folder, address) in &self.folders {
            for name in names_in(&self.folder.path().join(folder), folder)? {
                let text = format!("{address}/{}", in_address(&name));
                outputs.push(Named {
                    name: format!("{folder}/{name}"),
                    address: policy.resolve(&text, Access::Write).map_err(Fault::lasting)?,
                    shown: text,
                });
            }
        }
        // That one is missing is found before another gets its name.
        for Named { name, shown, .. } in &outputs {
            let file = self.dir.open_file(name).map_err(|error| missing(name, &error))?;
            let size_bytes = file.metadata().map_err(|error| missing(name, &error))?.len();
            if size_bytes == 0 {
                return Err(store::nothing(shown));
            }
        }
        let whole = outputs.into_iter().map(|output| {
            Whole::Spooled(Sending {
                dir: self.dir.clone(),
                output,
                faults: faults.clone(),
            })
        });
        Ok(whole.collect())
    }
}

impl Whole {
    /// Gives the output its name. The caller has just confirmed that the job is its own.
    pub async fn name(&self, opening: &Opening<'_>) -> Result<(), Fault> {
        let sending = match self {
            Whole::Sent(target) => return target.name().await,
            Whole::Spooled(sending) => sending,
        };
        let target = begin(opening, &sending.output, &sending.faults).await?;
        let named = sending.send(&target, opening.lease).await;
        if named.is_err() && !target.abandon().await {
            return named;
        }
        let shown = &sending.output.shown;
        opening.lease.forget(|begun| begun.address == *shown).await?;
        named
    }
}

impl Sending {
    async fn send(&self, target: &Target, lease: &Lease) -> Result<(), Fault> {
        let name = &self.output.name;
        let file = self.dir.open_file(name).map_err(|error| missing(name, &error))?;
        let (filled, faults) = (target.clone(), self.faults.clone());
        on_disk(move || {
            let filled_all = filled.fill(file).and_then(|()| filled.finish());
            // What was noted first says more.
            filled_all.map_err(|fault| faults.first().unwrap_or(fault))
        })
        .await?;
        // It has taken a while, and what was there when it began has been read.
        lease.confirm().await?;
        target.name().await
    }
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
            if names.len() + folders.len() > FILES_MAX {
                return Err(Fault::lasting(format!(
                    "the program has written more than {FILES_MAX} files into `{folder}/`"
                )));
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
    File(File, Faults),
}

impl Write for Sender {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Sender::At { writer, offset } => {
                let count = writer.write_at(buffer, *offset)?;
                *offset += count as u64;
                Ok(count)
            }
            Sender::File(file, faults) => full::note(faults, file.write(buffer)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
