//! What conformance jobs and benches work on: the pinned video, and inputs that FFmpeg makes of it or of nothing.

use serde::Deserialize;

/// The input that no command makes: the pinned video.
pub const CLIP: &str = "clip.mp4";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    pub command: Option<String>,
}

impl Input {
    pub fn fault(&self) -> Option<String> {
        ((self.name == CLIP) == self.command.is_some())
            .then(|| format!("input {} needs a command, and {CLIP} alone has none", self.name))
    }
}
