//! `cargo xtask fetch`: everything that builds and tests need, into the cache.

use anyhow::Result;

use crate::flags::Fetch;
use crate::media;
use crate::progress::Progress;
use crate::workshop::Workshop;

pub fn run(workshop: &Workshop, flags: &Fetch) -> Result<()> {
    let progress = Progress::new();
    let fetcher = workshop.fetcher(&flags.origins);
    let mut sources = [
        "binaryen",
        "exiftool-images",
        "ffmpeg",
        "ffmpeg-core",
        "nasm",
        "rust-src",
        "taglib-data",
        "wasmtime",
    ]
    .map(str::to_owned)
    .to_vec();
    sources.extend(media::sources().map(str::to_owned));
    sources.extend(workshop.test_registry().map(|(name, _)| name.to_owned()));
    for name in workshop.profiles(&flags.profiles)? {
        sources.extend(workshop.recipe(&name)?.1.libraries);
    }
    sources.sort();
    sources.dedup();
    let work = progress.start("sdk");
    let sdk = workshop.sdk(&fetcher)?;
    work.finish(&sdk.identity.clang, None);
    if workshop.test_nix(&fetcher)?.is_some() {
        progress.start("nix").finish("done", None);
    }
    for name in sources {
        let work = progress.start(&name);
        let source = workshop.pins.source(&name)?;
        fetcher.tree(&name, source)?;
        work.finish(&source.version, None);
    }
    Ok(())
}
