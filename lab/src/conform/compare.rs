//! What a job left behind, and whether two engines left the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use xtask::digest;

/// What came out of one job in one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub exit_code: i32,
    /// File -> its digest; what was printed on standard output is called `standard output`.
    pub files: BTreeMap<String, String>,
}

pub const STANDARD_OUTPUT: &str = "standard output";

impl Outcome {
    /// Takes what is in a folder, but for the inputs.
    pub fn of(folder: &Path, inputs: &[String], exit_code: i32, printed: &[u8]) -> Result<Outcome> {
        let mut files = BTreeMap::new();
        files.insert(STANDARD_OUTPUT.to_owned(), digest::bytes(printed));
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            let name = entry.path().strip_prefix(folder)?.display().to_string();
            if entry.file_type().is_file() && !inputs.contains(&name) {
                files.insert(name, digest::file(entry.path())?);
            }
        }
        Ok(Outcome { exit_code, files })
    }

    /// Where another outcome differs, in words; nothing if it is the same.
    pub fn differences(&self, other: &Outcome) -> Vec<String> {
        let mut differences = Vec::new();
        if self.exit_code != other.exit_code {
            differences.push(format!("it ended with {} and not {}", other.exit_code, self.exit_code));
        }
        let names: std::collections::BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        for name in names {
            match (self.files.get(name), other.files.get(name)) {
                (Some(wanted), Some(got)) if wanted == got => {}
                (Some(_), Some(_)) => differences.push(format!("{name} differs")),
                (Some(_), None) => differences.push(format!("{name} is missing")),
                (None, _) => differences.push(format!("{name} is there")),
            }
        }
        differences
    }
}

/// The peak signal-to-noise ratio between two files of 16-bit samples, in decibels. Of results of different lengths the
/// shorter one counts, if it lacks little: a coder may end a packet sooner.
pub fn psnr_db(one: &Path, other: &Path) -> Result<f64> {
    let samples = |path: &Path| -> Result<Vec<i16>> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (pairs, _) = bytes.as_chunks::<2>();
        Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
    };
    let (one, other) = (samples(one)?, samples(other)?);
    let (short, long) = (one.len().min(other.len()), one.len().max(other.len()));
    if short == 0 || short * 20 < long * 19 {
        return Ok(0.0);
    }
    let square = |(a, b): (&i16, &i16)| (f64::from(*a) - f64::from(*b)).powi(2);
    let mean = one.iter().zip(&other).map(square).sum::<f64>() / short as f64;
    Ok(if mean == 0.0 {
        f64::INFINITY
    } else {
        10.0 * (f64::from(i16::MAX).powi(2) / mean).log10()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let outcome = |exit_code, files: &[(&str, &str)]| Outcome {
            exit_code,
            files: files
                .iter()
                .map(|&(name, digest)| (name.into(), digest.into()))
                .collect(),
        };
        let wanted = outcome(0, &[("a", "1"), ("b", "2"), ("c", "3")]);
        assert!(wanted.differences(&wanted).is_empty());
        let got = outcome(1, &[("a", "1"), ("b", "x"), ("d", "4")]);
        assert_eq!(
            wanted.differences(&got),
            ["it ended with 1 and not 0", "b differs", "c is missing", "d is there"]
        );
    }

    #[test]
    fn inputs_are_no_results() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("in"), "in").unwrap();
        fs::write(folder.path().join("out"), "out").unwrap();
        let outcome = Outcome::of(folder.path(), &["in".to_owned()], 0, b"").unwrap();
        assert_eq!(outcome.files.keys().collect::<Vec<_>>(), ["out", STANDARD_OUTPUT]);
    }

    #[test]
    fn likeness_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, samples: &[i16]| {
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let (one, near) = (write("a", &[1000; 100]), write("b", &[1001; 100]));
        assert_eq!(psnr_db(&one, &one).unwrap(), f64::INFINITY);
        assert!((psnr_db(&one, &near).unwrap() - 90.3).abs() < 0.1);
        assert_eq!(psnr_db(&one, &write("c", &[1000; 10])).unwrap(), 0.0);
        assert_eq!(psnr_db(&one, &write("d", &[])).unwrap(), 0.0);
    }
}
