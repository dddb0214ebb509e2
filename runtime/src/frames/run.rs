//! Making pictures with a runtime.

use super::call::{Call, IntoJob};
use super::every::every;
use super::frame::Frame;
use super::sheet;
use super::single::at;
use super::wanted::{Frames, Which};
use crate::error::Error;
use crate::job::Job;
use crate::runtime::Runtime;

impl Runtime {
    /// Makes pictures of a video. `set_up` gives files and limits to each of the jobs; it may fail.
    ///
    /// The jobs run in parallel, under one deadline: the timeout of the first counts for all together, from the
    /// beginning. The first failure ends the others. Each job opens the input anew, so it must be a file and not a
    /// stream.
    pub fn frames<J: IntoJob>(&self, frames: &Frames, set_up: impl Fn(Job) -> J + Sync) -> Result<Vec<Frame>, Error> {
        if frames.width == Some(0) || frames.height == Some(0) {
            return Err(Error::frame("a picture cannot be 0 pixels wide or high"));
        }
        let set_up = |job| set_up(job).into_job();
        let call = Call::new(self, &set_up, frames.size_max_bytes);
        match &frames.which {
            Which::At(times) => at(&call, frames, times),
            Which::Every(interval) => every(&call, frames, *interval),
            Which::Sheet { columns, rows } => sheet::make(&call, frames, *columns, *rows),
        }
    }
}
