//! A span for each job, and events for its changes of state, for subscribers of `tracing`; without that feature,
//! nothing.

use crate::error::Error;
use crate::job::Job;
use crate::output::Output;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct JobSpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(feature = "tracing")]
impl JobSpan {
    /// The arguments are left out, since they may contain secrets.
    pub fn new(job: &Job) -> JobSpan {
        let program = job.args.first().map(|program| program.to_string_lossy());
        JobSpan {
            span: tracing::info_span!("afmpeg_job", program = program.as_deref(), priority = job.priority),
        }
    }

    pub fn in_scope<R>(&self, work: impl FnOnce() -> R) -> R {
        self.span.in_scope(work)
    }

    pub fn started(&self, queue: Duration) {
        self.span
            .in_scope(|| tracing::debug!(queue_seconds = queue.as_secs_f64(), "the job has a place"));
    }

    pub fn ended(&self, result: &Result<Output, Error>) {
        self.span.in_scope(|| match result {
            Ok(output) => tracing::info!(
                exit_code = output.exit_code,
                run_seconds = output.timings.run.as_secs_f64(),
                cpu_seconds = output.cpu_time.as_secs_f64(),
                memory_peak_bytes = output.memory_peak_bytes,
                bytes_read = output.bytes_read,
                bytes_written = output.bytes_written,
                "the job has ended"
            ),
            Err(error) => tracing::warn!(error = %error, "the job was ended"),
        });
    }

    pub fn left_behind(&self) {
        self.span
            .in_scope(|| tracing::warn!("the job has not come back from a call of the caller's own"));
    }
}

#[cfg(not(feature = "tracing"))]
impl JobSpan {
    pub fn new(_job: &Job) -> JobSpan {
        JobSpan {}
    }

    pub fn in_scope<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    pub fn started(&self, _queue: Duration) {}

    pub fn ended(&self, _result: &Result<Output, Error>) {}

    pub fn left_behind(&self) {}
}
