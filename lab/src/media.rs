//! What conformance jobs and benches work on: the pinned video, and inputs that FFmpeg makes of it or of nothing.

use serde::Deserialize;

/// The input that no command makes: the pinned video.
pub const CLIP: &str = "clip.mp4";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    pub command: Option<String>,
    /// What is in it, where it is a text.
    pub text: Option<String>,
}

impl Input {
    pub fn fault(&self) -> Option<String> {
        let origins = usize::from(self.command.is_some()) + usize::from(self.text.is_some());
        (origins != usize::from(self.name != CLIP)).then(|| {
            format!(
                "input {} needs either a command or a text, and {CLIP} alone has neither",
                self.name
            )
        })
    }
}
