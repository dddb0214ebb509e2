//! The formats of outputs and of segments.

/// Endings, or names of formats, of outputs that take frames at their own times.
pub const MP4: &[&str] = &["mp4", "m4v", "mov"];
pub const MATROSKA: &[&str] = &["mkv", "matroska"];
pub const WEBM: &[&str] = &["webm"];
pub const MPEGTS: &[&str] = &["ts", "mpegts"];
pub const HLS: &[&str] = &["m3u8", "hls"];
pub const DASH: &[&str] = &["mpd", "dash"];

/// The format of segments.
pub fn of_segments(encoder: &str) -> &'static str {
    if encoder.starts_with("prores") { "mov" } else { "mp4" }
}
