//! Jobs on tokio: waiting without a thread.

use crate::command::Command;
use crate::error::Error;
use crate::interrupt::{Cancellation, Interrupt, Interruption};
use crate::job::Job;
use crate::output::Output;
use crate::runtime::Runtime;
use crate::watch::Next;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;
use tokio::time::sleep_until;

impl Runtime {
    /// Runs a job to its end as [`run`](Runtime::run) does, from a task of tokio's: neither in line nor while the job
    /// runs does this take a thread of the caller's.
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
