//! Data in TOML: an error names the file, the line and the key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::error::usage;

/// Reads a TOML file.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    Ok(Document::read(path)?.data)
}

/// Data with the file that it is from, for errors that are found later.
#[derive(Debug, Clone)]
pub struct Document<T> {
    pub path: PathBuf,
    pub data: T,
    text: String,
}

impl<T: DeserializeOwned> Document<T> {
    pub fn read(path: &Path) -> Result<Document<T>> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let data = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| line_of(&text, span.start));
            let place = line.map(|line| format!(":{line}")).unwrap_or_default();
            usage(format!("{}{place}: {error}", path.display()))
        })?;
        Ok(Document {
            path: path.to_owned(),
            data,
            text,
        })
    }
}

impl<T> Document<T> {
    /// Where a value stands: `FILE:LINE`.
    pub fn at<S>(&self, value: &Spanned<S>) -> String {
        format!("{}:{}", self.path.display(), line_of(&self.text, value.span().start))
    }

    /// Where a table begins: `FILE:LINE`.
    pub fn at_table(&self, name: &str) -> String {
        let heading = format!("[{name}]");
        let line = self.text.lines().position(|line| line.trim() == heading);
        format!("{}:{}", self.path.display(), line.map_or(1, |line| line + 1))
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|&byte| byte == b'\n').count() + 1
}
