//! Pictures at intervals, in one pass over the video.

use super::call::Call;
use super::frame::{Frame, picture};
use super::sheet;
use super::single::check_size;
use super::source::Source;
use super::wanted::Frames;
use crate::error::Error;
use std::time::Duration;

pub(super) fn every(call: &Call, frames: &Frames, interval: Duration) -> Result<Vec<Frame>, Error> {
    if interval.is_zero() {
        return Err(Error::frame("the interval between pictures is zero"));
    }
    let source = Source::look(call, &frames.input)?;
    check_size(&source, frames)?;
    let interval_seconds = interval.as_secs_f64();
    let numbered = sheet::first_of_each(call, &source, frames, None, |time| {
        format!("max(0,floor(({time}+{HALF_MICROSECOND})/{interval_seconds}))")
    })?;
    let mut all = Vec::new();
    for (number, file) in numbered {
        let time = Duration::try_from_secs_f64(number as f64 * interval_seconds).unwrap_or(Duration::MAX);
        call.keep(&file)?;
        all.push(picture(frames.format, file, time)?);
    }
    if all.is_empty() {
        return Err(Error::NoFrame { time: Duration::ZERO });
    }
    Ok(all)
}

/// Half a microsecond: more than the rounding error of a time that was a floating-point number.
const HALF_MICROSECOND: &str = "0.0000005";
