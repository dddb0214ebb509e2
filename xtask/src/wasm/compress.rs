//! The compressed forms in which modules are carried over networks.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
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
    // They take about as long as each other, and need one core each.
    thread::scope(|scope| {
        let gzip = scope.spawn(|| gzip(&data, &module.with_added_extension("gz")));
        brotli(&data, &module.with_added_extension("br"))?;
        match gzip.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn gzip(data: &[u8], to: &Path) -> Result<()> {
    // libdeflate packs the same format 4 % tighter than zlib's best level does.
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut gzip = vec![0; compressor.gzip_compress_bound(data.len())];
    let length_bytes = compressor.gzip_compress(data, &mut gzip)?;
    gzip.truncate(length_bytes);
    fs::write(to, gzip).with_context(|| format!("cannot write {}", to.display()))
}

fn brotli(data: &[u8], to: &Path) -> Result<()> {
    // The best quality but one, for half the time, and the largest window that every decoder accepts.
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 10,
        lgwin: 24,
        size_hint: data.len(),
        ..Default::default()
    };
    let mut file = BufWriter::new(File::create(to).with_context(|| format!("cannot write {}", to.display()))?);
    brotli::BrotliCompress(&mut &*data, &mut file, &parameters)?;
    Ok(file.flush()?)
}
