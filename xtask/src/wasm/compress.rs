//! The compressed forms in which modules are carried over networks.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use libdeflater::{CompressionLvl, Compressor};
use serde::Serialize;

use crate::wasm::{Pass, Work};

pub const NAME: &str = "compress";

/// Writes `MODULE.gz` and `MODULE.br`.
#[derive(Debug, Serialize)]
pub struct Compress {
    pub module: String,
}

impl Pass for Compress {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        beside(&work.folder.join(&self.module))
    }
}

/// No name and no time in them, so that same bytes in are same bytes out.
fn beside(module: &Path) -> Result<()> {
    let data = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let data = &data[..];
    let write = |form: &str, packed: &[u8]| {
        let path = module.with_added_extension(form);
        fs::write(&path, packed).with_context(|| format!("cannot write {}", path.display()))
    };
    // They take about as long as each other, and need one core each.
    thread::scope(|scope| {
        let gzip = scope.spawn(|| write("gz", &gzip(data, CompressionLvl::best())?));
        write("br", &brotli(data, BEST_BROTLI)?)?;
        match gzip.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// libdeflate packs the same format 4 % tighter than zlib's best level does.
pub fn gzip(data: &[u8], level: CompressionLvl) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(level);
    let mut packed = vec![0; compressor.gzip_compress_bound(data.len())];
    let length_bytes = compressor.gzip_compress(data, &mut packed)?;
    packed.truncate(length_bytes);
    Ok(packed)
}

/// The best quality but one, for half the time.
pub const BEST_BROTLI: i32 = 10;

pub fn brotli(data: &[u8], quality: i32) -> Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality,
        // The largest window that every decoder accepts.
        lgwin: 24,
        size_hint: data.len(),
        ..Default::default()
    };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*data, &mut packed, &parameters)?;
    Ok(packed)
}
