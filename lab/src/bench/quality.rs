//! The quality of an encoded video in relation to its source, by FFmpeg's filters.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::samples::Quality;
use xtask::process::{self, Invocation};

const LIMIT: Duration = Duration::from_secs(300);

/// Compares frame by frame with the source, brought to the output's size by `reference`, a chain of filters.
pub fn measure(ffmpeg: &Path, source: &Path, reference: &str, output: &Path, output_sha256: &str) -> Result<Quality> {
    let folder = output.parent().context("an output has a folder")?;
    let graph = format!(
        "[0:v]setpts=PTS-STARTPTS,split=3[a][b][c];[1:v]setpts=PTS-STARTPTS,{reference},split=3[x][y][z];\
         [a][x]psnr;[b][y]ssim;[c][z]libvmaf"
    );
    let paths = [output, source].map(|path| path.display().to_string());
    let invocation = Invocation::new(ffmpeg.display().to_string(), folder)
        .arguments(["-nostats", "-i", &paths[0], "-i", &paths[1], "-filter_complex", &graph])
        .arguments(["-f", "null", "-"]);
    let log = folder.with_extension("quality");
    let file = File::create(&log)?;
    match invocation.run_within(LIMIT, file.try_clone()?, file)? {
        Some(status) if status.success() => {}
        _ => bail!(
            "the quality of {} could not be measured\ncommand: {}\nits last lines:\n{}",
            output.display(),
            invocation.pasteable(),
            process::last_lines(&log)?
        ),
    }
    let text = fs::read_to_string(&log)?;
    let line = |filter: &str| {
        let line = text.lines().find(|line| line.contains(filter));
        line.with_context(|| format!("no line of {filter}"))
    };
    let last_word = |filter: &str| -> Result<f64> {
        let word = line(filter)?.split_whitespace().last();
        Ok(word.unwrap_or_default().parse()?)
    };
    let value = |filter: &str, name: &str| -> Result<f64> {
        let line = line(filter)?;
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        Ok(word.with_context(|| format!("no {name} in `{line}`"))?.parse()?)
    };
    Ok(Quality {
        output_sha256: output_sha256.to_owned(),
        psnr_db: value("] PSNR ", "average:")?,
        ssim: value("] SSIM ", "All:")?,
        vmaf: Some(last_word("] VMAF score: ")?),
    })
}
