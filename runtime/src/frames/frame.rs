//! A picture.

use super::format::Format;
use crate::error::Error;
use bytes::Bytes;
use std::time::Duration;

/// One picture.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The time that was asked for, from the beginning of the video; a contact sheet has that of its first picture.
    pub time: Duration,
    pub width: u32,
    pub height: u32,
    /// A JPEG or PNG file, or the pixels themselves: red, green, blue and alpha, a byte each, in rows from the top.
    pub image: Bytes,
}

pub(super) fn picture(format: Format, file: Bytes, time: Duration) -> Result<Frame, Error> {
    let (width, height, image) = format
        .read(file)
        .ok_or_else(|| Error::frame("a picture has no size, or not the pixels that it says"))?;
    Ok(Frame {
        time,
        width,
        height,
        image,
    })
}
