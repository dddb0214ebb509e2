//! The compressed forms in which modules are carried over networks.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

/// Writes `<module>.gz` and `<module>.br`: no name and no time in them, so that same bytes in are same bytes out.
pub fn beside(module: &Path) -> Result<()> {
    let data = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let path = |suffix: &str| module.with_added_extension(suffix);
    std::thread::scope(|scope| {
        let gzip = scope.spawn(|| -> Result<()> {
            let file = BufWriter::new(File::create(path("gz"))?);
            let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::best());
            encoder.write_all(&data)?;
            Ok(encoder.finish()?.flush()?)
        });
        // The best quality, and the largest window that every decoder accepts.
        let parameters =
            brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, size_hint: data.len(), ..Default::default() };
        let mut file = BufWriter::new(File::create(path("br"))?);
        brotli::BrotliCompress(&mut &data[..], &mut file, &parameters)?;
        file.flush()?;
        gzip.join().map_err(|_| anyhow::anyhow!("compressing with gzip failed"))?
    })
}
