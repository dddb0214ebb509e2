//! An output on its way into a bucket, in parts as it is written.
//!
//! Nobody sees it before it gets its name: an upload of several parts when it is completed, a small one when it is put. Both are fenced.
//! Whoever takes a job over ends the uploads that its state lists, so that completing them fails; and a small one is put only over what
//! was there when the attempt began.

use super::buckets::Bucket;
use super::disk::on_disk;
use crate::cluster::fault::{Fault, Faults};
use crate::cluster::lease::Lease;
use crate::cluster::state::Begun;
use crate::fs::WriteAt;
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Error, MultipartId, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// The first part waits until the end, as formats complete their head then.
const HEAD_BYTES: usize = 8 << 20;
/// A store takes ten thousand parts; later ones are longer, so that they suffice for half a terabyte.
const PARTS_OF_A_LENGTH: usize = 1000;
const LENGTHENINGS_MAX: usize = 3;
/// The longest stretch that is filled with zeros because a program has left it out.
const GAP_MAX_BYTES: u64 = 1 << 30;

pub struct Upload {
    handle: Handle,
    bucket: Arc<dyn Bucket>,
    path: Path,
    /// The address as it may be told.
    shown: String,
    lease: Arc<Lease>,
    faults: Faults,
    /// A program that was left behind may hold it while a part is sent: only threads that may wait take it.
    sending: Mutex<Sending>,
    /// A program that was left behind may write still.
    is_abandoned: AtomicBool,
    /// Ends the part that is under way, for who has not the lock.
    under_way: Mutex<Option<AbortHandle>>,
}

#[derive(Default)]
struct Sending {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Where the tail begins, behind the head and what was sent.
    sent_bytes: u64,
    size_bytes: u64,
    id: Option<MultipartId>,
    parts: Vec<PartId>,
    in_flight: Option<JoinHandle<Result<PartId, Error>>>,
    before: PutMode,
    goes_back: bool,
}

impl Sending {
    fn tail_start(&self) -> u64 {
        HEAD_BYTES as u64 + self.sent_bytes
    }

    /// The length of the part that is being written.
    fn part_bytes(&self) -> usize {
        let begun = self.parts.len() + usize::from(self.in_flight.is_some());
        HEAD_BYTES << (begun / PARTS_OF_A_LENGTH).min(LENGTHENINGS_MAX)
    }
}

impl Upload {
    pub async fn begin(
        bucket: Arc<dyn Bucket>,
        path: Path,
        shown: String,
        lease: Arc<Lease>,
        faults: Faults,
    ) -> Result<Upload, Fault> {
        let before = there(&bucket, &path).await;
        let before = before.map_err(|error| Fault::of_store(&shown, &error))?;
        Ok(Upload {
            handle: Handle::current(),
            bucket,
            path,
            shown,
            lease,
            faults,
            sending: Mutex::new(Sending {
                before,
                ..Sending::default()
            }),
            is_abandoned: AtomicBool::new(false),
            under_way: Mutex::default(),
        })
    }

    /// Whether the program has gone back to what was sent, so that it has to run again with its output in a file.
    pub fn goes_back(&self) -> bool {
        self.lock().goes_back
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }

    fn lock(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, error: &Error) -> Fault {
        Fault::of_store(&self.shown, error)
    }

    fn write(&self, sending: &mut Sending, buffer: &[u8], offset: u64) -> Result<usize, Failed> {
        if offset < HEAD_BYTES as u64 {
            let from = offset as usize;
            let count = buffer.len().min(HEAD_BYTES - from);
            put(&mut sending.head, &buffer[..count], from);
            sending.size_bytes = sending.size_bytes.max(offset + count as u64);
            return Ok(count);
        }
        if offset < sending.tail_start() {
            return Err(Failed::GoesBack);
        }
        sending.head.resize(HEAD_BYTES, 0);
        let end = sending.tail_start() + sending.tail.len() as u64;
        let gap = offset.saturating_sub(end);
        if gap > GAP_MAX_BYTES {
            return Err(Failed::GoesBack);
        }
        let mut left = gap as usize;
        while left > 0 {
            let count = left.min(sending.part_bytes() - sending.tail.len());
            sending.tail.resize(sending.tail.len() + count, 0);
            left -= count;
            self.send_if_full(sending)?;
        }
        let from = (offset - sending.tail_start()) as usize;
        let count = buffer.len().min(sending.part_bytes() - from);
        put(&mut sending.tail, &buffer[..count], from);
        sending.size_bytes = sending.size_bytes.max(offset + count as u64);
        self.send_if_full(sending)?;
        Ok(count)
    }

    fn send_if_full(&self, sending: &mut Sending) -> Result<(), Failed> {
        match sending.tail.len() == sending.part_bytes() {
            true => self.send(sending).map_err(Failed::Fault),
            false => Ok(()),
        }
    }

    /// Sends the tail as a part, while the program goes on. One part is under way at a time.
    fn send(&self, sending: &mut Sending) -> Result<(), Fault> {
        let id = self.id(sending)?;
        self.wait(sending)?;
        let bytes = std::mem::take(&mut sending.tail);
        sending.sent_bytes += bytes.len() as u64;
        let (bucket, path) = (self.bucket.clone(), self.path.clone());
        // The head is the first part, and comes last.
        let index = sending.parts.len() + 1;
        let part = async move { bucket.put_part(&path, &id, index, PutPayload::from(bytes)).await };
        let part = self.handle.spawn(part);
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(part.abort_handle());
        // It may have been abandoned since.
        if self.is_abandoned.load(Ordering::SeqCst) {
            part.abort();
        }
        sending.in_flight = Some(part);
        Ok(())
    }

    fn id(&self, sending: &mut Sending) -> Result<MultipartId, Fault> {
        if self.is_abandoned.load(Ordering::SeqCst) {
            return Err(Fault::passing(format!("{}: it is not wanted any more", self.shown)));
        }
        if let Some(id) = &sending.id {
            return Ok(id.clone());
        }
        let id = self.handle.block_on(self.bucket.create_multipart(&self.path));
        let id = id.map_err(|error| self.fault(&error))?;
        sending.id = Some(id.clone());
        let begun = Begun {
            address: self.shown.clone(),
            upload: id.clone(),
        };
        let noted = self.handle.block_on(self.lease.begin_upload(begun));
        noted?;
        Ok(id)
    }

    fn wait(&self, sending: &mut Sending) -> Result<(), Fault> {
        let Some(part) = sending.in_flight.take() else {
            return Ok(());
        };
        match self.handle.block_on(part) {
            Ok(Ok(part)) => {
                sending.parts.push(part);
                Ok(())
            }
            Ok(Err(error)) => Err(self.fault(&error)),
            Err(error) => Err(Fault::passing(format!("{}: {error}", self.shown))),
        }
    }

    /// Sends all that is left, but for what is put at once. It blocks.
    pub fn finish(&self) -> Result<(), Fault> {
        let mut guard = self.lock();
        let sending = &mut *guard;
        if sending.size_bytes == 0 {
            return Err(Fault::lasting(format!(
                "{}: the program has written nothing to it",
                self.shown
            )));
        }
        if sending.size_bytes <= HEAD_BYTES as u64 {
            return Ok(());
        }
        if !sending.tail.is_empty() {
            self.send(sending)?;
        }
        self.wait(sending)?;
        let id = self.id(sending)?;
        let head = PutPayload::from(std::mem::take(&mut sending.head));
        let head = self.handle.block_on(self.bucket.put_part(&self.path, &id, 0, head));
        sending.parts.insert(0, head.map_err(|error| self.fault(&error))?);
        Ok(())
    }

    /// Gives the object its name.
    pub async fn name(&self) -> Result<(), Fault> {
        let (id, parts, head, before) = {
            let mut sending = self.lock();
            let head = Bytes::from(std::mem::take(&mut sending.head));
            (
                sending.id.clone(),
                std::mem::take(&mut sending.parts),
                head,
                sending.before.clone(),
            )
        };
        match id {
            Some(id) => {
                let completed = self.bucket.complete_multipart(&self.path, &id, parts).await;
                // That it is gone means that another worker has ended it.
                completed.map(drop).map_err(|error| Fault {
                    passes: true,
                    ..self.fault(&error)
                })
            }
            None => self.put_whole(head, before).await,
        }
    }

    async fn put_whole(&self, bytes: Bytes, mut mode: PutMode) -> Result<(), Fault> {
        const TRIES: u32 = 4;
        for _ in 0..TRIES {
            let options = PutOptions::from(mode.clone());
            match self.bucket.put_opts(&self.path, bytes.clone().into(), options).await {
                Ok(_) => return Ok(()),
                // Somebody has written it meanwhile: perhaps who holds the job now, perhaps who held it before. What is there is read
                // before the lease is confirmed, so that what a later holder puts is something else.
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    let found = there(&self.bucket, &self.path).await;
                    mode = found.map_err(|error| self.fault(&error))?;
                    self.lease.confirm().await?;
                }
                // The store knows no conditions.
                Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => mode = PutMode::Overwrite,
                Err(error) => return Err(self.fault(&error)),
            }
        }
        Err(Fault::passing(format!("{}: others write it, too", self.shown)))
    }

    /// Ends an upload that is not wanted any more, and returns whether the store has.
    pub async fn abandon(self: &Arc<Upload>) -> bool {
        self.is_abandoned.store(true, Ordering::SeqCst);
        let part = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(part) = part {
            part.abort();
        }
        let upload = self.clone();
        let begun = on_disk(move || {
            let mut sending = upload.lock();
            sending.in_flight = None;
            Ok(sending.id.take())
        });
        match begun.await {
            Ok(Some(id)) => self.bucket.abort_multipart(&self.path, &id).await.is_ok(),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

enum Failed {
    GoesBack,
    Fault(Fault),
}

/// Writes into a vector, which grows.
fn put(bytes: &mut Vec<u8>, part: &[u8], from: usize) {
    if bytes.len() < from + part.len() {
        bytes.resize(from + part.len(), 0);
    }
    bytes[from..from + part.len()].copy_from_slice(part);
}

/// What has to be there still when the object gets its name.
async fn there(bucket: &Arc<dyn Bucket>, path: &Path) -> Result<PutMode, Error> {
    match bucket.head(path).await {
        Ok(found) => Ok(match found.e_tag {
            None => PutMode::Overwrite,
            e_tag => PutMode::Update(UpdateVersion {
                e_tag,
                version: found.version,
            }),
        }),
        Err(Error::NotFound { .. }) => Ok(PutMode::Create),
        Err(error) => Err(error),
    }
}

impl WriteAt for Upload {
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let mut sending = self.lock();
        match self.write(&mut sending, buffer, offset) {
            Ok(count) => Ok(count),
            Err(Failed::GoesBack) => {
                sending.goes_back = true;
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(Failed::Fault(fault)) => Err(self.faults.note(fault)),
        }
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        if size_bytes > self.lock().size_bytes {
            return self.write_at(&[0], size_bytes - 1).map(drop);
        }
        let mut sending = self.lock();
        if size_bytes < sending.tail_start() && sending.sent_bytes > 0 {
            sending.goes_back = true;
            return Err(io::ErrorKind::Unsupported.into());
        }
        let tail = size_bytes.saturating_sub(sending.tail_start());
        sending.tail.truncate(usize::try_from(tail).unwrap_or(usize::MAX));
        sending.head.truncate(usize::try_from(size_bytes).unwrap_or(usize::MAX));
        sending.size_bytes = size_bytes;
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut sending = self.lock();
        if offset >= sending.size_bytes {
            return Ok(0);
        }
        let (bytes, start) = match offset < HEAD_BYTES as u64 {
            true => (&sending.head, 0),
            false if offset < sending.tail_start() => {
                sending.goes_back = true;
                return Err(io::ErrorKind::Unsupported.into());
            }
            false => (&sending.tail, sending.tail_start()),
        };
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let found = bytes.get(from..).unwrap_or_default();
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        Ok(count)
    }
}
