//! A reader of the caller's.

use crate::interrupt::{Interrupt, retry};
use std::io::{self, Read};

#[cfg(unix)]
use background::Background;

/// Called on the job's own thread, until the program asks whether there is input: from then on on a thread of the
/// reader's, since a call cannot be asked whether it would block.
pub(crate) enum Reader {
    Own(Box<dyn Read + Send>),
    #[cfg(unix)]
    Background(Background),
}

impl Reader {
    pub fn read(&mut self, buffer: &mut [u8], interrupt: &Interrupt) -> io::Result<usize> {
        match self {
            Reader::Own(reader) => retry(interrupt, || reader.read(buffer)),
            #[cfg(unix)]
            Reader::Background(background) => background.read(buffer, interrupt),
        }
    }

    /// Asks for input. Returns what to wait for where there is none yet, and it has not ended.
    #[cfg(unix)]
    pub fn prepare(&mut self) -> io::Result<Option<&std::fs::File>> {
        if let Reader::Own(_) = self {
            // Without a thread the reader stays where it is, and is read there.
            let (background, given) = Background::start()?;
            if let Reader::Own(reader) = std::mem::replace(self, Reader::Background(background)) {
                let sent = given.send(reader);
                sent.map_err(|_| io::Error::other("the reader's thread has ended"))?;
            }
        }
        match self {
            Reader::Background(background) => Ok(background.prepare()),
            Reader::Own(_) => Ok(None),
        }
    }

    #[cfg(unix)]
    pub fn signal(&self) -> Option<&std::fs::File> {
        match self {
            Reader::Background(background) => Some(background.signal()),
            Reader::Own(_) => None,
        }
    }
}

#[cfg(unix)]
mod background {
    use crate::interrupt::Interrupt;
    use crate::stdio::host::{Direction, wait};
    use bytes::Bytes;
    use std::fs::File;
    use std::io::{self, Read, Write, pipe};
    use std::os::fd::OwnedFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    const BUFFER_SIZE_BYTES: usize = 64 << 10;
    /// As for what is called on the job's thread.
    const STACK_SIZE_BYTES: usize = 4 << 20;

    /// Reads when it is asked to. A call that does not return leaves its thread behind.
    pub struct Background {
        requests: Sender<()>,
        results: Receiver<io::Result<Bytes>>,
        /// Has a byte for each result.
        signal: File,
        is_asked: bool,
        left: Bytes,
        has_ended: bool,
    }

    impl Background {
        /// Starts the thread, which is then given its reader.
        pub fn start() -> io::Result<(Background, Sender<Box<dyn Read + Send>>)> {
            let (signal, mut signals) = pipe()?;
            let (requests, asked) = channel();
            let (sender, results) = channel();
            let (given, readers) = channel::<Box<dyn Read + Send>>();
            let work = move || {
                let Ok(mut reader) = readers.recv() else { return };
                let mut buffer = vec![0; BUFFER_SIZE_BYTES];
                while asked.recv().is_ok() {
                    let result = catch_unwind(AssertUnwindSafe(|| {
                        loop {
                            match reader.read(&mut buffer) {
                                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                                result => return result,
                            }
                        }
                    }));
                    let result = result.unwrap_or_else(|_| Err(io::Error::other("the reader panicked")));
                    let result = result.map(|count| Bytes::copy_from_slice(&buffer[..count.min(BUFFER_SIZE_BYTES)]));
                    if sender.send(result).is_err() || signals.write_all(&[0]).is_err() {
                        return;
                    }
                }
            };
            let builder = thread::Builder::new().name("afmpeg-reader".to_owned());
            builder.stack_size(STACK_SIZE_BYTES).spawn(work)?;
            let background = Background {
                requests,
                results,
                signal: File::from(OwnedFd::from(signal)),
                is_asked: false,
                left: Bytes::new(),
                has_ended: false,
            };
            Ok((background, given))
        }

        pub fn prepare(&mut self) -> Option<&File> {
            if self.has_ended || !self.left.is_empty() {
                return None;
            }
            self.ask();
            Some(&self.signal)
        }

        pub fn signal(&self) -> &File {
            &self.signal
        }

        fn ask(&mut self) {
            if !self.is_asked {
                self.is_asked = self.requests.send(()).is_ok();
            }
        }

        pub fn read(&mut self, buffer: &mut [u8], interrupt: &Interrupt) -> io::Result<usize> {
            if self.left.is_empty() && !self.has_ended {
                self.ask();
                wait(&self.signal, Direction::Read, interrupt)?;
                self.is_asked = false;
                (&self.signal).read_exact(&mut [0])?;
                self.left = self.results.recv().map_err(io::Error::other)??;
                self.has_ended = self.left.is_empty();
            }
            let count = self.left.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.left.split_to(count));
            Ok(count)
        }
    }
}
