// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! A job's own files: inputs and outputs of the caller's, and what the program writes besides.

use crate::task::Failure;
use afmpeg::fs::{DirEntry, Metadata, OpenOptions, Opened, Steps, Times};
use afmpeg::{FileSystem, MemoryFs, ReadAt, WriteAt};
use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// A file system in memory, some of whose files lie elsewhere.
pub struct Files {
    memory: MemoryFs,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Inputs by name: what tells whether the program has changed one.
    inputs: BTreeMap<String, Unchanged>,
    outputs: BTreeMap<String, Placed>,
}

struct Unchanged {
    inode: u64,
    bytes: Option<Bytes>,
}

struct Placed {
    output: Output,
    /// That of the file whose bytes go there, from when the program first opens it.
    inode: Option<u64>,
}

/// Where an output goes.
pub enum Output {
    /// Written beside its place, and put there when the job has succeeded.
    Path {
        written: NamedTempFile,
        place: PathBuf,
    },
    Object(Arc<PythonWriter>),
}

impl Output {
    pub fn path(path: &Path) -> io::Result<Output> {
        // A link stays one.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if place.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A device or pipe would be gone for all others, and a file in its place.
        if place.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let message = "it is no regular file: give it as stdout, or open it and give it in pipes";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        #[cfg(not(unix))]
        let builder = tempfile::Builder::new();
        #[cfg(unix)]
        let builder = {
            let mut builder = tempfile::Builder::new();
            // The process's own mask decides who else may read it.
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            builder
        };
        let written = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        Ok(Output::Path { written, place })
    }

    pub fn object(object: Py<PyAny>, failure: Arc<Failure>) -> Output {
        Output::Object(Arc::new(PythonWriter {
            object,
            lock: Mutex::new(()),
            failure,
        }))
    }

    fn writer(&self) -> io::Result<Arc<dyn WriteAt>> {
        Ok(match self {
            Output::Path { written, .. } => Arc::new(written.as_file().try_clone()?),
            Output::Object(object) => object.clone(),
        })
    }

    /// Takes the whole content, where the program has made the file in another way than by writing to it.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let writer = self.writer()?;
        writer.set_len(0)?;
        let mut offset = 0;
        while offset < bytes.len() {
            match writer.write_at(&bytes[offset..], offset as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => offset += count,
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), (PathBuf, io::Error)> {
        match self {
            Output::Path { mut written, place } => {
                let flushed = written.flush();
                let persisted = flushed.and_then(|()| written.persist(&place).map_err(|error| error.error));
                persisted.map(drop).map_err(|error| (place, error))
            }
            Output::Object(object) => object.sync().map_err(|error| (PathBuf::new(), error)),
        }
    }
}

impl Files {
    pub fn new(limit_bytes: u64) -> Files {
        Files {
            memory: MemoryFs::new(limit_bytes),
            state: Mutex::default(),
        }
    }

    pub fn add_bytes(&self, name: &str, bytes: PyBackedBytes) -> PyResult<()> {
        // Python's bytes never change, and stay as long as they are used here.
        let bytes = Bytes::from_owner(bytes);
        self.memory.add_file(name, bytes.clone())?;
        Ok(self.note(name, Some(bytes))?)
    }

    pub fn add_path(&self, name: &str, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            let message = "it is no regular file: open it and give it as stdin or in pipes";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.memory.add_reader(name, Arc::new(file))?;
        self.note(name, None)
    }

    pub fn add_reader(&self, name: &str, reader: Arc<PythonReader>) -> PyResult<()> {
        self.memory.add_reader(name, reader)?;
        Ok(self.note(name, None)?)
    }

    fn note(&self, name: &str, bytes: Option<Bytes>) -> io::Result<()> {
        let inode = self.memory.metadata(name, false)?.inode;
        self.lock().inputs.insert(name.to_owned(), Unchanged { inode, bytes });
        Ok(())
    }

    pub fn add_output(&self, name: &str, output: Output) {
        self.lock()
            .outputs
            .insert(name.to_owned(), Placed { output, inode: None });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what was written beside its place, though the job's thread may still hold it open.
    pub fn abandon(&self) {
        let outputs = std::mem::take(&mut self.lock().outputs);
        drop(outputs);
    }

    /// Takes out all that the program has written. Outputs are put into their places if it has succeeded.
    pub fn finish(&self, succeeded: bool) -> Result<Vec<(String, Bytes)>, (PathBuf, io::Error)> {
        let state = std::mem::take(&mut *self.lock());
        let inode = |name: &str| self.memory.metadata(name, false).ok().map(|metadata| metadata.inode);
        let mut outputs = state.outputs;
        let mut files = Vec::new();
        for (name, _) in self.memory.files() {
            let unreadable = |error| (PathBuf::from(&name), error);
            if let Some(input) = state.inputs.get(&name)
                && inode(&name) == Some(input.inode)
            {
                let Some(given) = &input.bytes else { continue };
                let now = self.memory.read_file(&name).map_err(unreadable)?;
                if (now.as_ptr(), now.len()) == (given.as_ptr(), given.len()) {
                    continue;
                }
            }
            if let Some(mut placed) = outputs.remove(&name) {
                let now = inode(&name);
                if now != placed.inode {
                    let bytes = self.memory.take_file(&name).map_err(unreadable)?;
                    placed.output.replace(&bytes).map_err(unreadable)?;
                    placed.inode = now;
                }
                if succeeded {
                    placed.output.finish()?;
                }
                continue;
            }
            let bytes = self.memory.take_file(&name).map_err(unreadable)?;
            files.push((name, bytes));
        }
        Ok(files)
    }
}

impl FileSystem for Files {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        if options.create {
            let mut state = self.lock();
            if let Some(placed) = state.outputs.get_mut(path)
                && placed.inode.is_none()
                && self.memory.metadata(path, false).is_err()
            {
                let writer = placed.output.writer()?;
                self.memory.add_writer(path, writer.clone())?;
                placed.inode = Some(self.memory.metadata(path, false)?.inode);
                drop(state);
                // What is there of another file would be left behind the end of this one.
                match writer.set_len(0) {
                    Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
                    _ => {}
                }
                // It was not there for the program.
                let mut options = *options;
                options.exclusive = false;
                return self.memory.open(path, &options);
            }
        }
        self.memory.open(path, options)
    }

    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata> {
        self.memory.metadata(path, follow_links)
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.memory.read_dir(path)
    }

    fn visit_dir(&self, path: &str, visit: &mut dyn FnMut(DirEntry) -> io::Result<()>) -> io::Result<()> {
        self.memory.visit_dir(path, visit)
    }

    fn held_bytes(&self) -> u64 {
        self.memory.held_bytes()
    }

    fn prepare(&self, path: &str, follow_links: bool) -> io::Result<Option<Box<dyn Steps>>> {
        self.memory.prepare(path, follow_links)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.memory.create_dir(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.memory.remove_dir(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.memory.remove_file(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        self.memory.read_link(path)
    }

    fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        self.memory.symlink(target, path)
    }

    fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.hard_link(from, to)
    }

    fn set_times(&self, path: &str, follow_links: bool, times: Times) -> io::Result<()> {
        self.memory.set_times(path, follow_links, times)
    }
}

/// Calls an object of Python's, and keeps what it raises for the caller of the job.
fn call<T>(failure: &Failure, work: impl FnOnce(Python) -> PyResult<T>) -> io::Result<T> {
    match Python::try_attach(work) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => {
            failure.set(error);
            Err(io::Error::other("an object of Python's raised an exception"))
        }
        None => Err(io::Error::other("the interpreter is exiting")),
    }
}

/// A file object of Python's, read at any offset.
pub struct PythonReader {
    object: Py<PyAny>,
    size_bytes: u64,
    /// Seeking and reading are two calls, and several jobs may read. It is taken without the interpreter, so that
    /// nobody waits for it who has that.
    lock: Mutex<()>,
    failure: Arc<Failure>,
}

impl PythonReader {
    pub fn new(object: Py<PyAny>, size_bytes: u64, failure: Arc<Failure>) -> PythonReader {
        PythonReader {
            object,
            size_bytes,
            lock: Mutex::new(()),
            failure,
        }
    }
}

fn read(object: &Bound<PyAny>, buffer: &mut [u8], offset: u64) -> PyResult<usize> {
    object.call_method1("seek", (offset,))?;
    let read = object.call_method1("read", (buffer.len(),))?;
    let bytes = read.cast::<PyBytes>().map_err(|_| {
        let kind = read.get_type();
        PyTypeError::new_err(format!("read() of a file object returned {kind}, and not bytes"))
    })?;
    let bytes = bytes.as_bytes();
    let count = bytes.len().min(buffer.len());
    buffer[..count].copy_from_slice(&bytes[..count]);
    Ok(count)
}

impl ReadAt for PythonReader {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.size_bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        call(&self.failure, |py| read(self.object.bind(py), buffer, offset))
    }
}

/// A file object of Python's, written at any offset.
pub struct PythonWriter {
    object: Py<PyAny>,
    lock: Mutex<()>,
    failure: Arc<Failure>,
}

impl WriteAt for PythonWriter {
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        call(&self.failure, |py| {
            let object = self.object.bind(py);
            object.call_method1("seek", (offset,))?;
            let written = object.call_method1("write", (PyBytes::new(py, buffer),))?;
            // Some do not say how many bytes they have taken, and take all.
            let count = written.extract().unwrap_or(buffer.len());
            Ok(count.min(buffer.len()))
        })
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let can = call(&self.failure, |py| {
            let object = self.object.bind(py);
            match object.hasattr("truncate")? {
                true => object.call_method1("truncate", (size_bytes,)).map(|_| true),
                false => Ok(false),
            }
        });
        match can? {
            true => Ok(()),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be read is no fault of the caller's: the program is told so, as of any such file.
        let read = Python::try_attach(|py| {
            let object = self.object.bind(py);
            let readable = object
                .call_method0("readable")
                .and_then(|readable| readable.is_truthy());
            match readable {
                Ok(true) => Some(read(object, buffer, offset)),
                _ => None,
            }
        });
        match read {
            Some(Some(Ok(count))) => Ok(count),
            Some(Some(Err(error))) => {
                self.failure.set(error);
                Err(io::Error::other("an object of Python's raised an exception"))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        call(&self.failure, |py| {
            let object = self.object.bind(py);
            match object.hasattr("flush")? {
                true => object.call_method0("flush").map(drop),
                false => Ok(()),
            }
        })
    }
}
