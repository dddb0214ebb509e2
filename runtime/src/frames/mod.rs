//! Pictures out of a video: thumbnails and contact sheets.

mod call;
mod every;
mod format;
mod frame;
mod run;
mod sheet;
mod single;
mod source;
mod wanted;

pub use call::IntoJob;
pub use frame::Frame;
pub use wanted::Frames;
