//! Jobs on tokio: waiting without a thread, and asynchronous streams.

use crate::command::Command;
use crate::interrupt::{Cancellation, Interrupt, Interruption, waker_of_this_thread};
use crate::job::{Job, Output};
use crate::running::Next;
use crate::stdio::{Stdin, Stdout};
use crate::{Error, Runtime};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::sleep_until;

impl Runtime {
    /// Runs a job to its end as [`run`](Runtime::run) does, from a task of tokio's: neither in line nor while the job runs does
    /// this take a thread of the caller's.
    ///
    /// Dropping the future cancels the job, and returns at once. The runtime of the task must have its timer enabled.
    ///
    /// ```
    /// # use afmpeg::{Job, Runtime, Stdin, Stdout};
    /// # async fn convert(runtime: Runtime, upload: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    /// let (upload, download) = upload.into_split();
    /// let job = Job::new(["ffmpeg", "-i", "pipe:0", "-f", "mp3", "pipe:1"])
    ///     .stdin(Stdin::from_async(upload))
    ///     .stdout(Stdout::from_async(download));
    /// let output = runtime.run_async(job).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_async(&self, job: impl Into<Job>) -> Result<Output, Error> {
        let called = Instant::now();
        let dropped = Cancellation::new();
        let job = job.into().cancellation(&dropped);
        let interrupt = self.prepare(&job, called)?;
        let place = {
            let mut enter = pin!(self.enter(job.priority));
            let mut interrupted = pin!(interrupted(&interrupt));
            poll_fn(|context| {
                if let Poll::Ready(result) = enter.as_mut().poll(context) {
                    return Poll::Ready(result.map_err(Error::from));
                }
                let interruption = interrupted.as_mut().poll(context);
                interruption.map(|interruption| Err(interruption.error(Output::default())))
            })
            .await?
        };

        let mut watch = self.start(job, interrupt, called)?;
        watch.cancel_when_dropped = Some(dropped);
        let mut sleep = pin!(sleep_until(Instant::now().into()));
        let result = poll_fn(|context| {
            watch.set_waker(context.waker());
            loop {
                match watch.look() {
                    Next::Done(result) => return Poll::Ready(result),
                    Next::Wait(None) => return Poll::Pending,
                    Next::Wait(Some(until)) => {
                        sleep.as_mut().reset(until.into());
                        if sleep.as_mut().poll(context).is_pending() {
                            return Poll::Pending;
                        }
                    }
                }
            }
        })
        .await;
        drop(place);
        result
    }
}

impl Runtime {
    /// Runs a command as [`run_job`](Runtime::run_job) does, from a task as [`run_async`](Runtime::run_async) does.
    pub async fn run_job_async(&self, command: &Command, set_up: impl FnOnce(Job) -> Job) -> Result<Output, Error> {
        let job = command.job().map_err(|source| Error::Command { source })?;
        self.run_async(set_up(job)).await?.into_success()
    }
}

/// The interruption, when it comes.
async fn interrupted(interrupt: &Interrupt) -> Interruption {
    let deadline = async {
        match interrupt.deadline {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    let mut deadline = pin!(deadline);
    let mut registered = Vec::new();
    poll_fn(|context| {
        registered = interrupt.register(context.waker());
        if let Some(interruption) = interrupt.check() {
            return Poll::Ready(interruption);
        }
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Interruption::Deadline),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Something that is read asynchronously.
pub struct AsyncInput {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    handle: Option<Handle>,
}

/// Something that is written asynchronously.
pub struct AsyncOutput {
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    handle: Option<Handle>,
}

impl Stdin {
    /// Standard input from an asynchronous reader. It is read as the program asks for input; a deadline or a
    /// cancellation ends the wait.
    ///
    /// A reader that needs a tokio runtime requires this to be called within that runtime.
    pub fn from_async(reader: impl AsyncRead + Send + 'static) -> Stdin {
        Stdin::Async(AsyncInput {
            reader: Box::pin(reader),
            handle: Handle::try_current().ok(),
        })
    }
}

impl Stdout {
    /// A standard stream into an asynchronous writer. The program waits for it; a deadline or a cancellation ends the
    /// wait.
    ///
    /// A writer that needs a tokio runtime requires this to be called within that runtime.
    pub fn from_async(writer: impl AsyncWrite + Send + 'static) -> Stdout {
        Stdout::Async(AsyncOutput {
            writer: Box::pin(writer),
            handle: Handle::try_current().ok(),
        })
    }
}

impl AsyncInput {
    pub(crate) fn read(&mut self, buffer: &mut [u8], interrupt: &Interrupt) -> io::Result<usize> {
        wait(self.handle.as_ref(), interrupt, |context| {
            let mut read = ReadBuf::new(buffer);
            let ready = self.reader.as_mut().poll_read(context, &mut read);
            ready.map_ok(|()| read.filled().len())
        })
    }
}

impl AsyncOutput {
    pub(crate) fn write(&mut self, bytes: &[u8], interrupt: &Interrupt) -> io::Result<usize> {
        wait(self.handle.as_ref(), interrupt, |context| {
            self.writer.as_mut().poll_write(context, bytes)
        })
    }

    pub(crate) fn flush(&mut self, interrupt: &Interrupt) -> io::Result<()> {
        wait(self.handle.as_ref(), interrupt, |context| {
            self.writer.as_mut().poll_flush(context)
        })
    }
}

/// Polls on the job's own thread until there is a result or the job is interrupted.
fn wait<T>(
    handle: Option<&Handle>,
    interrupt: &Interrupt,
    mut poll: impl FnMut(&mut Context) -> Poll<io::Result<T>>,
) -> io::Result<T> {
    let waker = waker_of_this_thread();
    let _registered = interrupt.register(&waker);
    let _entered = handle.map(Handle::enter);
    loop {
        if let Poll::Ready(result) = poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        if interrupt.check().is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match interrupt.deadline {
            Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

impl fmt::Debug for AsyncInput {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("AsyncInput").finish_non_exhaustive()
    }
}

impl fmt::Debug for AsyncOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("AsyncOutput").finish_non_exhaustive()
    }
}
