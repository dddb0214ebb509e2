//! A command line for ffmpeg, put together with types.
//!
//! ```
//! use afmpeg::command::{Command, Input, Output};
//! use std::time::Duration;
//!
//! let command = Command::new()
//!     .input(Input::file("talk.mkv").seek(Duration::from_secs(90)).duration(Duration::from_secs(30)))
//!     .output(
//!         Output::file("talk.mp4")
//!             .video_codec("libx264")
//!             .video_filter("scale=640:-2")
//!             .audio_codec("aac")
//!             .option("crf", "23"),
//!     );
//! assert_eq!(
//!     command.to_string(),
//!     "ffmpeg -nostdin -y -ss 90 -t 30 -i talk.mkv -c:v libx264 -filter:v scale=640:-2 -c:a aac -crf 23 talk.mp4"
//! );
//! ```

mod contradiction;
mod input;
mod line;
mod output;

pub use contradiction::Contradiction;
pub use input::Input;
pub use line::Command;
pub use output::Output;
